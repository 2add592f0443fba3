// The integers of every quantised format of GGUF; layouts as in the files beside this one.

#include "tensor/block_integers.h"

#include "tensor/codebooks.h"
#include "tensor/formats/blocks.h"
#include "tensor/formats/k_scales.h"
#include "tensor/formats/rows.h"

namespace nereus {
namespace {

/// Nibble i of 32: bytes 0..15 low, then high.
int half_byte(const std::byte* data, int i) { return nibble(load_u8(data, i % 16), i / 16); }

/// Two-bit number i of Q2_K, Q3_K and the high part of Q6_K.
int pair_of_256(const std::byte* data, int i) {
    return bits_2(load_u8(data, i / 128 * 32 + i % 32), i / 32 % 4);
}

/// Nibble i of Q4_K and Q5_K.
int half_byte_of_256(const std::byte* data, int i) {
    return nibble(load_u8(data, i / 64 * 32 + i % 32), i / 32 % 2);
}

template <typename Code>
void fill(BlockIntegers& out, int n, const Code& code) {
    for (int i = 0; i < n; ++i) {
        out.q[i] = static_cast<int8_t>(code(i));
    }
}

template <typename Factor>
void fill_factors(BlockIntegers& out, const Factor& factor) {
    for (int i = 0; i < 16; ++i) {
        out.factors[i] = static_cast<int16_t>(factor(i));
    }
}

void fill_k_scales(const std::byte* packed, BlockIntegers& out) {
    fill_factors(out, [&](int i) { return k_scale(packed, i / 2).scale; });
    for (int i = 0; i < 16; ++i) {
        out.minima[i] = static_cast<int16_t>(k_scale(packed, i / 2).minimum);
    }
}

}  // namespace

void unpack_q8_0(const std::byte* block, BlockIntegers& out) {
    out.d = load_f16(block);
    fill(out, 32, [&](int i) { return load_i8(block + 2, i); });
}

void unpack_q4_0(const std::byte* block, BlockIntegers& out) {
    out.d = load_f16(block);
    fill(out, 32, [&](int i) { return half_byte(block + 2, i) - 8; });
}

void unpack_q4_1(const std::byte* block, BlockIntegers& out) {
    out.d = load_f16(block);
    out.minimum = load_f16(block + 2);
    fill(out, 32, [&](int i) { return half_byte(block + 4, i); });
}

void unpack_q5_0(const std::byte* block, BlockIntegers& out) {
    out.d = load_f16(block);
    const auto fifth = load_as<uint32_t>(block + 2);
    fill(out, 32, [&](int i) { return (half_byte(block + 6, i) | bit_of(fifth, i) << 4) - 16; });
}

void unpack_q5_1(const std::byte* block, BlockIntegers& out) {
    out.d = load_f16(block);
    out.minimum = load_f16(block + 2);
    const auto fifth = load_as<uint32_t>(block + 4);
    fill(out, 32, [&](int i) { return half_byte(block + 8, i) | bit_of(fifth, i) << 4; });
}

void unpack_iq4_nl(const std::byte* block, BlockIntegers& out) {
    out.d = load_f16(block);
    fill(out, 32,
         [&](int i) { return kIq4NlValues[static_cast<size_t>(half_byte(block + 2, i))]; });
}

void unpack_mxfp4(const std::byte* block, BlockIntegers& out) {
    out.d = mxfp4_scale(load_u8(block));
    fill(out, 32,
         [&](int i) { return kMxfp4DoubledValues[static_cast<size_t>(half_byte(block + 1, i))]; });
}

void unpack_q2_k(const std::byte* block, BlockIntegers& out) {
    out.d = load_f16(block + 80);
    out.minimum = load_f16(block + 82);
    fill_factors(out, [&](int i) { return nibble(load_u8(block, i), 0); });
    for (int i = 0; i < 16; ++i) {
        out.minima[i] = static_cast<int16_t>(nibble(load_u8(block, i), 1));
    }
    fill(out, 256, [&](int i) { return pair_of_256(block + 16, i); });
}

void unpack_q3_k(const std::byte* block, BlockIntegers& out) {
    out.d = load_f16(block + 108);
    fill_factors(out, [&](int i) { return q3_k_scale(block + 96, i); });
    fill(out, 256, [&](int i) {
        return pair_of_256(block + 32, i) - (bit_of(load_u8(block, i % 32), i / 32) != 0 ? 0 : 4);
    });
}

void unpack_q4_k(const std::byte* block, BlockIntegers& out) {
    out.d = load_f16(block);
    out.minimum = load_f16(block + 2);
    fill_k_scales(block + 4, out);
    fill(out, 256, [&](int i) { return half_byte_of_256(block + 16, i); });
}

void unpack_q5_k(const std::byte* block, BlockIntegers& out) {
    out.d = load_f16(block);
    out.minimum = load_f16(block + 2);
    fill_k_scales(block + 4, out);
    fill(out, 256, [&](int i) {
        return half_byte_of_256(block + 48, i) | bit_of(load_u8(block + 16, i % 32), i / 32) << 4;
    });
}

void unpack_q6_k(const std::byte* block, BlockIntegers& out) {
    out.d = load_f16(block + 208);
    fill_factors(out, [&](int i) { return load_i8(block + 192, i); });
    fill(out, 256, [&](int i) {
        const int low = nibble(load_u8(block, i / 128 * 64 + i % 64), i / 64 % 2);
        return (low | pair_of_256(block + 128, i) << 4) - 32;
    });
}

void unpack_iq2_xxs(const std::byte* block, BlockIntegers& out) {
    // d * (0.5 + s) / 4 = d / 8 * (2 s + 1)
    out.d = load_f16(block) * 0.125F;
    const auto word = [&](int group) { return load_as<uint32_t>(block + 6 + group * 8); };
    fill_factors(out, [&](int i) { return 2 * (word(i / 2) >> 28) + 1; });
    fill(out, 256, [&](int i) {
        const int eight = i / 8 % 4;
        const int value = iq2_xxs_value(load_u8(block + 2 + i / 32 * 8, eight), i % 8);
        const uint8_t signs = iq2_signs((word(i / 32) >> (7 * eight)) & 127U);
        return bit_of(signs, i % 8) != 0 ? -value : value;
    });
}

}  // namespace nereus
