// Every block format decoded once more, by the walk that its definition in gguf-py (quants.py) and
// ggml (dequantize_row_*) takes: sequential pointers, shifts and masks as published, sharing
// nothing with the product's indexing. Random bytes and extreme scales; equality is of bits.

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <vector>

#include "base/rng.h"
#include "tensor/codebooks.h"
#include "tensor/format.h"

namespace nereus {
namespace {

using Bytes = const uint8_t*;
using Values = std::vector<float>;

/// binary16 by its definition.
float half(Bytes at) {
    const int bits = at[0] | at[1] << 8;
    const int exponent = bits >> 10 & 31;
    const int mantissa = bits & 1023;
    const double sign = bits >> 15 != 0 ? -1.0 : 1.0;
    if (exponent == 31) {
        return mantissa != 0 ? NAN : static_cast<float>(sign * HUGE_VAL);
    }
    return static_cast<float>(sign * (exponent == 0 ? std::ldexp(mantissa, -24)
                                                    : std::ldexp(1024 + mantissa, exponent - 25)));
}

float real(int value) { return static_cast<float>(value); }

// ---- 32 numbers: low nibbles first, then high nibbles

void q8_0(Bytes b, Values& out) {
    const float d = half(b);
    for (int i = 0; i < 32; ++i) {
        out.push_back(real(b[2 + i] < 128 ? b[2 + i] : b[2 + i] - 256) * d);
    }
}

void q4_0(Bytes b, Values& out) {
    const float d = half(b);
    for (const int shift : {0, 4}) {
        for (int j = 0; j < 16; ++j) {
            out.push_back(real((b[2 + j] >> shift & 15) - 8) * d);
        }
    }
}

void q4_1(Bytes b, Values& out) {
    const float d = half(b), m = half(b + 2);
    for (const int shift : {0, 4}) {
        for (int j = 0; j < 16; ++j) {
            out.push_back(real(b[4 + j] >> shift & 15) * d + m);
        }
    }
}

uint32_t word(Bytes b) {
    return uint32_t{b[0]} | uint32_t{b[1]} << 8 | uint32_t{b[2]} << 16 | uint32_t{b[3]} << 24;
}

void q5_0(Bytes b, Values& out) {
    const float d = half(b);
    uint32_t fifth = word(b + 2);
    for (const int shift : {0, 4}) {
        for (int j = 0; j < 16; ++j, fifth >>= 1) {
            out.push_back(real((b[6 + j] >> shift & 15) + ((fifth & 1U) != 0 ? 0 : -16)) * d);
        }
    }
}

void q5_1(Bytes b, Values& out) {
    const float d = half(b), m = half(b + 2);
    uint32_t fifth = word(b + 4);
    for (const int shift : {0, 4}) {
        for (int j = 0; j < 16; ++j, fifth >>= 1) {
            out.push_back(real((b[8 + j] >> shift & 15) + ((fifth & 1U) != 0 ? 16 : 0)) * d + m);
        }
    }
}

void iq4_nl(Bytes b, Values& out) {
    constexpr int kTable[] = {-127, -104, -83, -65, -49, -35, -22, -10,
                              1,    13,   25,  38,  53,  69,  89,  113};
    const float d = half(b);
    for (const int shift : {0, 4}) {
        for (int j = 0; j < 16; ++j) {
            out.push_back(real(kTable[b[2 + j] >> shift & 15]) * d);
        }
    }
}

/// OCP MX: E2M1 magnitudes under a scale 2^(e - 127).
void mxfp4(Bytes b, Values& out) {
    constexpr double kMagnitudes[] = {0, 0.5, 1, 1.5, 2, 3, 4, 6};
    for (const int shift : {0, 4}) {
        for (int j = 0; j < 16; ++j) {
            const int q = b[1 + j] >> shift & 15;
            const double value = std::ldexp(kMagnitudes[q & 7], b[0] - 127);
            out.push_back(static_cast<float>((q & 8) != 0 && (q & 7) != 0 ? -value : value));
        }
    }
}

// ---- 256 numbers

void q2_k(Bytes b, Values& out) {
    const float d = half(b + 80), d_min = half(b + 82);
    Bytes q = b + 16;
    Bytes scale = b;
    for (int n = 0; n < 256; n += 128, q += 32) {
        for (int shift = 0; shift < 8; shift += 2) {
            for (int part = 0; part < 32; part += 16, ++scale) {
                const float dl = d * real(*scale & 15), ml = d_min * real(*scale >> 4);
                for (int l = 0; l < 16; ++l) {
                    out.push_back(dl * real(q[part + l] >> shift & 3) - ml);
                }
            }
        }
    }
}

void q3_k(Bytes b, Values& out) {
    // The 12 bytes as three words, spread to sixteen signed bytes (ggml's kmask1, kmask2).
    uint32_t a[4] = {word(b + 96), word(b + 100), word(b + 104), 0};
    const uint32_t high = a[2];
    a[2] = (a[0] >> 4 & 0x0f0f0f0fU) | ((high >> 4 & 0x03030303U) << 4);
    a[3] = (a[1] >> 4 & 0x0f0f0f0fU) | ((high >> 6 & 0x03030303U) << 4);
    a[0] = (a[0] & 0x0f0f0f0fU) | ((high & 0x03030303U) << 4);
    a[1] = (a[1] & 0x0f0f0f0fU) | ((high >> 2 & 0x03030303U) << 4);
    uint8_t scales[16];
    std::memcpy(scales, a, 16);
    const float d = half(b + 108);
    Bytes q = b + 32;
    int mask = 1, is = 0;
    for (int n = 0; n < 256; n += 128, q += 32) {
        for (int shift = 0; shift < 8; shift += 2, mask <<= 1) {
            for (int part = 0; part < 32; part += 16) {
                const float dl = d * real(scales[is++] - 32);
                for (int l = part; l < part + 16; ++l) {
                    out.push_back(dl * real((q[l] >> shift & 3) - ((b[l] & mask) != 0 ? 0 : 4)));
                }
            }
        }
    }
}

/// ggml's get_scale_min_k4.
void scale_and_minimum(int j, Bytes q, int& scale, int& minimum) {
    if (j < 4) {
        scale = q[j] & 63;
        minimum = q[j + 4] & 63;
    } else {
        scale = (q[j + 4] & 0xf) | ((q[j - 4] >> 6) << 4);
        minimum = (q[j + 4] >> 4) | ((q[j] >> 6) << 4);
    }
}

void q4_k(Bytes b, Values& out) {
    const float d = half(b), d_min = half(b + 2);
    Bytes q = b + 16;
    for (int is = 0; is < 8; is += 2, q += 32) {
        for (int side = 0; side < 2; ++side) {
            int scale = 0, minimum = 0;
            scale_and_minimum(is + side, b + 4, scale, minimum);
            const float d1 = d * real(scale), m1 = d_min * real(minimum);
            for (int l = 0; l < 32; ++l) {
                out.push_back(d1 * real(q[l] >> (4 * side) & 15) - m1);
            }
        }
    }
}

void q5_k(Bytes b, Values& out) {
    const float d = half(b), d_min = half(b + 2);
    Bytes high = b + 16;
    Bytes q = b + 48;
    int mask = 1;
    for (int is = 0; is < 8; is += 2, q += 32) {
        for (int side = 0; side < 2; ++side, mask <<= 1) {
            int scale = 0, minimum = 0;
            scale_and_minimum(is + side, b + 4, scale, minimum);
            const float d1 = d * real(scale), m1 = d_min * real(minimum);
            for (int l = 0; l < 32; ++l) {
                const int fifth = (high[l] & mask) != 0 ? 16 : 0;
                out.push_back(d1 * real((q[l] >> (4 * side) & 15) + fifth) - m1);
            }
        }
    }
}

void q6_k(Bytes b, Values& out) {
    const float d = half(b + 208);
    const size_t begin = out.size();
    out.resize(begin + 256);
    float* y = out.data() + begin;
    Bytes low = b;
    Bytes high = b + 128;
    Bytes scale = b + 192;
    const auto factor = [&](int i) { return d * real(scale[i] < 128 ? scale[i] : scale[i] - 256); };
    for (int n = 0; n < 256; n += 128, y += 128, low += 64, high += 32, scale += 8) {
        for (int l = 0; l < 32; ++l) {
            const int is = l / 16;
            y[l] = factor(is) * real(((low[l] & 15) | (high[l] & 3) << 4) - 32);
            y[l + 32] = factor(is + 2) * real(((low[l + 32] & 15) | (high[l] >> 2 & 3) << 4) - 32);
            y[l + 64] = factor(is + 4) * real(((low[l] >> 4) | (high[l] >> 4 & 3) << 4) - 32);
            y[l + 96] = factor(is + 6) * real(((low[l + 32] >> 4) | (high[l] >> 6) << 4) - 32);
        }
    }
}

void iq2_xxs(Bytes b, Values& out) {
    const float d = half(b);
    for (Bytes part = b + 2; part < b + 66; part += 8) {
        const uint32_t aux = word(part + 4);
        const float db = d * (0.5F + static_cast<float>(aux >> 28)) * 0.25F;
        for (int l = 0; l < 4; ++l) {
            const uint32_t signs = aux >> (7 * l) & 127;
            int n_negative = 0;
            for (int j = 0; j < 8; ++j) {
                // The eighth sign makes the number of minus signs even.
                const bool minus = j < 7 ? (signs >> j & 1U) != 0 : n_negative % 2 != 0;
                n_negative += minus ? 1 : 0;
                const float value = db * static_cast<float>(iq2_xxs_value(part[l], j));
                out.push_back(minus ? -value : value);
            }
        }
    }
}

struct Case {
    FormatId id;
    int64_t n, n_bytes;
    void (*decode)(Bytes block, Values& out);
    std::vector<size_t> halves;  ///< where the block's f16 numbers are
};

class BlockFormat : public ::testing::TestWithParam<Case> {
  protected:
    static std::vector<uint8_t> random_block(uint64_t seed) {
        std::vector<uint8_t> block(static_cast<size_t>(GetParam().n_bytes));
        for (size_t i = 0; i < block.size(); ++i) {
            block[i] = static_cast<uint8_t>(random_bits(seed, 6, i));
        }
        return block;
    }
    static void expect_same(const std::vector<uint8_t>& block, const char* what) {
        Values expected;
        GetParam().decode(block.data(), expected);
        ASSERT_EQ(static_cast<int64_t>(expected.size()), GetParam().n);
        Values found(expected.size());
        const StoredRow row{reinterpret_cast<const std::byte*>(block.data()), nullptr};
        format_of(GetParam().id).decode_row(row, GetParam().n, found.data());
        for (size_t i = 0; i < expected.size(); ++i) {
            const bool both_nan = std::isnan(found[i]) && std::isnan(expected[i]);
            const bool same_bits =
                std::bit_cast<uint32_t>(found[i]) == std::bit_cast<uint32_t>(expected[i]);
            ASSERT_TRUE(both_nan || same_bits)
                << what << ", number " << i << ": " << found[i] << " != " << expected[i];
        }
    }
};

TEST_P(BlockFormat, random_bytes_decode_as_the_published_walk_does) {
    EXPECT_EQ(format_of(GetParam().id).block_elements, GetParam().n);
    EXPECT_EQ(format_of(GetParam().id).block_bytes, GetParam().n_bytes);
    for (uint64_t seed = 0; seed < 400; ++seed) {
        ASSERT_NO_FATAL_FAILURE(expect_same(random_block(seed), "random"));
    }
}

TEST_P(BlockFormat, extreme_scales_give_what_float_arithmetic_gives) {
    // 0, -0, the smallest subnormal, the largest, 1, infinities, two NaNs.
    for (const int bits :
         {0x0000, 0x8000, 0x0001, 0x8001, 0x7bff, 0xfbff, 0x3c00, 0x7c00, 0xfc00, 0x7e00, 0xfc01}) {
        for (uint64_t seed = 0; seed < 8; ++seed) {
            std::vector<uint8_t> block = random_block(seed);
            for (const size_t at : GetParam().halves) {
                block[at] = static_cast<uint8_t>(bits & 255);
                block[at + 1] = static_cast<uint8_t>(bits >> 8);
            }
            ASSERT_NO_FATAL_FAILURE(expect_same(block, "extreme"));
        }
    }
}

/// Each bit alone: a mistake in one shift or mask shows here with the bit that does it.
TEST_P(BlockFormat, every_single_bit_lands_where_it_should) {
    std::vector<uint8_t> base(static_cast<size_t>(GetParam().n_bytes), 0);
    for (const size_t at : GetParam().halves) {
        base[at + 1] = 0x3c;  // 1.0
    }
    for (size_t bit = 0; bit < base.size() * 8; ++bit) {
        std::vector<uint8_t> block = base;
        block[bit / 8] = static_cast<uint8_t>(block[bit / 8] ^ 1U << bit % 8);
        ASSERT_NO_FATAL_FAILURE(expect_same(block, "one bit")) << bit;
    }
}

TEST_P(BlockFormat, all_bits_set_is_the_largest_level_everywhere) {
    std::vector<uint8_t> block(static_cast<size_t>(GetParam().n_bytes), 0xff);
    for (const size_t at : GetParam().halves) {
        block[at] = 0;
        block[at + 1] = 0x3c;
    }
    ASSERT_NO_FATAL_FAILURE(expect_same(block, "all bits"));
}

INSTANTIATE_TEST_SUITE_P(
    formats, BlockFormat,
    ::testing::Values(
        Case{FormatId::kQ8_0, 32, 34, q8_0, {0}}, Case{FormatId::kQ4_0, 32, 18, q4_0, {0}},
        Case{FormatId::kQ4_1, 32, 20, q4_1, {0, 2}}, Case{FormatId::kQ5_0, 32, 22, q5_0, {0}},
        Case{FormatId::kQ5_1, 32, 24, q5_1, {0, 2}}, Case{FormatId::kIq4Nl, 32, 18, iq4_nl, {0}},
        Case{FormatId::kMxfp4, 32, 17, mxfp4, {}}, Case{FormatId::kQ2K, 256, 84, q2_k, {80, 82}},
        Case{FormatId::kQ3K, 256, 110, q3_k, {108}}, Case{FormatId::kQ4K, 256, 144, q4_k, {0, 2}},
        Case{FormatId::kQ5K, 256, 176, q5_k, {0, 2}}, Case{FormatId::kQ6K, 256, 210, q6_k, {208}},
        Case{FormatId::kIq2Xxs, 256, 66, iq2_xxs, {0}}),
    [](const auto& format) { return std::string(format_of(format.param.id).name); });

}  // namespace
}  // namespace nereus
