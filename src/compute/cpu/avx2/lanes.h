#pragma once
// Sixteen float lanes as two AVX2 registers, and the few integer steps that decoding needs: the
// vocabulary of the kernels in wide/. Everything is internal to the including file.

#include <immintrin.h>

#include <cstdint>

namespace nereus {
namespace {

struct Avx2 {
    /// Products tile: 2 x 2 lanes of 16 = 8 accumulators of the 16 registers.
    static constexpr int kTileRows = 2;
    static constexpr int kTileX = 2;
    static constexpr int kOutputs = 2;
    static constexpr int kColumns = 2;
    template <int kVectors>
    static constexpr int kDirectRows = kVectors <= 2 ? 2 : 1;
    /// Accumulators are pairs of registers: 4 vectors with 1 row fill half of them.
    static constexpr int kDirectX = 4;

    struct Floats {
        __m256 a;
        __m256 b;
    };
    struct Ints {
        __m256i a;
        __m256i b;
    };

    static Floats zero() { return {_mm256_setzero_ps(), _mm256_setzero_ps()}; }
    static Floats broadcast(float value) { return {_mm256_set1_ps(value), _mm256_set1_ps(value)}; }
    static Floats load(const float* p) { return {_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)}; }
    static void store(float* p, Floats v) {
        _mm256_storeu_ps(p, v.a);
        _mm256_storeu_ps(p + 8, v.b);
    }
    /// All bits set in lanes 0 .. n-1. 0 <= n < 16, also below.
    static Ints first(int64_t n) {
        const __m256i count = _mm256_set1_epi32(static_cast<int>(n));
        return {_mm256_cmpgt_epi32(count, _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7)),
                _mm256_cmpgt_epi32(count, _mm256_setr_epi32(8, 9, 10, 11, 12, 13, 14, 15))};
    }
    static Floats load_first(const float* p, int64_t n) {
        const Ints mask = first(n);
        return {_mm256_maskload_ps(p, mask.a), _mm256_maskload_ps(p + 8, mask.b)};
    }
    static void store_first(float* p, Floats v, int64_t n) {
        const Ints mask = first(n);
        _mm256_maskstore_ps(p, mask.a, v.a);
        _mm256_maskstore_ps(p + 8, mask.b, v.b);
    }
    static Floats take_first(Floats v, Floats other, int64_t n) {
        const Ints mask = first(n);
        return {_mm256_blendv_ps(other.a, v.a, _mm256_castsi256_ps(mask.a)),
                _mm256_blendv_ps(other.b, v.b, _mm256_castsi256_ps(mask.b))};
    }

    static Floats add(Floats x, Floats y) {
        return {_mm256_add_ps(x.a, y.a), _mm256_add_ps(x.b, y.b)};
    }
    static Floats sub(Floats x, Floats y) {
        return {_mm256_sub_ps(x.a, y.a), _mm256_sub_ps(x.b, y.b)};
    }
    static Floats mul(Floats x, Floats y) {
        return {_mm256_mul_ps(x.a, y.a), _mm256_mul_ps(x.b, y.b)};
    }
    static Floats div(Floats x, Floats y) {
        return {_mm256_div_ps(x.a, y.a), _mm256_div_ps(x.b, y.b)};
    }
    static Floats fma(Floats x, Floats y, Floats z) {
        return {_mm256_fmadd_ps(x.a, y.a, z.a), _mm256_fmadd_ps(x.b, y.b, z.b)};
    }
    static Floats fms(Floats x, Floats y, Floats z) {
        return {_mm256_fmsub_ps(x.a, y.a, z.a), _mm256_fmsub_ps(x.b, y.b, z.b)};
    }
    /// a > b ? a : b, and a < b ? a : b: the second operand where one is NaN.
    static Floats max(Floats x, Floats y) {
        return {_mm256_max_ps(x.a, y.a), _mm256_max_ps(x.b, y.b)};
    }
    static Floats min(Floats x, Floats y) {
        return {_mm256_min_ps(x.a, y.a), _mm256_min_ps(x.b, y.b)};
    }

