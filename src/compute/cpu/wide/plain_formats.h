#pragma once
// Formats of single numbers: F32, F16, BF16, and FP8 E4M3 with and without 128 x 128 scales. They
// are walked in "blocks" of 128 columns, which is fp8's scale block and a good length to unroll.

#include "compute/cpu/wide/stored_rows.h"

namespace nereus {
namespace {

struct PlainFormat {
    static constexpr int64_t kElements = 128;
    static constexpr int kRowsTogether = 4;
    static constexpr bool kTail = true;
    static constexpr bool kSlowPath = false;
    struct Block {
        const unsigned char* data;
    };
    static void open(const unsigned char* data, const float* /*scale*/, Block& block) {
        block = {data};
    }
    static void open_part(const unsigned char* data, const float* scale, Block& block) {
        open(data, scale, block);
    }
    static bool is_special(const Block& /*block*/, int64_t /*n*/) { return false; }
};

/// Numbers of 16 bits: two rows keep one core's memory busy, and four in turn read so little of
/// each row at a time that memory is slower (Zen 5: 41 GB/s with two rows, 31 with four, of 45).
struct HalfFormat : PlainFormat {
    static constexpr int64_t kBytes = kElements * 2;
    static constexpr int kRowsTogether = 2;
};

/// Copies the n < 16 numbers of a last group, `width` bytes each, to where 16 can be read.
struct Padded {
    unsigned char bytes[64] = {};
    Padded(const unsigned char* data, int64_t n_bytes) {
        __builtin_memcpy(bytes, data, static_cast<unsigned long>(n_bytes));
    }
};

template <class V>
struct F32 : PlainFormat {
    static constexpr int64_t kBytes = kElements * 4;
    static typename V::Floats at(const unsigned char* p) {
        return V::load(reinterpret_cast<const float*>(p));
    }
    static typename V::Floats group_values(const Block& block, int64_t g) {
        return at(block.data + g * kLanes * 4);
    }
    template <int G>
    static typename V::Floats values(const Block& block) {
        return group_values(block, G);
    }
    static typename V::Floats first_values(const Block& block, int64_t g, int64_t n) {
        return at(Padded(block.data + g * kLanes * 4, n * 4).bytes);
    }
};

template <class V>
struct Bf16 : HalfFormat {
    static typename V::Floats at(const unsigned char* p) {
        return V::floats(V::template shift_left<16>(V::widen_u16(p)));
    }
    static typename V::Floats group_values(const Block& block, int64_t g) {
        return at(block.data + g * kLanes * 2);
    }
    template <int G>
    static typename V::Floats values(const Block& block) {
        return group_values(block, G);
    }
    static typename V::Floats first_values(const Block& block, int64_t g, int64_t n) {
        return at(Padded(block.data + g * kLanes * 2, n * 2).bytes);
    }
};

template <class V>
struct F16 : HalfFormat {
    static typename V::Floats at(const unsigned char* p) {
        return V::from_f16(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
    }
    static typename V::Floats group_values(const Block& block, int64_t g) {
        return at(block.data + g * kLanes * 2);
    }
    template <int G>
    static typename V::Floats values(const Block& block) {
        return group_values(block, G);
    }
    static typename V::Floats first_values(const Block& block, int64_t g, int64_t n) {
        return at(Padded(block.data + g * kLanes * 2, n * 2).bytes);
    }
};

/// E4M3 by way of F16: the seven magnitude bits, shifted up by 7, are an F16 whose value is 2^-8 of
/// the E4M3's (exponent bias 15 instead of 7), subnormals included; the factor 2^8 goes into the
/// scale. Exact but for the two NaN codes, which become 480, and for scales near the overflow of
/// 2^8 * scale: both are special.
template <class V>
struct Fp8Block128 {
    static constexpr int64_t kElements = 128;
    static constexpr int64_t kBytes = kElements;
    static constexpr int kRowsTogether = 4;
    static constexpr bool kTail = true;
    static constexpr bool kSlowPath = true;
    struct Block {
        const unsigned char* data;
        float scale;  ///< times 256
        bool huge;
    };
    static void open(const unsigned char* data, const float* scale, Block& block) {
        const float factor = scale == nullptr ? 1.0F : *scale;
        block.data = data;
        block.scale = factor * 256.0F;
        block.huge = (bits_of_float(factor) & 0x7f800000U) >= ((127U + 100U) << 23);
    }
    static void open_part(const unsigned char* data, const float* scale, Block& block) {
        open(data, scale, block);
    }
    static typename V::Floats at(const unsigned char* p, float scale) {
        const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
        const __m256i words = _mm256_slli_epi16(_mm256_cvtepi8_epi16(bytes), 7);
        const __m256i halves =
            _mm256_and_si256(words, _mm256_set1_epi16(static_cast<int16_t>(0xbf80)));
        return V::mul(V::from_f16(halves), V::broadcast(scale));
    }
    static typename V::Floats group_values(const Block& block, int64_t g) {
        return at(block.data + g * kLanes, block.scale);
    }
    template <int G>
    static typename V::Floats values(const Block& block) {
        return group_values(block, G);
    }
    static typename V::Floats first_values(const Block& block, int64_t g, int64_t n) {
        return at(Padded(block.data + g * kLanes, n).bytes, block.scale);
    }
    static bool is_special(const Block& block, int64_t n) {
        if (n < kElements) {
            bool found = block.huge;
            for (int64_t i = 0; i < n; ++i) {
                found |= (block.data[i] & 0x7fU) == 0x7fU;
            }
            return found;
        }
        return block.huge | V::has_e4m3_nan(block.data);
    }
    static float slow_value(const RowPointer& row, int64_t c) {
        const unsigned code = row.data[c];
        const float scale = row.scales == nullptr ? 1.0F : row.scales[c / 128];
        float value = _cvtsh_ss(static_cast<uint16_t>((code & 0x7fU) << 7)) * 256.0F;
        value = (code & 0x7fU) == 0x7fU ? __builtin_nanf("") : value;
        return ((code & 0x80U) != 0 ? -value : value) * scale;
    }
};

}  // namespace
}  // namespace nereus
