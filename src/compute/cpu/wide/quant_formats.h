#pragma once
// GGUF's block formats with linear codes. Layouts: the files of tensor/formats/. A product
// factor * q has at most 11 + 8 + 6 significant bits and is exact, so the fused subtraction of the
// minimum rounds as the format's separate one does.

#include "compute/cpu/wide/stored_rows.h"
#include "tensor/codebooks.h"

namespace nereus {
namespace {

/// factor * each of the eight bytes of `bytes`, as floats.
inline void scale_bytes(uint64_t bytes, float factor, float* out) {
    const __m256i wide = _mm256_cvtepu8_epi32(_mm_cvtsi64_si128(static_cast<int64_t>(bytes)));
    _mm256_storeu_ps(out, _mm256_mul_ps(_mm256_cvtepi32_ps(wide), _mm256_set1_ps(factor)));
}

template <class V>
struct Q8_0 : BlockFormat {
    static constexpr int64_t kElements = 32;
    static constexpr int64_t kBytes = 34;
    struct Block {
        typename V::Floats factor;
        const unsigned char* codes;
    };
    static void open(const unsigned char* p, const float*, Block& block) {
        block = {V::broadcast_f16(read<uint16_t>(p)), p + 2};
    }
    template <int G>
    static typename V::Floats values(const Block& block) {
        return V::mul(V::to_float(V::widen_i8(block.codes + G * kLanes)), block.factor);
    }
};

/// Sixteen bytes of nibbles: the low ones are numbers 0..15, the high ones 16..31.
template <class V, int G>
inline typename V::Ints nibbles(const unsigned char* codes) {
    const typename V::Ints bytes = V::widen_u8(codes);
    if constexpr (G == 0) {
        return bytes;  // tables look at the low four bits only
    } else {
        return V::template shift_right<4>(bytes);
    }
}

/// Q4_0 and Q4_1: d * (q - kBias) + m.
template <class V, int kBias, bool kMinimum>
struct Q4 : BlockFormat {
    static constexpr int64_t kElements = 32;
    static constexpr int64_t kBytes = kMinimum ? 20 : 18;
    struct Block {
        typename V::Table16 table;
        const unsigned char* codes;
    };
    static void open(const unsigned char* p, const float*, Block& block) {
        const float m = kMinimum ? read_f16(p + 2) : -0.0F;
        block = {V::Table16::affine(read_f16(p), kBias, -m), p + kBytes - 16};
    }
    template <int G>
    static typename V::Floats values(const Block& block) {
        return block.table[nibbles<V, G>(block.codes)];
    }
};

/// Q5_0 and Q5_1: the same with a fifth bit; bit i of the word belongs to number i.
template <class V, int kBias, bool kMinimum>
struct Q5 : BlockFormat {
    static constexpr int64_t kElements = 32;
    static constexpr int64_t kBytes = kMinimum ? 24 : 22;
    struct Block {
        typename V::Table32 table;
        const unsigned char* codes;
        uint32_t fifth;
    };
    static void open(const unsigned char* p, const float*, Block& block) {
        const float m = kMinimum ? read_f16(p + 2) : -0.0F;
        block = {V::Table32::affine(read_f16(p), kBias, -m), p + kBytes - 16,
                 read<uint32_t>(p + kBytes - 20)};
    }
    template <int G>
    static typename V::Floats values(const Block& block) {
        const auto high = V::bits_at_4(block.fifth >> (G * kLanes));
        return block.table[V::select(V::splat(15), nibbles<V, G>(block.codes), high)];
    }
};

/// IQ4_NL and MXFP4: a codebook behind each nibble.
template <class V>
struct Iq4Nl : BlockFormat {
    static constexpr int64_t kElements = 32;
    static constexpr int64_t kBytes = 18;
    struct Block {
        typename V::Codebook16 table;
        const unsigned char* codes;
    };
    static constexpr float kBook[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                        1,    13,   25,  38,  53,  69,  89,  113};
    static void open(const unsigned char* p, const float*, Block& block) {
        block = {V::Codebook16::scaled(read_f16(p), kBook), p + 2};
    }
    template <int G>
    static typename V::Floats values(const Block& block) {
        return block.table[nibbles<V, G>(block.codes)];
    }
};

template <class V>
struct Mxfp4 : BlockFormat {
    static constexpr int64_t kElements = 32;
    static constexpr int64_t kBytes = 17;
    struct Block {
        typename V::Codebook16 table;
        const unsigned char* codes;
    };
    static constexpr float kBook[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};
    static void open(const unsigned char* p, const float*, Block& block) {
        const uint32_t e = *p;
        const uint32_t bits = e < 2 ? 0x00200000U << e : (e - 1) << 23;  // 2^(e - 128)
        block = {V::Codebook16::scaled(float_of_bits(bits), kBook), p + 1};
    }
    template <int G>
    static typename V::Floats values(const Block& block) {
        return block.table[nibbles<V, G>(block.codes)];
    }
};

/// The eight six-bit (scale, minimum) pairs of Q4_K and Q5_K, times d and dmin. Byte j of a word is
/// pair j; pairs 4..7 have their high two bits atop the bytes of pairs 0..3.
struct KScales {
    float factors[8];
    float offsets[8];
    static KScales of(const unsigned char* p) {
        KScales scales;
        const uint32_t a = read<uint32_t>(p + 4);
        const uint32_t b = read<uint32_t>(p + 8);
        const uint32_t c = read<uint32_t>(p + 12);
        const uint32_t scales_high = (c & 0x0f0f0f0fU) | ((a >> 2) & 0x30303030U);
        const uint32_t minima_high = ((c >> 4) & 0x0f0f0f0fU) | ((b >> 2) & 0x30303030U);
        scale_bytes((uint64_t{scales_high} << 32) | (a & 0x3f3f3f3fU), read_f16(p), scales.factors);
        scale_bytes((uint64_t{minima_high} << 32) | (b & 0x3f3f3f3fU), read_f16(p + 2),
                    scales.offsets);
        return scales;
    }
};

/// Shifts the bits of bytes right by kBits, or left where it is negative, and keeps those of kMask:
/// none that crosses from one byte into the next.
template <int kBits, int kMask>
inline __m256i byte_bits(__m256i v) {
    if constexpr (kBits > 0) {
        v = _mm256_srli_epi16(v, kBits);
    } else if constexpr (kBits < 0) {
        v = _mm256_slli_epi16(v, -kBits);
    }
    return _mm256_and_si256(v, _mm256_set1_epi8(kMask));
}

inline __m256i load_bytes(const unsigned char* p) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
}

/// The codes of a block whose bits lie apart, put together 32 at a time by byte operations and kept
/// as bytes: to widen one costs a load, where gathering its bits lane by lane costs six operations.
struct Codes256 {
    alignas(32) int8_t of[256];
    /// Numbers 32 P .. 32 P + 31 are (low | high) - bias.
    template <int P>
    void set(__m256i low, __m256i high, __m256i bias) {
        _mm256_store_si256(reinterpret_cast<__m256i*>(of + 32 * P),
                           _mm256_sub_epi8(_mm256_or_si256(low, high), bias));
    }
};

/// Numbers 16 G .. 16 G + 15.
template <class V, int G>
inline typename V::Floats code_floats(const Codes256& codes) {
    return V::to_float(V::widen_i8(codes.of + G * kLanes));
}

template <class V>
struct Q4K : BlockFormat {
    static constexpr int64_t kElements = 256;
    static constexpr int64_t kBytes = 144;
    struct Block {
        KScales scales;
        const unsigned char* codes;
    };
    static void open(const unsigned char* p, const float*, Block& block) {
        block = {KScales::of(p), p + 16};
        keep_in_memory(block.scales);
    }
    /// Groups 4 p, 4 p + 1: low nibbles of bytes 32 p ..; groups 4 p + 2, 4 p + 3: the high ones.
    template <int G>
    static typename V::Floats values(const Block& block) {
        const auto table =
            V::Table16::affine(block.scales.factors[G / 2], 0.0F, block.scales.offsets[G / 2]);
        return table[nibbles<V, G / 2 % 2>(block.codes + G / 4 * 32 + G % 2 * 16)];
    }
};

/// Shifts right by kBits, or left where it is negative.
template <class V, int kBits>
inline typename V::Ints shift(typename V::Ints v) {
    if constexpr (kBits > 0) {
        return V::template shift_right<kBits>(v);
    } else if constexpr (kBits < 0) {
        return V::template shift_left<-kBits>(v);
    } else {
        return v;
    }
}

template <class V>
struct Q5K : BlockFormat {
    static constexpr int64_t kElements = 256;
    static constexpr int64_t kBytes = 176;
    struct Block {
        KScales scales;
        Codes256 codes;
    };
    static void open(const unsigned char* p, const float*, Block& block) {
        block.scales = KScales::of(p);
        const __m256i fifth = load_bytes(p + 16);
        repeat<8>([&](auto i) __attribute__((always_inline)) {
            constexpr int kPair = i.value;  // bit kPair of byte j belongs to number 32 kPair + j
            const __m256i nibbles = load_bytes(p + 48 + kPair / 2 * 32);
            block.codes.template set<kPair>(byte_bits<kPair % 2 * 4, 15>(nibbles),
                                            byte_bits<kPair - 4, 16>(fifth),
                                            _mm256_setzero_si256());
        });
        keep_in_memory(block.scales);
    }
    template <int G>
    static typename V::Floats values(const Block& block) {
        return V::fms(V::broadcast(block.scales.factors[G / 2]), code_floats<V, G>(block.codes),
                      V::broadcast(block.scales.offsets[G / 2]));
    }
};

template <class V>
struct Q2K : BlockFormat {
    static constexpr int64_t kElements = 256;
    static constexpr int64_t kBytes = 84;
    struct Block {
        float factors[16];
        float offsets[16];
        const unsigned char* codes;
    };
    static void open(const unsigned char* p, const float*, Block& block) {
        const typename V::Ints pairs = V::widen_u8(p);
        const auto low = V::select(V::splat(15), pairs, V::splat(0));
        const auto high = V::template shift_right<4>(pairs);
        V::store(block.factors, V::mul(V::broadcast(read_f16(p + 80)), V::to_float(low)));
        V::store(block.offsets, V::mul(V::broadcast(read_f16(p + 82)), V::to_float(high)));
        block.codes = p + 16;
        keep_in_memory(block.factors);
        keep_in_memory(block.offsets);
    }
    /// Byte 32 h + j holds numbers 128 h + 32 s + j in its bit pairs s = 0..3.
    template <int G>
    static typename V::Floats values(const Block& block) {
        const auto table = V::Table4::affine(block.factors[G], 0.0F, block.offsets[G]);
        return table[shift<V, G / 2 % 4 * 2>(V::widen_u8(block.codes + G / 8 * 32 + G % 2 * 16))];
    }
};

/// The pairs of bits lie as Q2_K's; less 4 where bit i of byte j of the third bits is clear, for
/// number 32 i + j.
template <class V>
struct Q3K : BlockFormat {
    static constexpr int64_t kElements = 256;
    static constexpr int64_t kBytes = 110;
    struct Block {
        float factors[16];
        Codes256 codes;
    };
    static void open(const unsigned char* p, const float*, Block& block) {
        const uint64_t low = read<uint64_t>(p + 96);
        const uint64_t high = read<uint32_t>(p + 104);
        constexpr uint64_t kPairs = 0x0303030303030303U;
        constexpr uint64_t kNibbles = 0x0f0f0f0f0f0f0f0fU;
        // Scales 0..3, 4..7, 8..11, 12..15 have their high bits in pairs 0..3 of the four bytes.
        const uint64_t first = (high & kPairs) | ((high >> 2 & kPairs) << 32);
        const uint64_t second = (high >> 4 & kPairs) | ((high >> 6 & kPairs) << 32);
        const uint64_t codes[2] = {(low & kNibbles) | (first & 0x0303030303030303U) << 4,
                                   (low >> 4 & kNibbles) | (second & 0x0303030303030303U) << 4};
        const auto scales = V::sub(V::widen_u8(codes), V::splat(32));
        V::store(block.factors, V::mul(V::broadcast(read_f16(p + 108)), V::to_float(scales)));
        keep_in_memory(block.factors);
        const __m256i third = load_bytes(p);
        repeat<8>([&](auto i) __attribute__((always_inline)) {
            constexpr int kPart = i.value;
            const __m256i pairs = load_bytes(p + 32 + kPart / 4 * 32);
            block.codes.template set<kPart>(byte_bits<kPart % 4 * 2, 3>(pairs),
                                            byte_bits<kPart - 2, 4>(third), _mm256_set1_epi8(4));
        });
    }
    template <int G>
    static typename V::Floats values(const Block& block) {
        return V::mul(code_floats<V, G>(block.codes), V::broadcast(block.factors[G]));
    }
};

/// Byte 64 h + j of the nibbles: numbers 128 h + j and 128 h + 64 + j; high pairs as Q2_K's.
template <class V>
struct Q6K : BlockFormat {
    static constexpr int64_t kElements = 256;
    static constexpr int64_t kBytes = 210;
    struct Block {
        float factors[16];
        Codes256 codes;
    };
    static void open(const unsigned char* p, const float*, Block& block) {
        V::store(block.factors,
                 V::mul(V::broadcast(read_f16(p + 208)), V::to_float(V::widen_i8(p + 192))));
        keep_in_memory(block.factors);
        repeat<8>([&](auto i) __attribute__((always_inline)) {
            constexpr int kHalf = i.value / 4;
            constexpr int kPart = i.value % 4;
            const __m256i nibbles = load_bytes(p + kHalf * 64 + kPart % 2 * 32);
            const __m256i pairs = load_bytes(p + 128 + kHalf * 32);
            block.codes.template set<i.value>(byte_bits<kPart / 2 * 4, 15>(nibbles),
                                              byte_bits<kPart * 2 - 4, 48>(pairs),
                                              _mm256_set1_epi8(32));
        });
    }
    template <int G>
    static typename V::Floats values(const Block& block) {
        return V::mul(code_floats<V, G>(block.codes), V::broadcast(block.factors[G]));
    }
};

}  // namespace
}  // namespace nereus
