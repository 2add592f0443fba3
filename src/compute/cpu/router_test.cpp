#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <set>
#include <vector>

#include "base/thread_pool.h"
#include "compute/backend.h"

namespace nereus {
namespace {

struct Routed {
    std::vector<int32_t> ids;
    std::vector<float> weights;
};

/// One token through the fastest table.
Routed route(const std::vector<float>& logits, const RouterParams& params) {
    ThreadPool pool(1);
    const auto backend = create_cpu_backend(pool, "").value();
    const auto n = static_cast<int64_t>(logits.size());
    Routed routed;
    routed.ids.resize(static_cast<size_t>(params.top_k), -1);
    routed.weights.resize(static_cast<size_t>(params.top_k));
    backend->route_experts({logits.data(), 1, n, n}, params, routed.ids.data(),
                           routed.weights.data());
    return routed;
}

float sigmoid(float x) { return static_cast<float>(1.0 / (1.0 + std::exp(-double{x}))); }

using Ids = std::vector<int32_t>;

TEST(Router, greedy_softmax_takes_the_best_and_keeps_their_probabilities) {
    const Routed routed = route({0, 3, 1, 2}, {.top_k = 2, .scale_after_norm = false});
    EXPECT_EQ((Ids{1, 3}), routed.ids);
    const double sum = 1 + std::exp(3.0) + std::exp(1.0) + std::exp(2.0);
    EXPECT_NEAR(std::exp(3.0) / sum, double{routed.weights[0]}, 1e-6);
    EXPECT_NEAR(std::exp(2.0) / sum, double{routed.weights[1]}, 1e-6);
}

TEST(Router, ties_take_the_lower_index) {
    const RouterParams params = {.scoring = RouterScoring::kSigmoid, .top_k = 3};
    EXPECT_EQ((Ids{0, 1, 2}), route({1, 1, 1, 1}, params).ids);
    EXPECT_EQ((Ids{2, 0, 1}), route({1, 1, 2, 1}, params).ids);
}

TEST(Router, tied_groups_take_the_lower_index) {
    const RouterParams params = {.scoring = RouterScoring::kSigmoid,
                                 .group_score = GroupScore::kTopTwoSum,
                                 .n_group = 3,
                                 .topk_group = 1,
                                 .top_k = 2};
    EXPECT_EQ((Ids{0, 1}), route({1, 1, 1, 1, 1, 1}, params).ids);
}

TEST(Router, the_bias_chooses_but_does_not_weigh) {
    const std::vector<float> bias = {0, 0, 0, 5};
    const Routed routed = route({3, 2, 1, 0}, {.scoring = RouterScoring::kSigmoid,
                                               .top_k = 2,
                                               .norm_topk_prob = true,
                                               .routed_scaling_factor = 2.5F,
                                               .selection_bias = bias.data()});
    EXPECT_EQ((Ids{3, 0}), routed.ids);
    const float sum = sigmoid(0) + sigmoid(3);
    EXPECT_NEAR(sigmoid(0) / sum * 2.5F, routed.weights[0], 1e-6F);
    EXPECT_NEAR(sigmoid(3) / sum * 2.5F, routed.weights[1], 1e-6F);
}

/// Two groups of three; the second has the largest single score, the first the best pair.
TEST(Router, groups_compete_by_their_best_two_or_by_their_best) {
    const std::vector<float> logits = {2, 2, -4, 3, -4, -4};
    RouterParams params = {.scoring = RouterScoring::kSigmoid,
                           .group_score = GroupScore::kTopTwoSum,
                           .n_group = 2,
                           .topk_group = 1,
                           .top_k = 2};
    EXPECT_EQ((Ids{0, 1}), route(logits, params).ids);
    params.group_score = GroupScore::kMax;
    EXPECT_EQ(3, route(logits, params).ids[0]);
}

/// With every biased score below zero a mask of 0 would prefer the dropped group.
TEST(Router, negative_biases_do_not_let_a_dropped_group_back_in) {
    const std::vector<float> bias = {-3, -3, -5, -5};
    const Routed routed = route({1, 0, 3, 3}, {.scoring = RouterScoring::kSigmoid,
                                               .group_score = GroupScore::kTopTwoSum,
                                               .n_group = 2,
                                               .topk_group = 1,
                                               .top_k = 2,
                                               .selection_bias = bias.data()});
    EXPECT_EQ((Ids{0, 1}), routed.ids);
    EXPECT_NEAR(sigmoid(1), routed.weights[0], 1e-6F);
}

/// V2 sets the scores of dropped groups to 0, also where they are chosen to fill up.
TEST(Router, dropped_groups_of_v2_weigh_nothing) {
    const Routed routed = route({1, 5, 0, 0}, {.group_score = GroupScore::kMax,
                                               .n_group = 4,
                                               .topk_group = 1,
                                               .top_k = 2,
                                               .scale_after_norm = false});
    EXPECT_EQ((Ids{1, 0}), routed.ids);
    EXPECT_EQ(0.0F, routed.weights[1]);
}

TEST(Router, v3_normalises_and_scales_while_v2_does_one_of_them) {
    RouterParams params = {.scoring = RouterScoring::kSigmoid,
                           .top_k = 2,
                           .norm_topk_prob = true,
                           .routed_scaling_factor = 16,
                           .scale_after_norm = true};
    const auto total = [&] {
        const Routed routed = route({0, 0, -9}, params);
        return routed.weights[0] + routed.weights[1];
    };
    EXPECT_NEAR(16.0F, total(), 1e-5F);
    params.norm_topk_prob = false;
    EXPECT_NEAR(16.0F, total(), 1e-5F);  // 16 * (0.5 + 0.5)
    params.scale_after_norm = false;
    EXPECT_NEAR(16.0F, total(), 1e-5F);
    params.norm_topk_prob = true;
    EXPECT_NEAR(1.0F, total(), 1e-6F);
    params.top_k = 1;  // V2's branch asks for more than one expert
    EXPECT_NEAR(8.0F, route({0, 0, -9}, params).weights[0], 1e-5F);
}

/// A broken model must not make the expert bank read out of bounds.
TEST(Router, ids_stay_valid_and_distinct_whatever_the_logits_are) {
    const float nan = std::nanf("");
    const float inf = std::numeric_limits<float>::infinity();
    const std::vector<std::vector<float>> rows = {
        std::vector<float>(8, nan),
        std::vector<float>(8, inf),
        std::vector<float>(8, -inf),
        {nan, 1, nan, 2, nan, 3, nan, 4},
        {inf, -inf, nan, 0, inf, -inf, nan, 0},
    };
    for (const auto scoring : {RouterScoring::kSoftmax, RouterScoring::kSigmoid}) {
        for (const auto group : {GroupScore::kNone, GroupScore::kMax, GroupScore::kTopTwoSum}) {
            for (const std::vector<float>& logits : rows) {
                const Routed routed = route(logits, {.scoring = scoring,
                                                     .group_score = group,
                                                     .n_group = 4,
                                                     .topk_group = 2,
                                                     .top_k = 6,
                                                     .norm_topk_prob = true});
                const std::set<int32_t> distinct(routed.ids.begin(), routed.ids.end());
                EXPECT_EQ(6U, distinct.size());
                EXPECT_GE(*distinct.begin(), 0);
                EXPECT_LT(*distinct.rbegin(), 8);
            }
        }
    }
}

}  // namespace
}  // namespace nereus
