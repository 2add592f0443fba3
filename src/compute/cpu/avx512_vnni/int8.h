#pragma once
// Integer lanes of AVX-512 VNNI: vpdpbusd multiplies four unsigned by four signed bytes a lane and
// adds them to 32 bits, exactly. Signed weights are biased by 128 and the bias taken off again.

#include "compute/cpu/avx512/lanes.h"
#include "compute/cpu/wide/int8_panels.h"

namespace nereus {
namespace {

struct Vnni512 {
    static constexpr int kRows = 16;
    /// Activation rows of the direct kernel.
    static constexpr int kTokens = 4;
    /// Activation rows of a block product: with two panels 24 accumulators.
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
    static Ints broadcast_bytes(const int8_t* p) {
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
    static Ints finish(Run run) { return run; }
    static Ints multiply_add(Ints a, Ints b, Ints c) {
        return ints(_mm512_add_epi32(_mm512_mullo_epi32(raw(a), raw(b)), raw(c)));
    }
    static Ints start_bytes(int32_t x_total) { return broadcast(-128 * x_total); }
    static Ints add_bytes(Ints sum, Codes bytes, Ints x) { return add(sum, bytes, x); }
    /// Sixteen steps minus one, in nibbles.
    static __m128i steps(const unsigned char* p) {
        const __m128i nibbles = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(p));
        const __m128i mask = _mm_set1_epi8(15);
        const __m128i low = _mm_and_si128(nibbles, mask);
        const __m128i high = _mm_and_si128(_mm_srli_epi16(nibbles, 4), mask);
        return _mm_add_epi8(_mm_unpacklo_epi8(low, high), _mm_set1_epi8(1));
    }
    static Ints load_steps(const unsigned char* p) { return ints(_mm512_cvtepu8_epi32(steps(p))); }
    static Ints load_offsets(const unsigned char* p) {
        return ints(_mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))));
    }
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

/// Activations i .. i+T-1 against P panels of one block.
template <int P, int T>
__attribute__((noinline)) void multiply_tile(const BlockMultiplyArgs& args, int64_t i) {
    constexpr int64_t kGroupBytes = kPanelRows * kPanelGroup;
    const int8_t* x = args.x + i * kPanelColumns;
    const uint8_t* weights = args.weights;
    Vnni512::Ints sums[P * T];
    repeat<T>([&](auto t) __attribute__((always_inline)) {
        const auto start = Vnni512::start_bytes(args.x_totals[i + t.value]);
        repeat<P>([&](auto p)
                      __attribute__((always_inline)) { sums[t.value * P + p.value] = start; });
    });
    for (int64_t group = 0; group < kPanelColumns / kPanelGroup; ++group) {
        __m512i w[P];
        repeat<P>([&](auto p) __attribute__((always_inline)) {
            w[p.value] = Vnni512::load_codes(weights + p.value * kPanelRows * kPanelColumns);
        });
        repeat<T>([&](auto t) __attribute__((always_inline)) {
            const auto four = Vnni512::broadcast_bytes(x + t.value * kPanelColumns);
            repeat<P>([&](auto p) __attribute__((always_inline)) {
                Vnni512::Ints& sum = sums[t.value * P + p.value];
                sum = Vnni512::add(sum, w[p.value], four);
            });
        });
        weights += kGroupBytes;
        x += kPanelGroup;
    }
    float* out = args.out + i * kPanelsTogether * kPanelRows;
    const float* x_scales = args.x_scales + i;
    repeat<P>([&](auto p) __attribute__((always_inline)) {
        const __m512 scale = _mm512_loadu_ps(args.scales + p.value * kPanelRows);
        repeat<T>([&](auto t) __attribute__((always_inline)) {
            float* at = out + t.value * kPanelsTogether * kPanelRows + p.value * kPanelRows;
            Vnni512::store(at, Vnni512::scale_add(sums[t.value * P + p.value], scale,
                                                  x_scales[t.value], _mm512_loadu_ps(at)));
        });
    });
}

template <int P, int T>
void multiply_tile_of(const BlockMultiplyArgs& args, int64_t i, int64_t n) {
    if constexpr (T > 0) {
        if (n == T) {
            multiply_tile<P, T>(args, i);
        } else {
            multiply_tile_of<P, T - 1>(args, i, n);
        }
    }
}

