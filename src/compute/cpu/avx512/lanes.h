#pragma once
// Sixteen float lanes as one AVX-512 register, and the few integer steps that decoding needs: the
// vocabulary of the kernels in wide/. Everything is internal to the including file.

#include <cstdint>

// GCC 12's own header reads an undefined register on purpose and then warns about it.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#include <immintrin.h>
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif

namespace nereus {
namespace {

struct Avx512 {
    /// Products tile: 4 rows x 6 columns = 24 accumulators, 4 rows, 1 column: 29 of 32 registers.
    static constexpr int kTileRows = 4;
    static constexpr int kTileX = 6;
    /// Accumulate tile: outputs x registers of columns, 16 accumulators.
    static constexpr int kOutputs = 4;
    static constexpr int kColumns = 4;
    /// Rows a direct kernel keeps in flight: each is one chain of 4-cycle fused adds, and all share
    /// the load of x. IQ2_XXS on Zen 4, cycles per 16 numbers: 4.7 with one row, 4.0 with two, 3.9
    /// with four.
    template <int kVectors>
    static constexpr int kDirectRows = 4;
    /// Vectors a direct kernel multiplies a decoded weight with: 16 accumulators with 4 rows.
    static constexpr int kDirectX = 4;

    using Floats = __m512;
    using Ints = __m512i;

    static Floats zero() { return _mm512_setzero_ps(); }
    static Floats broadcast(float value) { return _mm512_set1_ps(value); }
    static Floats load(const float* p) { return _mm512_loadu_ps(p); }
    static void store(float* p, Floats v) { _mm512_storeu_ps(p, v); }
    static __mmask16 first(int64_t n) { return static_cast<__mmask16>((1U << n) - 1U); }
    /// Lanes 0 .. n-1 from memory, the others zero. 0 <= n < 16, also below.
    static Floats load_first(const float* p, int64_t n) {
        return _mm512_maskz_loadu_ps(first(n), p);
    }
    static void store_first(float* p, Floats v, int64_t n) {
        _mm512_mask_storeu_ps(p, first(n), v);
    }
    /// Lanes 0 .. n-1 of v, the others of other.
    static Floats take_first(Floats v, Floats other, int64_t n) {
        return _mm512_mask_mov_ps(other, first(n), v);
    }

    static Floats add(Floats a, Floats b) { return _mm512_add_ps(a, b); }
    static Floats sub(Floats a, Floats b) { return _mm512_sub_ps(a, b); }
    static Floats mul(Floats a, Floats b) { return _mm512_mul_ps(a, b); }
    static Floats div(Floats a, Floats b) { return _mm512_div_ps(a, b); }
    static Floats fma(Floats a, Floats b, Floats c) { return _mm512_fmadd_ps(a, b, c); }
    static Floats fms(Floats a, Floats b, Floats c) { return _mm512_fmsub_ps(a, b, c); }
    /// a > b ? a : b, and a < b ? a : b: the second operand where one is NaN.
    static Floats max(Floats a, Floats b) { return _mm512_max_ps(a, b); }
    static Floats min(Floats a, Floats b) { return _mm512_min_ps(a, b); }

    /// Lanes i and i ^ kApart change places. kApart: 1, 2, 4 or 8
    template <int kApart>
    static Floats swap(Floats v) {
        if constexpr (kApart < 4) {
            return _mm512_permute_ps(v, kApart == 1 ? 0xb1 : 0x4e);
        } else {
            return _mm512_shuffle_f32x4(v, v, kApart == 4 ? 0xb1 : 0x4e);
        }
    }

    static Ints bits(Floats v) { return _mm512_castps_si512(v); }
    static Floats floats(Ints v) { return _mm512_castsi512_ps(v); }
    static Floats to_float(Ints v) { return _mm512_cvtepi32_ps(v); }
    static Ints splat(int value) { return _mm512_set1_epi32(value); }
    static Ints add(Ints a, Ints b) { return _mm512_add_epi32(a, b); }
    static Ints sub(Ints a, Ints b) { return _mm512_sub_epi32(a, b); }
    template <int kBits>
    static Ints shift_left(Ints v) {
        return _mm512_slli_epi32(v, kBits);
    }
    template <int kBits>
    static Ints shift_right(Ints v) {
        return _mm512_srli_epi32(v, kBits);
    }
    template <int kBits>
    static Ints shift_right_signed(Ints v) {
        return _mm512_srai_epi32(v, kBits);
    }
    /// (a & mask) | (b & ~mask)
    static Ints select(Ints mask, Ints a, Ints b) {
        return _mm512_ternarylogic_epi32(mask, a, b, 0xca);
    }
    static Ints widen_u8(const void* p) {
        return _mm512_cvtepu8_epi32(_mm_loadu_si128(static_cast<const __m128i*>(p)));
    }
    static Ints widen_i8(const void* p) {
        return _mm512_cvtepi8_epi32(_mm_loadu_si128(static_cast<const __m128i*>(p)));
    }
    static Ints widen_u16(const void* p) {
        return _mm512_cvtepu16_epi32(_mm256_loadu_si256(static_cast<const __m256i*>(p)));
    }
    static Floats from_f16(__m256i halves) { return _mm512_cvtph_ps(halves); }
    /// The f16 `bits` in every lane, without a detour over a scalar.
    static Floats broadcast_f16(uint16_t bits) {
        return _mm512_cvtph_ps(_mm256_set1_epi16(static_cast<int16_t>(bits)));
    }
    /// The low eight lanes from a, the high eight from b.
    static Floats join(__m256 a, __m256 b) {
        return _mm512_insertf32x8(_mm512_castps256_ps512(a), b, 1);
    }

