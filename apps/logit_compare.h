#pragma once
// How far a model's logits are from a reference's, position by position: what a rounded model
// loses.

#include <cstdint>
#include <optional>
#include <vector>

#include "base/result.h"

namespace nereus {

/// Over all positions; p is the probability each model gives to the token that really follows.
struct LogitSummary {
    int64_t n_positions = 0;
    double kl_mean = 0, kl_median = 0, kl_quantile_999 = 0, kl_max = 0;
    double top1_agreement = 0;    ///< share of positions with the same most likely token
    int64_t n_followed = 0;       ///< positions whose next token is known; the rest is over them
    double log_p_difference = 0;  ///< mean |ln p_model - ln p_reference|
    double ppl_reference = 0, ppl_model = 0;
};

/// The p-quantile (0 to 1) of values in ascending order, between neighbours in proportion.
double quantile(const std::vector<double>& ascending, double p);

/// Collects positions. KL(reference || model) = sum of p_r (ln p_r - ln p_m), in double, from
/// log-softmax; a token that the reference excludes (-inf) adds nothing, one that only the model
/// excludes makes the position infinite.
class LogitComparison {
  public:
    /// Logits [n] of one position, and the token that follows it where there is one.
    /// errors: corrupt (NaN, +inf or nothing but -inf; names position, side and column)
    Status add(const float* reference, const float* model, int64_t n, std::optional<int32_t> next);
    /// At least one position was added.
    LogitSummary summary() const;

  private:
    std::vector<double> divergences_;
    int64_t n_same_top_ = 0, n_followed_ = 0;
    double difference_sum_ = 0, nll_reference_ = 0, nll_model_ = 0;
};

}  // namespace nereus
