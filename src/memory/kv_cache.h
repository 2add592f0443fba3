#pragma once
// KvCache: what attention remembers, in pages of float rows. Sequences share pages after a fork and
// copy one only when they write to it. Row width per layer is the model's choice: MLA keeps
// kv_lora_rank + qk_rope_head_dim floats, grouped attention all keys then all values.

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"

namespace nereus {

struct KvSpec {
    std::vector<int64_t> row_floats;  ///< per layer
    int64_t page_tokens = 64;
    int64_t max_tokens = 0;  ///< over all sequences; pages are allocated as they are needed

    /// Bytes one cached token takes over all layers.
    int64_t bytes_per_token() const;
};

/// Sequences of cached rows, addressed by slot. Rows live from append to truncate.
/// threads: one at a time.
class KvCache {
  public:
    static Result<std::unique_ptr<KvCache>> create(KvSpec spec);
    virtual ~KvCache() = default;

    /// A new empty sequence. errors: overloaded (kMaxSequences)
    virtual Result<int32_t> add_sequence() = 0;
    /// A new sequence with the same rows; pages are shared until one of the two writes.
    virtual Result<int32_t> fork(int32_t slot) = 0;
    virtual void remove_sequence(int32_t slot) = 0;

    virtual int64_t length(int32_t slot) const = 0;
    /// Makes room for n more rows (uninitialised) in every layer. errors: out_of_memory, with
    /// tokens wanted, used and the limit; the sequence is unchanged then.
    virtual Status append(int32_t slot, int64_t n) = 0;
    /// Keeps the first n rows.
    virtual void truncate(int32_t slot, int64_t n) = 0;

    /// The row to write for a position < length. Only rows added by the latest append of the
    /// slot may be written.
    virtual float* row(int64_t layer, int32_t slot, int64_t position) = 0;
    /// Page pointers of one layer; valid until the next append, truncate, fork or remove.
    virtual std::span<const float* const> pages(int64_t layer, int32_t slot) const = 0;
    virtual const KvSpec& spec() const = 0;
    /// Bytes of pages in use now.
    virtual int64_t n_bytes() const = 0;
};

inline constexpr int32_t kMaxSequences = 1024;

}  // namespace nereus
