#include "model/blocks/rope_table.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "base/units.h"

namespace nereus {
namespace {

constexpr int64_t kPositionsGrain = 256;

/// theta^(2i/width) in float, as torch computes `base ** (arange(0, dim, 2) / dim)`.
std::vector<float> plain_periods(double theta, int64_t width) {
    std::vector<float> periods;
    for (int64_t i = 0; i < width; i += 2) {
        const float exponent = static_cast<float>(i) / static_cast<float>(width);
        periods.push_back(static_cast<float>(std::pow(theta, static_cast<double>(exponent))));
    }
    return periods;
}

/// The dimension whose wave turns r times over the original context.
double yarn_dimension(double r, double theta, int64_t width, double original) {
    return static_cast<double>(width) * std::log(original / (r * 2 * std::numbers::pi)) /
           (2 * std::log(theta));
}

void apply_yarn(const RopeScaling& scaling, double theta, int64_t width,
                const std::vector<float>& periods, std::vector<float>& frequencies) {
    const auto original = static_cast<double>(scaling.original_max_position_embeddings);
    const double low =
        std::max(std::floor(yarn_dimension(scaling.beta_fast, theta, width, original)), 0.0);
    double high = std::min(std::ceil(yarn_dimension(scaling.beta_slow, theta, width, original)),
                           static_cast<double>(width - 1));
    high = low == high ? high + 0.001 : high;
    for (size_t i = 0; i < frequencies.size(); ++i) {
        const auto position = static_cast<float>((static_cast<double>(i) - low) / (high - low));
        const float extrapolated = 1.0F - std::clamp(position, 0.0F, 1.0F);
        const float interpolated = 1.0F / (static_cast<float>(scaling.factor) * periods[i]);
        frequencies[i] = interpolated * (1.0F - extrapolated) + frequencies[i] * extrapolated;
    }
}

void apply_llama3(const RopeScaling& scaling, std::vector<float>& frequencies) {
    const auto original = static_cast<double>(scaling.original_max_position_embeddings);
    const double low_wavelength = original / scaling.low_freq_factor;
    const double high_wavelength = original / scaling.high_freq_factor;
    for (float& frequency : frequencies) {
        const double f = frequency;
        const double wavelength = 2 * std::numbers::pi / f;
        if (wavelength > low_wavelength) {
            frequency = static_cast<float>(f / scaling.factor);
        } else if (wavelength >= high_wavelength) {
            const double smooth = (original / wavelength - scaling.low_freq_factor) /
                                  (scaling.high_freq_factor - scaling.low_freq_factor);
            frequency = static_cast<float>((1 - smooth) * f / scaling.factor + smooth * f);
        }
    }
}

}  // namespace

std::vector<float> rope_frequencies(const ModelConfig& config, int64_t width) {
    const RopeScaling& scaling = config.rope_scaling;
    const std::vector<float> periods = plain_periods(config.rope_theta, width);
    std::vector<float> frequencies;
    for (const float period : periods) {
        frequencies.push_back(1.0F / period);
    }
    if (scaling.type == RopeScalingType::kYarn) {
        apply_yarn(scaling, config.rope_theta, width, periods, frequencies);
    } else if (scaling.type == RopeScalingType::kLlama3) {
        apply_llama3(scaling, frequencies);
    } else if (scaling.type == RopeScalingType::kLinear) {
        for (float& frequency : frequencies) {
            frequency /= static_cast<float>(scaling.factor);
        }
    }
    for (size_t i = 0; i < scaling.factors.size() && i < frequencies.size(); ++i) {
        frequencies[i] /= scaling.factors[i];
    }
    return frequencies;
}

RopeTable::RopeTable(const ModelConfig& config, int64_t width)
    : frequencies_(rope_frequencies(config, width)) {
    const RopeScaling& scaling = config.rope_scaling;
    if (scaling.type == RopeScalingType::kYarn) {
        magnitude_ = static_cast<float>(yarn_mscale(scaling.factor, scaling.mscale) /
                                        yarn_mscale(scaling.factor, scaling.mscale_all_dim));
    }
}

void RopeTable::ensure(int64_t n_positions) {
    if (n_positions <= n_positions_) {
        return;
    }
    n_positions = round_up(n_positions, kPositionsGrain);
    const size_t half = frequencies_.size();
    cos_.resize(static_cast<size_t>(n_positions) * half);
    sin_.resize(static_cast<size_t>(n_positions) * half);
    for (int64_t p = n_positions_; p < n_positions; ++p) {
        for (size_t i = 0; i < half; ++i) {
            const float angle = static_cast<float>(p) * frequencies_[i];
            const size_t at = static_cast<size_t>(p) * half + i;
            cos_[at] = static_cast<float>(std::cos(static_cast<double>(angle))) * magnitude_;
            sin_[at] = static_cast<float>(std::sin(static_cast<double>(angle))) * magnitude_;
        }
    }
    n_positions_ = n_positions;
}

}  // namespace nereus
