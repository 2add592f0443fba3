#pragma once
// Which routed expert lies in which slot of a bounded pool, and which one leaves when another
// comes. Bookkeeping only: the bytes of a slot belong to the bank that uses it.

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace nereus {

/// layer counts mixture layers only: 0 is the first layer that has routed experts.
struct ExpertKey {
    int32_t layer = 0;
    int32_t expert = 0;

    bool operator==(const ExpertKey&) const = default;
};

/// Who leaves: the unpinned expert with the lowest score, the least recently used one of equals. A
/// score outlives the stay in the cache, so an expert that comes back is known.
struct CachePolicy {
    std::string_view name;  ///< the word on a command line and in tables
    std::string_view help;  ///< one line
    /// What a use adds to the score, as a factor of the current unit; 0: recency alone decides.
    double gain;
    /// Passes after which a use counts half. Not used where gain is 0.
    double half_life_passes;
    /// Every layer has an equal part of the slots: a newcomer takes the place of one of its own
    /// layer, of a layer that has more than its part where its own has less, and of any other only
    /// where its own layer is all pinned and has few. Without it an expert that comes is the first
    /// that the next layers push out again, before it could be used a second time.
    bool by_layer;
};

std::span<const CachePolicy> all_cache_policies();
/// The policy chosen by replaying recorded routing (docs/performance.md, expert cache).
const CachePolicy& default_cache_policy();
/// errors: invalid_argument, with the names there are
Result<const CachePolicy*> find_cache_policy(std::string_view name);

struct ExpertCacheSpec {
    int64_t n_layers = 0;   ///< mixture layers
    int64_t n_experts = 0;  ///< routed experts a layer
    int64_t n_slots = 0;    ///< experts that fit; more than there are experts is cut to that
    /// Of these, slots that live experts leave to guesses (admit_guess).
    int64_t n_guess_slots = 0;
    CachePolicy policy = default_cache_policy();
};

/// find is O(1), everything else O(n_layers + log n_experts); nothing is allocated after create.
/// The same calls give the same slots everywhere. threads: one at a time.
class ExpertCache {
  public:
    static constexpr int32_t kNoSlot = -1;

    /// A slot for an expert's bytes; kNoSlot when every slot that it may take is pinned: unpin some
    /// and ask again.
    struct Admission {
        int32_t slot = kNoSlot;
        std::optional<ExpertKey> evicted;  ///< whose bytes were there
    };

    /// errors: invalid_argument (no layers, experts or slots; not fewer guess slots than slots; the
    /// numbers are named)
    static Result<ExpertCache> create(const ExpertCacheSpec& spec);

    /// Once before the uses of a forward pass: what decay counts.
    void begin_pass();
    /// The expert's slot or kNoSlot. Says nothing about whether its bytes have arrived.
    int32_t find(ExpertKey key) const { return entry(key).slot; }
    /// The pass uses a cached expert. A guess becomes a live expert, which may make one live expert
    /// too many: see trim.
    void touch(ExpertKey key);
    /// Evicts one live expert where there are more than the slots of live experts, so that guesses
    /// get theirs back; who left, or nothing when there was no need or no unpinned one.
    std::optional<ExpertKey> trim();
    /// A slot for an expert that is not cached and is used now: counts as a touch.
    Admission admit(ExpertKey key);
    /// A slot for an expert that may be used later: free, or of the guess least likely to come
    /// true. Never a live expert's, and never one of the slots that live experts may still fill.
    Admission admit_guess(ExpertKey key);
    /// A slot for an expert of a layer that a sweep over nearly all experts comes to next: free, or
    /// of the expert that leaves first of the layer that the sweep has done with, `behind`. Nobody
    /// else leaves, for the sweep still comes to them. Does not count as a use.
    Admission admit_ahead(ExpertKey key, int32_t behind);
    /// A pinned expert stays where it is; pins are counted.
    void pin(ExpertKey key);
    void unpin(ExpertKey key);
    /// Forgets an unpinned expert's slot, for bytes that never arrived.
    void drop(ExpertKey key);

    int64_t n_slots() const { return static_cast<int64_t>(slots_.size()); }
    int64_t n_live() const { return n_live_; }
    int64_t n_guesses() const { return n_guesses_; }
    int64_t n_live_of(int32_t layer) const { return live_of_[static_cast<size_t>(layer)]; }
    /// The layer's equal part of the live experts' slots.
    int64_t quota_of(int32_t layer) const;

  private:
    /// 40 bytes an expert of the model: V3 has 14,848, so 0.6 MB.
    struct Entry {
        double score = 0;
        int64_t last_use = 0;
        int32_t slot = kNoSlot;
        int32_t heap_at = -1;  ///< place in its heap; -1: pinned or not cached
        int32_t n_pins = 0;
        bool guess = false;
    };
    /// Evictable experts, the first to leave on top: a heap of keys a layer, one of guesses.
    using Heap = std::vector<int32_t>;

    explicit ExpertCache(const ExpertCacheSpec& spec);

    int32_t index(ExpertKey key) const;
    ExpertKey key_of(int32_t at) const;
    Entry& entry(ExpertKey key) { return entries_[static_cast<size_t>(index(key))]; }
    const Entry& entry(ExpertKey key) const { return entries_[static_cast<size_t>(index(key))]; }
    Heap& heap_of(int32_t at);
    bool leaves_before(int32_t a, int32_t b) const;
    void put(Heap& heap, size_t place, int32_t at);
    void sift(Heap& heap, size_t place);
    void make_evictable(int32_t at);
    void keep_from_eviction(int32_t at);
    void count_use(Entry& used);
    void make_live(int32_t at);
    int32_t live_victim(int32_t layer) const;
    template <typename Open>
    int32_t first_to_leave(const Open& open) const;
    Admission take(int32_t victim, ExpertKey key, bool guess);
    void remove(int32_t at);

    ExpertCacheSpec spec_;
    int64_t live_max_;
    double unit_ = 1, growth_;
    int64_t clock_ = 0, n_live_ = 0, n_guesses_ = 0;
    std::vector<Entry> entries_;
    std::vector<int32_t> slots_;  ///< entry of each slot; -1: free
    std::vector<int32_t> free_;   ///< free slots, the next one last
    std::vector<int64_t> live_of_;
    std::vector<Heap> heaps_;
};

}  // namespace nereus
