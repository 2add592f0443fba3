// Spans of f32 and bf16 rows: float products in the order of backend.h.

#include <algorithm>

#include "base/floats.h"
#include "base/units.h"
#include "compute/cpu/attention.h"

namespace nereus {
namespace {

/// Rows taken through scores or sums at a time: 64 x 576 floats = 147 KB stay in the L2 cache while
/// the queries pass over them.
constexpr int64_t kRowsPerBlock = 64;

int64_t bf16_floats(const SharedAttention& args) {
    const bool widens = args.visible[0].format == KvFormat::kBf16;
    return widens ? round_up<int64_t>(kRowsPerBlock * args.visible[0].width, 16) : 0;
}

int64_t scratch_floats(const SharedAttention& args, int64_t n_queries) {
    return bf16_floats(args) + n_queries * kSpanRows;
}

int64_t value_stride(const SharedAttention& args) { return args.value_width; }

/// n rows of a page as floats: where they lie, or widened into scratch.
const float* rows_at(const SpanWork& work, const std::byte* page, int64_t in_page, int64_t n,
                     int64_t width) {
    if (work.args.visible[0].format == KvFormat::kF32) {
        return reinterpret_cast<const float*>(page) + in_page * width;
    }
    const auto* bits = reinterpret_cast<const uint16_t*>(page) + in_page * width;
    const FormatKernels& bf16 = work.kernels.formats[static_cast<int>(FormatId::kBf16)];
    if (bf16.decode_rows != nullptr) {
        bf16.decode_rows({.data = reinterpret_cast<const unsigned char*>(bits),
                          .stride_bytes = 2 * width,
                          .cols = width},
                         0, n, work.scratch, width);
    } else {
        std::transform(bits, bits + n * width, work.scratch, bf16_to_f32);
    }
    return work.scratch;
}

/// Calls visit(first, n, rows) for blocks of the span's rows that lie side by side in one page.
template <typename Visit>
void for_each_block(const SpanWork& work, const Visit& visit) {
    const PagedRows& longest = work.visible(work.piece.n_tokens - 1);
    const int64_t end = std::min(work.begin + kSpanRows, longest.n_rows);
    for (int64_t first = work.begin; first < end;) {
        const int64_t in_page = first % longest.page_tokens;
        const int64_t n = std::min({kRowsPerBlock, longest.page_tokens - in_page, end - first});
        visit(first, n,
              rows_at(work, longest.pages[first / longest.page_tokens], in_page, n, longest.width));
        first += n;
    }
}

void attend(const SpanWork& work) {
    const SharedAttention& args = work.args;
    const AttentionPiece& piece = work.piece;
    const int64_t set = piece.head / args.heads_per_set;
    const int64_t width = work.visible(0).width;
    float* scores = work.scratch + bf16_floats(args);
    for_each_block(work, [&](int64_t first, int64_t n, const float* rows) {
        for (int64_t t = work.first_token(first); t < piece.n_tokens; ++t) {
            work.kernels.products({.rows = rows + args.key_offset + set * args.key_width,
                                   .row_stride = width,
                                   .n_rows = work.seen(t, first, n),
                                   .x = work.query(t * piece.n_heads),
                                   .x_stride = args.key_width,
                                   .n_x = piece.n_heads,
                                   .n_cols = args.key_width,
                                   .out = scores + t * piece.n_heads * kSpanRows + first - work.begin,
                                   .out_stride = kSpanRows});
        }
    });
    work.soften(scores);
    std::fill_n(work.to.values, piece.n_queries() * work.to.stride, 0.0F);
    for_each_block(work, [&](int64_t first, int64_t n, const float* rows) {
        for (int64_t t = work.first_token(first); t < piece.n_tokens; ++t) {
            const int64_t i = t * piece.n_heads;
            work.kernels.accumulate({.rows = rows + args.value_offset + set * args.value_width,
                                     .row_stride = width,
                                     .n_rows = work.seen(t, first, n),
                                     .coefficients = scores + i * kSpanRows + first - work.begin,
                                     .coefficient_stride = kSpanRows,
                                     .n_out = piece.n_heads,
                                     .out = work.to.values + i * work.to.stride,
                                     .out_stride = work.to.stride,
                                     .n_cols = args.value_width});
        }
    });
}

}  // namespace

extern constexpr SpanKernels kFloatSpans{attend, scratch_floats, value_stride};

}  // namespace nereus
