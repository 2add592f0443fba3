#pragma once
// E4M3 by looking up: AVX-512 VBMI finds 64 bytes at once in a table of 128, so the upper half of a
// float stands ready for every code, NaN included. Per 16 numbers 1.75 instructions instead of the
// 4 by way of F16 (wide/plain_formats.h), which do not keep up with one core's memory.

#include "compute/cpu/avx512/lanes.h"
#include "compute/cpu/wide/plain_formats.h"

namespace nereus {
namespace {

/// Bytes 3 and 2 of the floats of the 128 codes without sign.
struct E4m3Halves {
    alignas(64) uint8_t high[128];
    alignas(64) uint8_t low[128];
    constexpr E4m3Halves() : high{}, low{} {
        for (unsigned code = 0; code < 128; ++code) {
            const unsigned half = half_of(code >> 3, code & 7U);
            high[code] = static_cast<uint8_t>(half >> 8);
            low[code] = static_cast<uint8_t>(half);
        }
    }
    static constexpr unsigned half_of(unsigned exponent, unsigned mantissa) {
        if (exponent == 15 && mantissa == 7) {
            return 0x7fc0;  // NaN
        }
        if (exponent != 0) {
            return (exponent - 7 + 127) << 7 | mantissa << 4;
        }
        unsigned shift = 0;  // subnormal: mantissa * 2^-9
        for (; mantissa != 0 && mantissa < 8; mantissa <<= 1) {
            ++shift;
        }
        return mantissa == 0 ? 0 : (127 - 6 - shift) << 7 | (mantissa & 7U) << 4;
    }
};

constexpr E4m3Halves kE4m3Halves;

/// For group g of 64 numbers: byte 4 i + 3 comes from byte 16 g + i of the first table, byte
/// 4 i + 2 from the same of the second.
struct HalvesToFloats {
    alignas(64) uint8_t index[4][64];
    constexpr HalvesToFloats() : index{} {
        for (unsigned g = 0; g < 4; ++g) {
            for (unsigned i = 0; i < 16; ++i) {
                index[g][4 * i + 3] = static_cast<uint8_t>(16 * g + i);
                index[g][4 * i + 2] = static_cast<uint8_t>(64 + 16 * g + i);
            }
        }
    }
};

constexpr HalvesToFloats kHalvesToFloats;

/// As Fp8Block128 of wide/plain_formats.h, with nothing special.
struct Fp8Lookup {
    static constexpr int64_t kElements = 64;
    static constexpr int64_t kBytes = kElements;
    static constexpr int kRowsTogether = 4;
    static constexpr bool kTail = true;
    static constexpr bool kSlowPath = false;
    /// Of 64 numbers: bytes 3 and 2 of their floats.
    struct Halves {
        __m512i high;
        __m512i low;
    };
    struct Block {
        Halves halves;  ///< of a whole block
        const unsigned char* data;
        float scale;
    };

    static Halves look_up(__m512i codes) {
        const __m512i high = _mm512_permutex2var_epi8(_mm512_load_si512(kE4m3Halves.high), codes,
                                                      _mm512_load_si512(kE4m3Halves.high + 64));
        const __m512i sign = _mm512_set1_epi8(static_cast<char>(0x80));
        return {_mm512_ternarylogic_epi32(high, codes, sign, 0xf8),  // high | (codes & sign)
                _mm512_permutex2var_epi8(_mm512_load_si512(kE4m3Halves.low), codes,
                                         _mm512_load_si512(kE4m3Halves.low + 64))};
    }
    template <int G>
    static __m512 floats(const Halves& halves) {
        constexpr __mmask64 kUpper = 0xccccccccccccccccU;  // bytes 2 and 3 of every float
        const __m512i index = _mm512_load_si512(kHalvesToFloats.index[G]);
        return _mm512_castsi512_ps(
            _mm512_maskz_permutex2var_epi8(kUpper, halves.high, index, halves.low));
    }

    static void open(const unsigned char* data, const float* scale, Block& block) {
        open_part(data, scale, block);
        block.halves = look_up(_mm512_loadu_si512(data));
    }
    static void open_part(const unsigned char* data, const float* scale, Block& block) {
        block.data = data;
        block.scale = scale == nullptr ? 1.0F : *scale;
    }
    template <int G>
    static __m512 values(const Block& block) {
        return _mm512_mul_ps(floats<G>(block.halves), _mm512_set1_ps(block.scale));
    }
    static __m512 at(const unsigned char* p, float scale) {
        const __m128i codes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
        return _mm512_mul_ps(floats<0>(look_up(_mm512_zextsi128_si512(codes))),
                             _mm512_set1_ps(scale));
    }
    static __m512 group_values(const Block& block, int64_t g) {
        return at(block.data + g * kLanes, block.scale);
    }
    static __m512 first_values(const Block& block, int64_t g, int64_t n) {
        return at(Padded(block.data + g * kLanes, n).bytes, block.scale);
    }
    static bool is_special(const Block& /*block*/, int64_t /*n*/) { return false; }
};

}  // namespace
}  // namespace nereus
