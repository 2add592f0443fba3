#pragma once
// KvCache: what attention remembers, in pages of rows. Sequences share pages after a fork and copy
// one only when they write to it. Row width per layer is the model's choice: MLA keeps
// kv_lora_rank + qk_rope_head_dim numbers, grouped attention all keys then all values. How numbers
// are stored is a KvFormat (compute/kv_rows.h); the backend writes and reads them.

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "compute/kv_rows.h"

namespace nereus {

struct KvSpec {
    std::vector<int64_t> row_floats;  ///< numbers a row, per layer
    int64_t page_tokens = 64;         ///< int8: 128
    int64_t max_tokens = 0;  ///< over all sequences; pages are allocated as they are needed
    KvFormat format = KvFormat::kF32;
    int64_t latent = 0;  ///< int8: the first numbers of every row, see KvRows

    KvRows rows(int64_t layer) const {
        return {format, row_floats[static_cast<size_t>(layer)], latent};
    }

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

    /// Where the row of a position < length is written. Only rows added by the latest append of
    /// the slot may be written.
    virtual KvPlace place(int64_t layer, int32_t slot, int64_t position) = 0;
    /// The same in an f32 cache, as the numbers themselves.
    float* row(int64_t layer, int32_t slot, int64_t position);
    /// Page pointers of one layer; valid until the next append, truncate, fork or remove.
    virtual std::span<const std::byte* const> pages(int64_t layer, int32_t slot) const = 0;
    /// A row of an f32 cache.
    const float* read(int64_t layer, int32_t slot, int64_t position) const;
    virtual const KvSpec& spec() const = 0;
    /// Bytes of pages in use now.
    virtual int64_t n_bytes() const = 0;
};

inline constexpr int32_t kMaxSequences = 1024;

}  // namespace nereus
