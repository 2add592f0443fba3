#pragma once
// Products of bytes on AVX2. vpmaddubsw multiplies unsigned by signed bytes and adds pairs to 16
// bits, saturating at 32767: codes of at most 127 are exact (2 * 127 * 127), and so are magnitudes
// of at most 128 against activations of at most 127, which is how codes of eight bits are taken.

#include "compute/cpu/avx2/lanes.h"
#include "compute/cpu/wide/bytes256.h"

namespace nereus {
namespace {

struct Avx2Bytes : Bytes256 {
    /// Two registers a row and column (sums and totals), codes, x and bias: 14 of 16 registers.
    static constexpr int rows_in_flight(int n_x) { return n_x >= 4 ? 1 : 4 / n_x; }

    using Sums = __v16hi;  ///< pairs

    static Sums sums(__m256i v) { return reinterpret_cast<Sums>(v); }
    template <int kBias>
    static Sums bias(Codes x) {
        if constexpr (kBias == 0 || kBias > 64) {
            return sums(_mm256_setzero_si256());
        } else {
            return sums(
                _mm256_sub_epi16(_mm256_setzero_si256(), _mm256_maddubs_epi16(splat(kBias), x)));
        }
    }
    template <bool kWide>
    static Sums dot(Sums bias, Codes codes, Codes x) {
        if constexpr (kWide) {  // codes are q + 128
            const Codes q = _mm256_xor_si256(codes, splat(-128));
            return sums(_mm256_maddubs_epi16(_mm256_abs_epi8(q), _mm256_sign_epi8(x, q)));
        } else {
            return sums(_mm256_add_epi16(raw(bias), _mm256_maddubs_epi16(codes, x)));
        }
    }
    static Ints finish(Sums s) { return ints(_mm256_madd_epi16(raw(s), _mm256_set1_epi16(1))); }
    static Ints scale_add(Ints total, Sums s, Ints factors) {
        return ints(_mm256_add_epi32(raw(total), _mm256_madd_epi16(raw(s), raw(factors))));
    }
    /// A factor in both halves of its lane.
    static Ints factor_words(__m128i v) {
        const __m256i wide = _mm256_cvtepu16_epi32(v);
        return ints(_mm256_or_si256(wide, _mm256_slli_epi32(wide, 16)));
    }
    static Codes spread_bits(uint32_t bits, int value) {
        const __m256i bytes = _mm256_shuffle_epi8(
            _mm256_set1_epi32(static_cast<int>(bits)),
            _mm256_setr_epi64x(0, 0x0101010101010101, 0x0202020202020202, 0x0303030303030303));
        const __m256i places = _mm256_set1_epi64x(static_cast<int64_t>(0x8040201008040201U));
        return mask(_mm256_cmpeq_epi8(_mm256_and_si256(bytes, places), places), value);
    }
    /// Bytes of v, or 128 - v where their bit is set.
    static Codes negate_biased_64(Codes v, uint32_t bits) {
        return _mm256_or_si256(
            _mm256_andnot_si256(spread_bits(bits, 255), v),
            _mm256_and_si256(spread_bits(bits, 255), _mm256_sub_epi8(splat(-128), v)));
    }
};

}  // namespace
}  // namespace nereus
