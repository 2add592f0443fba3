#include "base/floats.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "base/rng.h"

namespace nereus {
namespace {

/// The value of a small format by its definition, in double.
double by_definition(uint32_t bits, int exponent_bits, int mantissa_bits, int bias) {
    const int sign = (bits >> (exponent_bits + mantissa_bits)) & 1U ? -1 : 1;
    const auto exponent = static_cast<int>((bits >> mantissa_bits) & ((1U << exponent_bits) - 1));
    const double mantissa = (bits & ((1U << mantissa_bits) - 1)) / std::ldexp(1.0, mantissa_bits);
    return sign * (exponent == 0 ? std::ldexp(mantissa, 1 - bias)
                                 : std::ldexp(1 + mantissa, exponent - bias));
}

/// Rounds a non-negative number to a multiple of `step`, ties to even, in double.
double round_to(double value, double step) { return std::nearbyint(value / step) * step; }

/// What binary16 holds for `value`, in double arithmetic.
double slow_f16(double value) {
    const double magnitude = std::fabs(value);
    int exponent = 0;
    std::frexp(magnitude, &exponent);
    const int lowest = std::max(exponent - 1, -14);
    const double rounded = round_to(magnitude, std::ldexp(1.0, lowest - 10));
    return std::copysign(rounded >= 65536 ? INFINITY : rounded, value);
}

/// What bfloat16 holds for `value`.
double slow_bf16(double value) {
    const double magnitude = std::fabs(value);
    int exponent = 0;
    std::frexp(magnitude, &exponent);
    const int lowest = std::max(exponent - 1, -126);
    const double rounded = round_to(magnitude, std::ldexp(1.0, lowest - 7));
    return std::copysign(rounded >= std::ldexp(1.0, 128) ? INFINITY : rounded, value);
}

TEST(Floats, every_e4m3_byte_has_the_value_of_its_definition) {
    for (uint32_t bits = 0; bits < 256; ++bits) {
        const float value = e4m3_to_f32(static_cast<uint8_t>(bits));
        if ((bits & 0x7fU) == 0x7fU) {
            EXPECT_TRUE(std::isnan(value)) << bits;
        } else {
            EXPECT_EQ(static_cast<double>(value), by_definition(bits, 4, 3, 7)) << bits;
            EXPECT_EQ(std::signbit(value), bits >= 128) << bits;
        }
    }
}

TEST(Floats, every_finite_f16_has_the_value_of_its_definition) {
    for (uint32_t bits = 0; bits < 65536; ++bits) {
        const float value = f16_to_f32(static_cast<uint16_t>(bits));
        const bool special = (bits & 0x7c00U) == 0x7c00U;
        if (!special) {
            ASSERT_EQ(static_cast<double>(value), by_definition(bits, 5, 10, 15)) << bits;
        } else if ((bits & 0x3ffU) == 0) {
            ASSERT_TRUE(std::isinf(value)) << bits;
        } else {
            ASSERT_TRUE(std::isnan(value)) << bits;
        }
        ASSERT_EQ(std::signbit(value), bits >= 32768) << bits;
    }
}

TEST(Floats, every_e8m0_byte_is_a_power_of_two) {
    for (int bits = 0; bits < 255; ++bits) {
        EXPECT_EQ(static_cast<double>(e8m0_to_f32(static_cast<uint8_t>(bits))),
                  std::ldexp(1.0, bits - 127));
    }
    EXPECT_TRUE(std::isnan(e8m0_to_f32(255)));
}

TEST(Floats, every_e2m1_nibble_has_the_value_of_its_definition) {
    for (uint32_t bits = 0; bits < 16; ++bits) {
        EXPECT_EQ(static_cast<double>(e2m1_to_f32(static_cast<uint8_t>(bits))),
                  by_definition(bits, 2, 1, 1))
            << bits;
    }
}

TEST(Floats, f16_rounds_a_million_random_numbers_as_a_slow_reference) {
    for (uint64_t i = 0; i < 1'000'000; ++i) {
        // Exponents around binary16's range, all mantissas.
        const uint64_t random = random_bits(3, 0, i);
        const auto exponent = static_cast<uint32_t>(95 + (random >> 40) % 55);
        const float value =
            std::bit_cast<float>((static_cast<uint32_t>(random) & 0x807fffffU) | (exponent << 23));
        ASSERT_EQ(static_cast<double>(f16_to_f32(f32_to_f16(value))),
                  slow_f16(static_cast<double>(value)))
            << std::hexfloat << value;
    }
}

TEST(Floats, bf16_rounds_random_bit_patterns_as_a_slow_reference) {
    for (uint64_t i = 0; i < 500'000; ++i) {
        const auto value = std::bit_cast<float>(static_cast<uint32_t>(random_bits(4, 0, i)));
        if (!std::isfinite(value)) {
            continue;
        }
        ASSERT_EQ(static_cast<double>(bf16_to_f32(f32_to_bf16(value))),
                  slow_bf16(static_cast<double>(value)))
            << std::hexfloat << value;
    }
}

TEST(Floats, halfway_between_any_two_neighbours_the_even_one_is_taken) {
    for (uint32_t bits = 0; bits < 0x7bff; ++bits) {
        const float low = f16_to_f32(static_cast<uint16_t>(bits));
        const float high = f16_to_f32(static_cast<uint16_t>(bits + 1));
        const float middle = low + (high - low) / 2;  // exact in float
        const uint32_t even = bits + (bits & 1U);
        ASSERT_EQ(f32_to_f16(middle), even) << bits;
        ASSERT_EQ(f32_to_f16(-middle), even | 0x8000U) << bits;
        ASSERT_EQ(f32_to_f16(std::nextafter(middle, low)), bits);
        ASSERT_EQ(f32_to_f16(std::nextafter(middle, high)), bits + 1);
    }
    for (uint32_t bits = 0; bits < 0x7f7f; ++bits) {
        const uint32_t middle = (bits << 16) | 0x8000U;
        ASSERT_EQ(f32_to_bf16(std::bit_cast<float>(middle)), bits + (bits & 1U));
        ASSERT_EQ(f32_to_bf16(std::bit_cast<float>(middle - 1)), bits);
        ASSERT_EQ(f32_to_bf16(std::bit_cast<float>(middle + 1)), bits + 1);
    }
}

TEST(Floats, nan_stays_nan_with_its_sign_whatever_its_payload) {
    for (const uint32_t bits : {0x7f800001U, 0x7fc00000U, 0x7fffffffU, 0xff800001U, 0xffffffffU}) {
        const auto value = std::bit_cast<float>(bits);
        EXPECT_TRUE(std::isnan(f16_to_f32(f32_to_f16(value)))) << bits;
        EXPECT_TRUE(std::isnan(bf16_to_f32(f32_to_bf16(value)))) << bits;
        EXPECT_EQ(f32_to_f16(value) >> 15, bits >> 31);
        EXPECT_EQ(f32_to_bf16(value) >> 15, bits >> 31);
    }
}

TEST(Floats, what_is_too_large_becomes_infinity_and_what_is_too_small_a_signed_zero) {
    const float largest = std::numeric_limits<float>::max();
    EXPECT_EQ(f32_to_f16(largest), 0x7c00);
    EXPECT_EQ(f32_to_f16(-INFINITY), 0xfc00);
    EXPECT_EQ(f32_to_bf16(largest), 0x7f80);
    EXPECT_EQ(f32_to_bf16(-largest), 0xff80);
    EXPECT_EQ(f32_to_f16(-0x1p-149F), 0x8000);
    EXPECT_EQ(f32_to_f16(0x1.000002p-25F), 0x0001);
    EXPECT_EQ(f32_to_bf16(-0.0F), 0x8000);
}

}  // namespace
}  // namespace nereus
