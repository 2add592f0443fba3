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

template <class V>
struct Iq2Xxs : BlockFormat {
    static constexpr int64_t kElements = 256;
    static constexpr int64_t kBytes = 66;
    struct Block {
        alignas(32) uint32_t signs[8];  ///< bit i: number 32 g + i is negative
        alignas(32) float factors[8];   ///< one per 32 numbers
        const unsigned char* codes;     ///< per 32 numbers: 4 index bytes, then the sign word
    };
    static void open(const unsigned char* p, const float*, Block& block) {
        block.codes = p + 2;
        const auto* words = reinterpret_cast<const __m256i*>(p + 2);
        const __m256i odd = _mm256_castps_si256(
            _mm256_shuffle_ps(_mm256_castsi256_ps(_mm256_loadu_si256(words)),
                              _mm256_castsi256_ps(_mm256_loadu_si256(words + 1)), 0xdd));
        const __m256i w = _mm256_permute4x64_epi64(odd, 0xd8);  // the eight sign words in order
        // (d * (0.5 + scale)) * 0.25: exact, d has 11 bits and the sum 5.
        const __m256 scale =
            _mm256_add_ps(_mm256_cvtepi32_ps(_mm256_srli_epi32(w, 28)), _mm256_set1_ps(0.5F));
        const __m256 d = _mm256_set1_ps(read_f16(p));
        _mm256_store_ps(block.factors,
                        _mm256_mul_ps(_mm256_mul_ps(d, scale), _mm256_set1_ps(0.25F)));
        // Field k (7 bits from bit 7 k) to the low bits of byte k.
        const auto field = [&](int shift, uint32_t mask) {
            return _mm256_and_si256(_mm256_slli_epi32(w, shift),
                                    _mm256_set1_epi32(static_cast<int>(mask)));
        };
        const __m256i seven =
            _mm256_or_si256(_mm256_or_si256(field(0, 0x7fU), field(1, 0x7f00U)),
                            _mm256_or_si256(field(2, 0x7f0000U), field(3, 0x7f000000U)));
        // The eighth sign makes the number of signs in a byte even: the parity, folded to bit 0.
        __m256i parity = _mm256_xor_si256(seven, _mm256_srli_epi32(seven, 4));
        parity = _mm256_xor_si256(parity, _mm256_srli_epi32(parity, 2));
        parity = _mm256_xor_si256(parity, _mm256_srli_epi32(parity, 1));
        const __m256i eighth = _mm256_and_si256(_mm256_slli_epi32(parity, 7),
                                                _mm256_set1_epi32(static_cast<int>(0x80808080U)));
        _mm256_store_si256(reinterpret_cast<__m256i*>(block.signs), _mm256_or_si256(seven, eighth));
        keep_in_memory(block.signs);
        keep_in_memory(block.factors);
    }
    template <int G>
    static typename V::Floats values(const Block& block) {
        const unsigned char* index = block.codes + G / 2 * 8 + G % 2 * 2;
        const auto magnitudes = V::join(_mm256_load_ps(kIq2Grid.values[index[0]]),
                                        _mm256_load_ps(kIq2Grid.values[index[1]]));
        const uint32_t signs = block.signs[G / 2] >> (G % 2 * kLanes);
        return V::flip_signs(V::mul(magnitudes, V::broadcast(block.factors[G / 2])), signs);
    }
};

}  // namespace
}  // namespace nereus
