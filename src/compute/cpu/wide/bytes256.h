#pragma once
// Registers of 32 bytes, eight integers and eight floats: what the vocabularies of the block
// formats' integer kernels (int8_blocks.h) have in common. A vocabulary I adds how bytes are
// multiplied:
//   I::Sums                  sums of neighbouring products of one run of 32 columns
//   I::bias<kBias>(x)        minus the sums of kBias * x: where a run's sums start
//   I::dot<kWide>(bias, codes, x)   bias + sums of codes * x; kWide: codes above 127 occur
//   I::finish(sums)          eight integers, one for four columns
//   I::scale_add(total, sums, factors)   total + factor * finish(sums)
//   I::factor_words(v)       eight 16-bit factors as scale_add takes them, one a lane
//   I::spread_bits(bits, value)     byte i is `value` where bit i is set
//   I::rows_in_flight(n_x)   rows of weights that are computed together against n_x of activations

#include "compute/cpu/int8_blocks.h"
#include "compute/cpu/wide/stored_rows.h"

namespace nereus {
namespace {

struct Bytes256 {
    using Codes = __m256i;
    /// Of the types that the operations use: arrays of mixed vector types stay in memory (GCC 12).
    using Ints = __v8si;
    using Floats = __m256;

    static Ints ints(__m256i v) { return reinterpret_cast<Ints>(v); }
    template <typename Lanes>
    static __m256i raw(Lanes v) {
        return reinterpret_cast<__m256i>(v);
    }

    static Codes load(const void* p) { return _mm256_loadu_si256(static_cast<const __m256i*>(p)); }
    static void store(void* p, Codes v) { _mm256_storeu_si256(static_cast<__m256i*>(p), v); }
    /// Sixteen bytes in both halves.
    static Codes load_twice(const void* p) {
        return _mm256_broadcastsi128_si256(_mm_loadu_si128(static_cast<const __m128i*>(p)));
    }
    static Codes splat(int value) { return _mm256_set1_epi8(static_cast<char>(value)); }
    static Codes mask(Codes v, int bits) { return _mm256_and_si256(v, splat(bits)); }
    /// Bytes shifted right by kBits, or left where it is negative; neighbours' bits come in.
    template <int kBits>
    static Codes shift(Codes v) {
        if constexpr (kBits > 0) {
            return _mm256_srli_epi16(v, kBits);
        } else if constexpr (kBits < 0) {
            return _mm256_slli_epi16(v, -kBits);
        } else {
            return v;
        }
    }
    /// Sixteen bytes of nibbles as 32: the low ones, then the high ones.
    static Codes nibbles(const unsigned char* p) {
        const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
        const __m256i both =
            _mm256_inserti128_si256(_mm256_castsi128_si256(bytes), _mm_srli_epi16(bytes, 4), 1);
        return mask(both, 15);
    }
    static Ints zero() { return ints(_mm256_setzero_si256()); }
    static Ints broadcast(int32_t value) { return ints(_mm256_set1_epi32(value)); }
    /// Word 2 k of eight in lanes 0..3, word 2 k + 1 in lanes 4..7.
    template <int kPair>
    static Ints halves(const int32_t* words) {
        const __m256i order =
            _mm256_setr_epi32(2 * kPair, 2 * kPair, 2 * kPair, 2 * kPair, 2 * kPair + 1,
                              2 * kPair + 1, 2 * kPair + 1, 2 * kPair + 1);
        return ints(_mm256_permutevar8x32_epi32(load(words), order));
    }

    static Floats zero_floats() { return _mm256_setzero_ps(); }
    static Floats broadcast_float(const float* p) { return _mm256_broadcast_ss(p); }
    static Floats broadcast_f16(const unsigned char* p) {
        return _mm256_cvtph_ps(_mm_set1_epi16(static_cast<int16_t>(read<uint16_t>(p))));
    }
    static Floats splat_float(float value) { return _mm256_set1_ps(value); }
    /// The number at p in lane 0, zeros in the others.
    static Floats first_lane(const float* p) { return _mm256_zextps128_ps256(_mm_load_ss(p)); }
    /// sum + float(total) * (d * *x_scale)
    static Floats float_add(Ints total, Floats d, const float* x_scale, Floats sum) {
        return _mm256_fmadd_ps(_mm256_cvtepi32_ps(raw(total)),
                               _mm256_mul_ps(d, _mm256_broadcast_ss(x_scale)), sum);
    }
    static Floats float_subtract(Ints total, Floats d, const float* x_scale, Floats sum) {
        return _mm256_fnmadd_ps(_mm256_cvtepi32_ps(raw(total)),
                                _mm256_mul_ps(d, _mm256_broadcast_ss(x_scale)), sum);
    }
    static Floats fma(Floats a, Floats b, Floats c) { return _mm256_fmadd_ps(a, b, c); }
    /// Neighbouring 16-bit products, added.
    static Ints multiply_pairs(const int16_t* a, const int16_t* b) {
        return ints(_mm256_madd_epi16(load(a), load(b)));
    }
    /// ((l[i] + l[i+4]) + 2 apart) + 1 apart.
    static float add_lanes(Floats v) {
        const __m128 four = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
        const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
        return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
    }

    /// The largest |x| of eight as bits, which are in the order of the magnitudes; NaN is above
    /// all.
    static __m256i larger_bits(const float* x, __m256i largest) {
        const __m256i bits = _mm256_and_si256(load(x), _mm256_set1_epi32(0x7fffffff));
        return _mm256_max_epi32(bits, largest);
    }
    static uint32_t largest_lane(__m256i v) {
        __m128i m = _mm_max_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
        m = _mm_max_epi32(m, _mm_shuffle_epi32(m, 0x4e));
        m = _mm_max_epi32(m, _mm_shuffle_epi32(m, 0xb1));
        return static_cast<uint32_t>(_mm_cvtsi128_si32(m));
    }
    static __m256i round8(const float* x, float inverse) {
        return _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_loadu_ps(x), _mm256_set1_ps(inverse)));
    }
    /// Rounds 32 numbers into bytes.
    static Codes round32(const float* x, float inverse) {
        const __m256i low = _mm256_packs_epi32(round8(x, inverse), round8(x + 8, inverse));
        const __m256i high = _mm256_packs_epi32(round8(x + 16, inverse), round8(x + 24, inverse));
        // packs works within halves of a register: the four-byte pieces are put in order after it
        return _mm256_permutevar8x32_epi32(_mm256_packs_epi16(low, high),
                                           _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
    }
    /// Sums of sixteen bytes: of the low and the high half.
    struct TwoSums {
        int32_t low;
        int32_t high;
    };
    static TwoSums sums_of_halves(Codes v) {
        const __m256i pairs = _mm256_maddubs_epi16(splat(1), v);
        const __m256i fours = _mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
        const __m256i twos = _mm256_add_epi32(fours, _mm256_shuffle_epi32(fours, 0x4e));
        const __m256i one = _mm256_add_epi32(twos, _mm256_shuffle_epi32(twos, 0xb1));
        return {_mm256_extract_epi32(one, 0), _mm256_extract_epi32(one, 4)};
    }
};

}  // namespace
}  // namespace nereus
