#pragma once
// Who holds which part of the KvCache: running sequences with a reservation for their longest
// possible length, and finished ones that are kept because the next request may begin like them.

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "memory/kv_cache.h"

namespace nereus {

/// threads: the engine thread.
class CacheBook {
  public:
    explicit CacheBook(std::unique_ptr<KvCache> cache);

    struct Place {
        int32_t slot = 0;
        int64_t n_cached = 0;  ///< leading tokens whose rows are there already
    };

    /// A sequence for `tokens` that may grow to n_tokens_max rows. It begins with the longest
    /// prefix that a kept sequence shares (at most all tokens but the last, whose logits are
    /// wanted): a copy that shares pages, or, when there is no room for both, the kept sequence
    /// itself. Kept sequences are evicted, least recently used first, as room demands. nullopt: no
    /// room until a running sequence ends.
    std::optional<Place> place(std::span<const int32_t> tokens, int64_t n_tokens_max);
    /// The running sequence ended; its rows, which belong to `tokens`, stay for later requests.
    void keep(int32_t slot, std::vector<int32_t> tokens);
    /// The running sequence ended and its rows are worth nothing.
    void drop(int32_t slot);

    /// Whether a request of this length can ever be placed.
    bool can_hold(int64_t n_tokens) const { return rounded(n_tokens) <= capacity_; }
    KvCache& cache() { return *cache_; }
    int64_t capacity() const { return capacity_; }
    int32_t n_kept() const { return static_cast<int32_t>(kept_.size()); }
    int64_t n_evicted() const { return n_evicted_; }

  private:
    struct Kept {
        int32_t slot;
        std::vector<int32_t> tokens;
    };
    struct Running {
        int32_t slot;
        int64_t reserved;
    };

    int64_t rounded(int64_t n_tokens) const;
    int64_t used() const;
    /// Index into kept_ and length of the longest common prefix; length 0 when there is none.
    std::pair<size_t, int64_t> best_prefix(std::span<const int32_t> tokens) const;
    void evict(size_t index);
    /// Evicts until `wanted` more tokens fit, sparing the kept sequence in `spared`.
    bool make_room(int64_t wanted, int32_t spared);
    void forget_running(int32_t slot);

    std::unique_ptr<KvCache> cache_;
    int64_t capacity_ = 0;
    std::vector<Running> running_;
    std::vector<Kept> kept_;  ///< least recently used first
    int64_t n_evicted_ = 0;
};

}  // namespace nereus
