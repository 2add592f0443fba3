#pragma once
// Attention over cached rows, for both kinds of cache: scores, softmax and weighted sum of one
// token and a few heads that share their keys and values. No T x T matrix exists.

#include <span>

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

void attend(ThreadPool& pool, const KernelTable& kernels, Scratch& scratch,
            const SharedAttention& args);

}  // namespace nereus
