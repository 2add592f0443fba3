// What a measurement counts, on models small enough to count by hand.

#include "apps/model_timing.h"

#include <gmock/gmock.h>

#include <cmath>

#include "tests/support/golden.h"

namespace nereus {
namespace {

using test::must;
using test::source_path;

TEST(Speeds, the_median_of_an_even_number_lies_between_the_middle_two) {
    EXPECT_EQ((Speeds{{3, 1, 2}}.median()), 2);
    EXPECT_EQ((Speeds{{4, 1, 3, 2}}.median()), 2.5);
    EXPECT_EQ((Speeds{{4, 1, 3, 2}}.low()), 1);
    EXPECT_EQ((Speeds{{4, 1, 3, 2}}.high()), 4);
}

TEST(ExpectedExperts, grows_from_top_k_to_all) {
    EXPECT_NEAR(expected_experts(64, 6, 1), 6, 1e-12);
    EXPECT_NEAR(expected_experts(2, 1, 2), 1.5, 1e-12);  // the same half the time, both otherwise
    EXPECT_NEAR(expected_experts(64, 6, 1000), 64, 1e-9);
    EXPECT_EQ(expected_experts(0, 0, 4), 0);
}

/// One layer, 2 heads of 4, all other sizes different primes where they may be.
ModelConfig small_config() {
    ModelConfig config;
    config.vocab_size = 100;
    config.hidden_size = 8;
    config.intermediate_size = 5;
    config.num_hidden_layers = 1;
    config.num_attention_heads = 2;
    config.num_key_value_heads = 1;
    config.head_dim = 4;
    config.layers = {{AttentionKind::kGrouped, FfnKind::kDense}};
    return config;
}

TEST(PrefillMultiplyAdds, count_weights_without_the_ends_and_half_the_prompt_as_visible) {
    TimingPlan plan;
    plan.n_context = 10;
    plan.n_prompt = 3;
    // q, o 2 x 8 x 8; k, v 2 x 8 x 4; FFN 3 x 8 x 5; norms 3 x 8.
    const double weights = 128 + 64 + 120 + 24;
    // 11, 12, 13 visible rows: 12 on average, 2 heads of 4 for scores and for values.
    const double attention = 12 * 2 * (4 + 4);
    EXPECT_DOUBLE_EQ(prefill_multiply_adds(small_config(), plan), weights + attention);
    ModelConfig tied = small_config();
    tied.tie_word_embeddings = true;
    EXPECT_DOUBLE_EQ(prefill_multiply_adds(tied, plan), weights + attention);
}

OpenedModel open_tiny() {
    OpenOptions options;
    options.threads = 1;
    return must(open_model(source_path("tests/golden/v3"), options));
}

TEST(DecodeStepBytes, experts_are_counted_by_their_union_and_rows_for_every_sequence) {
    const OpenedModel opened = open_tiny();
    const ModelConfig& config = opened.model->config();
    ASSERT_GT(config.n_routed_experts, config.num_experts_per_tok);
    TimingPlan plan = {.n_context = 16, .n_prompt = 3, .n_generate = 1};
    const StepBytes one = decode_step_bytes(opened, plan);
    EXPECT_EQ(one.weights, static_cast<double>(opened.model->bytes_per_token()));
    EXPECT_EQ(one.cache, 20.0 * static_cast<double>(opened.model->kv_spec(1).bytes_per_token()));
    plan.n_sequences = 1000;  // every expert is read by somebody
    const StepBytes many = decode_step_bytes(opened, plan);
    EXPECT_EQ(many.cache, 1000 * one.cache);
    int64_t expert = 0;  // number 0 of every layer, without the prediction layer after the last
    const std::string mtp = fmt::format("model.layers.{}.", config.num_hidden_layers);
    for (const StoredTensor& tensor : opened.checkpoint->tensors()) {
        const bool first = tensor.name.find(".mlp.experts.0.") != std::string::npos &&
                           !tensor.name.starts_with(mtp);
        expert += first ? static_cast<int64_t>(tensor.data.size()) : 0;
    }
    ASSERT_GT(expert, 0);
    EXPECT_NEAR(
        many.weights - one.weights,
        static_cast<double>((config.n_routed_experts - config.num_experts_per_tok) * expert), 1);
}

TEST(TimeModel, a_context_that_does_not_fit_is_refused_with_all_numbers) {
    const OpenedModel opened = open_tiny();
    const int64_t limit = opened.model->config().max_position_embeddings;
    const TimingPlan plan = {.n_context = limit - 4, .n_prompt = 3, .n_generate = 2};
    const auto timing = time_model(opened, plan);
    ASSERT_FALSE(timing.ok());
    EXPECT_EQ(timing.error().code, ErrorCode::kOutOfMemory);
    EXPECT_THAT(timing.error().message, testing::HasSubstr(std::to_string(limit + 1)));
}

}  // namespace
}  // namespace nereus
