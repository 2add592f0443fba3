// route_experts against the routers of the papers by brute force in double precision, over random
// shapes, for every method; ties, biases and masks decided by exact scores.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <vector>

#include "base/rng.h"
#include "base/thread_pool.h"
#include "compute/backend.h"

namespace nereus {
namespace {

struct Choice {
    std::vector<int32_t> ids;
    std::vector<double> weights;
};

std::vector<double> scores_of(const std::vector<float>& logits, RouterScoring scoring) {
    std::vector<double> scores;
    double sum = 0;
    const double largest = static_cast<double>(*std::max_element(logits.begin(), logits.end()));
    for (const float logit : logits) {
        const double x = static_cast<double>(logit);
        scores.push_back(scoring == RouterScoring::kSigmoid ? 1 / (1 + std::exp(-x))
                                                            : std::exp(x - largest));
        sum += scores.back();
    }
    if (scoring == RouterScoring::kSoftmax) {
        for (double& score : scores) {
            score /= sum;
        }
    }
    return scores;
}

/// Groups in order of merit; the lower index first among equals.
std::vector<size_t> ranked_groups(const std::vector<double>& keys, const RouterParams& p) {
    const size_t size = keys.size() / static_cast<size_t>(p.n_group);
    std::vector<std::pair<double, size_t>> groups;
    for (size_t g = 0; g * size < keys.size(); ++g) {
        std::multiset<double, std::greater<>> members;
        for (size_t i = g * size; i < (g + 1) * size; ++i) {
            members.insert(keys[i]);
        }
        const double second = size > 1 ? *std::next(members.begin()) : 0;
        const bool two = p.group_score == GroupScore::kTopTwoSum;
        groups.emplace_back(-(*members.begin() + (two ? second : 0)), g);
    }
    std::sort(groups.begin(), groups.end());
    std::vector<size_t> order;
    for (const auto& [merit, g] : groups) {
        order.push_back(g);
    }
    return order;
}

/// models.md 4.3 and 4.4.
Choice brute_force(const std::vector<float>& logits, const RouterParams& p,
                   const std::vector<float>& bias) {
    std::vector<double> scores = scores_of(logits, p.scoring);
    std::vector<double> keys = scores;
    for (size_t i = 0; i < bias.size(); ++i) {
        keys[i] += static_cast<double>(bias[i]);
    }
    if (p.group_score != GroupScore::kNone) {
        const std::vector<size_t> order = ranked_groups(keys, p);
        const size_t size = keys.size() / order.size();
        for (size_t rank = static_cast<size_t>(p.topk_group); rank < order.size(); ++rank) {
            for (size_t i = order[rank] * size; i < (order[rank] + 1) * size; ++i) {
                const bool v2 = p.group_score == GroupScore::kMax;
                keys[i] = v2 ? 0 : -HUGE_VAL;
                scores[i] = v2 ? 0 : scores[i];
            }
        }
    }
    std::vector<std::pair<double, int32_t>> ranked;
    for (size_t i = 0; i < keys.size(); ++i) {
        ranked.emplace_back(-keys[i], static_cast<int32_t>(i));
    }
    std::sort(ranked.begin(), ranked.end());
    Choice choice;
    double sum = 0;
    for (int64_t j = 0; j < p.top_k; ++j) {
        choice.ids.push_back(ranked[static_cast<size_t>(j)].second);
        choice.weights.push_back(scores[static_cast<size_t>(choice.ids.back())]);
        sum += choice.weights.back();
    }
    const bool normalise = p.norm_topk_prob && (p.scale_after_norm || p.top_k > 1);
    for (double& weight : choice.weights) {
        weight = normalise ? weight / (sum + 1e-20) : weight;
        weight *=
            p.scale_after_norm || !normalise ? static_cast<double>(p.routed_scaling_factor) : 1;
    }
    return choice;
}

class RouterReference : public ::testing::Test {
  protected:
    /// n_tokens rows at once.
    void route(const std::vector<float>& logits, int64_t n_tokens, const RouterParams& params) {
        const auto n = static_cast<int64_t>(logits.size()) / n_tokens;
        ids_.assign(static_cast<size_t>(n_tokens * params.top_k), -1);
        weights_.assign(ids_.size(), NAN);
        backend_->route_experts({logits.data(), n_tokens, n, n}, params, ids_.data(),
                                weights_.data());
    }
    void expect_equal(const Choice& expected, size_t row = 0) const {
        const size_t k = expected.ids.size();
        for (size_t j = 0; j < k; ++j) {
            ASSERT_EQ(ids_[row * k + j], expected.ids[j]) << "choice " << j;
            ASSERT_NEAR(static_cast<double>(weights_[row * k + j]), expected.weights[j],
                        2e-6 * (1 + std::abs(expected.weights[j])));
        }
    }

