#pragma once
// IQ2_XXS: eight numbers are an index into 256 groups of magnitudes; signs are seven bits and a
// parity. The magnitudes stand here as floats (8 KB, a quarter of an L1 cache), the signs are
// expanded for a whole block of 256 at once, and a number costs a load, a sign flip and a product.

#include "compute/cpu/wide/stored_rows.h"
#include "tensor/codebooks.h"

namespace nereus {
namespace {

struct Iq2Grid {
    alignas(64) float values[256][8];
    constexpr Iq2Grid() : values{} {
        for (int i = 0; i < 256; ++i) {
            for (int j = 0; j < 8; ++j) {
                values[i][j] = static_cast<float>(iq2_xxs_value(static_cast<uint8_t>(i), j));
            }
        }
    }
};

constexpr Iq2Grid kIq2Grid;

/// Where the sign words of numbers 32 g .. 32 g + 31 stand after iq2_sign_words.
inline constexpr int kIq2Place[8] = {0, 1, 4, 5, 2, 3, 6, 7};

/// The eight sign words of a block, in the order of kIq2Place: a shuffle within halves is enough
/// for that. p: the first four index bytes.
inline __m256i iq2_sign_words(const unsigned char* p) {
    const auto* words = reinterpret_cast<const __m256i*>(p);
    return _mm256_castps_si256(_mm256_shuffle_ps(_mm256_castsi256_ps(_mm256_loadu_si256(words)),
                                                 _mm256_castsi256_ps(_mm256_loadu_si256(words + 1)),
                                                 0xdd));
}

/// Bit i of word g: number i of its 32 is negative.
inline __m256i iq2_expand_signs(__m256i w) {
    const auto masked = [](__m256i v, uint32_t mask) {
        return _mm256_and_si256(v, _mm256_set1_epi32(static_cast<int>(mask)));
    };
    // Four fields of 7 bits to the low bits of four bytes, by way of two fields of 14.
    const __m256i fourteen =
        _mm256_or_si256(masked(w, 0x3fffU), masked(_mm256_slli_epi32(w, 2), 0x3fff0000U));
    const __m256i seven = _mm256_or_si256(masked(fourteen, 0x7f007fU),
                                          masked(_mm256_slli_epi32(fourteen, 1), 0x7f007f00U));
    // The eighth sign makes the number of signs in a byte even: both nibbles folded into one, its
    // parity looked up as bit 7.
    const __m256i folded =
        masked(_mm256_xor_si256(seven, _mm256_srli_epi32(seven, 4)), 0x0f0f0f0fU);
    constexpr char kOdd = static_cast<char>(0x80);
    const __m256i parity = _mm256_shuffle_epi8(
        _mm256_setr_epi8(0, kOdd, kOdd, 0, kOdd, 0, 0, kOdd, kOdd, 0, 0, kOdd, 0, kOdd, kOdd, 0, 0,
                         kOdd, kOdd, 0, kOdd, 0, 0, kOdd, kOdd, 0, 0, kOdd, 0, kOdd, kOdd, 0),
        folded);
    return _mm256_or_si256(seven, parity);
}

template <class V>
struct Iq2Xxs : BlockFormat {
    static constexpr int64_t kElements = 256;
    static constexpr int64_t kBytes = 66;
    struct Block {
        alignas(32) uint32_t signs[8];  ///< at kIq2Place[g], bit i: number 32 g + i is negative
        alignas(32) float factors[8];   ///< at kIq2Place[g]
        const unsigned char* codes;     ///< per 32 numbers: 4 index bytes, then the sign word
    };
    static void open(const unsigned char* p, const float*, Block& block) {
        block.codes = p + 2;
        const __m256i w = iq2_sign_words(p + 2);
        // (d * (0.5 + scale)) * 0.25: exact in any order, d has 11 bits and the sum 5.
        const __m256 scale =
            _mm256_add_ps(_mm256_cvtepi32_ps(_mm256_srli_epi32(w, 28)), _mm256_set1_ps(0.5F));
        _mm256_store_ps(block.factors, _mm256_mul_ps(_mm256_set1_ps(read_f16(p) * 0.25F), scale));
        _mm256_store_si256(reinterpret_cast<__m256i*>(block.signs), iq2_expand_signs(w));
        keep_in_memory(block.signs);
        keep_in_memory(block.factors);
    }
    template <int G>
    static typename V::Floats values(const Block& block) {
        const unsigned char* index = block.codes + G / 2 * 8 + G % 2 * 2;
        const auto magnitudes = V::join(_mm256_load_ps(kIq2Grid.values[index[0]]),
                                        _mm256_load_ps(kIq2Grid.values[index[1]]));
        constexpr int kAt = kIq2Place[G / 2];
        const auto* signs = reinterpret_cast<const unsigned char*>(block.signs + kAt) + G % 2 * 2;
        return V::flip_signs(V::mul(magnitudes, V::broadcast(block.factors[kAt])), signs);
    }
};

}  // namespace
}  // namespace nereus
