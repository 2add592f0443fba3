#pragma once
// Integer lanes of AVX-512 VNNI: vpdpbusd multiplies four unsigned by four signed bytes a lane and
// adds them to 32 bits, exactly. Signed weights are biased by 128 and the bias taken off again.

#include "compute/cpu/avx512/lanes.h"
#include "compute/cpu/wide/int8_multiply.h"
#include "compute/cpu/wide/int8_panels.h"

namespace nereus {
namespace {

struct Vnni512 {
    static constexpr int kRows = 16;
    /// Activation rows of the direct kernel.
    static constexpr int kTokens = 4;
    /// Registers of weights and activation rows of a block product: 24 accumulators.
    static constexpr int kTileRegisters = 2;
    static constexpr int kTileTokens = 12;

    using Codes = __m512i;
    /// Of the type that the operations use: arrays of mixed vector types stay in memory (GCC 12).
    using Ints = __v16si;
    using Floats = __m512;
    using Run = Ints;

    static Ints ints(__m512i v) { return reinterpret_cast<Ints>(v); }
    static __m512i raw(Ints v) { return reinterpret_cast<__m512i>(v); }

    static Codes load_codes(const unsigned char* p) { return _mm512_loadu_si512(p); }
    static Ints zero() { return ints(_mm512_setzero_si512()); }
    static Floats zero_floats() { return _mm512_setzero_ps(); }
    static Ints broadcast(int32_t value) { return ints(_mm512_set1_epi32(value)); }
    /// Four bytes to every lane: activations of four columns, or two sums.
    static Ints broadcast_four(const void* p) {
        int32_t four = 0;
        __builtin_memcpy(&four, p, sizeof(four));
        return broadcast(four);
    }
    template <int kBits, int kIndex>
    static Codes field(Codes codes) {
        const Codes mask = _mm512_set1_epi8((1 << kBits) - 1);
        if constexpr (kIndex == 0) {
            return _mm512_and_si512(codes, mask);
        } else {
            return _mm512_and_si512(_mm512_srli_epi16(codes, kBits * kIndex), mask);
        }
    }
    static Run start() { return zero(); }
    static Run add(Run run, Codes codes, Ints x) {
        return ints(_mm512_dpbusd_epi32(raw(run), codes, raw(x)));
    }
    static Ints add_run(Ints total, Run run, Ints step) {
        return ints(_mm512_add_epi32(raw(total), _mm512_mullo_epi32(raw(run), raw(step))));
    }
    /// total + a0 * b0 + a1 * b1 of 16-bit pairs.
    static Ints add_pairs(Ints total, Ints a, Ints b) {
        return ints(_mm512_dpwssd_epi32(raw(total), raw(a), raw(b)));
    }
    static Ints start_bytes(int32_t x_total) { return broadcast(-128 * x_total); }
    static Ints add_bytes(Ints sum, Codes bytes, Ints x) { return add(sum, bytes, x); }
    static Ints add(Ints a, Ints b) { return ints(_mm512_add_epi32(raw(a), raw(b))); }
    static Ints load_steps(const uint8_t* p) {
        return ints(_mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))));
    }
    static Ints load_offset_pairs(const uint8_t* p) {
        return ints(_mm512_cvtepi8_epi16(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))));
    }
    static Ints load_ints(const int32_t* p) { return ints(_mm512_loadu_si512(p)); }
    static Floats load_floats(const float* p) { return _mm512_loadu_ps(p); }
    static Floats load_scales(const unsigned char* p) {
        return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
    }
    static Floats scale_add(Ints total, Floats scale, float x_scale, Floats sum) {
        return _mm512_fmadd_ps(_mm512_cvtepi32_ps(raw(total)),
                               _mm512_mul_ps(scale, _mm512_set1_ps(x_scale)), sum);
    }
    static void store(float* p, Floats v) { _mm512_storeu_ps(p, v); }

    static float largest_lane(Floats v) { return _mm512_reduce_max_ps(v); }
    /// Writes sixteen rounded values and returns their sum.
    static int32_t store_rounded(Floats v, int8_t* out) {
        const __m512i rounded = _mm512_cvtps_epi32(v);
        _mm_storeu_si128(reinterpret_cast<__m128i*>(out), _mm512_cvtepi32_epi8(rounded));
        return _mm512_reduce_add_epi32(rounded);
    }
};