    ThreadPool pool_{2};
    std::unique_ptr<Backend> backend_ = create_cpu_backend(pool_, "").value();
    std::vector<int32_t> ids_;
    std::vector<float> weights_;
};

int64_t pick(uint64_t seed, uint64_t i, int64_t low, int64_t high) {
    const auto n = static_cast<uint64_t>(high - low + 1);
    return low + static_cast<int64_t>(random_bits(seed, 4, i) % n);
}

RouterParams random_params(uint64_t seed, int64_t& n_experts) {
    RouterParams p;
    p.scoring = pick(seed, 0, 0, 1) == 0 ? RouterScoring::kSoftmax : RouterScoring::kSigmoid;
    p.group_score = static_cast<GroupScore>(pick(seed, 1, 0, 2));
    p.n_group = pick(seed, 2, 1, 8);
    p.topk_group = pick(seed, 3, 1, p.n_group);
    const int64_t size = pick(seed, 4, 1, 32);
    n_experts = p.n_group * size;
    p.top_k = pick(seed, 5, 1, std::min<int64_t>(p.topk_group * size, 12));
    p.norm_topk_prob = pick(seed, 6, 0, 1) == 1;
    p.scale_after_norm = pick(seed, 7, 0, 1) == 1;
    p.routed_scaling_factor = static_cast<float>(0.5 + 16 * random_unit(seed, 5, 0));
    return p;
}

TEST_F(RouterReference, equals_brute_force_for_every_method_over_random_shapes) {
    for (uint64_t seed = 0; seed < 600; ++seed) {
        SCOPED_TRACE(testing::Message() << "seed " << seed);
        int64_t n_experts = 0;
        RouterParams params = random_params(seed, n_experts);
        const int64_t n_tokens = pick(seed, 8, 1, 5);
        // Multiples of 1/64 keep distinct scores apart by more than a rounding, and give exact
        // ties.
        std::vector<float> logits, bias;
        for (int64_t i = 0; i < n_experts * n_tokens; ++i) {
            logits.push_back(
                static_cast<float>(pick(seed, 1000 + static_cast<uint64_t>(i), -192, 192)) / 64);
        }
        if (params.scoring == RouterScoring::kSigmoid && pick(seed, 9, 0, 1) == 1) {
            for (int64_t i = 0; i < n_experts; ++i) {
                bias.push_back(
                    static_cast<float>(pick(seed, 90000 + static_cast<uint64_t>(i), -40, 20)) *
                    0.0371F);
            }
            params.selection_bias = bias.data();
        }
        route(logits, n_tokens, params);
        for (int64_t t = 0; t < n_tokens; ++t) {
            const std::vector<float> row(logits.begin() + t * n_experts,
                                         logits.begin() + (t + 1) * n_experts);
            ASSERT_NO_FATAL_FAILURE(
                expect_equal(brute_force(row, params, bias), static_cast<size_t>(t)));
        }
    }
}

TEST_F(RouterReference, v3_chooses_eight_of_the_four_best_groups_of_32) {
    const RouterParams v3{.scoring = RouterScoring::kSigmoid,
                          .group_score = GroupScore::kTopTwoSum,
                          .n_group = 8,
                          .topk_group = 4,
                          .top_k = 8,
                          .norm_topk_prob = true,
                          .routed_scaling_factor = 2.5F};
    for (uint64_t seed = 0; seed < 50; ++seed) {
        std::vector<float> logits;
        for (uint64_t i = 0; i < 256; ++i) {
            logits.push_back(static_cast<float>(8 * random_unit(seed, 9, i) - 4));
        }
        route(logits, 1, v3);
        std::set<int32_t> groups;
        double sum = 0;
        for (size_t j = 0; j < 8; ++j) {
            groups.insert(ids_[j] / 32);
            sum += static_cast<double>(weights_[j]);
        }
        EXPECT_LE(groups.size(), 4U);
        EXPECT_NEAR(sum, 2.5, 1e-5) << "normalised, then scaled";
        ASSERT_NO_FATAL_FAILURE(expect_equal(brute_force(logits, v3, {})));
    }
}

TEST_F(RouterReference, adding_one_number_to_every_bias_changes_nothing) {
    for (uint64_t seed = 0; seed < 40; ++seed) {
        std::vector<float> logits, bias, shifted;
        for (uint64_t i = 0; i < 64; ++i) {
            logits.push_back(static_cast<float>(random_unit(seed, 1, i) * 6 - 3));
            bias.push_back(static_cast<float>(pick(seed, i, -16, 16)) / 32);
            shifted.push_back(bias.back() - 8);  // exact, and all keys negative
        }
        RouterParams params{.scoring = RouterScoring::kSigmoid,
                            .group_score = GroupScore::kTopTwoSum,
                            .n_group = 4,
                            .topk_group = 2,
                            .top_k = 6,
                            .norm_topk_prob = true};
        params.selection_bias = bias.data();
        route(logits, 1, params);
        std::set<int32_t> before(ids_.begin(), ids_.end());
        params.selection_bias = shifted.data();
        route(logits, 1, params);
        EXPECT_EQ(std::set<int32_t>(ids_.begin(), ids_.end()), before) << "seed " << seed;
    }
}

TEST_F(RouterReference, an_equal_row_routes_equally_wherever_it_stands_in_the_batch) {
    const RouterParams params{.top_k = 3, .scale_after_norm = false};
    std::vector<float> row;
    for (uint64_t i = 0; i < 24; ++i) {
        row.push_back(static_cast<float>(random_unit(7, 1, i)));
    }
    std::vector<float> logits;
    for (int t = 0; t < 33; ++t) {
        logits.insert(logits.end(), row.begin(), row.end());
    }
    route(logits, 33, params);
    for (size_t t = 1; t < 33; ++t) {
        for (size_t j = 0; j < 3; ++j) {
            ASSERT_EQ(ids_[t * 3 + j], ids_[j]);
            ASSERT_EQ(weights_[t * 3 + j], weights_[j]);
        }
    }
}

}  // namespace
}  // namespace nereus
