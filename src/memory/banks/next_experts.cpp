#include "memory/banks/next_experts.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"

namespace nereus {
namespace {

/// What was seen counts half after so many tokens with the same expert: topics change.
constexpr uint16_t kSeenMax = 4096;
/// Tokens' worth of the expert's share of all tokens, in a count that has seen few.
constexpr float kPrior = 4;
/// A token's experts say much the same, so that each of them counts half of what it would alone.
constexpr float kWeight = 0.5F;

}  // namespace

NextExperts::NextExperts(int64_t n_layers, int64_t n_experts)
    : n_layers_(n_layers),
      n_experts_(n_experts),
      counts_(static_cast<size_t>(n_layers * n_experts * (n_experts + 1))),
      shares_(static_cast<size_t>(n_experts)),
      likely_(static_cast<size_t>(n_experts)),
      uses_(static_cast<size_t>(n_experts)) {
    guesses_.reserve(static_cast<size_t>(n_experts));
}

std::span<uint16_t> NextExperts::followers(int32_t layer, int32_t expert_before) {
    const auto width = static_cast<size_t>(n_experts_ + 1);
    const auto row = static_cast<size_t>(layer * n_experts_ + expert_before);
    return std::span(counts_).subspan(row * width, width);
}

void NextExperts::count(int32_t layer, std::span<const int32_t> before,
                        std::span<const int32_t> now) {
    for (const int32_t expert : before) {
        const std::span<uint16_t> row = followers(layer, expert);
        if (row.back() == kSeenMax) {
            for (uint16_t& each : row) {
                each /= 2;
            }
        }
        ++row.back();
        for (const int32_t chosen : now) {
            ++row[static_cast<size_t>(chosen)];
        }
    }
}

void NextExperts::see(int32_t layer, std::span<const int32_t> choices, int64_t top_k) {
    NEREUS_CHECK(top_k > 0);
    NEREUS_CHECK(layer >= 0 && layer < n_layers_);
    const auto k = static_cast<size_t>(top_k);
    if (layer_ >= 0 && after(layer_) == layer && choices_.size() == choices.size()) {
        for (size_t token = 0; token + k <= choices.size(); token += k) {
            count(layer, std::span(choices_).subspan(token, k), choices.subspan(token, k));
        }
    }
    layer_ = layer;
    top_k_ = top_k;
    choices_.assign(choices.begin(), choices.end());
}

/// Adds one token's: Bayes' rule over the experts it had before, as if they were independent.
void NextExperts::expect(int32_t layer, std::span<const int32_t> before) {
    std::fill(likely_.begin(), likely_.end(), 0.0F);
    for (const int32_t expert : before) {
        const std::span<const uint16_t> row = followers(layer, expert);
        const float n_seen = kPrior + static_cast<float>(row.back());
        for (size_t e = 0; e < likely_.size(); ++e) {
            const float share = shares_[e];
            likely_[e] +=
                std::log((static_cast<float>(row[e]) + kPrior * share) / (n_seen * share));
        }
    }
    for (size_t e = 0; e < likely_.size(); ++e) {
        uses_[e] += std::min(1.0F, shares_[e] * std::exp(kWeight * likely_[e]));
    }
}

std::span<const NextExperts::Guess> NextExperts::foresee(float floor) {
    guesses_.clear();
    if (layer_ < 0) {
        return guesses_;
    }
    const int32_t layer = after(layer_);
    float n_chosen = 0;
    for (size_t e = 0; e < shares_.size(); ++e) {
        shares_[e] =
            0.5F + static_cast<float>(followers(after(layer), static_cast<int32_t>(e)).back());
        n_chosen += shares_[e];
    }
    for (float& share : shares_) {
        share = std::min(1.0F, share * static_cast<float>(top_k_) / n_chosen);
    }
    std::fill(uses_.begin(), uses_.end(), 0.0F);
    const auto k = static_cast<size_t>(top_k_);
    for (size_t token = 0; token + k <= choices_.size(); token += k) {
        expect(layer, std::span(choices_).subspan(token, k));
    }
    for (size_t e = 0; e < uses_.size(); ++e) {
        if (uses_[e] >= floor) {
            guesses_.push_back({static_cast<int32_t>(e), uses_[e]});
        }
    }
    std::sort(guesses_.begin(), guesses_.end(), [](const Guess& a, const Guess& b) {
        return a.n_uses != b.n_uses ? a.n_uses > b.n_uses : a.expert < b.expert;
    });
    return guesses_;
}

}  // namespace nereus
