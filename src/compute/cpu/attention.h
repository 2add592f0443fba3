#pragma once
// Attention over cached rows, for both kinds of attention and every row format.
//
// Rows are taken in spans of kSpanRows by absolute position. A span gives, for every token and head,
// the highest score, the sum of exp(score - highest) and the sum of values weighted by it; spans are
// merged in order (merge_row). So bits depend on nothing but the rows a token sees: not on the chunk
// it came in, its batch mates, or which thread took which span; no T x T matrix exists and scratch
// does not grow with the context.

#include <span>
#include <vector>

#include "base/thread_pool.h"
#include "compute/backend.h"
#include "compute/cpu/kernels.h"
#include "compute/cpu/scratch.h"

namespace nereus {

/// Rows of a span: 64 x of it are 256 KB of scores, and the partial sums of a token, 32 KB for 16
/// heads of V2-Lite, are 1/18 of the int8 rows they stand for.
inline constexpr int64_t kSpanRows = 1024;
/// Queries (tokens times heads) of one piece: what one pass over cached rows serves.
inline constexpr int64_t kQueriesMax = 64;

/// Both attention verbs in one form: in every visible row, the heads of set s find their key at
/// key_offset + s * key_width and their value at value_offset + s * value_width.
struct SharedAttention {
    ConstRows q;  ///< [n_tokens, n_sets * heads_per_set * key_width]
    Rows out;     ///< [n_tokens, n_sets * heads_per_set * value_width]
    std::span<const PagedRows> visible;
    int64_t n_sets = 0;
    int64_t heads_per_set = 0;
    int64_t key_offset = 0;
    int64_t key_width = 0;
    int64_t value_offset = 0;
    int64_t value_width = 0;
    float scale = 1.0F;
};

/// Heads [head, head + n_heads), all of one set, of tokens [token, token + n_tokens), all of one
/// sequence, in ascending order of what they see. Query i is head i % n_heads of token i / n_heads.
struct AttentionPiece {
    int64_t token = 0;
    int64_t n_tokens = 0;
    int64_t head = 0;
    int64_t n_heads = 0;

    int64_t n_queries() const { return n_tokens * n_heads; }
};

/// What a span gives, by query of the piece.
struct SpanSums {
    float* highest = nullptr;  ///< [n_queries]
    float* sums = nullptr;     ///< [n_queries]
    float* values = nullptr;   ///< [n_queries, stride]
    int64_t stride = 0;
};

/// One piece against rows [begin, begin + kSpanRows).
struct SpanWork {
    const KernelTable& kernels;
    const SharedAttention& args;
    const AttentionPiece& piece;
    int64_t begin = 0;
    float* scratch = nullptr;
    SpanSums to;

    const PagedRows& visible(int64_t t) const {
        return args.visible[static_cast<size_t>(piece.token + t)];
    }
    /// Rows of [first, first + n) that token t sees; negative or 0: none.
    int64_t seen(int64_t t, int64_t first, int64_t n) const {
        const int64_t rows = visible(t).n_rows - first;
        return rows < n ? rows : n;
    }
    int64_t span_seen(int64_t t) const { return seen(t, begin, kSpanRows); }
    /// The first token of the piece that sees row `first`; later ones do too.
    int64_t first_token(int64_t first) const {
        int64_t t = 0;
        while (visible(t).n_rows <= first) {
            ++t;
        }
        return t;
    }
    const float* query(int64_t i) const {
        return args.q.row(piece.token + i / piece.n_heads) +
               (piece.head + i % piece.n_heads) * args.key_width;
    }
    /// Softmax of the queries' scores, [n_queries, kSpanRows], with sums and highest to `to`.
    void soften(float* scores) const;
};

/// How rows of a format are attended to.
struct SpanKernels {
    void (*attend)(const SpanWork& work);
    int64_t (*scratch_floats)(const SharedAttention& args, int64_t n_queries);
    int64_t (*value_stride)(const SharedAttention& args);
};
const SpanKernels& span_kernels(KvFormat format);
extern const SpanKernels kFloatSpans;  ///< f32 and bf16 (attention_float.cpp)
extern const SpanKernels kInt8Spans;   ///< attention_int8.cpp

/// Both attention verbs. threads: one caller at a time.
class Attention {
  public:
    Attention(ThreadPool& pool, const KernelTable& kernels, Scratch& scratch)
        : pool_(pool), kernels_(kernels), scratch_(scratch) {}
    void run(const SharedAttention& args);

  private:
    struct Plan;
    struct Partial;
    void group_tokens(const SharedAttention& args, int64_t tokens, int64_t heads);
    void run_whole(const Plan& plan);
    void run_split(const Plan& plan);
    void merge_query(const Plan& plan, const Partial& partial, int64_t p, int64_t i);

    ThreadPool& pool_;
    const KernelTable& kernels_;
    Scratch& scratch_;
    std::vector<AttentionPiece> pieces_;  ///< of the current call; kept for its capacity
    std::vector<float> partial_;          ///< sums of spans that other threads merge
};

}  // namespace nereus
