#include "compute/cpu/router.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace nereus {
namespace {

constexpr float kMinusInfinity = -std::numeric_limits<float>::infinity();

void score_softmax(const KernelTable& kernels, const float* logits, int64_t n, float* scores) {
    std::copy(logits, logits + n, scores);
    float highest = 0.0F;
    const float sum = kernels.softmax_row(scores, n, 1.0F, &highest);
    for (int64_t i = 0; i < n; ++i) {
        scores[i] /= sum;
    }
}

void score_sigmoid(const KernelTable& kernels, const float* logits, int64_t n, float* scores) {
    for (int64_t i = 0; i < n; ++i) {
        scores[i] = -logits[i];
    }
    kernels.exp_row(scores, n, scores);
    for (int64_t i = 0; i < n; ++i) {
        scores[i] = 1.0F / (1.0F + scores[i]);
    }
}

/// Index of the largest key, the lowest one among equals, and removes it. An index that was taken
/// is marked in `taken` (1.0), so that even a row of -infinities yields distinct indices.
int64_t take_best(const float* keys, float* taken, int64_t n) {
    int64_t best = -1;
    for (int64_t i = 0; i < n; ++i) {
        if (taken[i] == 0.0F && (best < 0 || keys[i] > keys[best])) {
            best = i;
        }
    }
    taken[best] = 1.0F;
    return best;
}

float group_score(GroupScore rule, const float* keys, int64_t n) {
    float first = kMinusInfinity;
    float second = kMinusInfinity;
    for (int64_t i = 0; i < n; ++i) {
        if (keys[i] > first) {
            second = first;
            first = keys[i];
        } else if (keys[i] > second) {
            second = keys[i];
        }
    }
    return rule == GroupScore::kTopTwoSum && n > 1 ? first + second : first;
}

/// Keeps the best topk_group groups. The others' keys become what the family's reference writes:
/// -infinity for V3 (kTopTwoSum; biased keys may be negative), 0 for V2 (kMax), with the score.
void mask_groups(const RouterParams& params, int64_t n_experts, float* scores, float* keys,
                 float* groups) {
    const int64_t size = n_experts / params.n_group;
    float* dropped = groups + params.n_group;
    std::fill(dropped, dropped + params.n_group, 0.0F);
    for (int64_t g = 0; g < params.n_group; ++g) {
        groups[g] = group_score(params.group_score, keys + g * size, size);
    }
    for (int64_t i = 0; i < params.topk_group; ++i) {
        take_best(groups, dropped, params.n_group);  // marks the kept ones with 1
    }
    for (int64_t g = 0; g < params.n_group; ++g) {
        if (dropped[g] != 0.0F) {
            continue;
        }
        if (params.group_score == GroupScore::kMax) {
            std::fill_n(scores + g * size, size, 0.0F);
            std::fill_n(keys + g * size, size, 0.0F);
        } else {
            std::fill_n(keys + g * size, size, kMinusInfinity);
        }
    }
}

void finish_weights(const RouterParams& params, float* weights) {
    const bool normalise = params.norm_topk_prob && (params.scale_after_norm || params.top_k > 1);
    if (normalise) {
        float sum = 0.0F;
        for (int64_t j = 0; j < params.top_k; ++j) {
            sum += weights[j];
        }
        for (int64_t j = 0; j < params.top_k; ++j) {
            weights[j] /= sum + 1e-20F;
        }
    }
    if (params.scale_after_norm || !normalise) {
        for (int64_t j = 0; j < params.top_k; ++j) {
            weights[j] *= params.routed_scaling_factor;
        }
    }
}

}  // namespace

int64_t router_scratch_floats(int64_t n_experts, const RouterParams& params) {
    return 3 * n_experts + 2 * params.n_group;
}

void route_token(const KernelTable& kernels, const float* logits, int64_t n_experts,
                 const RouterParams& params, float* scratch, int32_t* ids, float* weights) {
    float* scores = scratch;
    float* keys = scores + n_experts;
    float* taken = keys + n_experts;
    float* groups = taken + n_experts;
    const auto score = params.scoring == RouterScoring::kSoftmax ? score_softmax : score_sigmoid;
    score(kernels, logits, n_experts, scores);
    for (int64_t e = 0; e < n_experts; ++e) {
        const float bias = params.selection_bias == nullptr ? 0.0F : params.selection_bias[e];
        keys[e] = scores[e] + bias;
        keys[e] = std::isnan(keys[e]) ? kMinusInfinity : keys[e];
        taken[e] = 0.0F;
    }
    if (params.group_score != GroupScore::kNone) {
        mask_groups(params, n_experts, scores, keys, groups);
    }
    for (int64_t j = 0; j < params.top_k; ++j) {
        const int64_t best = take_best(keys, taken, n_experts);
        ids[j] = static_cast<int32_t>(best);
        weights[j] = scores[best];
    }
    finish_weights(params, weights);
}

}  // namespace nereus
