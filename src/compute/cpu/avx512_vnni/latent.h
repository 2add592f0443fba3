#pragma once
// Integer lanes of latent attention on AVX-512 VNNI.

#include "compute/cpu/avx512_vnni/int8.h"
#include "compute/cpu/wide/latent.h"

namespace nereus {
namespace {

struct LatentVnni : Vnni512 {
    /// 2 panels x 12 x: 24 accumulators, 2 panels, 1 x of 32 registers.
    static constexpr int kTilePanels = 2;
    static constexpr int kTileX = 12;

    static Floats load_floats(const float* p) { return _mm512_loadu_ps(p); }
    /// x is the unsigned side, so that values need no bias.
    static Ints add_values(Ints sum, Codes bytes, Ints x) {
        return ints(_mm512_dpbusd_epi32(raw(sum), raw(x), bytes));
    }
    static void store_digits(Floats v, int8_t* high, int8_t* low) {
        const __m512i q = _mm512_cvtps_epi32(v);
        _mm_storeu_si128(reinterpret_cast<__m128i*>(high),
                         _mm512_cvtepi32_epi8(_mm512_srli_epi32(q, 7)));
        _mm_storeu_si128(
            reinterpret_cast<__m128i*>(low),
            _mm512_cvtepi32_epi8(_mm512_and_si512(q, _mm512_set1_epi32(127))));
    }
};

/// 16 rows x 16 columns: quarters of four registers are transposed, then the bytes of a quarter.
__attribute__((always_inline)) inline void turn_tile(const uint8_t* keys, uint8_t* values) {
    constexpr int64_t kChunk = kPanelRows * kPanelGroup;
    const __m512i bytes = _mm512_broadcast_i32x4(
        _mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15));
    const __m512i sign = _mm512_set1_epi8(-128);
    __m512i in[4];
    for (int j = 0; j < 4; ++j) {
        in[j] = _mm512_loadu_si512(keys + j * kChunk);
    }
    const __m512i a = _mm512_shuffle_i32x4(in[0], in[1], 0x44);  // 00 01 10 11: register, quarter
    const __m512i b = _mm512_shuffle_i32x4(in[0], in[1], 0xee);  // 02 03 12 13
    const __m512i c = _mm512_shuffle_i32x4(in[2], in[3], 0x44);
    const __m512i d = _mm512_shuffle_i32x4(in[2], in[3], 0xee);
    const __m512i turned[4] = {
        _mm512_shuffle_i32x4(a, c, 0x88), _mm512_shuffle_i32x4(a, c, 0xdd),
        _mm512_shuffle_i32x4(b, d, 0x88), _mm512_shuffle_i32x4(b, d, 0xdd)};
    for (int j = 0; j < 4; ++j) {
        const __m512i out = _mm512_xor_si512(_mm512_shuffle_epi8(turned[j], bytes), sign);
        _mm512_storeu_si512(values + j * kChunk, out);
    }
}

inline void turn_vnni(const uint8_t* keys, int64_t n_panels, int64_t n_columns, uint8_t* values) {
    for (int64_t panel = 0; panel < n_panels; ++panel) {
        for (int64_t c = 0; c < n_columns; c += kPanelRows) {
            turn_tile(keys + (panel * n_columns + c) * kPanelRows,
                      values + (c * kPanelColumns + panel * kPanelRows * kPanelRows));
        }
    }
}

inline constexpr LatentKernels kVnniLatent = latent_kernels<Avx512, LatentVnni>(turn_vnni);

}  // namespace
}  // namespace nereus
