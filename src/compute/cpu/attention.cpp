#include "compute/cpu/attention.h"

#include <algorithm>
#include <functional>

#include "base/check.h"
#include "base/units.h"

namespace nereus {
namespace {

/// Multiply-adds below which the pool is not woken.
constexpr int64_t kInlineWork = 64 * 1024;

void check_args(const SharedAttention& args) {
    const int64_t n_heads = args.n_sets * args.heads_per_set;
    NEREUS_CHECK(args.q.n_rows == args.out.n_rows);
    NEREUS_CHECK(static_cast<int64_t>(args.visible.size()) == args.q.n_rows);
    NEREUS_CHECK(args.q.n_cols == n_heads * args.key_width);
    NEREUS_CHECK(args.out.n_cols == n_heads * args.value_width);
    for (const PagedRows& visible : args.visible) {
        NEREUS_CHECK(visible.n_rows >= 1);
        NEREUS_CHECK(visible.format == args.visible[0].format);
        NEREUS_CHECK(visible.width >= args.key_offset + args.n_sets * args.key_width);
        NEREUS_CHECK(visible.width >= args.value_offset + args.n_sets * args.value_width);
    }
}

int64_t n_spans(const PagedRows& visible) { return ceil_div(visible.n_rows, kSpanRows); }

/// Floats of SpanSums for n queries, and their places in a buffer.
int64_t sums_floats(int64_t n_queries, int64_t stride) {
    return round_up<int64_t>(2 * n_queries, 16) + n_queries * stride;
}
SpanSums sums_at(float* buffer, int64_t n_queries, int64_t stride) {
    return {buffer, buffer + n_queries, buffer + round_up<int64_t>(2 * n_queries, 16), stride};
}

/// Where a query's result grows: its output row, and what has been merged so far.
struct Merged {
    float highest = 0.0F;
    float sum = 0.0F;
};

/// Adds query i of a span to what the spans before gave: with m the higher of both highest scores,
///   a = exp(highest - m), b = exp(span's - m);  sum = sum * a + span's * b
///   out = fma(b, span's out, out * a)
void merge_row(const KernelTable& kernels, const SpanSums& span, int64_t i, int64_t width,
               bool first, Merged& merged, float* out) {
    const float* values = span.values + i * span.stride;
    if (first) {
        merged = {span.highest[i], span.sums[i]};
        std::copy_n(values, width, out);
        return;
    }
    const float highest = std::max(merged.highest, span.highest[i]);
    float factors[2] = {merged.highest - highest, span.highest[i] - highest};
    kernels.exp_row(factors, 2, factors);
    merged = {highest, merged.sum * factors[0] + span.sums[i] * factors[1]};
    for (int64_t c = 0; c < width; ++c) {
        out[c] *= factors[0];
    }
    kernels.accumulate({.rows = values,
                        .n_rows = 1,
                        .coefficients = factors + 1,
                        .n_out = 1,
                        .out = out,
                        .n_cols = width});
}

void divide_row(const Merged& merged, int64_t width, float* out) {
    const float inverse = 1.0F / merged.sum;
    for (int64_t c = 0; c < width; ++c) {
        out[c] *= inverse;
    }
}

float* out_of(const SharedAttention& args, const AttentionPiece& piece, int64_t i) {
    return args.out.row(piece.token + i / piece.n_heads) +
           (piece.head + i % piece.n_heads) * args.value_width;
}

}  // namespace

void SpanWork::soften(float* scores) const {
    for (int64_t i = first_token(begin) * piece.n_heads; i < piece.n_queries(); ++i) {
        to.sums[i] = kernels.softmax_row(scores + i * kScoreStride, span_seen(i / piece.n_heads),
                                         args.scale, &to.highest[i]);
    }
}

const SpanKernels& span_kernels(KvFormat format) {
    return format == KvFormat::kInt8 ? kInt8Spans : kFloatSpans;
}

/// One call, as both ways to run it need it.
struct Attention::Plan {
    const SharedAttention& args;
    const SpanKernels& spans;
    int64_t stride;       ///< floats of a query's values in SpanSums
    int64_t scratch;      ///< floats that a span takes
    int64_t queries_max;  ///< of a piece
    int64_t grain;
};

/// Runs of neighbouring tokens of one sequence, at most `tokens` each, times groups of heads.
void Attention::group_tokens(const SharedAttention& args, int64_t tokens, int64_t heads) {
    pieces_.clear();
    for (int64_t t = 0; t < args.q.n_rows;) {
        int64_t n = 1;
        const auto at = [&](int64_t i) -> const PagedRows& {
            return args.visible[static_cast<size_t>(i)];
        };
        while (n < tokens && t + n < args.q.n_rows && at(t + n).pages == at(t).pages &&
               at(t + n - 1).n_rows <= at(t + n).n_rows) {
            ++n;
        }
        for (int64_t set = 0; set < args.n_sets; ++set) {
            for (int64_t head = 0; head < args.heads_per_set; head += heads) {
                pieces_.push_back({t, n, set * args.heads_per_set + head,
                                   std::min(heads, args.heads_per_set - head)});
            }
        }
        t += n;
    }
}

void Attention::run(const SharedAttention& args) {
    check_args(args);
    if (args.visible.empty()) {
        return;
    }
    int64_t rows_all = 0;
    int64_t spans_all = 0;
    for (const PagedRows& visible : args.visible) {
        rows_all += visible.n_rows;
        spans_all += n_spans(visible);
    }
    // Every thread gets two pieces where that can be: first of spans, which read different rows,
    // then of heads, which read the same rows again.
    const int64_t threads = pool_.n_threads();
    const int64_t units = spans_all * args.n_sets;
    const int64_t groups = units == 1 ? threads : ceil_div<int64_t>(2 * threads, units);
    const int64_t heads = std::clamp<int64_t>(args.heads_per_set / groups, 1,
                                              std::min(kQueriesMax, args.heads_per_set));
    const int64_t n_tokens = args.q.n_rows;
    const int64_t pieces_each = args.n_sets * ceil_div(args.heads_per_set, heads);
    const int64_t tokens = std::clamp<int64_t>(n_tokens * pieces_each / (4 * threads), 1,
                                               std::max<int64_t>(kQueriesMax / heads, 1));
    group_tokens(args, tokens, heads);

    const SpanKernels& spans = span_kernels(args.visible[0].format);
    const int64_t stride = spans.value_stride(args);
    const int64_t queries = tokens * heads;
    const int64_t work =
        rows_all * args.n_sets * args.heads_per_set * (args.key_width + args.value_width);
    const Plan plan{args,    spans,
                    stride,  round_up<int64_t>(spans.scratch_floats(args, queries), 16),
                    queries, work < kInlineWork ? int64_t{1} << 30 : 1};
    if (static_cast<int64_t>(pieces_.size()) < 2 * threads && spans_all > n_tokens) {
        run_split(plan);
    } else {
        run_whole(plan);
    }
}

/// A piece walks its spans by itself.
void Attention::run_whole(const Plan& plan) {
    const SharedAttention& args = plan.args;
    scratch_.reserve(plan.scratch + sums_floats(plan.queries_max, plan.stride));
    const auto attend = [&](const AttentionPiece& piece, float* scratch) {
        const SpanSums sums = sums_at(scratch + plan.scratch, piece.n_queries(), plan.stride);
        Merged merged[kQueriesMax];
        SpanWork work{kernels_, args, piece, 0, scratch, sums};
        const int64_t rows = work.visible(piece.n_tokens - 1).n_rows;
        for (; work.begin < rows; work.begin += kSpanRows) {
            plan.spans.attend(work);
            for (int64_t i = work.first_token(work.begin) * piece.n_heads; i < piece.n_queries();
                 ++i) {
                merge_row(kernels_, sums, i, args.value_width, work.begin == 0, merged[i],
                          out_of(args, piece, i));
            }
        }
        for (int64_t i = 0; i < piece.n_queries(); ++i) {
            divide_row(merged[i], args.value_width, out_of(args, piece, i));
        }
    };
    const auto run = [&](int64_t begin, int64_t end) {
        const Scratch::Lease lease(scratch_);
        for (int64_t p = begin; p < end; ++p) {
            attend(pieces_[static_cast<size_t>(p)], lease.data());
        }
    };
    // A reference, so that std::function has nothing to allocate; also below.
    pool_.parallel_for(static_cast<int64_t>(pieces_.size()), plan.grain, std::ref(run));
}

/// Where the spans of pieces lie while threads work on them.
struct Attention::Partial {
    float* memory;
    int64_t n_pieces, spans_max, queries_max, stride;

