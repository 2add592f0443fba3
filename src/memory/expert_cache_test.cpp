// ExpertCache by single claims: who leaves, what pins and guesses hold, what is refused.

#include "memory/expert_cache.h"

#include <gtest/gtest.h>

#include <set>

namespace nereus {
namespace {

constexpr int32_t kNone = ExpertCache::kNoSlot;

ExpertCache cache_of(std::string_view policy, int64_t n_layers, int64_t n_experts, int64_t n_slots,
                     int64_t n_guess_slots = 0) {
    ExpertCacheSpec spec;
    spec.n_layers = n_layers;
    spec.n_experts = n_experts;
    spec.n_slots = n_slots;
    spec.n_guess_slots = n_guess_slots;
    spec.policy = *find_cache_policy(policy).value();
    return ExpertCache::create(spec).value();
}

void use(ExpertCache& cache, ExpertKey key, int times = 1) {
    for (int i = 0; i < times; ++i) {
        cache.begin_pass();
        if (cache.find(key) == kNone) {
            ASSERT_NE(cache.admit(key).slot, kNone);
        } else {
            cache.touch(key);
        }
    }
}

TEST(ExpertCache, slots_are_filled_before_anyone_leaves_and_are_all_different) {
    for (const CachePolicy& policy : all_cache_policies()) {
        ExpertCache cache = cache_of(policy.name, 2, 8, 5);
        std::set<int32_t> slots;
        for (int32_t e = 0; e < 5; ++e) {
            const auto admission = cache.admit({e % 2, e});
            EXPECT_FALSE(admission.evicted.has_value());
            EXPECT_EQ(cache.find({e % 2, e}), admission.slot);
            slots.insert(admission.slot);
        }
        EXPECT_EQ(slots, (std::set<int32_t>{0, 1, 2, 3, 4}));
        const auto sixth = cache.admit({0, 7});
        ASSERT_TRUE(sixth.evicted.has_value()) << policy.name;
        EXPECT_EQ(cache.find(*sixth.evicted), kNone);
        EXPECT_EQ(cache.n_live(), 5);
    }
}

TEST(ExpertCache, a_sweep_takes_slots_of_the_layer_behind_it_and_of_nobody_else) {
    ExpertCache cache = cache_of("lfu-layer", 3, 8, 6);
    for (int32_t layer = 0; layer < 3; ++layer) {
        use(cache, {layer, 0}, 3);
        use(cache, {layer, 1}, 2);
    }
    EXPECT_EQ(cache.admit_ahead({1, 5}, 0).evicted, (ExpertKey{0, 1}));
    EXPECT_EQ(cache.admit_ahead({1, 6}, 0).evicted, (ExpertKey{0, 0}));
    EXPECT_EQ(cache.admit_ahead({1, 7}, 0).slot, kNone);  // nothing is left behind
    for (const int32_t layer : {1, 2}) {
        EXPECT_NE(cache.find({layer, 0}), kNone);
        EXPECT_NE(cache.find({layer, 1}), kNone);
    }
    EXPECT_EQ(cache.n_live(), 6);
}

TEST(ExpertCache, a_sweep_does_not_take_a_pinned_expert) {
    ExpertCache cache = cache_of("lfu-layer", 2, 8, 2);
    use(cache, {0, 0});
    use(cache, {1, 0});
    cache.pin({0, 0});
    EXPECT_EQ(cache.admit_ahead({1, 5}, 0).slot, kNone);
    cache.unpin({0, 0});
    EXPECT_EQ(cache.admit_ahead({1, 5}, 0).evicted, (ExpertKey{0, 0}));
}

TEST(ExpertCache, lru_lets_the_longest_unused_go) {
    ExpertCache cache = cache_of("lru", 1, 8, 3);
    use(cache, {0, 1}, 5);
    use(cache, {0, 2});
    use(cache, {0, 3});
    use(cache, {0, 1});
    EXPECT_EQ(cache.admit({0, 4}).evicted, (ExpertKey{0, 2}));
    EXPECT_EQ(cache.admit({0, 5}).evicted, (ExpertKey{0, 3}));
}

TEST(ExpertCache, lfu_keeps_the_often_used_and_decides_equals_by_recency) {
    ExpertCache cache = cache_of("lfu", 1, 8, 3);
    use(cache, {0, 1}, 5);
    cache.begin_pass();
    cache.admit({0, 2});
    cache.admit({0, 3});
    EXPECT_EQ(cache.admit({0, 4}).evicted, (ExpertKey{0, 2})) << "equal scores: the older one";
    use(cache, {0, 3}, 3);
    EXPECT_EQ(cache.admit({0, 5}).evicted, (ExpertKey{0, 4}));
    EXPECT_NE(cache.find({0, 1}), kNone);
}

TEST(ExpertCache, lfu_forgets_what_was_popular_long_ago) {
    ExpertCache cache = cache_of("lfu", 1, 8, 2);
    use(cache, {0, 1}, 40);
    use(cache, {0, 2}, 800);  // over six half-lives: 40 old uses weigh less than one new one
    EXPECT_EQ(cache.admit({0, 3}).evicted, (ExpertKey{0, 1}));
}

TEST(ExpertCache, lfu_remembers_an_expert_that_left) {
    ExpertCache cache = cache_of("lfu", 1, 8, 2);
    use(cache, {0, 1}, 10);
    use(cache, {0, 2}, 12);
    use(cache, {0, 3});  // in for 1
    ASSERT_EQ(cache.find({0, 1}), kNone);
    use(cache, {0, 1}, 4);  // back with 14 uses; new ones alone would lose against 12
    EXPECT_EQ(cache.find({0, 3}), kNone);
    EXPECT_EQ(cache.admit({0, 4}).evicted, (ExpertKey{0, 2}));
}

TEST(ExpertCache, scores_stay_in_order_over_any_number_of_passes) {
    ExpertCache cache = cache_of("lfu", 1, 8, 3);
    // The unit doubles every 128 passes: 1e100 is reached after 42,520.
    for (int i = 0; i < 100000; ++i) {
        cache.begin_pass();
        for (const int32_t expert : {0, 1, 2}) {
            if (i % (expert + 1) == 0) {
                use(cache, {0, expert});
            }
        }
    }
    EXPECT_EQ(cache.admit({0, 4}).evicted, (ExpertKey{0, 2}));
    EXPECT_NE(cache.find({0, 0}), kNone);
}

TEST(ExpertCache, a_layer_keeps_its_part_against_other_layers) {
    ExpertCache cache = cache_of("lfu-layer", 4, 16, 18);
    EXPECT_EQ(cache.quota_of(0), 5);
    EXPECT_EQ(cache.quota_of(1), 5);
    EXPECT_EQ(cache.quota_of(2), 4);
    EXPECT_EQ(cache.quota_of(3), 4);
    for (int32_t e = 0; e < 5; ++e) {
        for (int32_t layer = 0; layer < 4; ++layer) {
            use(cache, {layer, e});
        }
    }
    for (int32_t e = 5; e < 16; ++e) {  // layer 0 asks for 11 more, each used many times
        use(cache, {0, e}, 20);
    }
    for (int32_t layer = 0; layer < 4; ++layer) {
        EXPECT_EQ(cache.n_live_of(layer), cache.quota_of(layer)) << layer;
    }
}

TEST(ExpertCache, a_layer_with_less_than_its_part_takes_from_one_with_more) {
    ExpertCache cache = cache_of("lru-layer", 2, 8, 8);
    for (int32_t e = 0; e < 8; ++e) {  // nobody else was there
        use(cache, {0, e});
    }
    ASSERT_EQ(cache.n_live_of(0), 8);
    use(cache, {1, 0});
    use(cache, {1, 1});
    EXPECT_EQ(cache.n_live_of(0), 6);
    EXPECT_EQ(cache.n_live_of(1), 2) << "it did not evict its own";
    for (int32_t e = 2; e < 7; ++e) {
        use(cache, {1, e});
    }
    EXPECT_EQ(cache.n_live_of(0), 4);
    EXPECT_EQ(cache.n_live_of(1), 4);
}

TEST(ExpertCache, a_newcomer_outlives_the_other_layers_of_its_pass_only_in_a_layer_of_its_own) {
    for (const bool by_layer : {false, true}) {
        ExpertCache cache = cache_of(by_layer ? "lfu-layer" : "lfu", 2, 8, 4);
        for (int i = 0; i < 3; ++i) {
            for (const ExpertKey key : {ExpertKey{0, 0}, {0, 1}, {1, 0}, {1, 1}}) {
                use(cache, key);
            }
        }
        use(cache, {0, 7});
        use(cache, {1, 7});
        EXPECT_EQ(cache.find({0, 7}) != kNone, by_layer);
    }
}

TEST(ExpertCache, the_parts_yield_when_everything_else_is_pinned) {
    ExpertCache cache = cache_of("lfu-layer", 2, 4, 2);
    cache.admit({0, 0});
    cache.admit({1, 0});
    cache.pin({0, 0});
    EXPECT_EQ(cache.admit({0, 1}).evicted, (ExpertKey{1, 0}));
}

TEST(ExpertCache, a_sweep_through_one_layer_leaves_the_others_what_they_have) {
    ExpertCache cache = cache_of("lfu-layer", 4, 64, 48);
    for (int32_t layer = 0; layer < 4; ++layer) {
        for (int32_t e = 0; e < 12; ++e) {
            cache.admit({layer, e});
        }
    }
    int32_t n_waves = 1;
    std::vector<int32_t> pinned;
    for (int32_t e = 12; e < 64; ++e) {  // all of layer 2, held until there is no slot
        if (cache.admit({2, e}).slot == kNone) {
            for (const int32_t held : pinned) {
                cache.unpin({2, held});
            }
            pinned.clear();
            ++n_waves;
            ASSERT_NE(cache.admit({2, e}).slot, kNone);
        }
        cache.pin({2, e});
        pinned.push_back(e);
    }
    EXPECT_EQ(n_waves, 5) << "52 experts through 12 slots";
    for (const int32_t layer : {0, 1, 3}) {
        EXPECT_EQ(cache.n_live_of(layer), 12) << layer;
    }
}

TEST(ExpertCache, pinned_experts_stay_until_the_last_unpin) {
    ExpertCache cache = cache_of("lru", 1, 8, 2);
    cache.admit({0, 0});
    cache.admit({0, 1});
    cache.pin({0, 0});
    cache.pin({0, 0});
    cache.pin({0, 1});
    EXPECT_EQ(cache.admit({0, 2}).slot, kNone);
    cache.unpin({0, 0});
    EXPECT_EQ(cache.admit({0, 2}).slot, kNone) << "still pinned once";
    cache.touch({0, 0});
    EXPECT_EQ(cache.admit({0, 2}).slot, kNone) << "a touch does not unpin";
    cache.unpin({0, 0});
    EXPECT_EQ(cache.admit({0, 2}).evicted, (ExpertKey{0, 0}));
}

TEST(ExpertCache, a_dropped_expert_leaves_its_slot_free) {
    ExpertCache cache = cache_of("lru", 1, 8, 2);
    const int32_t slot = cache.admit({0, 0}).slot;
    cache.admit({0, 1});
    cache.drop({0, 0});
    EXPECT_EQ(cache.find({0, 0}), kNone);
    EXPECT_EQ(cache.n_live(), 1);
    const auto next = cache.admit({0, 2});
    EXPECT_EQ(next.slot, slot);
    EXPECT_FALSE(next.evicted.has_value());
}

TEST(ExpertCache, a_guess_never_takes_the_place_of_a_live_expert) {
    ExpertCache cache = cache_of("lru", 1, 16, 4, 1);
    EXPECT_NE(cache.admit_guess({0, 9}).slot, kNone);
    EXPECT_EQ(cache.admit_guess({0, 10}).evicted, (ExpertKey{0, 9})) << "one slot is for guesses";
    for (int32_t e = 0; e < 6; ++e) {
        cache.admit({0, e});
    }
    EXPECT_EQ(cache.n_live(), 3);
    EXPECT_EQ(cache.n_guesses(), 1);
    EXPECT_NE(cache.find({0, 10}), kNone) << "live experts left the guess alone";
    cache.pin({0, 10});
    EXPECT_EQ(cache.admit_guess({0, 11}).slot, kNone) << "the only guess is being read";
}

TEST(ExpertCache, a_guess_that_came_true_is_live_and_the_next_admission_makes_room) {
    ExpertCache cache = cache_of("lru", 1, 16, 3, 1);
    cache.admit({0, 0});
    cache.admit({0, 1});
    cache.admit_guess({0, 2});
    cache.touch({0, 2});
    EXPECT_EQ(cache.n_live(), 3);
    EXPECT_EQ(cache.n_guesses(), 0);
    EXPECT_EQ(cache.admit_guess({0, 3}).slot, kNone) << "no guess slot until a live one leaves";
    EXPECT_EQ(cache.trim().value(), (ExpertKey{0, 0}));
    EXPECT_FALSE(cache.trim().has_value());
    EXPECT_NE(cache.admit_guess({0, 3}).slot, kNone);
}

TEST(ExpertCache, more_slots_than_experts_are_cut) {
    EXPECT_EQ(cache_of("lru", 2, 3, 100).n_slots(), 6);
}

TEST(ExpertCache, senseless_sizes_are_refused_with_their_numbers) {
    const auto message = [](int64_t layers, int64_t experts, int64_t slots, int64_t guesses) {
        ExpertCacheSpec spec;
        spec.n_layers = layers;
        spec.n_experts = experts;
        spec.n_slots = slots;
        spec.n_guess_slots = guesses;
        const auto cache = ExpertCache::create(spec);
        EXPECT_FALSE(cache.ok());
        return cache.ok() ? "" : cache.error().message;
    };
    EXPECT_NE(message(0, 8, 4, 0).find("0 layers"), std::string::npos);
    EXPECT_NE(message(1, -3, 4, 0).find("-3 experts"), std::string::npos);
    EXPECT_NE(message(1, 8, 0, 0).find("0 slots"), std::string::npos);
    EXPECT_NE(message(1 << 20, 1 << 20, 4, 0).find("at most"), std::string::npos);
    EXPECT_NE(message(1, 8, 4, 4).find("4 slots for guesses of 4"), std::string::npos);
    EXPECT_NE(message(1, 8, 4, -1).find("-1 slots"), std::string::npos);
}

TEST(ExpertCache, an_unknown_policy_is_refused_with_the_names_there_are) {
    const auto policy = find_cache_policy("clock");
    ASSERT_FALSE(policy.ok());
    EXPECT_NE(policy.error().message.find("lru"), std::string::npos);
    EXPECT_NE(policy.error().message.find("lfu-layer"), std::string::npos);
}

}  // namespace
}  // namespace nereus