    /// Lanes i and i ^ kApart change places. kApart: 1, 2, 4 or 8
    template <int kApart>
    static Floats swap(Floats v) {
        if constexpr (kApart < 4) {
            constexpr int kOrder = kApart == 1 ? 0xb1 : 0x4e;
            return {_mm256_permute_ps(v.a, kOrder), _mm256_permute_ps(v.b, kOrder)};
        } else if constexpr (kApart == 4) {
            return {_mm256_permute2f128_ps(v.a, v.a, 1), _mm256_permute2f128_ps(v.b, v.b, 1)};
        } else {
            return {v.b, v.a};
        }
    }

    static Ints bits(Floats v) { return {_mm256_castps_si256(v.a), _mm256_castps_si256(v.b)}; }
    static Floats floats(Ints v) { return {_mm256_castsi256_ps(v.a), _mm256_castsi256_ps(v.b)}; }
    static Floats to_float(Ints v) { return {_mm256_cvtepi32_ps(v.a), _mm256_cvtepi32_ps(v.b)}; }
    static Ints splat(int value) { return {_mm256_set1_epi32(value), _mm256_set1_epi32(value)}; }
    static Ints add(Ints x, Ints y) {
        return {_mm256_add_epi32(x.a, y.a), _mm256_add_epi32(x.b, y.b)};
    }
    static Ints sub(Ints x, Ints y) {
        return {_mm256_sub_epi32(x.a, y.a), _mm256_sub_epi32(x.b, y.b)};
    }
    template <int kBits>
    static Ints shift_left(Ints v) {
        return {_mm256_slli_epi32(v.a, kBits), _mm256_slli_epi32(v.b, kBits)};
    }
    template <int kBits>
    static Ints shift_right(Ints v) {
        return {_mm256_srli_epi32(v.a, kBits), _mm256_srli_epi32(v.b, kBits)};
    }
    template <int kBits>
    static Ints shift_right_signed(Ints v) {
        return {_mm256_srai_epi32(v.a, kBits), _mm256_srai_epi32(v.b, kBits)};
    }
    static __m256i select(__m256i mask, __m256i x, __m256i y) {
        return _mm256_or_si256(_mm256_and_si256(mask, x), _mm256_andnot_si256(mask, y));
    }
    /// (x & mask) | (y & ~mask)
    static Ints select(Ints mask, Ints x, Ints y) {
        return {select(mask.a, x.a, y.a), select(mask.b, x.b, y.b)};
    }
    static __m128i eight(const void* p) { return _mm_loadl_epi64(static_cast<const __m128i*>(p)); }
    static Ints widen_u8(const void* p) {
        const auto* bytes = static_cast<const unsigned char*>(p);
        return {_mm256_cvtepu8_epi32(eight(bytes)), _mm256_cvtepu8_epi32(eight(bytes + 8))};
    }
    static Ints widen_i8(const void* p) {
        const auto* bytes = static_cast<const unsigned char*>(p);
        return {_mm256_cvtepi8_epi32(eight(bytes)), _mm256_cvtepi8_epi32(eight(bytes + 8))};
    }
    static Ints widen_u16(const void* p) {
        const auto* words = static_cast<const __m128i*>(p);
        return {_mm256_cvtepu16_epi32(_mm_loadu_si128(words)),
                _mm256_cvtepu16_epi32(_mm_loadu_si128(words + 1))};
    }
    static Floats from_f16(__m256i halves) {
        return {_mm256_cvtph_ps(_mm256_castsi256_si128(halves)),
                _mm256_cvtph_ps(_mm256_extracti128_si256(halves, 1))};
    }
    /// The f16 `bits` in every lane, without a detour over a scalar.
    static Floats broadcast_f16(uint16_t bits) {
        const __m256 all = _mm256_cvtph_ps(_mm_set1_epi16(static_cast<int16_t>(bits)));
        return {all, all};
    }
    static Floats join(__m256 x, __m256 y) { return {x, y}; }

