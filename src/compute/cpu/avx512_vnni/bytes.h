#pragma once
// Products of bytes on AVX-512 VNNI: vpdpbusd multiplies four unsigned by four signed bytes a lane
// and adds them to 32 bits, exactly. Registers of 32 bytes: a block of 32 is the unit of a product,
// and on Zen 4 a register of 64 takes two passes.

#include "compute/cpu/avx512/lanes.h"
#include "compute/cpu/wide/bytes256.h"

namespace nereus {
namespace {

struct VnniBytes : Bytes256 {
    /// With four columns 8 sums, 8 totals, 4 registers of x and 4 biases: 24 of 32 registers.
    static constexpr int rows_in_flight(int n_x) { return n_x >= 4 ? 2 : 4; }

    using Sums = Ints;

    template <int kBias>
    static Sums bias(Codes x) {
        if constexpr (kBias == 0) {
            return zero();
        } else {
            const __m256i none = _mm256_setzero_si256();
            return ints(_mm256_sub_epi32(none, _mm256_dpbusd_epi32(none, splat(kBias), x)));
        }
    }
    template <bool kWide>
    static Sums dot(Sums bias, Codes codes, Codes x) {
        return ints(_mm256_dpbusd_epi32(raw(bias), codes, x));
    }
    static Ints finish(Sums s) { return s; }
    /// The sums of four products below 2^15 fit the low 16 bits, which vpdpwssd multiplies by the
    /// low halves of the factors; the high halves meet zeros.
    static Ints scale_add(Ints total, Sums s, Ints factors) {
        return ints(_mm256_dpwssd_epi32(raw(total), raw(s), raw(factors)));
    }
    static Ints factor_words(__m128i v) { return ints(_mm256_cvtepu16_epi32(v)); }
    static Codes spread_bits(uint32_t bits, int value) {
        return _mm256_maskz_mov_epi8(bits, splat(value));
    }
    /// Bytes of v, or 128 - v where their bit is set.
    static Codes negate_biased_64(Codes v, uint32_t bits) {
        return _mm256_mask_sub_epi8(v, bits, splat(-128), v);
    }
};

}  // namespace
}  // namespace nereus
