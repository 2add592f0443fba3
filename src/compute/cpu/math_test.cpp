#include "compute/cpu/math.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "compute/backend.h"
#include "compute/cpu/isa.h"

namespace nereus {
namespace {

/// Every 1,009th float: 4 million values over all exponents, both signs.
std::vector<float> floats_of_every_size() {
    std::vector<float> values;
    for (uint64_t bits = 0; bits < (uint64_t{1} << 32); bits += 1009) {
        const float value = float_of_bits(static_cast<uint32_t>(bits));
        if (!std::isnan(value)) {
            values.push_back(value);
        }
    }
    return values;
}

double ulp_of(float value) {
    return double{std::nextafter(std::fabs(value), std::numeric_limits<float>::infinity())} -
           double{std::fabs(value)};
}

TEST(Exp, is_within_one_and_a_half_ulp_wherever_it_is_finite) {
    double worst = 0;
    for (const float x : floats_of_every_size()) {
        const double expected = std::exp(double{x});
        const auto nearest = static_cast<float>(expected);
        if (std::isinf(nearest)) {
            ASSERT_TRUE(std::isinf(exp_shared(x))) << x;
            continue;
        }
        worst = std::max(worst, std::fabs(double{exp_shared(x)} - expected) / ulp_of(nearest));
    }
    EXPECT_LT(worst, 1.5);
    EXPECT_GT(worst, 0.5);  // the measure works
}

TEST(Exp, has_the_limits_of_an_exponential) {
    constexpr float kInfinity = std::numeric_limits<float>::infinity();
    EXPECT_EQ(1.0F, exp_shared(0.0F));
    EXPECT_EQ(1.0F, exp_shared(-0.0F));
    EXPECT_EQ(0.0F, exp_shared(-kInfinity));
    EXPECT_EQ(0.0F, exp_shared(-104.5F));
    EXPECT_EQ(kInfinity, exp_shared(kInfinity));
    EXPECT_EQ(kInfinity, exp_shared(89.0F));
    EXPECT_LT(exp_shared(88.7F), kInfinity);
    EXPECT_GT(exp_shared(-103.0F), 0.0F);  // subnormal
    EXPECT_TRUE(std::isnan(exp_shared(std::nanf(""))));
}

TEST(Exp, has_the_same_bits_in_every_table) {
    const std::vector<float> x = floats_of_every_size();
    std::vector<float> expected(x.size());
    select_kernels("portable")->exp_row(x.data(), static_cast<int64_t>(x.size()), expected.data());
    for (const std::string& isa : available_isas()) {
        std::vector<float> found(x.size());
        select_kernels(isa)->exp_row(x.data(), static_cast<int64_t>(x.size()), found.data());
        EXPECT_EQ(0, std::memcmp(expected.data(), found.data(), x.size() * sizeof(float))) << isa;
    }
}

TEST(Softmax, of_any_length_sums_to_one_and_has_the_same_bits_in_every_table) {
    for (const int64_t n : {1, 2, 15, 16, 17, 31, 100, 1000}) {
        std::vector<float> scores;
        for (int64_t i = 0; i < n; ++i) {
            scores.push_back(static_cast<float>((i * 37) % 101) / 10.0F - 3.0F);
        }
        std::vector<float> expected = scores;
        float top = 0;
        const float sum = select_kernels("portable")->softmax_row(expected.data(), n, 0.7F, &top);
        EXPECT_EQ(top, *std::max_element(scores.begin(), scores.end()) * 0.7F);
        double total = 0;
        for (const float e : expected) {
            total += double{e};
        }
        EXPECT_NEAR(total, double{sum}, total * static_cast<double>(n) * 0x1p-24);
        for (const std::string& isa : available_isas()) {
            std::vector<float> found = scores;
            float found_top = 0;
            EXPECT_EQ(sum, select_kernels(isa)->softmax_row(found.data(), n, 0.7F, &found_top))
                << isa;
            EXPECT_EQ(top, found_top) << isa;
            EXPECT_EQ(expected, found) << isa << ", " << n;
        }
    }
}

}  // namespace
}  // namespace nereus
