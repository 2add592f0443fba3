#include "memory/expert_cache.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "base/check.h"

namespace nereus {
namespace {

constexpr CachePolicy kPolicies[] = {
    {"lru", "the least recently used leaves", 0, 1, false},
    {"lfu", "the least used leaves; a use counts half after 128 passes", 1, 128, false},
    {"lru-layer", "as lru, every layer with an equal part of the slots", 0, 1, true},
    {"lfu-layer", "as lfu, every layer with an equal part of the slots", 1, 128, true},
};
constexpr size_t kDefaultPolicy = 3;

/// A layer whose part is pinned waits rather than push out another's experts, once it has so many:
/// enough to keep a drive busy.
constexpr int64_t kPinnedAtOnce = 8;

/// Scores are brought back by this factor when the unit reaches it: 1e100 of 1e308.
constexpr double kUnitMax = 1e100;

}  // namespace

std::span<const CachePolicy> all_cache_policies() { return kPolicies; }
const CachePolicy& default_cache_policy() { return kPolicies[kDefaultPolicy]; }

Result<const CachePolicy*> find_cache_policy(std::string_view name) {
    std::string names;
    for (const CachePolicy& policy : kPolicies) {
        if (policy.name == name) {
            return &policy;
        }
        names += fmt::format(" {}", policy.name);
    }
    return make_error(ErrorCode::kInvalidArgument, "no cache policy \"{}\"; there are{}", name,
                      names);
}

Result<ExpertCache> ExpertCache::create(const ExpertCacheSpec& spec) {
    constexpr int64_t kEntriesMax = 1 << 24;
    const auto bounded = [](int64_t n) { return n >= 1 && n <= kEntriesMax; };
    if (!bounded(spec.n_layers) || !bounded(spec.n_experts) || spec.n_slots < 1 ||
        spec.n_layers * spec.n_experts > kEntriesMax) {
        return make_error(
            ErrorCode::kInvalidArgument,
            "an expert cache of {} layers, {} experts and {} slots; each has to be at "
            "least 1, and layers x experts at most {}",
            spec.n_layers, spec.n_experts, spec.n_slots, kEntriesMax);
    }
    ExpertCacheSpec cut = spec;
    cut.n_slots = std::min(spec.n_slots, spec.n_layers * spec.n_experts);
    if (spec.n_guess_slots < 0 || spec.n_guess_slots >= cut.n_slots) {
        return make_error(ErrorCode::kInvalidArgument,
                          "{} slots for guesses of {}; live experts need at least 1",
                          spec.n_guess_slots, cut.n_slots);
    }
    return ExpertCache(cut);
}

ExpertCache::ExpertCache(const ExpertCacheSpec& spec)
    : spec_(spec),
      live_max_(spec.n_slots - spec.n_guess_slots),
      growth_(std::exp2(1 / spec.policy.half_life_passes)),
      entries_(static_cast<size_t>(spec.n_layers * spec.n_experts)),
      slots_(static_cast<size_t>(spec.n_slots), -1),
      live_of_(static_cast<size_t>(spec.n_layers)),
      heaps_(static_cast<size_t>(spec.n_layers) + 1) {
    for (int64_t slot = spec.n_slots - 1; slot >= 0; --slot) {
        free_.push_back(static_cast<int32_t>(slot));
    }
    for (Heap& heap : heaps_) {
        heap.reserve(static_cast<size_t>(std::min(spec.n_experts, spec.n_slots)));
    }
    heaps_.back().reserve(static_cast<size_t>(spec.n_slots));
}

int32_t ExpertCache::index(ExpertKey key) const {
    NEREUS_CHECK(key.layer >= 0 && key.layer < spec_.n_layers);
    NEREUS_CHECK(key.expert >= 0 && key.expert < spec_.n_experts);
    return static_cast<int32_t>(key.layer * spec_.n_experts) + key.expert;
}

ExpertKey ExpertCache::key_of(int32_t at) const {
    return {static_cast<int32_t>(at / spec_.n_experts), static_cast<int32_t>(at % spec_.n_experts)};
}

void ExpertCache::begin_pass() {
    unit_ *= growth_;
    if (unit_ > kUnitMax) {  // the order of scores stays; rarely used ones may become equal
        unit_ /= kUnitMax;
        for (Entry& each : entries_) {
            each.score /= kUnitMax;
        }
        for (Heap& heap : heaps_) {
            for (size_t place = heap.size(); place-- > 0;) {
                sift(heap, place);
            }
        }
    }
}

void ExpertCache::touch(ExpertKey key) {
    const int32_t at = index(key);
    Entry& used = entry(key);
    NEREUS_CHECK(used.slot != kNoSlot);
    keep_from_eviction(at);
    count_use(used);
    if (used.guess) {
        used.guess = false;
        --n_guesses_;
        make_live(at);
    }
    if (used.n_pins == 0) {
        make_evictable(at);
    }
}

std::optional<ExpertKey> ExpertCache::trim() {
    const int32_t victim = n_live_ > live_max_ ? live_victim(-1) : -1;
    if (victim < 0) {
        return std::nullopt;
    }
    drop(key_of(victim));
    return key_of(victim);
}

ExpertCache::Admission ExpertCache::admit(ExpertKey key) {
    NEREUS_CHECK(entry(key).slot == kNoSlot);
    count_use(entry(key));
    if (n_live_ < live_max_ && !free_.empty()) {
        return take(-1, key, false);
    }
    const Heap& guesses = heaps_.back();
    const bool guess_first = n_live_ < live_max_ && !guesses.empty();
    const int32_t victim = guess_first ? guesses.front() : live_victim(key.layer);
    if (victim >= 0) {
        return take(victim, key, false);
    }
    // No live expert may leave: the room of guesses is better than none.
    if (!free_.empty() || !guesses.empty()) {
        return take(free_.empty() ? guesses.front() : -1, key, false);
    }
    return {};
}

ExpertCache::Admission ExpertCache::admit_guess(ExpertKey key) {
    NEREUS_CHECK(entry(key).slot == kNoSlot);
    const Heap& guesses = heaps_.back();
    if (n_guesses_ < spec_.n_guess_slots && !free_.empty()) {
        return take(-1, key, true);
    }
    return guesses.empty() ? Admission{} : take(guesses.front(), key, true);
}

ExpertCache::Admission ExpertCache::admit_ahead(ExpertKey key, int32_t behind) {
    NEREUS_CHECK(entry(key).slot == kNoSlot);
    NEREUS_CHECK(behind >= 0 && behind < spec_.n_layers);
    if (n_live_ < live_max_ && !free_.empty()) {
        return take(-1, key, false);
    }
    const Heap& done = heaps_[static_cast<size_t>(behind)];
    return done.empty() ? Admission{} : take(done.front(), key, false);
}

void ExpertCache::pin(ExpertKey key) {
    NEREUS_CHECK(entry(key).slot != kNoSlot);
    if (entry(key).n_pins++ == 0) {
        keep_from_eviction(index(key));
    }
}

void ExpertCache::unpin(ExpertKey key) {
    NEREUS_CHECK(entry(key).n_pins > 0);
    if (--entry(key).n_pins == 0) {
        make_evictable(index(key));
    }
}

void ExpertCache::drop(ExpertKey key) {
    NEREUS_CHECK(entry(key).slot != kNoSlot);
    NEREUS_CHECK(entry(key).n_pins == 0);
    const int32_t slot = entry(key).slot;
    remove(index(key));
    free_.push_back(slot);
}

void ExpertCache::count_use(Entry& used) {
    used.score += spec_.policy.gain * unit_;
    used.last_use = ++clock_;
}

void ExpertCache::make_live(int32_t at) {
    ++n_live_;
    ++live_of_[static_cast<size_t>(at / spec_.n_experts)];
}

int64_t ExpertCache::quota_of(int32_t layer) const {
    return live_max_ / spec_.n_layers + (layer < live_max_ % spec_.n_layers ? 1 : 0);
}

/// Of the unpinned live experts of the layers that open() names; -1 when there are none.
template <typename Open>
int32_t ExpertCache::first_to_leave(const Open& open) const {
    int32_t first = -1;
    for (int32_t layer = 0; layer < spec_.n_layers; ++layer) {
        const Heap& heap = heaps_[static_cast<size_t>(layer)];
        if (!heap.empty() && open(layer) && (first < 0 || leaves_before(heap.front(), first))) {
            first = heap.front();
        }
    }
    return first;
}

/// The live expert that leaves for one of this layer (-1: of none), -1 when all are pinned.
int32_t ExpertCache::live_victim(int32_t layer) const {
    const auto any = [](int32_t) { return true; };
    if (!spec_.policy.by_layer) {
        return first_to_leave(any);
    }
    const auto own = [&](int32_t l) { return l == layer; };
    const auto over = [&](int32_t l) { return n_live_of(l) > quota_of(l); };
    const bool has_its_part = layer >= 0 && n_live_of(layer) >= quota_of(layer);
    int32_t victim = has_its_part ? first_to_leave(own) : first_to_leave(over);
    if (victim < 0 && has_its_part && n_live_of(layer) >= kPinnedAtOnce) {
        return -1;
    }
    if (victim < 0) {
        victim = has_its_part ? first_to_leave(over) : first_to_leave(own);
    }
    return victim >= 0 ? victim : first_to_leave(any);
}

/// Gives the key the victim's slot, or a free one when victim is -1.
ExpertCache::Admission ExpertCache::take(int32_t victim, ExpertKey key, bool guess) {
    Admission admission;
    if (victim >= 0) {
        admission.evicted = key_of(victim);
        admission.slot = entries_[static_cast<size_t>(victim)].slot;
        remove(victim);
    } else {
        admission.slot = free_.back();
        free_.pop_back();
    }
    const int32_t at = index(key);
    Entry& added = entry(key);
    added.slot = admission.slot;
    added.guess = guess;
    slots_[static_cast<size_t>(added.slot)] = at;
    if (guess) {
        ++n_guesses_;
    } else {
        make_live(at);
    }
    make_evictable(at);
    return admission;
}

/// Takes a cached, unpinned expert out of its slot; the slot is the caller's.
void ExpertCache::remove(int32_t at) {
    keep_from_eviction(at);
    Entry& gone = entries_[static_cast<size_t>(at)];
    slots_[static_cast<size_t>(gone.slot)] = -1;
    gone.slot = kNoSlot;
    if (gone.guess) {
        gone.guess = false;
        --n_guesses_;
    } else {
        --n_live_;
        --live_of_[static_cast<size_t>(at / spec_.n_experts)];
    }
}

ExpertCache::Heap& ExpertCache::heap_of(int32_t at) {
    return entries_[static_cast<size_t>(at)].guess
               ? heaps_.back()
               : heaps_[static_cast<size_t>(at / spec_.n_experts)];
}

/// Lower score, then longer unused, then (guesses that were never used) lower number.
bool ExpertCache::leaves_before(int32_t a, int32_t b) const {
    const Entry& x = entries_[static_cast<size_t>(a)];
    const Entry& y = entries_[static_cast<size_t>(b)];
    if (x.score != y.score) {
        return x.score < y.score;
    }
    return x.last_use != y.last_use ? x.last_use < y.last_use : a < b;
}

void ExpertCache::put(Heap& heap, size_t place, int32_t at) {
    heap[place] = at;
    entries_[static_cast<size_t>(at)].heap_at = static_cast<int32_t>(place);
}

/// Moves the key at this place up or down to where it belongs.
void ExpertCache::sift(Heap& heap, size_t place) {
    const int32_t at = heap[place];
    for (; place > 0 && leaves_before(at, heap[(place - 1) / 2]); place = (place - 1) / 2) {
        put(heap, place, heap[(place - 1) / 2]);
    }
    for (size_t child = 2 * place + 1; child < heap.size(); child = 2 * place + 1) {
        if (child + 1 < heap.size() && leaves_before(heap[child + 1], heap[child])) {
            ++child;
        }
        if (!leaves_before(heap[child], at)) {
            break;
        }
        put(heap, place, heap[child]);
        place = child;
    }
    put(heap, place, at);
}

void ExpertCache::make_evictable(int32_t at) {
    Heap& heap = heap_of(at);
    heap.push_back(at);
    sift(heap, heap.size() - 1);
}

void ExpertCache::keep_from_eviction(int32_t at) {
    const int32_t place = std::exchange(entries_[static_cast<size_t>(at)].heap_at, -1);
    if (place < 0) {
        return;
    }
    Heap& heap = heap_of(at);
    const int32_t last = heap.back();
    heap.pop_back();
    if (last != at) {
        put(heap, static_cast<size_t>(place), last);
        sift(heap, static_cast<size_t>(place));
    }
}

}  // namespace nereus
