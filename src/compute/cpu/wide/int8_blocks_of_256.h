#pragma once
// GGUF's formats of 256 numbers, as integer kernels see them. A format F<I>:
//   F::kColumns, F::kBytes   one block
//   F::kRowsMax              rows in flight that pay at most
//   F::kBias                 codes are unsigned: q + kBias
//   F::kMinima               has minima
//   F::Block                 what is prepared once a block
//   F::open(p, block)        prepares one
//   F::codes<g>(block)       the 32 codes of run g
//   F::factors<g>(block)     its factors, a lane each
// What every Block has is in FactorBlock.

#include "compute/cpu/wide/bytes256.h"
#include "compute/cpu/wide/iq2_xxs.h"

namespace nereus {
namespace {

/// Factors lie in memory: instructions broadcast them from there.
template <int kFactors>
struct FactorBlock {
    alignas(32) int32_t factors[kFactors];
    __m256 d;
    const unsigned char* data;
};

template <bool kWithMinima>
struct MinimaBlock {};

template <>
struct MinimaBlock<true> {
    alignas(32) int16_t minima[16];  ///< one for 16 columns
    __m256 d_min;
};

template <class I, int kFactors, bool kWithMinima>
struct BlockOf256 {
    static constexpr int64_t kColumns = kChunkColumns;
    static constexpr int kRowsMax = 4;
    static constexpr bool kMinima = kWithMinima;
    struct Block : FactorBlock<kFactors>, MinimaBlock<kWithMinima> {};
    template <int G>
    static typename I::Ints factors(const Block& block) {
        if constexpr (kFactors == 16) {
            return I::template halves<G % 4>(block.factors + G / 4 * 8);
        } else {
            return I::broadcast(block.factors[G]);
        }
    }
};

template <class I>
inline void store_factors_16(__m256i words, int32_t* factors) {
    I::store(factors, I::raw(I::factor_words(_mm256_castsi256_si128(words))));
    I::store(factors + 8, I::raw(I::factor_words(_mm256_extracti128_si256(words, 1))));
}

/// The eight six-bit (factor, minimum) pairs of Q4_K and Q5_K: byte j of a word is pair j; pairs
/// 4..7 have their high two bits atop the bytes of pairs 0..3.
template <class I, class Block>
inline void open_k_scales(const unsigned char* p, Block& block) {
    const uint32_t a = read<uint32_t>(p + 4);
    const uint32_t b = read<uint32_t>(p + 8);
    const uint32_t c = read<uint32_t>(p + 12);
    const uint32_t factors_high = (c & 0x0f0f0f0fU) | ((a >> 2) & 0x30303030U);
    const uint32_t minima_high = ((c >> 4) & 0x0f0f0f0fU) | ((b >> 2) & 0x30303030U);
    const auto eight = [](uint32_t low, uint32_t high) {
        return _mm_cvtsi64_si128(static_cast<int64_t>((uint64_t{high} << 32) | low));
    };
    I::store(block.factors,
             I::raw(I::factor_words(_mm_cvtepu8_epi16(eight(a & 0x3f3f3f3fU, factors_high)))));
    const __m256i minima = _mm256_cvtepu8_epi32(eight(b & 0x3f3f3f3fU, minima_high));
    I::store(block.minima, _mm256_or_si256(minima, _mm256_slli_epi32(minima, 16)));
    block.d = I::broadcast_f16(p);
    block.d_min = I::broadcast_f16(p + 2);
    keep_in_memory(block.factors);
}

/// Nibbles of Q4_K and Q5_K: run 2 i the low ones of bytes 32 i .., run 2 i + 1 the high ones.
template <class I, int G>
inline __m256i nibbles_of_run(const unsigned char* p) {
    return I::mask(I::template shift<G % 2 * 4>(I::load(p + G / 2 * 32)), 15);
}

/// Pairs of Q2_K, Q3_K and Q6_K, moved to bit kBit.
template <class I, int G, int kBit>
inline __m256i pairs_of_run(const unsigned char* p) {
    return I::mask(I::template shift<G % 4 * 2 - kBit>(I::load(p + G / 4 * 32)), 3 << kBit);
}

template <class I>
struct Q4KCodes : BlockOf256<I, 8, true> {
    using Block = typename BlockOf256<I, 8, true>::Block;
    static constexpr int64_t kBytes = 144;
    static constexpr int kBias = 0;
    static void open(const unsigned char* p, Block& block) {
        open_k_scales<I>(p, block);
        block.data = p + 16;
    }
    template <int G>
    static __m256i codes(const Block& block) {
        return nibbles_of_run<I, G>(block.data);
    }
};

template <class I>
struct Q5KCodes : BlockOf256<I, 8, true> {
    using Block = typename BlockOf256<I, 8, true>::Block;
    static constexpr int64_t kBytes = 176;
    static constexpr int kBias = 0;
    static void open(const unsigned char* p, Block& block) {
        open_k_scales<I>(p, block);
        block.data = p + 16;
    }
    /// Bit G of byte j belongs to number 32 G + j.
    template <int G>
    static __m256i codes(const Block& block) {
        return _mm256_or_si256(nibbles_of_run<I, G>(block.data + 32),
                               I::mask(I::template shift<G - 4>(I::load(block.data)), 16));
    }
};

template <class I>
struct Q2KCodes : BlockOf256<I, 16, true> {
    using Block = typename BlockOf256<I, 16, true>::Block;
    static constexpr int64_t kBytes = 84;
    static constexpr int kBias = 0;
    static void open(const unsigned char* p, Block& block) {
        const __m128i pairs = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
        const __m256i wide = _mm256_cvtepu8_epi16(pairs);
        store_factors_16<I>(_mm256_and_si256(wide, _mm256_set1_epi16(15)), block.factors);
        I::store(block.minima, _mm256_srli_epi16(wide, 4));
        block.d = I::broadcast_f16(p + 80);
        block.d_min = I::broadcast_f16(p + 82);
        block.data = p + 16;
        keep_in_memory(block.factors);
    }
    template <int G>
    static __m256i codes(const Block& block) {
        return pairs_of_run<I, G, 0>(block.data);
    }
};

template <class I>
struct Q3KCodes : BlockOf256<I, 16, false> {
    using Block = typename BlockOf256<I, 16, false>::Block;
    static constexpr int64_t kBytes = 110;
    static constexpr int kBias = 4;
    static void open(const unsigned char* p, Block& block) {
        const uint64_t low = read<uint64_t>(p + 96);
        const uint64_t high = read<uint32_t>(p + 104);
        constexpr uint64_t kPairs = 0x0303030303030303U;
        constexpr uint64_t kNibbles = 0x0f0f0f0f0f0f0f0fU;
        // Scales 0..3, 4..7, 8..11, 12..15 have their high bits in pairs 0..3 of the four bytes.
        const uint64_t first = (high & kPairs) | ((high >> 2 & kPairs) << 32);
        const uint64_t second = (high >> 4 & kPairs) | ((high >> 6 & kPairs) << 32);
        const __m128i codes =
            _mm_set_epi64x(static_cast<int64_t>((low >> 4 & kNibbles) | (second & kPairs) << 4),
                           static_cast<int64_t>((low & kNibbles) | (first & kPairs) << 4));
        store_factors_16<I>(_mm256_cvtepi8_epi16(_mm_sub_epi8(codes, _mm_set1_epi8(32))),
                            block.factors);
        block.d = I::broadcast_f16(p + 108);
        block.data = p;
        keep_in_memory(block.factors);
    }
    /// Less 4 where bit G of byte j of the first 32 is clear.
    template <int G>
    static __m256i codes(const Block& block) {
        return _mm256_or_si256(pairs_of_run<I, G, 0>(block.data + 32),
                               I::mask(I::template shift<G - 2>(I::load(block.data)), 4));
    }
};

template <class I>
struct Q6KCodes : BlockOf256<I, 16, false> {
    using Block = typename BlockOf256<I, 16, false>::Block;
    static constexpr int64_t kBytes = 210;
    static constexpr int kBias = 32;
    static void open(const unsigned char* p, Block& block) {
        store_factors_16<I>(
            _mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p + 192))),
            block.factors);
        block.d = I::broadcast_f16(p + 208);
        block.data = p;
        keep_in_memory(block.factors);
    }
    /// Byte 64 h + j of the nibbles: numbers 128 h + j and 128 h + 64 + j.
    template <int G>
    static __m256i codes(const Block& block) {
        const __m256i bytes = I::load(block.data + G / 4 * 64 + G % 2 * 32);
        return _mm256_or_si256(I::mask(I::template shift<G / 2 % 2 * 4>(bytes), 15),
                               pairs_of_run<I, G, 4>(block.data + 128));
    }
};