/// Sixteen numbers a row, four bytes each: every lane's value in all four of its bytes.
inline __m512i spread(__m128i bytes) {
    const __m512i wide = _mm512_cvtepu8_epi32(bytes);
    const __m512i low = _mm512_or_si512(wide, _mm512_slli_epi32(wide, 8));
    return _mm512_or_si512(low, _mm512_slli_epi32(low, 16));
}

/// w8 + 128 = step * code + (offset + 128). Two codes lie in 16 bits, the products are at most 240:
/// one 16-bit product by the step is the two products of bytes side by side.
template <int kBits, int kIndex>
__attribute__((always_inline)) inline void unpack_fields(__m512i raw, __m512i step, __m512i offset,
                                                         uint8_t* out) {
    if constexpr (kIndex < 8 / kBits) {
        const __m512i codes = Vnni512::field<kBits, kIndex>(raw);
        _mm512_storeu_si512(out + int64_t{kIndex} * kPanelRows * kPanelGroup,
                            _mm512_add_epi8(_mm512_mullo_epi16(codes, step), offset));
        unpack_fields<kBits, kIndex + 1>(raw, step, offset, out);
    }
}

template <int kBits, int kColumns>
void unpack_block(const unsigned char* block, uint8_t* weights, float* scales) {
    using Layout = CodeLayout<kBits, kColumns>;
    constexpr int64_t kChunkColumns = Layout::kGroupsPerChunk * kPanelGroup;
    const unsigned char* codes = block + Layout::kCodes;
    const RunFactors<Layout> factors(block);
    _mm512_storeu_ps(scales, Vnni512::load_scales(block));
    for (int64_t run = 0; run < Layout::kRuns; ++run) {
        const __m512i steps = Vnni512::raw(Vnni512::load_steps(factors.steps_of(run, 0)));
        const __m512i step = _mm512_or_si512(steps, _mm512_slli_epi32(steps, 16));
        const __m128i offsets = _mm_loadu_si128(
            reinterpret_cast<const __m128i*>(block + Layout::kOffsets + run * kPanelRows));
        const __m512i offset = spread(_mm_xor_si128(offsets, _mm_set1_epi8(-128)));
        for (int64_t chunk = 0; chunk < kColumns / kChunkColumns; ++chunk) {
            unpack_fields<kBits, 0>(Vnni512::load_codes(codes), step, offset, weights);
            codes += Layout::kChunkBytes;
            weights += Layout::kGroupsPerChunk * Layout::kChunkBytes;
        }
    }
}

inline void unpack_bytes(const unsigned char* block, uint8_t* weights, float* scales) {
    _mm512_storeu_ps(scales, Vnni512::load_scales(block));
    for (int64_t i = 0; i < kPanelRows * kPanelColumns; i += 64) {
        _mm512_storeu_si512(weights + i, _mm512_loadu_si512(block + 2 * kPanelRows + i));
    }
}

/// Int8Kernels of a table with these dots, with any product of unpacked blocks.
constexpr Int8Kernels vnni_int8(void (*multiply)(const BlockMultiplyArgs&)) {
    Int8Kernels kernels = direct_int8<Avx512, Vnni512>();
    kernels.formats[panel_index_of(FormatId::kQ8)].unpack = unpack_bytes;
    kernels.formats[panel_index_of(FormatId::kQ4)].unpack = unpack_block<4, 32>;
    kernels.formats[panel_index_of(FormatId::kQ2)].unpack = unpack_block<2, 16>;
    for (PanelKernels& format : kernels.formats) {
        format.multiply = multiply;
    }
    set_direct_rows(kernels, 8, 16, 8);
    return kernels;
}

}  // namespace
}  // namespace nereus
