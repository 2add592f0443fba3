#include "compute/cpu/attention.h"

#include <algorithm>

#include "base/check.h"
#include "base/units.h"

namespace nereus {
namespace {

/// Heads of one piece: a cached row is read once for all of them.
constexpr int64_t kHeadsMax = 16;
/// Tokens of one piece, neighbours of a sequence: a block of rows comes from the L3 cache or from
/// memory once for all of them.
constexpr int64_t kTokensMax = 8;
/// Scores of one piece, 1 MB: with long contexts a piece has fewer tokens.
constexpr int64_t kScoreFloatsMax = 256 * 1024;
/// Rows taken through scores or sums at a time: 64 x 576 floats = 147 KB stay in the L2 cache while
/// the heads and tokens pass over them.
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

using Piece = AttentionPiece;

/// What the passes over a piece share.
struct PieceWork {
    const KernelTable& kernels;
    const SharedAttention& args;
    const Piece& piece;
    float* scores;  ///< [n_tokens, n_heads, stride]
    int64_t stride;

    const PagedRows& visible(int64_t t) const {
        return args.visible[static_cast<size_t>(piece.token + t)];
    }
    float* scores_of(int64_t t) const { return scores + t * piece.n_heads * stride; }
    float* out(int64_t t) const {
        return args.out.row(piece.token + t) + piece.head * args.value_width;
    }
    /// The part of a block of rows that token t sees.
    int64_t seen(int64_t t, int64_t first, int64_t n) const {
        return std::min(n, visible(t).n_rows - first);
    }
};

void score(const PieceWork& work, int64_t t, int64_t first, int64_t n, const float* keys) {
    const SharedAttention& args = work.args;
    work.kernels.products({.rows = keys,
                           .row_stride = work.visible(t).width,
                           .n_rows = n,
                           .x = args.q.row(work.piece.token + t) + work.piece.head * args.key_width,
                           .x_stride = args.key_width,
                           .n_x = work.piece.n_heads,
                           .n_cols = args.key_width,
                           .out = work.scores_of(t) + first,
                           .out_stride = work.stride});
}

void add_values(const PieceWork& work, int64_t t, int64_t first, int64_t n, const float* values) {
    work.kernels.accumulate({.rows = values,
                             .row_stride = work.visible(t).width,
                             .n_rows = n,
                             .coefficients = work.scores_of(t) + first,
                             .coefficient_stride = work.stride,
                             .n_out = work.piece.n_heads,
                             .out = work.out(t),
                             .out_stride = work.args.value_width,
                             .n_cols = work.args.value_width});
}

void attend_piece(const PieceWork& work) {
    const Piece& piece = work.piece;
    const SharedAttention& args = work.args;
    const int64_t set = piece.head / args.heads_per_set;
    const int64_t key = args.key_offset + set * args.key_width;
    const int64_t value = args.value_offset + set * args.value_width;
    const PagedRows& longest = work.visible(piece.n_tokens - 1);
    for_each_block(longest, [&](int64_t first, int64_t n, const float* rows) {
        for (int64_t t = 0; t < piece.n_tokens; ++t) {
            if (work.seen(t, first, n) > 0) {
                score(work, t, first, work.seen(t, first, n), rows + key);
            }
        }
    });
    float inverse_sums[kTokensMax * kHeadsMax];
    for (int64_t t = 0; t < piece.n_tokens; ++t) {
        for (int64_t h = 0; h < piece.n_heads; ++h) {
            inverse_sums[t * kHeadsMax + h] =
                1.0F / work.kernels.softmax_row(work.scores_of(t) + h * work.stride,
                                                work.visible(t).n_rows, args.scale);
        }
        std::fill_n(work.out(t), piece.n_heads * args.value_width, 0.0F);
    }
    for_each_block(longest, [&](int64_t first, int64_t n, const float* rows) {
        for (int64_t t = 0; t < piece.n_tokens; ++t) {
            if (work.seen(t, first, n) > 0) {
                add_values(work, t, first, work.seen(t, first, n), rows + value);
            }
        }
    });
    for (int64_t t = 0; t < piece.n_tokens; ++t) {
        for (int64_t i = 0; i < piece.n_heads * args.value_width; ++i) {
            work.out(t)[i] *= inverse_sums[t * kHeadsMax + i / args.value_width];
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

/// Runs of neighbouring tokens of one sequence, at most `longest` each.
void group_tokens(const SharedAttention& args, int64_t longest, std::vector<Piece>& runs) {
    runs.clear();
    for (int64_t t = 0; t < args.q.n_rows; ++t) {
        const PagedRows& now = args.visible[static_cast<size_t>(t)];
        const bool goes_on = !runs.empty() && runs.back().n_tokens < longest &&
                             args.visible[static_cast<size_t>(t - 1)].pages == now.pages &&
                             args.visible[static_cast<size_t>(t - 1)].n_rows <= now.n_rows;
        if (goes_on) {
            ++runs.back().n_tokens;
        } else {
            runs.push_back({t, 1, 0, 0});
        }
    }
}

}  // namespace

void Attention::run(const SharedAttention& args) {
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
    const int64_t stride = round_up<int64_t>(rows_max, 16);
    const int64_t wanted = ceil_div(n_heads * n_tokens, 2 * int64_t{pool_.n_threads()});
    const int64_t heads = std::clamp<int64_t>(wanted, 1, std::min(kHeadsMax, args.heads_per_set));
    const int64_t tokens = std::clamp<int64_t>(
        std::min(wanted / heads, kScoreFloatsMax / (heads * stride)), 1, kTokensMax);
    const int64_t groups_per_set = ceil_div(args.heads_per_set, heads);
    group_tokens(args, tokens, runs_);
    scratch_.reserve(tokens * heads * stride);
    const int64_t count = static_cast<int64_t>(runs_.size()) * args.n_sets * groups_per_set;
    const int64_t work = rows_all * n_heads * (args.key_width + args.value_width);
    const int64_t grain = work < kInlineWork ? std::max<int64_t>(count, 1) : 1;
    pool_.parallel_for(count, grain, [&](int64_t begin, int64_t end) {
        const Scratch::Lease lease(scratch_);
        for (int64_t i = begin; i < end; ++i) {
            const int64_t in_set = i % groups_per_set * heads;
            const int64_t set = i / groups_per_set % args.n_sets;
            Piece piece = runs_[static_cast<size_t>(i / groups_per_set / args.n_sets)];
            piece.head = set * args.heads_per_set + in_set;
            piece.n_heads = std::min(heads, args.heads_per_set - in_set);
            attend_piece({kernels_, args, piece, lease.data(), stride});
        }
    });
}

}  // namespace nereus
