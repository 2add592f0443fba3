#pragma once
// The one exponential of the engine, as constants and as scalar code. The wide kernels repeat the
// same operations lane by lane (wide/math.h), so every table gives the same bits.
//
// exp(x) = 2^n * exp(r), n = round(x / ln 2), |r| <= ln 2 / 2; exp(r) = 1 + r + r^2 q(r), q of
// degree 4 by minimax fit (relative error 3.6e-9, 0.06 ulp; measured over all floats: 1 ulp).

#include <cstdint>

namespace nereus {

inline constexpr float kExpLowest = -104.0F;  ///< exp of less rounds to 0
inline constexpr float kExpHighest = 89.0F;   ///< exp of more is infinite
inline constexpr float kExpLog2E = 0x1.715476p+0F;
/// Adding and subtracting 1.5 * 2^23 rounds to the nearest integer; the low bits hold it.
inline constexpr float kExpRounder = 0x1.8p+23F;
inline constexpr float kExpLn2High = 0x1.62e4p-1F;  ///< 15 bits: n * this is exact
inline constexpr float kExpLn2Low = 0x1.7f7d1cp-20F;
inline constexpr float kExpQ[5] = {0x1.fffffcp-2F, 0x1.555492p-3F, 0x1.5558f2p-5F, 0x1.123a2p-7F,
                                   0x1.6a23cep-10F};

namespace {

[[maybe_unused]] inline float float_of_bits(uint32_t bits) {
    float value = 0;
    __builtin_memcpy(&value, &bits, sizeof(value));
    return value;
}

[[maybe_unused]] inline uint32_t bits_of_float(float value) {
    uint32_t bits = 0;
    __builtin_memcpy(&bits, &value, sizeof(bits));
    return bits;
}

/// At most 1 ulp off; NaN stays NaN, overflow is infinity, underflow goes through subnormals to 0.
[[maybe_unused]] inline float exp_shared(float x) {
    x = kExpHighest < x ? kExpHighest : x;  // written so that NaN passes, as vminps does
    x = kExpLowest > x ? kExpLowest : x;
    const float shifted = __builtin_fmaf(x, kExpLog2E, kExpRounder);
    const float n = shifted - kExpRounder;
    float r = __builtin_fmaf(n, -kExpLn2High, x);
    r = __builtin_fmaf(n, -kExpLn2Low, r);
    float q = __builtin_fmaf(kExpQ[4], r, kExpQ[3]);
    q = __builtin_fmaf(q, r, kExpQ[2]);
    q = __builtin_fmaf(q, r, kExpQ[1]);
    q = __builtin_fmaf(q, r, kExpQ[0]);
    const float p = __builtin_fmaf(q, r * r, r) + 1.0F;
    // 2^n in two factors, for n up to 128 and down to -150; only the last product may round.
    const uint32_t whole = bits_of_float(shifted) - bits_of_float(kExpRounder);
    const uint32_t half = static_cast<uint32_t>(static_cast<int32_t>(whole) >> 1);
    const float first = float_of_bits((half + 127) << 23);
    const float second = float_of_bits((whole - half + 127) << 23);
    return p * first * second;
}

}  // namespace
}  // namespace nereus
