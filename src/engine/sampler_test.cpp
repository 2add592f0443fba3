#include "engine/sampler.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>

#include "base/rng.h"

namespace nereus {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

int32_t pick(const std::vector<float>& logits, const SamplingParams& params, int64_t position = 0,
             const std::vector<int32_t>& prompt = {}, const std::vector<int32_t>& reply = {}) {
    return sample(logits, params, position, prompt, reply).id;
}

/// How often each id comes up over n positions.
std::map<int32_t, double> shares(const std::vector<float>& logits, const SamplingParams& params,
                                 int n = 40000) {
    std::map<int32_t, double> counts;
    for (int position = 0; position < n; ++position) {
        counts[pick(logits, params, position)] += 1.0 / n;
    }
    return counts;
}

std::vector<float> logits_of(const std::vector<double>& probabilities) {
    std::vector<float> logits;
    for (const double p : probabilities) {
        logits.push_back(static_cast<float>(std::log(p)));
    }
    return logits;
}

/// The ids that can be drawn, by the textbook: sort everything, cut, and keep what is left.
std::vector<int32_t> naive_candidates(const std::vector<float>& logits, const SamplingParams& p) {
    std::vector<int32_t> ids(logits.size());
    std::iota(ids.begin(), ids.end(), 0);
    std::sort(ids.begin(), ids.end(), [&](int32_t a, int32_t b) {
        const float x = logits[static_cast<size_t>(a)], y = logits[static_cast<size_t>(b)];
        return x != y ? x > y : a < b;
    });
    if (p.top_k > 0 && static_cast<size_t>(p.top_k) < ids.size()) {
        ids.resize(static_cast<size_t>(p.top_k));
    }
    const auto weight = [&](int32_t id) {
        return static_cast<double>(
            std::exp((logits[static_cast<size_t>(id)] - logits[static_cast<size_t>(ids[0])]) /
                     p.temperature));
    };
    double total = 0;
    for (const int32_t id : ids) {
        total += weight(id);
    }
    double sum = 0;
    std::vector<int32_t> kept;
    for (const int32_t id : ids) {
        if (kept.empty() || sum < static_cast<double>(p.top_p) * total) {
            if (weight(id) >= static_cast<double>(p.min_p)) {
                kept.push_back(id);
            }
            sum += weight(id);
        }
    }
    std::sort(kept.begin(), kept.end());
    return kept;
}

TEST(Sampler, greedy_takes_the_largest_logit_and_the_lower_id_of_equals) {
    const SamplingParams greedy{.temperature = 0};
    EXPECT_EQ(pick({1, 3, 2}, greedy), 1);
    EXPECT_EQ(pick({1, 3, 3}, greedy), 1);
    EXPECT_EQ(pick({5, 5, 5}, greedy), 0);
}

TEST(Sampler, nan_logits_are_never_drawn) {
    const SamplingParams greedy{.temperature = 0};
    EXPECT_EQ(pick({kNan, -2, kNan, -1}, greedy), 3);
    for (int position = 0; position < 200; ++position) {
        EXPECT_EQ(pick({kNan, -kInfinity, -1, kNan}, {}, position), 2);
    }
}

TEST(Sampler, no_usable_logit_is_reported_as_a_nan_logprob) {
    EXPECT_TRUE(std::isnan(sample(std::vector<float>{kNan, kNan}, {}, 0, {}, {}).logprob));
    EXPECT_TRUE(std::isnan(sample(std::vector<float>{-kInfinity}, {}, 0, {}, {}).logprob));
}

TEST(Sampler, infinite_logits_win_without_breaking_the_sums) {
    EXPECT_EQ(pick({0, kInfinity, 1}, {}), 1);
    EXPECT_EQ(pick({0, kInfinity, 1}, {.temperature = 0}), 1);
    EXPECT_EQ(sample(std::vector<float>{0, kInfinity}, {}, 0, {}, {}).logprob, 0.0F);
}

TEST(Sampler, shares_follow_the_probabilities) {
    const auto counts = shares(logits_of({0.1, 0.2, 0.3, 0.4}), {.seed = 5});
    // 40,000 draws: the standard deviation of a share is below 0.0025; four of them.
    EXPECT_NEAR(counts.at(0), 0.1, 0.01);
    EXPECT_NEAR(counts.at(1), 0.2, 0.01);
    EXPECT_NEAR(counts.at(2), 0.3, 0.01);
    EXPECT_NEAR(counts.at(3), 0.4, 0.01);
}

TEST(Sampler, temperature_sharpens_and_flattens) {
    const auto logits = logits_of({0.2, 0.8});
    EXPECT_NEAR(shares(logits, {.temperature = 0.5F}).at(1), 0.64 / 0.68, 0.01);
    EXPECT_NEAR(shares(logits, {.temperature = 2}).at(1), 2.0 / 3.0, 0.01);
    EXPECT_EQ(shares(logits, {.temperature = 1e-30F}).size(), 1U);
}

TEST(Sampler, top_k_keeps_k_and_the_lower_ids_of_equals) {
    const auto counts = shares({1, 1, 1, 0.5F}, {.top_k = 2}, 2000);
    EXPECT_EQ(counts.size(), 2U);
    EXPECT_TRUE(counts.contains(0));
    EXPECT_TRUE(counts.contains(1));
}

TEST(Sampler, top_p_keeps_the_smallest_set_that_reaches_it) {
    const auto logits = logits_of({0.05, 0.5, 0.15, 0.3});
    EXPECT_EQ(shares(logits, {.top_p = 0.4F}, 2000).size(), 1U);
    EXPECT_EQ(shares(logits, {.top_p = 0.6F}, 2000).size(), 2U);
    EXPECT_EQ(shares(logits, {.top_p = 0.9F}, 2000).size(), 3U);
    EXPECT_EQ(shares(logits, {.top_p = 0.0F}, 2000).size(), 1U);
}

TEST(Sampler, min_p_is_measured_against_the_best_token) {
    const auto counts = shares(logits_of({0.05, 0.5, 0.15, 0.3}), {.min_p = 0.2F}, 4000);
    EXPECT_EQ(counts.size(), 3U);
    EXPECT_FALSE(counts.contains(0));
}

TEST(Sampler, selection_equals_sorting_everything) {
    for (uint64_t seed = 0; seed < 300; ++seed) {
        SCOPED_TRACE(testing::Message() << "seed " << seed);
        const auto unit = [&](uint64_t i) { return random_unit(seed, 1, i); };
        std::vector<float> logits(1 + random_bits(seed, 2, 0) % 700);
        for (size_t i = 0; i < logits.size(); ++i) {
            // Coarse steps make many ties.
            logits[i] = static_cast<float>(std::floor(unit(i) * 40) / 4);
        }
        const SamplingParams params{
            .temperature = static_cast<float>(0.2 + 3 * unit(10001)),
            .top_k = seed % 3 == 0 ? 0 : static_cast<int32_t>(unit(10002) * 60),
            .top_p = static_cast<float>(0.3 + 0.7 * unit(10003)),
            .min_p = seed % 2 == 0 ? 0 : static_cast<float>(0.1 * unit(10004)),
            .seed = seed};
        const auto allowed = naive_candidates(logits, params);
        for (int position = 0; position < 40; ++position) {
            const int32_t id = pick(logits, params, position);
            ASSERT_TRUE(std::binary_search(allowed.begin(), allowed.end(), id)) << id;
        }
    }
}

TEST(Sampler, repetition_penalty_counts_prompt_and_reply_once) {
    const SamplingParams greedy{.temperature = 0, .repetition_penalty = 2};
    EXPECT_EQ(pick({4, 3, 1}, greedy, 0, {0, 0, 0}), 1);    // 4 / 2 = 2 < 3
    EXPECT_EQ(pick({4, 3, 1}, greedy, 0, {0}, {1, 0}), 0);  // 2 and 1.5
    EXPECT_EQ(pick({-1, -1.5F, -9}, greedy, 0, {0}), 1);    // -1 * 2 = -2
}

TEST(Sampler, presence_and_frequency_look_at_the_reply_only) {
    const SamplingParams presence{.temperature = 0, .presence_penalty = 1};
    EXPECT_EQ(pick({4, 3.5F}, presence, 0, {0, 0}), 0);
    EXPECT_EQ(pick({4, 3.5F}, presence, 0, {}, {0}), 1);
    EXPECT_EQ(pick({4, 2.5F}, presence, 0, {}, {0, 0, 0}), 0);  // once, not three times
    const SamplingParams frequency{.temperature = 0, .frequency_penalty = 0.5F};
    EXPECT_EQ(pick({4, 2.75F}, frequency, 0, {}, {0, 0}), 0);
    EXPECT_EQ(pick({4, 2.75F}, frequency, 0, {}, {0, 0, 0}), 1);
}

TEST(Sampler, ids_outside_the_vocabulary_do_not_harm) {
    const SamplingParams params{.repetition_penalty = 2, .presence_penalty = 1};
    EXPECT_EQ(pick({0, 9}, params, 0, {-1, 7}, {100, -5}), 1);
}

TEST(Sampler, a_draw_depends_on_seed_and_position_alone) {
    const std::vector<float> flat(50, 0.0F);
    std::vector<int32_t> forward, backward;
    for (int i = 0; i < 64; ++i) {
        forward.push_back(pick(flat, {.seed = 9}, i));
    }
    for (int i = 63; i >= 0; --i) {
        pick(flat, {.seed = 1234}, i);  // somebody else's draw in between
        backward.insert(backward.begin(), pick(flat, {.seed = 9}, i));
    }
    EXPECT_EQ(forward, backward);
    EXPECT_NE(pick(flat, {.seed = 1}, 3), pick(flat, {.seed = 9}, 3));
}

TEST(Sampler, logprob_is_of_the_untouched_distribution) {
    const auto logits = logits_of({0.25, 0.75});
    const auto greedy = sample(logits, {.temperature = 0, .repetition_penalty = 50}, 0,
                               std::vector<int32_t>{0}, {});
    EXPECT_EQ(greedy.id, 1);
    EXPECT_NEAR(greedy.logprob, std::log(0.75), 1e-6);
    EXPECT_NEAR(sample(logits, {.temperature = 0.01F}, 0, {}, {}).logprob, std::log(0.75), 1e-6);
}

TEST(SamplingParams, every_field_is_checked_and_named) {
    const auto message = [](const SamplingParams& params) {
        const Status status = params.validate();
        return status.ok() ? "" : status.error().message;
    };
    EXPECT_EQ(message({}), "");
    EXPECT_EQ(message({.temperature = 0, .top_k = 0, .top_p = 0, .min_p = 1}), "");
    EXPECT_EQ(message({.temperature = -1}), "temperature: expected >= 0 and <= 100, found -1");
    EXPECT_NE(message({.temperature = kNan}).find("temperature"), std::string::npos);
    EXPECT_NE(message({.top_k = -1}).find("top_k"), std::string::npos);
    EXPECT_NE(message({.top_p = 1.5F}).find("top_p"), std::string::npos);
    EXPECT_NE(message({.min_p = kNan}).find("min_p"), std::string::npos);
    EXPECT_NE(message({.repetition_penalty = 0}).find("repetition_penalty"), std::string::npos);
    EXPECT_NE(message({.presence_penalty = 3}).find("presence_penalty"), std::string::npos);
    EXPECT_NE(message({.frequency_penalty = kInfinity}).find("frequency"), std::string::npos);
}

}  // namespace
}  // namespace nereus
