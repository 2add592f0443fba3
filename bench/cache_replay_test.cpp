// The replay of recorded routing: counts against walks done by hand and by plain search.

#include "bench/cache_replay.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <list>

#include "base/rng.h"

namespace nereus {
namespace {

/// One layer of n experts, one choice a token: keys as given.
ExpertUses simple_uses(int64_t n_experts, std::vector<int32_t> keys) {
    return {1, n_experts, 1, std::move(keys)};
}

const CachePolicy& policy(std::string_view name) { return *find_cache_policy(name).value(); }

TEST(CacheReplay, the_best_possible_is_beladys_example) {
    // Belady's own kind of string: FIFO needs 9 reads with 3 slots, the optimum 7.
    const ExpertUses uses = simple_uses(6, {1, 2, 3, 4, 1, 2, 5, 1, 2, 3, 4, 5});
    EXPECT_EQ(misses_of_best(uses, 3), 7);
    EXPECT_EQ(misses_of_best(uses, 4), 6);
    EXPECT_EQ(misses_of_best(uses, 6), 5) << "only the first use of each";
}

TEST(CacheReplay, least_recently_used_agrees_with_a_list) {
    std::vector<int32_t> keys;
    for (uint64_t i = 0; i < 3000; ++i) {
        keys.push_back(
            static_cast<int32_t>(std::min(random_bits(1, 0, i) % 20, random_bits(1, 1, i) % 20)));
    }
    for (const int64_t n_slots : {1, 3, 7, 20}) {
        std::list<int32_t> recent;
        int64_t n_misses = 0;
        for (const int32_t key : keys) {
            const auto found = std::find(recent.begin(), recent.end(), key);
            if (found != recent.end()) {
                recent.erase(found);
            } else if (++n_misses; static_cast<int64_t>(recent.size()) == n_slots) {
                recent.pop_back();
            }
            recent.push_front(key);
        }
        EXPECT_EQ(misses_of_policy(simple_uses(20, keys), policy("lru"), n_slots), n_misses);
    }
}

TEST(CacheReplay, static_counts_what_the_most_used_leave_over) {
    const ExpertUses uses = simple_uses(4, {0, 0, 0, 1, 1, 2, 3});
    EXPECT_EQ(misses_of_static(uses, 1), 4);
    EXPECT_EQ(misses_of_static(uses, 2), 2);
    EXPECT_EQ(misses_of_static(uses, 4), 0);
}

RoutingTrace recorded() {
    return read_routing_trace(std::string(NEREUS_SOURCE_DIR) +
                              "/tests/data/traces/v2lite-intent-2.moetrc")
        .value();
}

TEST(CacheReplay, no_policy_beats_the_bound_and_more_slots_never_hurt_it) {
    const RoutingTrace trace = recorded();
    const ExpertUses uses = expert_uses({&trace, 1}).value();
    EXPECT_EQ(uses.keys.size(), 127U * 26 * 6);
    int64_t last = static_cast<int64_t>(uses.keys.size());
    for (const int64_t n_slots : {200, 400, 800, 1664}) {
        const int64_t best = misses_of_best(uses, n_slots);
        EXPECT_LE(best, last);
        for (const CachePolicy& each : all_cache_policies()) {
            EXPECT_GE(misses_of_policy(uses, each, n_slots), best) << each.name;
        }
        last = best;
    }
    EXPECT_EQ(misses_of_policy(uses, default_cache_policy(), 1664), last)
        << "with room for all, only first uses miss";
}

TEST(CacheReplay, traces_of_two_models_are_refused) {
    RoutingTrace other = recorded();
    other.n_experts = 65;
    const RoutingTrace both[] = {recorded(), other};
    const auto uses = expert_uses(both);
    ASSERT_FALSE(uses.ok());
    EXPECT_NE(uses.error().message.find("26 x 65"), std::string::npos) << uses.error().message;
}

TEST(CacheReplay, traces_follow_one_another) {
    const RoutingTrace both[] = {recorded(), recorded()};
    const ExpertUses once = expert_uses({both, 1}).value();
    const ExpertUses twice = expert_uses(both).value();
    ASSERT_EQ(twice.keys.size(), 2 * once.keys.size());
    EXPECT_TRUE(std::equal(once.keys.begin(), once.keys.end(),
                           twice.keys.begin() + static_cast<int64_t>(once.keys.size())));
    // The second time, a cache that holds everything misses nothing.
    EXPECT_EQ(misses_of_best(twice, 1664), misses_of_best(once, 1664));
}

}  // namespace
}  // namespace nereus
