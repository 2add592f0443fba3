#pragma once
// Recorded routing replayed through the expert cache: how many uses would have found their expert
// in memory, for a policy and a number of slots, and for the best that any policy could do.

#include <span>
#include <vector>

#include "memory/expert_cache.h"
#include "memory/routing_trace.h"

namespace nereus {

/// The uses of traces, one after the other: groups of top_k distinct keys that are held together.
/// A key is layer * n_experts + expert.
struct ExpertUses {
    int64_t n_layers = 0, n_experts = 0, top_k = 0;
    std::vector<int32_t> keys;

    int64_t n_keys() const { return n_layers * n_experts; }
};

/// The traces must agree in layers, experts and top_k. errors: invalid_argument
Result<ExpertUses> expert_uses(std::span<const RoutingTrace> traces);

/// Uses that had to wait for a read, from an empty cache; a token is a pass.
int64_t misses_of_policy(const ExpertUses& uses, const CachePolicy& policy, int64_t n_slots);

/// The fewest misses possible when every expert used has to be in a slot: the one used again last
/// leaves (Belady 1966).
int64_t misses_of_best(const ExpertUses& uses, int64_t n_slots);

/// Misses of a cache that never changes and was given the experts most used in this very trace.
int64_t misses_of_static(const ExpertUses& uses, int64_t n_slots);

}  // namespace nereus
