#include "base/rng.h"

#include <gtest/gtest.h>

#include <bit>
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

/// A seed means the same text for ever: these were computed by another program from the formula.
TEST(Rng, bits_of_known_arguments_never_change) {
    constexpr uint64_t kTop = ~uint64_t{0};
    EXPECT_EQ(random_bits(0, 0, 0), 0xd9dfee5d0039b834U);
    EXPECT_EQ(random_bits(1, 2, 3), 0x5ddff0791e77cf58U);
    EXPECT_EQ(random_bits(kTop, kTop, kTop), 0x5d6fa012db0a163bU);
    EXPECT_EQ(random_bits(42, 0, 1000000), 0x58d5622878da3a81U);
    EXPECT_EQ(random_bits(7, uint64_t{1} << 63, 5), 0x607210c28aa2c653U);
    EXPECT_EQ(random_unit(1, 2, 3), static_cast<double>(0x5ddff0791e77cf58U >> 11) * 0x1p-53);
}

TEST(Rng, flipping_any_bit_of_any_argument_flips_about_half_of_the_result) {
    for (int bit = 0; bit < 64; ++bit) {
        const uint64_t flip = uint64_t{1} << bit;
        int n_flipped[3] = {};
        for (uint64_t i = 0; i < 200; ++i) {
            const uint64_t base = random_bits(i, 3 * i, i * i);
            n_flipped[0] += std::popcount(base ^ random_bits(i ^ flip, 3 * i, i * i));
            n_flipped[1] += std::popcount(base ^ random_bits(i, (3 * i) ^ flip, i * i));
            n_flipped[2] += std::popcount(base ^ random_bits(i, 3 * i, (i * i) ^ flip));
        }
        for (const int n : n_flipped) {
            EXPECT_NEAR(n, 6400, 5 * 57) << "bit " << bit;  // sqrt(12800) / 2 = 57
        }
    }
}

TEST(Rng, units_fill_equal_intervals_equally) {
    std::vector<double> counts(64);
    constexpr int kDraws = 64000;
    for (uint64_t i = 0; i < kDraws; ++i) {
        counts[static_cast<size_t>(random_unit(5, 0, i) * 64)] += 1;
    }
    double chi_square = 0;
    for (const double count : counts) {
        chi_square += (count - 1000) * (count - 1000) / 1000;
    }
    EXPECT_LT(chi_square, 63 + 5 * std::sqrt(2 * 63));
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
