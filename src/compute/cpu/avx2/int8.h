#pragma once
// Integer lanes of AVX2: vpmaddubsw multiplies unsigned by signed bytes and adds pairs to 16 bits.
// It saturates at 32767, so its operands are kept where it is exact: codes of at most 4 bits (8
// pair sums of 2 * 15 * 127 fit), and magnitudes of at most 128 against activations of at most 127.

#include "compute/cpu/avx2/lanes.h"
#include "compute/cpu/wide/int8_panels.h"

namespace nereus {
namespace {

struct Int8Avx2 {
    static constexpr int kRows = 8;
    static constexpr int kTokens = 4;

    using Codes = __m256i;
    /// Of the types that the operations use: arrays of mixed vector types stay in memory (GCC 12).
    using Ints = __v8si;
    using Floats = __m256;
    using Run = __v16hi;  ///< sums of pairs

    static Ints ints(__m256i v) { return reinterpret_cast<Ints>(v); }
    template <typename Lanes>
    static __m256i raw(Lanes v) {
        return reinterpret_cast<__m256i>(v);
    }

    static Codes load_codes(const unsigned char* p) {
        return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
    }
    static Ints zero() { return ints(_mm256_setzero_si256()); }
    static Floats zero_floats() { return _mm256_setzero_ps(); }
    static Ints broadcast(int32_t value) { return ints(_mm256_set1_epi32(value)); }
    /// Four bytes to every lane: activations of four columns, or two sums.
    static Ints broadcast_four(const void* p) {
        int32_t four = 0;
        __builtin_memcpy(&four, p, sizeof(four));
        return broadcast(four);
    }
    template <int kBits, int kIndex>
    static Codes field(Codes raw) {
        const Codes mask = _mm256_set1_epi8((1 << kBits) - 1);
        if constexpr (kIndex == 0) {
            return _mm256_and_si256(raw, mask);
        } else {
            return _mm256_and_si256(_mm256_srli_epi16(raw, kBits * kIndex), mask);
        }
    }
    static Run start() { return reinterpret_cast<Run>(_mm256_setzero_si256()); }
    static Run add(Run run, Codes codes, Ints x) {
        return reinterpret_cast<Run>(
            _mm256_add_epi16(raw(run), _mm256_maddubs_epi16(codes, raw(x))));
    }
    /// total + step * the sum of the run's pairs; steps are 16-bit pairs of equals.
    static Ints add_run(Ints total, Run run, Ints step) {
        return add_pairs(total, step, reinterpret_cast<Ints>(run));
    }
    /// total + a0 * b0 + a1 * b1 of 16-bit pairs.
    static Ints add_pairs(Ints total, Ints a, Ints b) {
        return ints(_mm256_add_epi32(raw(total), _mm256_madd_epi16(raw(a), raw(b))));
    }
    static Ints start_bytes(int32_t /*x_total*/) { return zero(); }
    static Ints add_bytes(Ints sum, Codes bytes, Ints x) {
        const Codes w = _mm256_xor_si256(bytes, _mm256_set1_epi8(-128));
        const __m256i pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(w), _mm256_sign_epi8(raw(x), w));
        return ints(_mm256_add_epi32(raw(sum), _mm256_madd_epi16(pairs, _mm256_set1_epi16(1))));
    }
    /// Eight bytes, each as a pair of 16-bit numbers.
    static Ints load_steps(const uint8_t* p) {
        int64_t eight = 0;
        __builtin_memcpy(&eight, p, sizeof(eight));
        const __m256i order =
            _mm256_setr_epi8(0, -1, 0, -1, 1, -1, 1, -1, 2, -1, 2, -1, 3, -1, 3, -1,  //
                             4, -1, 4, -1, 5, -1, 5, -1, 6, -1, 6, -1, 7, -1, 7, -1);
        return ints(_mm256_shuffle_epi8(_mm256_set1_epi64x(eight), order));
    }
    static Ints load_offset_pairs(const uint8_t* p) {
        return ints(_mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))));
    }
    static Ints load_ints(const void* p) {
        return ints(_mm256_loadu_si256(static_cast<const __m256i*>(p)));
    }
    static Floats load_floats(const float* p) { return _mm256_loadu_ps(p); }
    static Floats load_scales(const unsigned char* p) {
        return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
    }
    static Floats scale_add(Ints total, Floats scale, float x_scale, Floats sum) {
        return _mm256_fmadd_ps(_mm256_cvtepi32_ps(raw(total)),
                               _mm256_mul_ps(scale, _mm256_set1_ps(x_scale)), sum);
    }
    static void store(float* p, Floats v) { _mm256_storeu_ps(p, v); }

    static float largest_lane(Avx2::Floats v) {
        float lanes[16];
        Avx2::store(lanes, v);
        float largest = lanes[0];
        for (const float lane : lanes) {
            largest = lane > largest ? lane : largest;
        }
        return largest;
    }
    /// Writes sixteen rounded values and returns their sum.
    static int32_t store_rounded(Avx2::Floats v, int8_t* out) {
        float lanes[16];
        Avx2::store(lanes, v);
        const __m256i low = _mm256_cvtps_epi32(_mm256_loadu_ps(lanes));
        const __m256i high = _mm256_cvtps_epi32(_mm256_loadu_ps(lanes + 8));
        // packs works within halves of a register: the four-byte pieces are put in order after it
        const __m256i packed =
            _mm256_packs_epi16(_mm256_packs_epi32(low, high), _mm256_setzero_si256());
        const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 3, 6, 7);
        _mm_storeu_si128(reinterpret_cast<__m128i*>(out),
                         _mm256_castsi256_si128(_mm256_permutevar8x32_epi32(packed, order)));
        const __m256i both = _mm256_add_epi32(low, high);
        const __m128i four =
            _mm_add_epi32(_mm256_castsi256_si128(both), _mm256_extracti128_si256(both, 1));
        const __m128i two = _mm_add_epi32(four, _mm_shuffle_epi32(four, 0x4e));
        return _mm_cvtsi128_si32(_mm_add_epi32(two, _mm_shuffle_epi32(two, 0xb1)));
    }
};

}  // namespace
}  // namespace nereus
