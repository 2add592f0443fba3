#include "bench/cache_replay.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <set>

#include "base/check.h"

namespace nereus {
namespace {

/// Uses the experts of one layer and token, all held until the last is there. Returns misses.
int64_t use_together(ExpertCache& cache, std::span<const ExpertKey> keys) {
    int64_t n_misses = 0;
    for (const ExpertKey key : keys) {  // hits first: no miss may evict an expert of this group
        if (cache.find(key) != ExpertCache::kNoSlot) {
            cache.touch(key);
            cache.pin(key);
        }
    }
    for (const ExpertKey key : keys) {
        if (cache.find(key) == ExpertCache::kNoSlot) {
            NEREUS_CHECK(cache.admit(key).slot != ExpertCache::kNoSlot);
            cache.pin(key);
            ++n_misses;
        }
    }
    for (const ExpertKey key : keys) {
        cache.unpin(key);
    }
    return n_misses;
}

/// For every use the place of the next use of its key; n_uses where there is none.
std::vector<int64_t> next_uses(const ExpertUses& uses) {
    const auto n = static_cast<int64_t>(uses.keys.size());
    std::vector<int64_t> next(uses.keys.size());
    std::vector<int64_t> seen(static_cast<size_t>(uses.n_keys()), n);
    for (int64_t i = n - 1; i >= 0; --i) {
        int64_t& last = seen[static_cast<size_t>(uses.keys[static_cast<size_t>(i)])];
        next[static_cast<size_t>(i)] = std::exchange(last, i);
    }
    return next;
}

}  // namespace

Result<ExpertUses> expert_uses(std::span<const RoutingTrace> traces) {
    NEREUS_CHECK(!traces.empty());
    ExpertUses uses{traces[0].n_layers, traces[0].n_experts, traces[0].top_k, {}};
    for (const RoutingTrace& trace : traces) {
        if (trace.n_layers != uses.n_layers || trace.n_experts != uses.n_experts ||
            trace.top_k != uses.top_k) {
            return make_error(ErrorCode::kInvalidArgument,
                              "traces of {} layers x {} experts, {} a token, and of {} x {}, {}; "
                              "give traces of one model",
                              uses.n_layers, uses.n_experts, uses.top_k, trace.n_layers,
                              trace.n_experts, trace.top_k);
        }
        for (size_t i = 0; i < trace.ids.size(); ++i) {
            const auto layer = static_cast<int64_t>(i) / trace.top_k % trace.n_layers;
            uses.keys.push_back(static_cast<int32_t>(layer * trace.n_experts + trace.ids[i]));
        }
    }
    return uses;
}

int64_t misses_of_policy(const ExpertUses& uses, const CachePolicy& policy, int64_t n_slots) {
    ExpertCacheSpec spec;
    spec.n_layers = uses.n_layers;
    spec.n_experts = uses.n_experts;
    spec.n_slots = n_slots;
    spec.policy = policy;
    ExpertCache cache = ExpertCache::create(spec).value();
    std::vector<ExpertKey> group(static_cast<size_t>(uses.top_k));
    int64_t n_misses = 0;
    for (size_t begin = 0; begin < uses.keys.size(); begin += group.size()) {
        if (static_cast<int64_t>(begin) % (uses.n_layers * uses.top_k) == 0) {
            cache.begin_pass();
        }
        for (size_t i = 0; i < group.size(); ++i) {
            const int64_t key = uses.keys[begin + i];
            group[i] = {static_cast<int32_t>(key / uses.n_experts),
                        static_cast<int32_t>(key % uses.n_experts)};
        }
        n_misses += use_together(cache, group);
    }
    return n_misses;
}

int64_t misses_of_best(const ExpertUses& uses, int64_t n_slots) {
    const std::vector<int64_t> next = next_uses(uses);
    std::set<std::pair<int64_t, int32_t>> cached;  // by next use
    int64_t n_misses = 0;
    for (size_t i = 0; i < uses.keys.size(); ++i) {
        const int32_t key = uses.keys[i];
        const auto found = cached.find({static_cast<int64_t>(i), key});
        if (found != cached.end()) {
            cached.erase(found);
        } else {
            ++n_misses;
            if (static_cast<int64_t>(cached.size()) == n_slots) {
                cached.erase(std::prev(cached.end()));
            }
        }
        cached.insert({next[i], key});
    }
    return n_misses;
}

int64_t misses_of_static(const ExpertUses& uses, int64_t n_slots) {
    std::vector<int64_t> counts(static_cast<size_t>(uses.n_keys()));
    for (const int32_t key : uses.keys) {
        ++counts[static_cast<size_t>(key)];
    }
    std::sort(counts.begin(), counts.end());
    const auto n_left = std::max<int64_t>(0, uses.n_keys() - n_slots);
    return std::accumulate(counts.begin(), counts.begin() + n_left, int64_t{0});
}

}  // namespace nereus
