#include "compute/cpu/attention.h"

#include <algorithm>

#include "base/check.h"
#include "base/units.h"

namespace nereus {
namespace {

/// Heads of one piece: a cached row is read once for all of them. 8 leave the products kernel 2 x 4
/// columns of registers and keep 8 x 4096 scores in 128 KB.
constexpr int64_t kHeadsMax = 8;
/// Rows taken through scores or sums at a time: 64 x 576 floats = 147 KB stay in the L2 cache while
/// the heads pass over them.
constexpr int64_t kRowsPerBlock = 64;
/// Multiply-adds below which the pool is not woken.
constexpr int64_t kInlineWork = 64 * 1024;

/// Calls visit(first, n, rows) for blocks of rows that lie side by side in one page.
template <typename Visit>
void for_each_block(const PagedRows& visible, const Visit& visit) {
    for (int64_t first = 0; first < visible.n_rows;) {
        const int64_t in_page = first % visible.page_tokens;
        const int64_t n =
            std::min({kRowsPerBlock, visible.page_tokens - in_page, visible.n_rows - first});
        visit(first, n, visible.pages[first / visible.page_tokens] + in_page * visible.width);
        first += n;
    }
}

/// Heads [head, head + n_heads) of one token, all of one set.
struct Piece {
    int64_t token;
    int64_t head;
    int64_t n_heads;
};

void attend_piece(const KernelTable& kernels, const SharedAttention& args, const Piece& piece,
                  float* scores) {
    const PagedRows& visible = args.visible[static_cast<size_t>(piece.token)];
    const int64_t set = piece.head / args.heads_per_set;
    const int64_t key = args.key_offset + set * args.key_width;
    const int64_t value = args.value_offset + set * args.value_width;
    const int64_t stride = round_up<int64_t>(visible.n_rows, 16);
    float* out = args.out.row(piece.token) + piece.head * args.value_width;
    for_each_block(visible, [&](int64_t first, int64_t n, const float* rows) {
        kernels.products({.rows = rows + key,
                          .row_stride = visible.width,
                          .n_rows = n,
                          .x = args.q.row(piece.token) + piece.head * args.key_width,
                          .x_stride = args.key_width,
                          .n_x = piece.n_heads,
                          .n_cols = args.key_width,
                          .out = scores + first,
                          .out_stride = stride});
    });
    float inverse_sums[kHeadsMax];
    for (int64_t h = 0; h < piece.n_heads; ++h) {
        inverse_sums[h] =
            1.0F / kernels.softmax_row(scores + h * stride, visible.n_rows, args.scale);
    }
    std::fill(out, out + piece.n_heads * args.value_width, 0.0F);
    for_each_block(visible, [&](int64_t first, int64_t n, const float* rows) {
        kernels.accumulate({.rows = rows + value,
                            .row_stride = visible.width,
                            .n_rows = n,
                            .coefficients = scores + first,
                            .coefficient_stride = stride,
                            .n_out = piece.n_heads,
                            .out = out,
                            .out_stride = args.value_width,
                            .n_cols = args.value_width});
    });
    for (int64_t h = 0; h < piece.n_heads; ++h) {
        for (int64_t c = 0; c < args.value_width; ++c) {
            out[h * args.value_width + c] *= inverse_sums[h];
        }
    }
}

void check_args(const SharedAttention& args) {
    const int64_t n_heads = args.n_sets * args.heads_per_set;
    NEREUS_CHECK(args.q.n_rows == args.out.n_rows);
    NEREUS_CHECK(static_cast<int64_t>(args.visible.size()) == args.q.n_rows);
    NEREUS_CHECK(args.q.n_cols == n_heads * args.key_width);
    NEREUS_CHECK(args.out.n_cols == n_heads * args.value_width);
    for (const PagedRows& visible : args.visible) {
        NEREUS_CHECK(visible.n_rows >= 1);
        NEREUS_CHECK(visible.width >= args.key_offset + args.n_sets * args.key_width);
        NEREUS_CHECK(visible.width >= args.value_offset + args.n_sets * args.value_width);
    }
}

}  // namespace

void attend(ThreadPool& pool, const KernelTable& kernels, Scratch& scratch,
            const SharedAttention& args) {
    check_args(args);
    const int64_t n_tokens = args.q.n_rows;
    const int64_t n_heads = args.n_sets * args.heads_per_set;
    int64_t rows_max = 0;
    int64_t rows_all = 0;
    for (const PagedRows& visible : args.visible) {
        rows_max = std::max(rows_max, visible.n_rows);
        rows_all += visible.n_rows;
    }
    // Few tokens on many threads: smaller groups, so that every thread has heads to work on.
    const int64_t wanted = ceil_div(n_heads * n_tokens, 2 * int64_t{pool.n_threads()});
    const int64_t group = std::clamp<int64_t>(wanted, 1, std::min(kHeadsMax, args.heads_per_set));
    const int64_t groups_per_set = ceil_div(args.heads_per_set, group);
    scratch.reserve(group * round_up<int64_t>(rows_max, 16));
    const int64_t count = n_tokens * args.n_sets * groups_per_set;
    const int64_t work = rows_all * n_heads * (args.key_width + args.value_width);
    const int64_t grain = work < kInlineWork ? std::max<int64_t>(count, 1) : 1;
    pool.parallel_for(count, grain, [&](int64_t begin, int64_t end) {
        const Scratch::Lease lease(scratch);
        for (int64_t i = begin; i < end; ++i) {
            const int64_t in_set = i % groups_per_set * group;
            const int64_t set = i / groups_per_set % args.n_sets;
            attend_piece(kernels, args,
                         {.token = i / groups_per_set / args.n_sets,
                          .head = set * args.heads_per_set + in_set,
                          .n_heads = std::min(group, args.heads_per_set - in_set)},
                         lease.data());
        }
    });
}

}  // namespace nereus
