#pragma once
// Attention over cached rows, for both kinds of cache: scores, softmax and weighted sums of a few
// neighbouring tokens and heads that share their keys and values. No T x T matrix exists.

#include <span>
#include <vector>

#include "base/thread_pool.h"
#include "compute/backend.h"
#include "compute/cpu/kernels.h"
#include "compute/cpu/scratch.h"

namespace nereus {

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
/// sequence.
struct AttentionPiece {
    int64_t token;
    int64_t n_tokens;
    int64_t head;
    int64_t n_heads;
};

/// Both attention verbs. threads: one caller at a time.
class Attention {
  public:
    Attention(ThreadPool& pool, const KernelTable& kernels, Scratch& scratch)
        : pool_(pool), kernels_(kernels), scratch_(scratch) {}
    void run(const SharedAttention& args);

  private:
    ThreadPool& pool_;
    const KernelTable& kernels_;
    Scratch& scratch_;
    std::vector<AttentionPiece> runs_;  ///< of the current call; kept for its capacity
};

}  // namespace nereus