/// Equal parts of at most kTileTokens rows (13 becomes 7 + 6, not 12 + 1).
template <int P>
void multiply_panels(const BlockMultiplyArgs& args) {
    for (int64_t i = 0; i < args.n_x;) {
        const int64_t left = args.n_x - i;
        const int64_t parts = (left + Vnni512::kTileTokens - 1) / Vnni512::kTileTokens;
        const int64_t n = (left + parts - 1) / parts;
        multiply_tile_of<P, Vnni512::kTileTokens>(args, i, n);
        i += n;
    }
}

void multiply_block(const BlockMultiplyArgs& args) {
    if (args.n_panels == kPanelsTogether) {
        multiply_panels<kPanelsTogether>(args);
    } else {
        multiply_panels<1>(args);
    }
}

/// Sixteen numbers a row, four bytes each: every lane's value in all four of its bytes.
inline __m512i spread(__m128i bytes) {
    const __m512i wide = _mm512_cvtepu8_epi32(bytes);
    const __m512i low = _mm512_or_si512(wide, _mm512_slli_epi32(wide, 8));
    return _mm512_or_si512(low, _mm512_slli_epi32(low, 16));
}

/// w8 + 128 = step * code + (offset + 128): at most 255, so two 16-bit products of even and odd
/// bytes do.
template <int kBits, int kIndex, class Layout>
__attribute__((always_inline)) inline void unpack_fields(__m512i raw, __m512i step, __m512i offset,
                                                         uint8_t* out) {
    if constexpr (kIndex < 8 / kBits) {
        const __m512i codes = Vnni512::field<kBits, kIndex>(raw);
        const __m512i even = _mm512_and_si512(codes, _mm512_set1_epi16(0xff));
        const __m512i odd = _mm512_srli_epi16(codes, 8);
        const __m512i products = _mm512_or_si512(
            _mm512_mullo_epi16(even, step), _mm512_slli_epi16(_mm512_mullo_epi16(odd, step), 8));
        _mm512_storeu_si512(out + kIndex * Layout::kChunkBytes, _mm512_add_epi8(products, offset));
        unpack_fields<kBits, kIndex + 1, Layout>(raw, step, offset, out);
    }
}

template <int kBits, int kColumns>
void unpack_block(const unsigned char* block, uint8_t* weights, float* scales) {
    using Layout = CodeLayout<kBits, kColumns>;
    constexpr int64_t kChunkColumns = Layout::kGroupsPerChunk * kPanelGroup;
    _mm512_storeu_ps(scales, Vnni512::load_scales(block));
    for (int64_t chunk = 0; chunk < kPanelColumns / kChunkColumns; ++chunk) {
        const int64_t run = chunk * kChunkColumns / kColumns;
        const __m512i step =
            _mm512_and_si512(spread(Vnni512::steps(block + Layout::kSteps + run * kPanelRows / 2)),
                             _mm512_set1_epi16(0xff));
        const __m128i offsets = _mm_loadu_si128(
            reinterpret_cast<const __m128i*>(block + Layout::kOffsets + run * kPanelRows));
        const __m512i offset = spread(_mm_xor_si128(offsets, _mm_set1_epi8(-128)));
        unpack_fields<kBits, 0, Layout>(
            Vnni512::load_codes(block + Layout::kCodes + chunk * Layout::kChunkBytes), step, offset,
            weights + chunk * Layout::kGroupsPerChunk * Layout::kChunkBytes);
    }
}

inline void unpack_bytes(const unsigned char* block, uint8_t* weights, float* scales) {
    _mm512_storeu_ps(scales, Vnni512::load_scales(block));
    for (int64_t i = 0; i < kPanelRows * kPanelColumns; i += 64) {
        _mm512_storeu_si512(weights + i, _mm512_loadu_si512(block + 2 * kPanelRows + i));
    }
}

constexpr Int8Kernels vnni_int8() {
    Int8Kernels kernels = direct_int8<Vnni512>(round_row<Avx512, Vnni512>);
    kernels.formats[panel_index_of(FormatId::kQ8)].unpack = unpack_bytes;
    kernels.formats[panel_index_of(FormatId::kQ4)].unpack = unpack_block<4, 32>;
    kernels.formats[panel_index_of(FormatId::kQ2)].unpack = unpack_block<2, 16>;
    kernels.multiply = multiply_block;
    kernels.direct_rows_best = 2 * Vnni512::kTokens;
    return kernels;
}

inline constexpr Int8Kernels kVnniInt8 = vnni_int8();

}  // namespace
}  // namespace nereus
