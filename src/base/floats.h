#pragma once
// Small floating-point formats to and from float. All widenings are exact; all narrowings round to
// nearest even. Sources: OCP FP8 (e4m3fn, e5m2) and OCP MX 1.0 (e2m1, e8m0); IEEE 754 for binary16.

#include <bit>
#include <cmath>
#include <cstdint>

namespace nereus {

inline float bf16_to_f32(uint16_t bits) { return std::bit_cast<float>(uint32_t{bits} << 16); }

inline uint16_t f32_to_bf16(float value) {
    const auto bits = std::bit_cast<uint32_t>(value);
    if ((bits & 0x7fffffffU) > 0x7f800000U) {
        return static_cast<uint16_t>((bits >> 16) | 0x40U);  // keep NaN a NaN
    }
    return static_cast<uint16_t>((bits + 0x7fffU + ((bits >> 16) & 1U)) >> 16);
}

inline float f16_to_f32(uint16_t bits) {
    const uint32_t sign = uint32_t{bits & 0x8000U} << 16;
    const uint32_t exponent = (bits >> 10) & 0x1fU;
    const uint32_t mantissa = bits & 0x3ffU;
    if (exponent == 0) {  // zero or subnormal: mantissa * 2^-24
        const float magnitude = static_cast<float>(mantissa) * 0x1p-24F;
        return sign != 0 ? -magnitude : magnitude;
    }
    const uint32_t wide = exponent == 31 ? 0x7f800000U : (exponent + 112) << 23;
    return std::bit_cast<float>(sign | wide | (mantissa << 13));
}

/// Rounds to nearest even; overflow gives infinity.
inline uint16_t f32_to_f16(float value) {
    const auto bits = std::bit_cast<uint32_t>(value);
    const auto sign = static_cast<uint16_t>((bits >> 16) & 0x8000U);
    const uint32_t magnitude = bits & 0x7fffffffU;
    if (magnitude > 0x7f800000U) {
        return static_cast<uint16_t>(sign | 0x7e00U);
    }
    if (magnitude >= 0x477ff000U) {  // rounds to 65536 or more
        return static_cast<uint16_t>(sign | 0x7c00U);
    }
    if (magnitude < 0x38800000U) {  // below 2^-14: subnormal result, let the adder round
        const float shifted = std::bit_cast<float>(magnitude) + 0.5F;
        return static_cast<uint16_t>(sign | (std::bit_cast<uint32_t>(shifted) - 0x3f000000U));
    }
    const uint32_t rounded = magnitude + 0xfffU + ((magnitude >> 13) & 1U);
    return static_cast<uint16_t>(sign | ((rounded - 0x38000000U) >> 13));
}

/// FP8 E4M3FN: bias 7, no infinity, NaN only at 0x7f and 0xff, largest value 448.
inline float e4m3_to_f32(uint8_t bits) {
    const uint32_t sign = uint32_t{bits & 0x80U} << 24;
    const uint32_t exponent = (bits >> 3) & 0xfU;
    const uint32_t mantissa = bits & 7U;
    if ((bits & 0x7fU) == 0x7fU) {
        return std::bit_cast<float>(sign | 0x7fc00000U);
    }
    if (exponent == 0) {
        const float magnitude = static_cast<float>(mantissa) * 0x1p-9F;
        return sign != 0 ? -magnitude : magnitude;
    }
    return std::bit_cast<float>(sign | ((exponent + 120) << 23) | (mantissa << 20));
}

/// OCP MX scale: 2^(bits - 127); 255 is NaN.
inline float e8m0_to_f32(uint8_t bits) {
    if (bits == 255) {
        return std::bit_cast<float>(0x7fc00000U);
    }
    return bits == 0 ? 0x1p-127F : std::bit_cast<float>(uint32_t{bits} << 23);
}

/// FP4 E2M1: bit 3 is the sign, magnitudes 0, 0.5, 1, 1.5, 2, 3, 4, 6.
inline float e2m1_to_f32(uint8_t nibble) {
    static constexpr float kMagnitudes[8] = {0.0F, 0.5F, 1.0F, 1.5F, 2.0F, 3.0F, 4.0F, 6.0F};
    const float magnitude = kMagnitudes[nibble & 7U];
    return (nibble & 8U) != 0 ? -magnitude : magnitude;
}

}  // namespace nereus
