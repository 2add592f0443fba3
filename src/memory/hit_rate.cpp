#include "memory/hit_rate.h"

#include <algorithm>
#include <cmath>
#include <iterator>

namespace nereus {
namespace {

/// At 0, 10, ... 100 % of the experts; the middle nine are measured.
constexpr double kHitRates[] = {0,      0.2967, 0.4986, 0.6226, 0.7171, 0.7929,
                                0.8554, 0.9071, 0.9496, 0.9813, 1};

}  // namespace

double expected_hit_rate(double share_cached) {
    constexpr double kSteps = std::size(kHitRates) - 1;
    const double at = std::clamp(share_cached, 0.0, 1.0) * kSteps;
    const auto below = static_cast<size_t>(std::min(std::floor(at), kSteps - 1));
    const double part = at - static_cast<double>(below);
    return kHitRates[below] + part * (kHitRates[below + 1] - kHitRates[below]);
}

}  // namespace nereus