    /// Whether one of the 128 codes at p is 0x7f or 0xff.
    static bool has_e4m3_nan(const unsigned char* p) {
        const __m256i nan = _mm256_set1_epi8(0x7f);
        __m256i found = _mm256_setzero_si256();
        for (int i = 0; i < 4; ++i) {
            const __m256i bytes = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p) + i);
            found = _mm256_or_si256(found, _mm256_cmpeq_epi8(_mm256_and_si256(bytes, nan), nan));
        }
        return _mm256_testz_si256(found, found) == 0;
    }
    /// All bits of lane i set where bit i of `bits` is.
    static Ints spread(uint32_t bits) {
        const __m256i all = _mm256_set1_epi32(static_cast<int>(bits));
        const __m256i a = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
        const __m256i b = _mm256_slli_epi32(a, 8);
        return {_mm256_cmpeq_epi32(_mm256_and_si256(all, a), a),
                _mm256_cmpeq_epi32(_mm256_and_si256(all, b), b)};
    }
    /// Bit i of `bits` as bit 4 of lane i.
    static Ints bits_at_4(uint32_t bits) {
        const Ints mask = spread(bits);
        return {_mm256_and_si256(mask.a, _mm256_set1_epi32(16)),
                _mm256_and_si256(mask.b, _mm256_set1_epi32(16))};
    }
    /// Lane i negated where bit i of `signs` is set.
    static Floats flip_signs(Floats v, const unsigned char* signs) {
        const Ints mask = shift_left<31>(spread(signs[0] | uint32_t{signs[1]} << 8));
        return {_mm256_xor_ps(v.a, _mm256_castsi256_ps(mask.a)),
                _mm256_xor_ps(v.b, _mm256_castsi256_ps(mask.b))};
    }

    /// (((l[i] + l[i+8]) + 4 apart) + 2 apart) + 1 apart: the order of backend.h.
    static float add_lanes(Floats v) {
        const __m256 eight_lanes = _mm256_add_ps(v.a, v.b);
        const __m128 four =
            _mm_add_ps(_mm256_castps256_ps128(eight_lanes), _mm256_extractf128_ps(eight_lanes, 1));
        const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
        return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
    }

    /// factor * (q - bias) - offset by arithmetic on the low kBits bits of each lane. The product
    /// is exact (at most 11 + 8 + 5 bits), so one fused step rounds as the format's two steps do.
    template <int kBits>
    struct Affine {
        Floats factor;
        Floats bias;
        Floats offset;
        static Affine affine(float factor, float bias, float offset) {
            return {broadcast(factor), broadcast(bias), broadcast(offset)};
        }
        Floats operator[](Ints index) const {
            const __m256i mask = _mm256_set1_epi32((1 << kBits) - 1);
            const Ints q = {_mm256_and_si256(index.a, mask), _mm256_and_si256(index.b, mask)};
            return fms(factor, sub(to_float(q), bias), offset);
        }
    };
    using Table4 = Affine<2>;
    using Table8 = Affine<3>;
    using Table32 = Affine<5>;

    using Table16 = Affine<4>;

    /// factor * codebook[low four bits]: two lookups of eight and a choice by bit 3.
    struct Codebook16 {
        __m256 low;
        __m256 high;
        static Codebook16 scaled(float factor, const float* codebook) {
            const Floats values = mul(broadcast(factor), load(codebook));
            return {values.a, values.b};
        }
        __m256 lookup(__m256i index) const {
            return _mm256_blendv_ps(_mm256_permutevar8x32_ps(low, index),
                                    _mm256_permutevar8x32_ps(high, index),
                                    _mm256_castsi256_ps(_mm256_slli_epi32(index, 28)));
        }
        Floats operator[](Ints index) const { return {lookup(index.a), lookup(index.b)}; }
    };
};

}  // namespace
}  // namespace nereus