/// Magnitudes plus 64, eight bytes each.
struct Iq2ByteGrid {
    alignas(64) uint64_t values[256];
    constexpr Iq2ByteGrid() : values{} {
        for (int i = 0; i < 256; ++i) {
            for (int j = 0; j < 8; ++j) {
                const int value = iq2_xxs_value(static_cast<uint8_t>(i), j) + 64;
                values[i] |= static_cast<uint64_t>(value) << (8 * j);
            }
        }
    }
};

constexpr Iq2ByteGrid kIq2ByteGrid;

template <class I>
struct Iq2XxsCodes {
    static constexpr int64_t kColumns = kChunkColumns;
    /// Index bytes take the general registers; with four rows GCC keeps pointers in vector ones.
    static constexpr int kRowsMax = 2;
    static constexpr int64_t kBytes = 66;
    static constexpr int kBias = 64;
    static constexpr bool kMinima = false;
    struct Block : FactorBlock<8> {  ///< factors at kIq2Place
        alignas(32) uint32_t signs[8];
    };
    static void open(const unsigned char* p, Block& block) {
        const __m256i words = iq2_sign_words(p + 2);
        // d * (0.5 + s) / 4 = d / 8 * (2 s + 1); the factor fits its lane's low half
        const __m256i odd = _mm256_or_si256(_mm256_slli_epi32(_mm256_srli_epi32(words, 28), 1),
                                            _mm256_set1_epi32(1));
        I::store(block.factors,
                 I::raw(I::factor_words(_mm_packus_epi32(_mm256_castsi256_si128(odd),
                                                         _mm256_extracti128_si256(odd, 1)))));
        I::store(block.signs, iq2_expand_signs(words));
        block.d = _mm256_mul_ps(I::broadcast_f16(p), I::splat_float(0.125F));
        block.data = p + 2;
        keep_in_memory(block.factors);
        keep_in_memory(block.signs);
    }
    template <int G>
    static __m256i codes(const Block& block) {
        const unsigned char* index = block.data + G * 8;
        const auto* grid = kIq2ByteGrid.values;
        const __m128i low = _mm_set_epi64x(static_cast<int64_t>(grid[index[1]]),
                                           static_cast<int64_t>(grid[index[0]]));
        const __m128i high = _mm_set_epi64x(static_cast<int64_t>(grid[index[3]]),
                                            static_cast<int64_t>(grid[index[2]]));
        return I::negate_biased_64(_mm256_set_m128i(high, low), block.signs[kIq2Place[G]]);
    }
    template <int G>
    static typename I::Ints factors(const Block& block) {
        return I::broadcast(block.factors[kIq2Place[G]]);
    }
};

}  // namespace
}  // namespace nereus
