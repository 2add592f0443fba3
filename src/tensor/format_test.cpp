#include "tensor/format.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <fstream>
#include <iterator>
#include <set>
#include <string>
#include <vector>

#include "base/floats.h"
#include "tensor/block_integers.h"
#include "tensor/codebooks.h"

namespace nereus {
namespace {

/// A row and its floats, as tools/make_format_vectors.py writes them.
struct Vectors {
    std::vector<std::byte> row;
    std::vector<float> floats;
};

Vectors read_vectors(const std::string& name) {
    const std::string path =
        std::string(NEREUS_SOURCE_DIR) + "/tests/data/formats/" + name + ".bin";
    std::ifstream file(path, std::ios::binary);
    const std::string bytes((std::istreambuf_iterator<char>(file)), {});
    uint32_t sizes[2] = {};
    Vectors vectors;
    if (bytes.size() < sizeof(sizes)) {
        ADD_FAILURE() << path << " is missing";
        return vectors;
    }
    std::memcpy(sizes, bytes.data(), sizeof(sizes));
    vectors.floats.resize(sizes[0]);
    vectors.row.resize(sizes[1]);
    EXPECT_EQ(bytes.size(), 8 + sizes[1] + sizes[0] * 4UL);
    std::memcpy(vectors.row.data(), bytes.data() + 8, sizes[1]);
    std::memcpy(vectors.floats.data(), bytes.data() + 8 + sizes[1], sizes[0] * 4UL);
    return vectors;
}

/// Equal as bits, except that any NaN is any other.
bool same_number(float a, float b) {
    return (std::isnan(a) && std::isnan(b)) ||
           std::bit_cast<uint32_t>(a) == std::bit_cast<uint32_t>(b);
}

class ReferenceTest : public ::testing::TestWithParam<FormatId> {
  protected:
    const Format& format() const { return format_of(GetParam()); }
};

TEST_P(ReferenceTest, decodes_to_the_bits_of_gguf_py) {
    const Vectors vectors = read_vectors(std::string(format().name));
    const auto n = static_cast<int64_t>(vectors.floats.size());
    ASSERT_GT(n, 0);
    ASSERT_EQ(format().row_bytes(n), static_cast<int64_t>(vectors.row.size()));
    // One byte off alignment: rows of a file start anywhere.
    std::vector<std::byte> shifted(vectors.row.size() + 1);
    std::copy(vectors.row.begin(), vectors.row.end(), shifted.begin() + 1);
    std::vector<float> decoded(vectors.floats.size());
    format().decode_row({shifted.data() + 1, nullptr}, n, decoded.data());
    for (size_t i = 0; i < decoded.size(); ++i) {
        ASSERT_TRUE(same_number(decoded[i], vectors.floats[i]))
            << "number " << i << ": " << decoded[i] << " != " << vectors.floats[i];
    }
}

class IntegersTest : public ReferenceTest {};

TEST_P(IntegersTest, of_a_block_multiply_out_to_its_numbers) {
    const Vectors vectors = read_vectors(std::string(format().name));
    const int64_t n = format().block_elements;
    for (int64_t b = 0; b < static_cast<int64_t>(vectors.floats.size()) / n; ++b) {
        BlockIntegers integers{};
        format().unpack_block(vectors.row.data() + b * format().block_bytes, integers);
        for (int64_t i = 0; i < n; ++i) {
            const int factor = n == 32 ? 1 : integers.factors[i / 16];
            const float minimum =
                n == 32 ? -integers.minimum
                        : integers.minimum * static_cast<float>(integers.minima[i / 16]);
            // d * factor * q is exact, so one rounding is left: that of the format.
            const float value = integers.d * static_cast<float>(factor * integers.q[i]) - minimum;
            ASSERT_EQ(value, vectors.floats[static_cast<size_t>(b * n + i)])
                << "block " << b << ", number " << i;
        }
    }
}

std::string name_of(const ::testing::TestParamInfo<FormatId>& param) {
    return std::string(format_of(param.param).name);
}

INSTANTIATE_TEST_SUITE_P(Formats, ReferenceTest,
                         ::testing::Values(FormatId::kF16, FormatId::kBf16, FormatId::kQ8_0,
                                           FormatId::kQ4_0, FormatId::kQ4_1, FormatId::kQ5_0,
                                           FormatId::kQ5_1, FormatId::kQ2K, FormatId::kQ3K,
                                           FormatId::kQ4K, FormatId::kQ5K, FormatId::kQ6K,
                                           FormatId::kIq2Xxs, FormatId::kIq4Nl, FormatId::kMxfp4),
                         name_of);

INSTANTIATE_TEST_SUITE_P(Formats, IntegersTest,
                         ::testing::Values(FormatId::kQ8_0, FormatId::kQ4_0, FormatId::kQ4_1,
                                           FormatId::kQ5_0, FormatId::kQ5_1, FormatId::kQ2K,
                                           FormatId::kQ3K, FormatId::kQ4K, FormatId::kQ5K,
                                           FormatId::kQ6K, FormatId::kIq2Xxs, FormatId::kIq4Nl,
                                           FormatId::kMxfp4),
                         name_of);

class EncoderTest : public ReferenceTest {};

TEST_P(EncoderTest, rounds_as_the_reference_quantiser) {
    const Vectors vectors = read_vectors(std::string(format().name) + "-encoded");
    std::vector<std::byte> encoded(vectors.row.size());
    format().encode_row(vectors.floats.data(), static_cast<int64_t>(vectors.floats.size()),
                        encoded.data());
    EXPECT_EQ(encoded, vectors.row);
}

INSTANTIATE_TEST_SUITE_P(Formats, EncoderTest,
                         ::testing::Values(FormatId::kF16, FormatId::kBf16, FormatId::kQ8_0,
                                           FormatId::kQ4_0),
                         name_of);

TEST(Format, has_one_row_per_id_with_its_own_name) {
    std::set<std::string_view> names;
    for (const Format& format : all_formats()) {
        EXPECT_EQ(&format_of(format.id), &format);
        EXPECT_GT(format.block_elements, 0);
        EXPECT_GT(format.stride_bytes(format.block_elements), 0);
        names.insert(format.name);
    }
    EXPECT_EQ(names.size(), static_cast<size_t>(FormatId::kCount));
}

TEST(Format, f32_rows_are_copied_as_they_are) {
    const std::vector<float> values = {0.0F, -0.0F, 1.5F, 0x1p-149F, INFINITY};
    std::vector<std::byte> row(20);
    std::vector<float> decoded(5);
    format_of(FormatId::kF32).encode_row(values.data(), 5, row.data());
    format_of(FormatId::kF32).decode_row({row.data(), nullptr}, 5, decoded.data());
    EXPECT_EQ(decoded, values);
    EXPECT_TRUE(std::signbit(decoded[1]));
}

TEST(Format, fp8_values_are_those_of_the_ocp_table) {
    // OCP 8-bit floating point specification, table 2: E4M3.
    const std::vector<std::byte> row = {std::byte{0x00}, std::byte{0x01}, std::byte{0x08},
                                        std::byte{0x38}, std::byte{0x7e}, std::byte{0xfe},
                                        std::byte{0x7f}};
    std::vector<float> decoded(7);
    format_of(FormatId::kF8E4m3).decode_row({row.data(), nullptr}, 7, decoded.data());
    const std::vector<float> expected = {0.0F, 0x1p-9F, 0x1p-6F, 1.0F, 448.0F, -448.0F};
    EXPECT_EQ(std::vector<float>(decoded.begin(), decoded.end() - 1), expected);
    EXPECT_TRUE(std::isnan(decoded[6]));
}

TEST(Format, fp8_blocks_take_the_scale_of_their_128_columns) {
    std::vector<std::byte> row(300);
    for (size_t i = 0; i < row.size(); ++i) {
        row[i] = static_cast<std::byte>(i % 0x7f);
    }
    const std::vector<float> scales = {0.3F, -2.0F, 0x1p-20F};
    std::vector<float> decoded(row.size());
    format_of(FormatId::kFp8Block128).decode_row({row.data(), scales.data()}, 300, decoded.data());
    for (size_t i = 0; i < row.size(); ++i) {
        ASSERT_EQ(decoded[i], e4m3_to_f32(std::to_integer<uint8_t>(row[i])) * scales[i / 128]) << i;
    }
}

TEST(Format, encoding_survives_numbers_whose_inverse_scale_overflows) {
    const std::vector<float> tiny(32, 0x1p-149F);
    std::vector<std::byte> row(34);
    std::vector<float> decoded(32);
    for (const FormatId id : {FormatId::kQ8_0, FormatId::kQ4_0}) {
        format_of(id).encode_row(tiny.data(), 32, row.data());
        format_of(id).decode_row({row.data(), nullptr}, 32, decoded.data());
        EXPECT_THAT(decoded, ::testing::Each(0.0F));
    }
}

TEST(Codebooks, an_even_number_of_the_eight_signs_is_negative) {
    for (uint32_t index = 0; index < 128; ++index) {
        EXPECT_EQ(std::popcount(iq2_signs(index)) % 2, 0);
        EXPECT_EQ(iq2_signs(index) & 127U, index);
    }
}

}  // namespace
}  // namespace nereus
