// The bank whose experts are all in memory: everything that is asked for comes at once, in the
// order it was asked for, and counts as found.

#include <gtest/gtest.h>

#include <algorithm>

#include "memory/expert_bank.h"

namespace nereus {
namespace {

/// Layer 0 has none; in layer 1 and 2 expert i of layer l has l * 100 + i rows.
ExpertTable numbered_experts() {
    ExpertTable table(3);
    for (int64_t layer = 1; layer < 3; ++layer) {
        for (int64_t i = 0; i < 8; ++i) {
            ExpertWeights expert;
            expert.gate.rows = layer * 100 + i;
            table[static_cast<size_t>(layer)].push_back(expert);
        }
    }
    return table;
}

TEST(RamBank, gives_the_experts_asked_for_at_once_in_their_order_and_then_nothing) {
    const auto bank = create_ram_bank(numbered_experts());
    const std::vector<int32_t> ids = {5, 0, 7};
    bank->request(2, ids);
    const auto ready = bank->next().value();
    ASSERT_EQ(ready.size(), 3U);
    for (size_t i = 0; i < 3; ++i) {
        EXPECT_EQ(ready[i].index, i);
        EXPECT_EQ(ready[i].weights.gate.rows, 200 + ids[i]);
    }
    EXPECT_TRUE(bank->next().value().empty());
    EXPECT_TRUE(bank->next().value().empty());
}

TEST(RamBank, has_nothing_to_give_before_it_was_asked_or_for_no_ids) {
    const auto bank = create_ram_bank(numbered_experts());
    EXPECT_TRUE(bank->next().value().empty());
    bank->request(1, {});
    EXPECT_TRUE(bank->next().value().empty());
}

TEST(RamBank, a_new_request_forgets_the_one_before) {
    const auto bank = create_ram_bank(numbered_experts());
    const std::vector<int32_t> first = {1, 2, 3}, second = {4};
    bank->request(1, first);
    bank->request(1, second);
    const auto ready = bank->next().value();
    ASSERT_EQ(ready.size(), 1U);
    EXPECT_EQ(ready[0].weights.gate.rows, 104);
}

TEST(RamBank, counts_hits_only_and_differences_since_earlier) {
    const auto bank = create_ram_bank(numbered_experts());
    const std::vector<int32_t> ids = {0, 1, 2, 3};
    bank->request(1, ids);
    const ExpertBankStats before = bank->stats();
    bank->request(2, ids);
    EXPECT_EQ(before.n_hits, 4);
    EXPECT_EQ((bank->stats() - before).n_hits, 4);
    EXPECT_EQ(bank->stats().n_misses, 0);
    EXPECT_EQ(bank->stats().n_bytes_read, 0U);
    ExpertBankStats sum = before;
    sum += {.n_hits = 1,
            .n_misses = 2,
            .n_guesses = 4,
            .n_guesses_right = 5,
            .n_bytes_needed = 6,
            .n_bytes_read = 3,
            .wait_seconds = 0.5};
    EXPECT_EQ(sum.n_hits, 5);
    EXPECT_EQ(sum.n_misses, 2);
    EXPECT_EQ((sum - before).n_guesses, 4);
    EXPECT_EQ((sum - before).n_guesses_right, 5);
    EXPECT_EQ((sum - before).n_bytes_needed, 6U);
    EXPECT_EQ(sum.n_bytes_read, 3U);
    EXPECT_EQ(sum.wait_seconds, 0.5);
}

TEST(RamBankDeathTest, an_expert_that_a_layer_does_not_have_ends_the_program) {
    GTEST_FLAG_SET(death_test_style, "threadsafe");
    const auto bank = create_ram_bank(numbered_experts());
    const std::vector<int32_t> beyond = {8}, negative = {-1};
    EXPECT_DEATH(bank->request(1, beyond), "id");
    EXPECT_DEATH(bank->request(1, negative), "id");
    EXPECT_DEATH(bank->request(0, beyond), "id");
}

}  // namespace
}  // namespace nereus
