#include "memory/plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/rng.h"
#include "base/units.h"

namespace nereus {
namespace {

using testing::HasSubstr;

/// About V2-Lite at 4.5 bits.
MemoryNeeds lite() {
    return {.process_bytes = 100 * kMiB,
            .dense_bytes = 900 * kMiB,
            .layer_bytes = std::vector<uint64_t>(27, 20 * kMiB),
            .expert_bytes = 7800 * kMiB,
            .slot_bytes = 4800 * kKiB,
            .n_experts = 1664,
            .n_experts_min = 6,
            .kv_bytes_per_token = 62'208,
            .row_bytes = 240 * kKiB};
}

TEST(MemoryPlan, what_fits_is_in_memory) {
    const MemoryPlan plan = plan_memory(lite(), {12 * kGiB, 4096}).value();
    EXPECT_FALSE(plan.streams_experts);
    EXPECT_EQ(plan.n_slots, 1664);
    EXPECT_EQ(plan.expert_bytes, 7800 * kMiB);
    EXPECT_EQ(plan.prefill_chunk, kPrefillChunk);
    EXPECT_GT(plan.cache_tokens_max, 3 * 4096);
    EXPECT_LE(plan.total_bytes() + static_cast<uint64_t>(plan.cache_tokens_max - 4096) * 62'208,
              12 * kGiB);
}

TEST(MemoryPlan, below_that_experts_stream_and_take_what_is_left) {
    const MemoryPlan plan = plan_memory(lite(), {4 * kGiB, 4096}).value();
    EXPECT_TRUE(plan.streams_experts);
    EXPECT_GT(plan.n_slots, 400);
    EXPECT_LT(plan.n_slots, 700);
    EXPECT_LE(plan.total_bytes(), 4 * kGiB);
    EXPECT_GT(plan.total_bytes() + 4800 * kKiB + 4 * kMiB, 4 * kGiB);
    EXPECT_EQ(plan.prefill_chunk, 1024);
    EXPECT_EQ(plan.cache_tokens_max, 4096);
    EXPECT_THAT(memory_breakdown(plan, lite()),
                HasSubstr(fmt::format("({} of 1664)", plan.n_slots)));
}

TEST(MemoryPlan, below_the_dense_weights_the_last_layers_are_read_for_every_pass) {
    const MemoryPlan plan = plan_memory(lite(), {kGiB, 4096}).value();
    EXPECT_GT(plan.n_layers_streamed, 5);
    EXPECT_LT(plan.n_layers_streamed, 27);
    EXPECT_EQ(plan.dense_streamed_bytes, static_cast<uint64_t>(plan.n_layers_streamed) * 20 * kMiB);
    EXPECT_EQ(plan.dense_bytes, 900 * kMiB - plan.dense_streamed_bytes + 40 * kMiB);
    EXPECT_LE(plan.total_bytes(), kGiB);
}

TEST(MemoryPlan, every_budget_from_the_smallest_up_is_kept_and_the_one_below_refused) {
    for (uint64_t i = 0; i < 3000; ++i) {
        const auto draw = [&](uint64_t stream, uint64_t n) {
            return random_bits(5, stream, i) % n;
        };
        MemoryNeeds needs;
        needs.process_bytes = draw(0, 200 * kMiB);
        for (uint64_t layer = draw(8, 30); layer > 0; --layer) {
            needs.layer_bytes.push_back(draw(10 + layer, 50 * kMiB));
            needs.dense_bytes += needs.layer_bytes.back();
        }
        needs.dense_bytes += draw(1, kGiB);
        needs.n_experts = static_cast<int64_t>(draw(2, 3)) * 700;
        needs.n_experts_min = std::min<int64_t>(needs.n_experts, 8);
        needs.slot_bytes = needs.n_experts > 0 ? kMiB + draw(3, 20 * kMiB) : 0;
        needs.expert_bytes = needs.slot_bytes * static_cast<uint64_t>(needs.n_experts);
        needs.kv_bytes_per_token = draw(4, 100'000);
        needs.row_bytes = draw(5, kMiB);
        const auto context = static_cast<int64_t>(draw(6, 8192));
        const uint64_t smallest = smallest_budget(needs, context);
        const auto below = plan_memory(needs, {smallest - 1, context});
        ASSERT_FALSE(below.ok());
        EXPECT_EQ(below.error().code, ErrorCode::kOutOfMemory);
        for (const uint64_t budget : {smallest, smallest + draw(7, kGiB), smallest * 3}) {
            const auto plan = plan_memory(needs, {budget, context});
            ASSERT_TRUE(plan.ok());
            EXPECT_LE(plan->total_bytes(), budget);
            EXPECT_GE(plan->n_slots, needs.n_experts_min);
            EXPECT_LE(plan->n_slots, needs.n_experts);
        }
    }
}

TEST(MemoryPlan, a_refusal_names_the_smallest_budget_and_its_parts) {
    const auto refused = plan_memory(lite(), {700 * kMiB, 4096});
    ASSERT_FALSE(refused.ok());
    EXPECT_THAT(refused.error().message,
                HasSubstr(human_bytes(smallest_budget(lite(), 4096)) + " are needed"));
    for (const char* part :
         {"weights ", "experts ", "layers read for every pass", "cache 255 MB", "process 105 MB"}) {
        EXPECT_THAT(refused.error().message, HasSubstr(part));
    }
}

TEST(ParseBytes, takes_numbers_with_units_and_nothing_else) {
    EXPECT_EQ(parse_bytes("12G").value(), 12 * kGiB);
    EXPECT_EQ(parse_bytes("1.5g").value(), 3 * kGiB / 2);
    EXPECT_EQ(parse_bytes("512MiB").value(), 512 * kMiB);
    EXPECT_EQ(parse_bytes("4GB").value(), 4'000'000'000U);
    EXPECT_EQ(parse_bytes("70000").value(), 70'000U);
    EXPECT_EQ(parse_bytes("2 T").ok(), false);
    for (const char* wrong : {"", "G", "-1G", "1X", "1GG", "nan", "1e30", "0", "12G4", "0x10",
                              "0x10G", " 12G", "12G ", "1,5G", "+1G", "inf"}) {
        EXPECT_EQ(parse_bytes(wrong).error().code, ErrorCode::kInvalidArgument) << wrong;
    }
}

}  // namespace
}  // namespace nereus
