#pragma once
// Integer lanes of latent attention on AVX2. Pairs of values are at most 2 * 127 * 127 = 32258: the
// 16-bit sums of vpmaddubsw are exact.

#include "compute/cpu/avx2/int8.h"
#include "compute/cpu/wide/latent.h"

namespace nereus {
namespace {

struct LatentAvx2 : Int8Avx2 {
    /// A panel is 2 registers: with 4 x 8 accumulators, 4 for both forms of the panel, 4 others.
    static constexpr int kTilePanels = 1;
    static constexpr int kTileX = 4;

    static Floats load_floats(const float* p) { return _mm256_loadu_ps(p); }
    static Ints add_values(Ints sum, Codes bytes, Ints x) {
        const __m256i pairs = _mm256_maddubs_epi16(raw(x), bytes);
        return ints(_mm256_add_epi32(raw(sum), _mm256_madd_epi16(pairs, _mm256_set1_epi16(1))));
    }
    static __m128i pack(__m256i low, __m256i high) {
        const __m256i packed = _mm256_packus_epi16(_mm256_packs_epi32(low, high),
                                                   _mm256_setzero_si256());
        // packs works within halves of a register: the four-byte pieces are put in order after it
        const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 3, 6, 7);
        return _mm256_castsi256_si128(_mm256_permutevar8x32_epi32(packed, order));
    }
    static void store_digits(Avx2::Floats v, int8_t* high, int8_t* low) {
        const __m256i a = _mm256_cvtps_epi32(v.a);
        const __m256i b = _mm256_cvtps_epi32(v.b);
        const __m256i mask = _mm256_set1_epi32(127);
        _mm_storeu_si128(reinterpret_cast<__m128i*>(high),
                         pack(_mm256_srli_epi32(a, 7), _mm256_srli_epi32(b, 7)));
        _mm_storeu_si128(reinterpret_cast<__m128i*>(low),
                         pack(_mm256_and_si256(a, mask), _mm256_and_si256(b, mask)));
    }
};

/// Four rows x four columns are 16 bytes on both sides: one shuffle.
inline void turn_avx2(const uint8_t* keys, int64_t n_panels, int64_t n_columns, uint8_t* values) {
    constexpr int64_t kChunk = kPanelRows * kPanelGroup;
    const __m128i bytes = _mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    const __m128i sign = _mm_set1_epi8(-128);
    for (int64_t panel = 0; panel < n_panels; ++panel) {
        for (int64_t group = 0; group < n_columns / kPanelGroup; ++group) {
            const uint8_t* from = keys + panel * kPanelRows * n_columns + group * kChunk;
            uint8_t* to = values + group / 4 * kPanelRows * kPanelColumns + panel * 4 * kChunk +
                          group % 4 * 16;
            for (int64_t four = 0; four < 4; ++four) {
                const __m128i in =
                    _mm_loadu_si128(reinterpret_cast<const __m128i*>(from + four * 16));
                _mm_storeu_si128(reinterpret_cast<__m128i*>(to + four * kChunk),
                                 _mm_xor_si128(_mm_shuffle_epi8(in, bytes), sign));
            }
        }
    }
}

inline constexpr LatentKernels kAvx2Latent = latent_kernels<Avx2, LatentAvx2>(turn_avx2);

}  // namespace
}  // namespace nereus
