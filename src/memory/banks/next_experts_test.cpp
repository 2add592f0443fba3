// NextExperts: what is foreseen follows what was seen, for one token and for many.

#include "memory/banks/next_experts.h"

#include <gtest/gtest.h>

#include "base/rng.h"

namespace nereus {
namespace {

constexpr int64_t kLayers = 3, kExperts = 8, kTopK = 2;

std::vector<int32_t> experts_of(std::span<const NextExperts::Guess> guesses) {
    std::vector<int32_t> experts;
    for (const NextExperts::Guess& guess : guesses) {
        experts.push_back(guess.expert);
    }
    return experts;
}

/// Tokens of one kind choose a and b in layer 0, then c and d in layer 1, and 0 and 1 in layer 2.
void see_token(NextExperts& next, std::vector<int32_t> first, std::vector<int32_t> second) {
    next.see(0, first, kTopK);
    next.see(1, second, kTopK);
    next.see(2, std::vector<int32_t>{0, 1}, kTopK);
}

TEST(NextExperts, foresees_what_went_together_before) {
    NextExperts next(kLayers, kExperts);
    for (int i = 0; i < 30; ++i) {
        see_token(next, {2, 3}, {4, 5});
        see_token(next, {6, 7}, {0, 1});
    }
    next.see(0, std::vector<int32_t>{3, 2}, kTopK);
    auto guesses = next.foresee(0.5F);
    EXPECT_EQ(experts_of(guesses), (std::vector<int32_t>{4, 5}));
    EXPECT_LE(guesses[0].n_uses, 1.0F);
    next.see(0, std::vector<int32_t>{6, 7}, kTopK);
    EXPECT_EQ(experts_of(next.foresee(0.5F)), (std::vector<int32_t>{0, 1}));
}

TEST(NextExperts, the_first_layer_follows_the_last) {
    NextExperts next(kLayers, kExperts);
    for (int i = 0; i < 30; ++i) {
        see_token(next, {2, 3}, {4, 5});
    }
    EXPECT_EQ(experts_of(next.foresee(0.5F)), (std::vector<int32_t>{2, 3}));
}

TEST(NextExperts, uses_add_up_over_the_tokens_of_a_pass) {
    NextExperts next(kLayers, kExperts);
    for (int i = 0; i < 50; ++i) {
        see_token(next, {2, 3}, {4, 5});
        see_token(next, {6, 7}, {0, 1});
    }
    next.see(0, std::vector<int32_t>{2, 3, 6, 7, 2, 3}, kTopK);
    const auto guesses = next.foresee(0.5F);
    ASSERT_EQ(experts_of(guesses), (std::vector<int32_t>{4, 5, 0, 1}));
    EXPECT_GT(guesses[0].n_uses, 1.5F);
    EXPECT_LT(guesses[2].n_uses, 1.1F);
}

TEST(NextExperts, nothing_seen_or_no_floor_reached_is_no_guess) {
    NextExperts next(kLayers, kExperts);
    EXPECT_TRUE(next.foresee(0).empty());
    see_token(next, {2, 3}, {4, 5});
    EXPECT_TRUE(next.foresee(1.5F).empty());
}

TEST(NextExperts, counts_of_long_runs_stay_shares) {
    NextExperts next(kLayers, kExperts);
    for (uint64_t i = 0; i < 20'000; ++i) {
        const auto odd = static_cast<int32_t>(random_bits(5, 1, i) % 2);
        see_token(next, {2, 3}, {4 + odd, 6 + odd});
    }
    next.see(0, std::vector<int32_t>{2, 3}, kTopK);
    for (const NextExperts::Guess& guess : next.foresee(0.2F)) {
        EXPECT_NEAR(guess.n_uses, 0.5F, 0.1F) << guess.expert;
        EXPECT_GE(guess.expert, 4);
    }
}

TEST(NextExperts, batches_of_other_sizes_in_between_are_not_paired) {
    NextExperts next(kLayers, kExperts);
    next.see(0, std::vector<int32_t>{2, 3}, kTopK);
    next.see(1, std::vector<int32_t>{4, 5, 6, 7}, kTopK);
    next.see(0, std::vector<int32_t>{2, 3}, kTopK);
    for (const NextExperts::Guess& guess : next.foresee(0)) {
        EXPECT_NEAR(guess.n_uses, 0.25F, 0.01F) << guess.expert;  // nothing is known yet
    }
}

}  // namespace
}  // namespace nereus