    int64_t floats() const { return round_up<int64_t>(sums_floats(queries_max, stride), 16); }
    SpanSums at(int64_t piece, int64_t span) const {
        return sums_at(memory + (piece * spans_max + span) * floats(), queries_max, stride);
    }
};

/// Few pieces with long contexts: threads take spans, and merge them when all are there.
void Attention::run_split(const Plan& plan) {
    const auto n_pieces = static_cast<int64_t>(pieces_.size());
    int64_t spans_max = 0;
    for (const PagedRows& visible : plan.args.visible) {
        spans_max = std::max(spans_max, n_spans(visible));
    }
    Partial partial{nullptr, n_pieces, spans_max, plan.queries_max, plan.stride};
    const auto wanted = static_cast<size_t>(n_pieces * spans_max * partial.floats());
    if (partial_.size() < wanted) {
        partial_.resize(2 * wanted);
    }
    partial.memory = partial_.data();
    scratch_.reserve(plan.scratch);
    const auto attend = [&](int64_t begin, int64_t end) {
        const Scratch::Lease lease(scratch_);
        for (int64_t unit = begin; unit < end; ++unit) {
            const int64_t p = unit % n_pieces;
            const int64_t span = unit / n_pieces;
            const AttentionPiece& piece = pieces_[static_cast<size_t>(p)];
            const SpanWork work{kernels_,         plan.args,    piece,
                                span * kSpanRows, lease.data(), partial.at(p, span)};
            if (work.begin < work.visible(piece.n_tokens - 1).n_rows) {
                plan.spans.attend(work);
            }
        }
    };
    pool_.parallel_for(n_pieces * spans_max, plan.grain, std::ref(attend));
    const auto merge = [&](int64_t begin, int64_t end) {
        for (int64_t at = begin; at < end; ++at) {
            merge_query(plan, partial, at / plan.queries_max, at % plan.queries_max);
        }
    };
    pool_.parallel_for(n_pieces * plan.queries_max, plan.grain, std::ref(merge));
}

/// All spans of query i of a piece into its output row.
void Attention::merge_query(const Plan& plan, const Partial& partial, int64_t p, int64_t i) {
    const AttentionPiece& piece = pieces_[static_cast<size_t>(p)];
    if (i >= piece.n_queries()) {
        return;
    }
    const int64_t width = plan.args.value_width;
    const auto token = static_cast<size_t>(piece.token + i / piece.n_heads);
    float* out = out_of(plan.args, piece, i);
    Merged merged;
    for (int64_t span = 0; span < n_spans(plan.args.visible[token]); ++span) {
        merge_row(kernels_, partial.at(p, span), i, width, span == 0, merged, out);
    }
    divide_row(merged, width, out);
}

}  // namespace nereus