    /// Whether one of the 128 codes at p is 0x7f or 0xff: one more is 0 in the low seven bits.
    static bool has_e4m3_nan(const unsigned char* p) {
        const Ints one = _mm512_set1_epi8(1);
        const Ints low_bits = _mm512_set1_epi8(0x7f);
        const __mmask64 a =
            _mm512_testn_epi8_mask(_mm512_add_epi8(_mm512_loadu_si512(p), one), low_bits);
        const __mmask64 b =
            _mm512_testn_epi8_mask(_mm512_add_epi8(_mm512_loadu_si512(p + 64), one), low_bits);
        return _kortestz_mask64_u8(a, b) == 0;
    }
    /// Bit i of `bits` as bit 4 of lane i.
    static Ints bits_at_4(uint32_t bits) {
        return _mm512_maskz_mov_epi32(static_cast<__mmask16>(bits), splat(16));
    }
    /// Lane i negated where bit i of the two bytes at `signs` is set.
    static Floats flip_signs(Floats v, const unsigned char* signs) {
        // The mask straight from memory: by way of a general register it costs one more
        // instruction.
        const __mmask16 mask =
            _load_mask16(reinterpret_cast<__mmask16*>(const_cast<unsigned char*>(signs)));
        return _mm512_mask_xor_ps(v, mask, v, _mm512_set1_ps(-0.0F));
    }

    /// (((l[i] + l[i+8]) + 4 apart) + 2 apart) + 1 apart: the order of backend.h.
    static float add_lanes(Floats v) {
        const __m256 eight = _mm256_add_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
        const __m128 four =
            _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
        const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
        return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
    }

    /// factor * (q - bias) - offset for q = 0 .. 15, one register; looked up by the low four bits
    /// of each lane. The product is exact (at most 11 + 8 + 5 bits), so one fused step rounds as
    /// the format's two steps do.
    struct Table16 {
        Floats values;
        static Table16 affine(float factor, float bias, float offset) {
            const Floats q = _mm512_setr_ps(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
            return {fms(broadcast(factor), sub(q, broadcast(bias)), broadcast(offset))};
        }
        Floats operator[](Ints index) const { return _mm512_permutexvar_ps(index, values); }
    };

    /// factor * codebook[low four bits].
    struct Codebook16 {
        Floats values;
        static Codebook16 scaled(float factor, const float* codebook) {
            return {mul(broadcast(factor), load(codebook))};
        }
        Floats operator[](Ints index) const { return _mm512_permutexvar_ps(index, values); }
    };

    /// The same for q = 0 .. 7, by the low three bits.
    struct Table8 {
        Floats values;
        static Table8 affine(float factor, float bias, float offset) {
            const Floats q = _mm512_setr_ps(0, 1, 2, 3, 4, 5, 6, 7, 0, 1, 2, 3, 4, 5, 6, 7);
            return {fms(broadcast(factor), sub(q, broadcast(bias)), broadcast(offset))};
        }
        Floats operator[](Ints index) const { return _mm512_permutexvar_ps(index, values); }
    };

    /// For q = 0 .. 3, by the low two bits.
    struct Table4 {
        Floats values;
        static Table4 affine(float factor, float bias, float offset) {
            const Floats q = _mm512_setr_ps(0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3);
            return {fms(broadcast(factor), sub(q, broadcast(bias)), broadcast(offset))};
        }
        Floats operator[](Ints index) const { return _mm512_permutexvar_ps(index, values); }
    };

    /// For q = 0 .. 31, by the low five bits.
    struct Table32 {
        Floats low;
        Floats high;
        static Table32 affine(float factor, float bias, float offset) {
            return {Table16::affine(factor, bias, offset).values,
                    Table16::affine(factor, bias - 16.0F, offset).values};
        }
        Floats operator[](Ints index) const { return _mm512_permutex2var_ps(low, index, high); }
    };
};

}  // namespace
}  // namespace nereus
