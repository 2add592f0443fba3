#include "apps/logit_compare.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/check.h"

namespace nereus {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// What the softmax of a row needs: ln of the sum of exponentials, and the largest column.
struct RowScale {
    double log_sum = 0;
    int64_t top = 0;
};

Result<RowScale> scale_of(const float* logits, int64_t n, const char* side, size_t position) {
    RowScale scale;
    for (int64_t i = 0; i < n; ++i) {
        if (std::isnan(logits[i]) || double{logits[i]} == kInfinity) {
            return make_error(ErrorCode::kCorrupt,
                              "position {}: the {}'s logit of token {} is {}; expected a finite "
                              "number or -inf",
                              position, side, i, logits[i]);
        }
        if (logits[i] > logits[scale.top]) {
            scale.top = i;
        }
    }
    const double top = logits[scale.top];
    if (top == -kInfinity) {
        return make_error(ErrorCode::kCorrupt,
                          "position {}: all {} logits of the {} are -inf; expected a finite one",
                          position, n, side);
    }
    double sum = 0;
    for (int64_t i = 0; i < n; ++i) {
        sum += std::exp(double{logits[i]} - top);
    }
    scale.log_sum = top + std::log(sum);
    return scale;
}

}  // namespace

double quantile(const std::vector<double>& ascending, double p) {
    NEREUS_CHECK(!ascending.empty());
    const double place = p * static_cast<double>(ascending.size() - 1);
    const auto below = static_cast<size_t>(place);
    const size_t above = std::min(below + 1, ascending.size() - 1);
    const double share = place - static_cast<double>(below);
    if (share == 0 || ascending[below] == ascending[above]) {  // also keeps inf - inf out
        return ascending[below];
    }
    return ascending[below] + share * (ascending[above] - ascending[below]);
}

Status LogitComparison::add(const float* reference, const float* model, int64_t n,
                            std::optional<int32_t> next) {
    const size_t position = divergences_.size();
    const RowScale r = NEREUS_TRY(scale_of(reference, n, "reference", position));
    const RowScale m = NEREUS_TRY(scale_of(model, n, "model", position));
    double divergence = 0;
    for (int64_t i = 0; i < n; ++i) {
        const double log_r = double{reference[i]} - r.log_sum;
        if (log_r != -kInfinity) {
            divergence += std::exp(log_r) * (log_r - (double{model[i]} - m.log_sum));
        }
    }
    // Rounding may leave -1e-17 where the truth is 0; no divergence is negative.
    divergences_.push_back(std::max(divergence, 0.0));
    n_same_top_ += r.top == m.top ? 1 : 0;
    if (next) {
        const double log_r = double{reference[*next]} - r.log_sum;
        const double log_m = double{model[*next]} - m.log_sum;
        difference_sum_ += log_r == log_m ? 0 : std::abs(log_m - log_r);
        nll_reference_ -= log_r;
        nll_model_ -= log_m;
        ++n_followed_;
    }
    return {};
}

LogitSummary LogitComparison::summary() const {
    NEREUS_CHECK(!divergences_.empty());
    std::vector<double> sorted = divergences_;
    std::sort(sorted.begin(), sorted.end());
    double sum = 0;
    for (const double divergence : sorted) {
        sum += divergence;
    }
    const auto n = static_cast<double>(sorted.size());
    LogitSummary summary;
    summary.n_positions = static_cast<int64_t>(sorted.size());
    summary.kl_mean = sum / n;
    summary.kl_median = quantile(sorted, 0.5);
    summary.kl_quantile_999 = quantile(sorted, 0.999);
    summary.kl_max = sorted.back();
    summary.top1_agreement = static_cast<double>(n_same_top_) / n;
    summary.n_followed = n_followed_;
    if (n_followed_ > 0) {
        const auto followed = static_cast<double>(n_followed_);
        summary.log_p_difference = difference_sum_ / followed;
        summary.ppl_reference = std::exp(nll_reference_ / followed);
        summary.ppl_model = std::exp(nll_model_ / followed);
    }
    return summary;
}

}  // namespace nereus
