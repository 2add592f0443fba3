// How far two rows of logits are apart, on cases worked out by hand.

#include "apps/logit_compare.h"

#include <gmock/gmock.h>

#include <cmath>
#include <limits>

namespace nereus {
namespace {

constexpr float kMinusInfinity = -std::numeric_limits<float>::infinity();

LogitSummary compare(const std::vector<float>& reference, const std::vector<float>& model,
                     std::optional<int32_t> next = std::nullopt) {
    LogitComparison comparison;
    const Status added = comparison.add(reference.data(), model.data(),
                                        static_cast<int64_t>(reference.size()), next);
    EXPECT_TRUE(added.ok()) << added.error().message;
    return comparison.summary();
}

std::string refusal(const std::vector<float>& reference, const std::vector<float>& model) {
    LogitComparison comparison;
    const Status added = comparison.add(reference.data(), model.data(),
                                        static_cast<int64_t>(reference.size()), std::nullopt);
    EXPECT_FALSE(added.ok());
    return added.ok() ? "" : added.error().message;
}

TEST(LogitComparison, equal_logits_and_shifted_logits_diverge_by_exactly_nothing) {
    const std::vector<float> logits = {1.5F, -2.0F, 0.25F, 7.0F};
    std::vector<float> shifted = logits;
    for (float& logit : shifted) {
        logit += 64.0F;
    }
    EXPECT_EQ(compare(logits, logits).kl_max, 0);
    EXPECT_NEAR(compare(logits, shifted).kl_max, 0, 1e-14);
    EXPECT_EQ(compare(logits, shifted).top1_agreement, 1);
}

TEST(LogitComparison, the_divergence_is_that_of_the_reference_from_the_model) {
    // Probabilities 1/2, 1/2 and 1/4, 3/4.
    const std::vector<float> even = {0.0F, 0.0F};
    const std::vector<float> odd = {0.0F, std::log(3.0F)};
    const double from_even = 0.5 * std::log(0.5 / 0.25) + 0.5 * std::log(0.5 / 0.75);
    const double from_odd = 0.25 * std::log(0.25 / 0.5) + 0.75 * std::log(0.75 / 0.5);
    EXPECT_NEAR(compare(even, odd).kl_mean, from_even, 1e-7);
    EXPECT_NEAR(compare(odd, even).kl_mean, from_odd, 1e-7);
}

TEST(LogitComparison, large_logits_do_not_overflow) {
    const LogitSummary summary = compare({3e38F, 0.0F}, {0.0F, 3e38F}, 0);
    EXPECT_GT(summary.kl_mean, 1e38);
    EXPECT_EQ(summary.top1_agreement, 0);
    EXPECT_EQ(summary.ppl_reference, 1);
}

TEST(LogitComparison, a_token_excluded_by_the_reference_adds_nothing) {
    const LogitSummary summary =
        compare({0.0F, 0.0F, kMinusInfinity}, {0.0F, 0.0F, kMinusInfinity});
    EXPECT_EQ(summary.kl_mean, 0);
    // The model's third token takes a third of its probability: ln(1/2) - ln(1/3).
    EXPECT_NEAR(compare({0.0F, 0.0F, kMinusInfinity}, {0.0F, 0.0F, 0.0F}).kl_mean, std::log(1.5),
                1e-12);
}

TEST(LogitComparison, a_token_that_only_the_model_excludes_is_infinitely_far) {
    const LogitSummary summary = compare({0.0F, 0.0F}, {0.0F, kMinusInfinity}, 1);
    EXPECT_TRUE(std::isinf(summary.kl_max));
    EXPECT_TRUE(std::isinf(summary.ppl_model));
    EXPECT_NEAR(summary.ppl_reference, 2, 1e-12);
}

TEST(LogitComparison, logits_without_a_softmax_are_refused_by_name) {
    using testing::HasSubstr;
    const float nan = std::numeric_limits<float>::quiet_NaN();
    EXPECT_THAT(refusal({0.0F, nan}, {0.0F, 0.0F}), HasSubstr("reference's logit of token 1"));
    EXPECT_THAT(refusal({0.0F, 0.0F}, {-kMinusInfinity, 0.0F}),
                HasSubstr("model's logit of token 0"));
    EXPECT_THAT(refusal({kMinusInfinity, kMinusInfinity}, {0.0F, 0.0F}), HasSubstr("all 2 logits"));
}

TEST(LogitComparison, only_positions_with_a_successor_count_for_perplexity) {
    LogitComparison comparison;
    const std::vector<float> even = {0.0F, 0.0F};
    const std::vector<float> odd = {0.0F, std::log(3.0F)};
    ASSERT_TRUE(comparison.add(even.data(), odd.data(), 2, 1).ok());
    ASSERT_TRUE(comparison.add(even.data(), odd.data(), 2, 0).ok());
    ASSERT_TRUE(comparison.add(odd.data(), odd.data(), 2, std::nullopt).ok());
    const LogitSummary summary = comparison.summary();
    EXPECT_EQ(summary.n_positions, 3);
    EXPECT_EQ(summary.n_followed, 2);
    EXPECT_NEAR(summary.ppl_reference, 2, 1e-12);
    EXPECT_NEAR(summary.ppl_model, 1 / std::sqrt(0.75 * 0.25), 1e-6);
    EXPECT_NEAR(summary.log_p_difference, (std::log(1.5) + std::log(2)) / 2, 1e-7);
    EXPECT_EQ(summary.kl_median, summary.kl_max);  // two of three positions are alike
}

TEST(Quantile, lies_between_neighbours_in_proportion) {
    EXPECT_EQ(quantile({5}, 0.999), 5);
    EXPECT_EQ(quantile({1, 2, 3, 4}, 0), 1);
    EXPECT_EQ(quantile({1, 2, 3, 4}, 1), 4);
    EXPECT_DOUBLE_EQ(quantile({1, 2, 3, 4}, 0.5), 2.5);
    EXPECT_DOUBLE_EQ(quantile({0, 1000}, 0.999), 999);
    const double infinity = std::numeric_limits<double>::infinity();
    EXPECT_EQ(quantile({1, infinity, infinity}, 0.75), infinity);
}

}  // namespace
}  // namespace nereus
