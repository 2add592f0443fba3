#pragma once
// Integer lanes of AVX-VNNI: vpdpbusd on registers of 32 bytes, on CPUs without AVX-512 too (12th
// to 14th generation Core). Everything else is AVX2's.

#include "compute/cpu/avx2/int8.h"
#include "compute/cpu/wide/int8_multiply.h"

namespace nereus {
namespace {

struct Vnni256 : Int8Avx2 {
    /// Registers of weights and activation rows of a block product: 12 accumulators, two registers
    /// of weights and one of activations of 16.
    static constexpr int kTileRegisters = 2;
    static constexpr int kTileTokens = 6;

    using Run = Ints;

    static Run start() { return zero(); }
    static Run add(Run run, Codes codes, Ints x) {
        return ints(_mm256_dpbusd_avx_epi32(raw(run), codes, raw(x)));
    }
    static Ints add_run(Ints total, Run run, Ints step) {
        return ints(_mm256_add_epi32(raw(total), _mm256_mullo_epi32(raw(run), raw(step))));
    }
    static Ints add_pairs(Ints total, Ints a, Ints b) {
        return ints(_mm256_dpwssd_avx_epi32(raw(total), raw(a), raw(b)));
    }
    static __m128i load_eight(const uint8_t* p) {
        return _mm_loadl_epi64(reinterpret_cast<const __m128i*>(p));
    }
    static Ints load_steps(const uint8_t* p) { return ints(_mm256_cvtepu8_epi32(load_eight(p))); }
    static Ints start_bytes(int32_t x_total) { return broadcast(-128 * x_total); }
    static Ints add_bytes(Ints sum, Codes bytes, Ints x) { return add(sum, bytes, x); }
};

/// Every lane's low byte in all four of its bytes.
inline __m256i spread(__m256i lanes) {
    const __m256i first = _mm256_setr_epi8(0, 0, 0, 0, 4, 4, 4, 4, 8, 8, 8, 8, 12, 12, 12, 12, 0, 0,
                                           0, 0, 4, 4, 4, 4, 8, 8, 8, 8, 12, 12, 12, 12);
    return _mm256_shuffle_epi8(lanes, first);
}

/// w8 + 128 = step * code + (offset + 128). Two codes lie in 16 bits, the products are at most 240:
/// one 16-bit product by the step is the two products of bytes side by side.
template <int kBits, int kGroup>
__attribute__((always_inline)) inline void unpack_fields(__m256i raw, __m256i step, __m256i offset,
                                                         uint8_t* out) {
    if constexpr (kGroup < 8 / kBits) {
        const __m256i codes = Vnni256::field<kBits, kGroup>(raw);
        _mm256_storeu_si256(
            reinterpret_cast<__m256i*>(out + int64_t{kGroup} * kPanelRows * kPanelGroup),
            _mm256_add_epi8(_mm256_mullo_epi16(codes, step), offset));
        unpack_fields<kBits, kGroup + 1>(raw, step, offset, out);
    }
}

inline void unpack_scales(const unsigned char* block, float* scales) {
    for (int64_t row = 0; row < kPanelRows; row += Vnni256::kRows) {
        Vnni256::store(scales + row, Vnni256::load_scales(block + 2 * row));
    }
}

/// One run of columns of eight rows.
template <int kBits, int kColumns>
__attribute__((always_inline)) inline void unpack_run(
    const unsigned char* block, const RunFactors<CodeLayout<kBits, kColumns>>& factors, int64_t run,
    int64_t row, uint8_t* weights) {
    using Layout = CodeLayout<kBits, kColumns>;
    constexpr int64_t kChunks = kColumns / (Layout::kGroupsPerChunk * kPanelGroup);
    const __m256i step = Vnni256::raw(Int8Avx2::load_steps(factors.steps_of(run, row)));
    const __m256i offsets = _mm256_cvtepu8_epi32(
        Vnni256::load_eight(block + Layout::kOffsets + run * kPanelRows + row));
    const __m256i offset = _mm256_xor_si256(spread(offsets), _mm256_set1_epi8(-128));
    for (int64_t chunk = run * kChunks; chunk < (run + 1) * kChunks; ++chunk) {
        const unsigned char* codes =
            block + Layout::kCodes + chunk * Layout::kChunkBytes + row * kPanelGroup;
        unpack_fields<kBits, 0>(
            Vnni256::load_codes(codes), step, offset,
            weights + chunk * Layout::kGroupsPerChunk * Layout::kChunkBytes + row * kPanelGroup);
    }
}

template <int kBits, int kColumns>
void unpack_block(const unsigned char* block, uint8_t* weights, float* scales) {
    const RunFactors<CodeLayout<kBits, kColumns>> factors(block);
    unpack_scales(block, scales);
    for (int64_t run = 0; run < CodeLayout<kBits, kColumns>::kRuns; ++run) {
        for (int64_t row = 0; row < kPanelRows; row += Vnni256::kRows) {
            unpack_run<kBits, kColumns>(block, factors, run, row, weights);
        }
    }
}

inline void unpack_bytes(const unsigned char* block, uint8_t* weights, float* scales) {
    unpack_scales(block, scales);
    for (int64_t i = 0; i < kPanelRows * kPanelColumns; i += 32) {
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(weights + i),
                            Vnni256::load_codes(block + 2 * kPanelRows + i));
    }
}

constexpr Int8Kernels avx_vnni_int8() {
    Int8Kernels kernels = direct_int8<Avx2, Vnni256>();
    kernels.formats[panel_index_of(FormatId::kQ8)].unpack = unpack_bytes;
    kernels.formats[panel_index_of(FormatId::kQ4)].unpack = unpack_block<4, 32>;
    kernels.formats[panel_index_of(FormatId::kQ2)].unpack = unpack_block<2, 16>;
    for (PanelKernels& format : kernels.formats) {
        format.multiply = multiply_block<Vnni256>;
    }
    set_direct_rows(kernels, 8, 12, 8);
    return kernels;
}

}  // namespace
}  // namespace nereus
