// Spans of int8 rows of latent attention: integer products in the order of latent_kernels.h. Keys
// are multiplied as they lie in a page; values are the same bytes, turned so that four neighbouring
// rows lie together, a block of 128 rows x 128 columns at a time for all queries of the piece.

#include <algorithm>
#include <array>
#include <type_traits>

#include "base/check.h"
#include "base/units.h"
#include "compute/cpu/attention.h"
#include "compute/cpu/int8.h"
#include "compute/cpu/latent_kernels.h"

namespace nereus {
namespace {

constexpr int64_t kPageRows = KvBlock::kRows;

KvRows rows_of(const SharedAttention& args) {
    return {KvFormat::kInt8, args.key_width, args.value_width};  // value = latent, first of a row
}

/// A piece's scratch, cut up.
struct Buffers {
    float* scores = nullptr;      ///< [n, kSpanRows]
    Int8Rows x;                   ///< [n_blocks, n, 128]
    int8_t* high = nullptr;       ///< [n, 128]
    int8_t* low = nullptr;        ///< [n, 128]
    float* high_units = nullptr;  ///< [n]
    float* low_units = nullptr;   ///< [n]
    uint8_t* values = nullptr;    ///< [128 columns, 128 rows]
    int64_t n_floats = 0;

    /// memory: null to count only.
    Buffers(float* memory, const KvRows& rows, int64_t n) {
        const int64_t blocks = rows.query_blocks();
        const auto take = [&](auto*& part, int64_t count) {
            using Number = std::remove_reference_t<decltype(*part)>;
            part = memory == nullptr ? nullptr : reinterpret_cast<Number*>(memory + n_floats);
            n_floats += round_up<int64_t>(count * int64_t{sizeof(Number)}, 64) / 4;
        };
        x.n_rows = n;
        x.n_blocks = blocks;
        take(scores, n * kSpanRows);
        take(x.values, blocks * n * kPanelColumns);
        take(x.scales, blocks * n);
        take(x.sums, blocks * n * kSumsPerBlock);
        take(x.totals, blocks * n);
        take(high, n * kPageRows);
        take(low, n * kPageRows);
        take(high_units, n);
        take(low_units, n);
        take(values, kPageRows * kPanelColumns);
    }
};

/// Blocks [first, first + n) of x, for rounding a part of a row.
Int8Rows blocks_of(const Int8Rows& x, int64_t first, int64_t n) {
    Int8Rows part = x;
    part.values += first * x.n_rows * kPanelColumns;
    part.scales += first * x.n_rows;
    part.sums += first * x.n_rows * kSumsPerBlock;
    part.totals += first * x.n_rows;
    part.n_blocks = n;
    return part;
}

void round_queries(const SpanWork& work, const KvRows& rows, const Int8Rows& x) {
    const int64_t latent = rows.latent_blocks();
    const Int8Rows front = blocks_of(x, 0, latent);
    const Int8Rows back = blocks_of(x, latent, rows.rope_blocks());
    const auto round_row = work.kernels.int8->round_row;
    for (int64_t i = work.first_token(work.begin) * work.piece.n_heads; i < x.n_rows; ++i) {
        round_row(work.query(i), rows.latent, i, front);
        round_row(work.query(i) + rows.latent, rows.width - rows.latent, i, back);
    }
}

struct PageRows {
    int64_t first;  ///< row of the sequence
    int64_t n;      ///< that the last token sees
    const std::byte* data;
};

template <typename Visit>
void for_each_page(const SpanWork& work, const Visit& visit) {
    const PagedRows& longest = work.visible(work.piece.n_tokens - 1);
    const int64_t end = std::min(work.begin + kSpanRows, longest.n_rows);
    for (int64_t first = work.begin; first < end; first += kPageRows) {
        visit(PageRows{first, std::min(kPageRows, end - first), longest.pages[first / kPageRows]});
    }
}

const float* scales_at(const PageRows& page, const KvBlock& block) {
    return reinterpret_cast<const float*>(page.data + block.offset);
}
const uint8_t* codes_at(const PageRows& page, const KvBlock& block) {
    return reinterpret_cast<const uint8_t*>(page.data + block.codes());
}

void score_page(const SpanWork& work, const KvRows& rows, const Buffers& buffers,
                const PageRows& page) {
    const int64_t i = work.first_token(page.first) * work.piece.n_heads;
    const int64_t n = buffers.x.n_rows;
    for (int64_t b = 0; b < rows.n_blocks(); ++b) {
        const KvBlock block = rows.block(b);
        const int64_t at = block.query * n + i;
        work.kernels.latent->keys(
            {.panels = codes_at(page, block),
             .panel_stride = block.stored * kPanelRows,
             .n_panels = ceil_div(page.n, kPanelRows),
             .n_groups = block.stored / kPanelGroup,
             .scales = scales_at(page, block),
             .x = buffers.x.values + at * kPanelColumns,
             .x_scales = buffers.x.scales + at,
             .x_totals = buffers.x.totals + at,
             .n_x = n - i,
             .out = buffers.scores + i * kSpanRows + page.first - work.begin,
             .out_stride = kSpanRows,
             .add = b > 0});
    }
}

/// The weights of a page's rows as digits, queries i and up.
void round_weights(const SpanWork& work, const Buffers& buffers, const PageRows& page,
                   const float* scales, int64_t i) {
    for (; i < buffers.x.n_rows; ++i) {
        work.kernels.latent->round_weights(
            {.weights = buffers.scores + i * kSpanRows + page.first - work.begin,
             .scales = scales,
             .n = work.seen(i / work.piece.n_heads, page.first, kPageRows),
             .high = buffers.high + i * kPageRows,
             .low = buffers.low + i * kPageRows,
             .unit = buffers.low_units + i});
        buffers.high_units[i] = 128.0F * buffers.low_units[i];
    }
}

constexpr auto kOnes = [] {
    std::array<float, kPanelColumns> ones{};
    ones.fill(1.0F);
    return ones;
}();

void add_page(const SpanWork& work, const KvRows& rows, const Buffers& buffers,
              const PageRows& page) {
    const int64_t i = work.first_token(page.first) * work.piece.n_heads;
    const LatentKernels& kernels = *work.kernels.latent;
    for (int64_t b = 0; b < rows.latent_blocks(); ++b) {
        const KvBlock block = rows.block(b);
        kernels.turn(codes_at(page, block), ceil_div(page.n, kPanelRows), block.stored,
                     buffers.values);
        round_weights(work, buffers, page, scales_at(page, block), i);
        LatentProductArgs args{.panels = buffers.values,
                               .panel_stride = kPanelRows * kPageRows,
                               .n_panels = block.stored / kPanelRows,
                               .n_groups = ceil_div(page.n, kPanelRows) * kPanelRows / kPanelGroup,
                               .scales = kOnes.data(),
                               .x = buffers.high + i * kPageRows,
                               .x_scales = buffers.high_units + i,
                               .n_x = buffers.x.n_rows - i,
                               .out = work.to.values + i * work.to.stride + block.column,
                               .out_stride = work.to.stride,
                               .add = true};
        kernels.values(args);
        args.x = buffers.low + i * kPageRows;
        args.x_scales = buffers.low_units + i;
        kernels.values(args);
    }
}

int64_t scratch_floats(const SharedAttention& args, int64_t n_queries) {
    return Buffers(nullptr, rows_of(args), n_queries).n_floats;
}

int64_t value_stride(const SharedAttention& args) {
    return round_up<int64_t>(args.value_width, KvBlock::kColumns / 2);
}

void attend(const SpanWork& work) {
    const KvRows rows = rows_of(work.args);
    const Buffers buffers(work.scratch, rows, work.piece.n_queries());
    round_queries(work, rows, buffers.x);
    for_each_page(work, [&](const PageRows& page) { score_page(work, rows, buffers, page); });
    work.soften(buffers.scores);
    const int64_t i = work.first_token(work.begin) * work.piece.n_heads;
    std::fill(work.to.values + i * work.to.stride,
              work.to.values + work.piece.n_queries() * work.to.stride, 0.0F);
    for_each_page(work, [&](const PageRows& page) { add_page(work, rows, buffers, page); });
}

}  // namespace

extern constexpr SpanKernels kInt8Spans{attend, scratch_floats, value_stride};

}  // namespace nereus
