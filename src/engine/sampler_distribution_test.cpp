// sample() against distributions worked out by the textbook in double precision: chi-square over
// fixed seeds, and the edges where a cut, a tie or an overflow decides.

#include <gtest/gtest.h>

#include <algorithm>
#include <cfloat>
#include <cmath>
#include <limits>
#include <numeric>

#include "base/rng.h"
#include "engine/sampler.h"

namespace nereus {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

using Ids = std::vector<int32_t>;

int32_t pick(const std::vector<float>& logits, const SamplingParams& params, int64_t position = 0,
             const Ids& prompt = {}, const Ids& reply = {}) {
    return sample(logits, params, position, prompt, reply).id;
}

/// The penalties, one id at a time.
std::vector<double> penalised(const std::vector<float>& logits, const SamplingParams& p,
                              const Ids& prompt, const Ids& reply) {
    std::vector<double> out(logits.begin(), logits.end());
    for (size_t id = 0; id < out.size(); ++id) {
        const auto n_reply = std::count(reply.begin(), reply.end(), static_cast<int32_t>(id));
        const auto n_prompt = std::count(prompt.begin(), prompt.end(), static_cast<int32_t>(id));
        if (n_reply + n_prompt > 0) {
            const auto repetition = static_cast<double>(p.repetition_penalty);
            out[id] = out[id] > 0 ? out[id] / repetition : out[id] * repetition;
        }
        if (n_reply > 0) {
            out[id] -= static_cast<double>(p.presence_penalty);
            out[id] -= static_cast<double>(p.frequency_penalty) * static_cast<double>(n_reply);
        }
    }
    return out;
}

/// Probabilities by sorting everything: penalties, temperature, top_k, top_p, min_p.
std::vector<double> textbook(const std::vector<float>& logits, const SamplingParams& p,
                             const Ids& prompt = {}, const Ids& reply = {}) {
    std::vector<double> scores = penalised(logits, p, prompt, reply);
    std::vector<size_t> order(scores.size());
    std::iota(order.begin(), order.end(), size_t{0});
    std::sort(order.begin(), order.end(), [&](size_t a, size_t b) {
        return scores[a] != scores[b] ? scores[a] > scores[b] : a < b;
    });
    if (p.top_k > 0) {
        order.resize(std::min(order.size(), static_cast<size_t>(p.top_k)));
    }
    std::vector<double> weights;
    for (const size_t id : order) {
        weights.push_back(
            std::exp((scores[id] - scores[order[0]]) / static_cast<double>(p.temperature)));
    }
    const double total = std::accumulate(weights.begin(), weights.end(), 0.0);
    std::vector<double> probabilities(scores.size());
    double before = 0;
    for (size_t i = 0; i < order.size(); ++i) {
        const bool in_top_p = i == 0 || before < static_cast<double>(p.top_p) * total;
        if (in_top_p && weights[i] >= static_cast<double>(p.min_p)) {
            probabilities[order[i]] = weights[i];
        }
        before += weights[i];
    }
    const double kept = std::accumulate(probabilities.begin(), probabilities.end(), 0.0);
    for (double& probability : probabilities) {
        probability /= kept;
    }
    return probabilities;
}

/// A bound that a chi-square of n cells passes once in three million: five standard deviations of
/// the Wilson-Hilferty approximation.
double chi_square_bound(size_t n_cells) {
    const double k = std::max<double>(1, static_cast<double>(n_cells) - 1);
    return k * std::pow(1 - 2 / (9 * k) + 5 * std::sqrt(2 / (9 * k)), 3);
}

/// Cells with less than eight draws expected are counted as one.
void expect_distribution(const std::vector<int>& counts, const std::vector<double>& probabilities) {
    const double n = std::accumulate(counts.begin(), counts.end(), 0.0);
    double statistic = 0, rest_expected = 0, rest_count = 0;
    size_t n_cells = 0;
    for (size_t i = 0; i < counts.size(); ++i) {
        const double expected = n * probabilities[i];
        if (probabilities[i] == 0) {
            ASSERT_EQ(counts[i], 0) << "id " << i << " was cut and drawn";
        } else if (expected < 8) {
            rest_expected += expected;
            rest_count += counts[i];
        } else {
            statistic += (counts[i] - expected) * (counts[i] - expected) / expected;
            ++n_cells;
        }
    }
    if (rest_expected >= 8) {
        statistic += (rest_count - rest_expected) * (rest_count - rest_expected) / rest_expected;
        ++n_cells;
    }
    EXPECT_LT(statistic, chi_square_bound(n_cells)) << n_cells << " cells";
}

std::vector<float> random_logits(uint64_t seed, size_t n, double spread) {
    std::vector<float> logits;
    for (uint64_t i = 0; i < n; ++i) {
        logits.push_back(static_cast<float>((random_unit(seed, 1, i) - 0.5) * spread));
    }
    return logits;
}

TEST(SamplerDistribution, chi_square_against_the_textbook_for_random_settings) {
    for (uint64_t seed = 0; seed < 30; ++seed) {
        SCOPED_TRACE(testing::Message() << "seed " << seed);
        const auto unit = [&](uint64_t i) { return random_unit(seed, 2, i); };
        const auto logits = random_logits(seed, 3 + random_bits(seed, 3, 0) % 40, 8);
        const SamplingParams params{
            .temperature = static_cast<float>(0.3 + 2 * unit(0)),
            .top_k = seed % 2 == 0 ? 0 : static_cast<int32_t>(2 + unit(1) * 20),
            .top_p = seed % 3 == 0 ? 1.0F : static_cast<float>(0.5 + 0.5 * unit(2)),
            .min_p = seed % 5 == 0 ? static_cast<float>(0.2 * unit(3)) : 0.0F,
            .repetition_penalty = static_cast<float>(0.7 + unit(4)),
            .presence_penalty = static_cast<float>(2 * unit(5) - 1),
            .frequency_penalty = static_cast<float>(unit(6) - 0.5),
            .seed = seed};
        const Ids prompt = {0, 1, 1}, reply = {1, 2, 2, 2};
        std::vector<int> counts(logits.size());
        for (int64_t position = 0; position < 8000; ++position) {
            ++counts[static_cast<size_t>(pick(logits, params, position, prompt, reply))];
        }
        expect_distribution(counts, textbook(logits, params, prompt, reply));
    }
}

TEST(SamplerDistribution, seeds_at_one_position_are_as_good_as_positions_of_one_seed) {
    const auto logits = random_logits(9, 12, 4);
    std::vector<int> counts(logits.size());
    for (uint64_t seed = 0; seed < 20000; ++seed) {
        ++counts[static_cast<size_t>(pick(logits, {.seed = seed}, 17))];
    }
    expect_distribution(counts, textbook(logits, {}));
}

TEST(SamplerDistribution, two_draws_in_a_row_know_nothing_of_each_other) {
    const std::vector<float> flat(5, 1.0F);
    std::vector<int> pairs(25);
    for (int64_t position = 0; position < 20000; position += 2) {
        const auto first = static_cast<size_t>(pick(flat, {.seed = 3}, position));
        const auto second = static_cast<size_t>(pick(flat, {.seed = 3}, position + 1));
        ++pairs[first * 5 + second];
    }
    expect_distribution(pairs, std::vector<double>(25, 1.0 / 25));
}

TEST(SamplerDistribution, a_neutral_setting_can_draw_every_token_of_a_large_vocabulary) {
    const std::vector<float> flat(2000, -3.0F);
    std::vector<int> counts(flat.size());
    for (int64_t position = 0; position < 60000; ++position) {
        ++counts[static_cast<size_t>(pick(flat, {.seed = 8}, position))];
    }
    expect_distribution(counts, std::vector<double>(flat.size(), 1.0 / 2000));
}

/// Ids that come up in 400 draws.
Ids drawn(const std::vector<float>& logits, const SamplingParams& params) {
    std::vector<bool> seen(logits.size());
    for (int64_t position = 0; position < 400; ++position) {
        seen[static_cast<size_t>(pick(logits, params, position))] = true;
    }
    Ids ids;
    for (size_t i = 0; i < seen.size(); ++i) {
        if (seen[i]) {
            ids.push_back(static_cast<int32_t>(i));
        }
    }
    return ids;
}

TEST(SamplerEdges, top_p_on_the_boundary_of_a_tie_keeps_the_lower_ids) {
    const std::vector<float> four(4, 0.5F);  // every weight is 1: sums are exact
    EXPECT_EQ(drawn(four, {.top_p = 0.5F}), (Ids{0, 1}));
    EXPECT_EQ(drawn(four, {.top_p = std::nextafter(0.5F, 1.0F)}), (Ids{0, 1, 2}));
    EXPECT_EQ(drawn(four, {.top_p = std::nextafter(0.5F, 0.0F)}), (Ids{0, 1}));
    EXPECT_EQ(drawn(four, {.top_p = std::nextafter(1.0F, 0.0F)}), (Ids{0, 1, 2, 3}));
    EXPECT_EQ(drawn(four, {.top_p = FLT_MIN}), (Ids{0}));
}

TEST(SamplerEdges, min_p_of_one_keeps_all_tokens_as_good_as_the_best) {
    EXPECT_EQ(drawn({3, 1, 3, 2.999F}, {.min_p = 1}), (Ids{0, 2}));
    EXPECT_EQ(drawn({3, 1, 3, 2.999F}, {.min_p = 0.99F}), (Ids{0, 2, 3}));
}

TEST(SamplerEdges, min_p_is_applied_to_the_heated_distribution) {
    // exp(-2) = 0.14 of the best; at temperature 4 it is exp(-0.5) = 0.61.
    EXPECT_EQ(drawn({2, 0}, {.min_p = 0.3F}), (Ids{0}));
    EXPECT_EQ(drawn({2, 0}, {.temperature = 4, .min_p = 0.3F}), (Ids{0, 1}));
}

TEST(SamplerEdges, top_p_is_a_share_of_what_top_k_left) {
    // Of {3, 3, 2, 1, 1} tenths, the best two are halves of each other after top_k.
    const std::vector<float> logits = {std::log(0.3F), std::log(0.3F), std::log(0.2F),
                                       std::log(0.1F), std::log(0.1F)};
    EXPECT_EQ(drawn(logits, {.top_p = 0.55F}), (Ids{0, 1}));
    EXPECT_EQ(drawn(logits, {.top_k = 2, .top_p = 0.45F}), (Ids{0}));
    EXPECT_EQ(drawn(logits, {.top_p = 0.45F}), (Ids{0, 1}));
}

TEST(SamplerEdges, minus_infinity_is_never_drawn_whatever_the_penalties_say) {
    const SamplingParams params{
        .repetition_penalty = 0.01F, .presence_penalty = -2, .frequency_penalty = -2};
    for (int64_t position = 0; position < 300; ++position) {
        EXPECT_EQ(pick({-kInfinity, -5, -kInfinity}, params, position, {0, 2}, {0, 0, 2, 2}), 1);
    }
}

TEST(SamplerEdges, a_penalty_that_overflows_leaves_a_distribution) {
    // 20 / 1e-38 is beyond float; so is a logit near the end of float times 100.
    EXPECT_EQ(pick({0, 20, 1}, {.repetition_penalty = 1e-38F}, 5, {1}), 1);
    EXPECT_EQ(pick({0, kInfinity, 1}, {.repetition_penalty = 0.5F}, 5, {1}), 1);
    const std::vector<float> low(3, -FLT_MAX);
    const int32_t id = pick(low, {.repetition_penalty = 100}, 5, {0, 1, 2});
    EXPECT_GE(id, 0);
    EXPECT_LE(id, 2);
    EXPECT_EQ(pick({-FLT_MAX, -kInfinity}, {.repetition_penalty = 100}, 5, {0, 1}), 0);
    EXPECT_EQ(pick({20, 30}, {.temperature = 0, .repetition_penalty = 1e-40F}, 5, {0, 1}), 0)
        << "both are as large as a float can be";
}

TEST(SamplerEdges, one_token_is_drawn_under_every_setting) {
    for (const float temperature : {0.0F, FLT_MIN, 1.0F, 100.0F}) {
        for (const float top_p : {0.0F, 0.5F, 1.0F}) {
            for (const float min_p : {0.0F, 1.0F}) {
                const SamplingParams params{
                    .temperature = temperature, .top_k = 1, .top_p = top_p, .min_p = min_p};
                const SampledToken token = sample(std::vector<float>{-7}, params, 0, {}, {});
                EXPECT_EQ(token.id, 0);
                EXPECT_EQ(token.logprob, 0.0F);
            }
        }
    }
}

TEST(SamplerEdges, the_logprob_is_the_logit_less_the_log_of_the_sum_over_300_tokens) {
    const auto logits = random_logits(4, 300, 30);
    double sum = 0;
    for (const float logit : logits) {
        sum += std::exp(static_cast<double>(logit));
    }
    for (int64_t position = 0; position < 50; ++position) {
        const SampledToken token = sample(logits, {.temperature = 5}, position, {}, {});
        const double logit = static_cast<double>(logits[static_cast<size_t>(token.id)]);
        EXPECT_NEAR(static_cast<double>(token.logprob), logit - std::log(sum), 1e-5);
    }
}

}  // namespace
}  // namespace nereus
