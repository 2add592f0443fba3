#include "base/rng.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace nereus {
namespace {

TEST(Rng, neighbouring_positions_streams_and_seeds_are_uncorrelated) {
    constexpr uint64_t kDraws = 20000;
    const auto correlation = [](auto first, auto second) {
        double sum = 0;
        for (uint64_t i = 0; i < kDraws; ++i) {
            sum += (first(i) - 0.5) * (second(i) - 0.5);
        }
        return sum / kDraws * 12;  // 1 for equal sequences; standard deviation 1/sqrt(draws)
    };
    const auto base = [](uint64_t i) { return random_unit(1, 2, i); };
    const double bound = 5 / std::sqrt(static_cast<double>(kDraws));
    EXPECT_NEAR(correlation(base, base), 1, 0.05);
    for (const uint64_t lag : {1, 2, 3, 64, 1 << 20}) {
        EXPECT_LT(
            std::abs(correlation(base, [&](uint64_t i) { return random_unit(1, 2, i + lag); })),
            bound);
        EXPECT_LT(
            std::abs(correlation(base, [&](uint64_t i) { return random_unit(1, 2 + lag, i); })),
            bound);
        EXPECT_LT(
            std::abs(correlation(base, [&](uint64_t i) { return random_unit(1 + lag, 2, i); })),
            bound);
    }
}

TEST(Rng, every_bit_is_set_half_of_the_time_and_numbers_stay_below_one) {
    std::vector<int> n_set(64);
    for (uint64_t i = 0; i < 20000; ++i) {
        const uint64_t bits = random_bits(0, 0, i);
        for (size_t b = 0; b < 64; ++b) {
            n_set[b] += static_cast<int>((bits >> b) & 1U);
        }
        const double unit = random_unit(0, 1, i);
        ASSERT_GE(unit, 0.0);
        ASSERT_LT(unit, 1.0);
    }
    for (size_t b = 0; b < 64; ++b) {
        EXPECT_NEAR(n_set[b], 10000, 5 * 71) << "bit " << b;  // five standard deviations
    }
}

}  // namespace
}  // namespace nereus
