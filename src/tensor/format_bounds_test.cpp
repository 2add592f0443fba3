// What every format promises whatever its bytes are: blocks decode alone, zeros are zeros, and
// encoding loses no more than half a step.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "base/floats.h"
#include "base/rng.h"
#include "tensor/format.h"

namespace nereus {
namespace {

std::vector<std::byte> random_row(const Format& format, int64_t n, uint64_t seed) {
    std::vector<std::byte> row(static_cast<size_t>(format.stride_bytes(n)));
    for (size_t i = 0; i < row.size(); ++i) {
        row[i] = static_cast<std::byte>(random_bits(seed, 0, i));
    }
    return row;
}

class AnyFormat : public ::testing::TestWithParam<FormatId> {
  protected:
    const Format& format() const { return format_of(GetParam()); }
    std::vector<float> decode(const std::byte* data, int64_t n) const {
        const std::vector<float> scales(static_cast<size_t>(n / 128 + 1), 1.5F);
        std::vector<float> values(static_cast<size_t>(n));
        format().decode_row({data, scales.data()}, n, values.data());
        return values;
    }
};

TEST_P(AnyFormat, bytes_of_zero_decode_to_numbers_that_are_zero) {
    const int64_t n = 3 * format().block_elements;
    const std::vector<std::byte> row(static_cast<size_t>(format().stride_bytes(n)));
    for (const float value : decode(row.data(), n)) {
        EXPECT_EQ(value, 0.0F);
    }
}

TEST_P(AnyFormat, a_block_decodes_alone_as_it_does_within_its_row) {
    const int64_t block = std::max<int64_t>(format().block_elements, 128);
    const std::vector<std::byte> row = random_row(format(), 4 * block, 1);
    const std::vector<float> whole = decode(row.data(), 4 * block);
    for (int64_t b = 0; b < 4; ++b) {
        const std::vector<float> alone =
            decode(row.data() + b * format().stride_bytes(block), block);
        EXPECT_EQ(std::memcmp(alone.data(), whole.data() + b * block,
                              static_cast<size_t>(block) * sizeof(float)),
                  0)
            << "block " << b;
    }
}

TEST_P(AnyFormat, no_number_beyond_the_row_is_written) {
    const int64_t n = format().block_elements;
    const std::vector<std::byte> row = random_row(format(), n, 2);
    const std::vector<float> scales(3, 1.0F);
    std::vector<float> values(static_cast<size_t>(n) + 8, -77.0F);
    format().decode_row({row.data(), scales.data()}, n, values.data());
    for (size_t i = static_cast<size_t>(n); i < values.size(); ++i) {
        EXPECT_EQ(values[i], -77.0F);
    }
}

TEST_P(AnyFormat, any_alignment_gives_the_same_numbers) {
    const int64_t n = 2 * format().block_elements;
    const std::vector<std::byte> row = random_row(format(), n, 3);
    const std::vector<float> aligned = decode(row.data(), n);
    for (size_t shift = 1; shift < 8; ++shift) {
        std::vector<std::byte> moved(row.size() + shift);
        std::copy(row.begin(), row.end(), moved.begin() + static_cast<std::ptrdiff_t>(shift));
        const std::vector<float> values = decode(moved.data() + shift, n);
        EXPECT_EQ(std::memcmp(values.data(), aligned.data(), values.size() * sizeof(float)), 0);
    }
}

std::vector<FormatId> weight_formats() {
    std::vector<FormatId> ids;
    for (const Format& format : all_formats()) {
        if (format.decode_row != nullptr) {
            ids.push_back(format.id);
        }
    }
    return ids;
}

INSTANTIATE_TEST_SUITE_P(formats, AnyFormat, ::testing::ValuesIn(weight_formats()),
                         [](const auto& format) {
                             return std::string(format_of(format.param).name);
                         });

TEST(Format, encoding_is_off_by_at_most_half_a_step_of_the_block) {
    // Steps over the largest magnitude of a block: 1/127 of it; for q4_0 1/8, whose sixteen levels
    // reach the largest number on its own side only, so that the other end loses a whole step.
    const std::pair<FormatId, double> cases[] = {{FormatId::kQ8_0, 0.51 / 127},
                                                 {FormatId::kQ4_0, 1.01 / 8}};
    for (const auto& [id, bound] : cases) {
        for (uint64_t seed = 0; seed < 200; ++seed) {
            std::vector<float> values(32);
            float largest = 0;
            for (size_t i = 0; i < values.size(); ++i) {
                values[i] = static_cast<float>((random_unit(seed, 1, i) - 0.5) *
                                               std::pow(10.0, static_cast<double>(seed % 7) - 3));
                largest = std::max(largest, std::abs(values[i]));
            }
            std::vector<std::byte> row(static_cast<size_t>(format_of(id).stride_bytes(32)));
            std::vector<float> decoded(32);
            format_of(id).encode_row(values.data(), 32, row.data());
            format_of(id).decode_row({row.data(), nullptr}, 32, decoded.data());
            for (size_t i = 0; i < 32; ++i) {
                // f16 scales add 2^-11 of the number itself, or 2^-24 a level when subnormal.
                const double allowed = bound * static_cast<double>(largest) +
                                       static_cast<double>(largest) * 0x1p-11 + 127 * 0x1p-25;
                ASSERT_NEAR(static_cast<double>(decoded[i]), static_cast<double>(values[i]),
                            allowed)
                    << format_of(id).name << " seed " << seed;
            }
        }
    }
}

TEST(Format, fp8_scales_change_exactly_after_128_columns) {
    const std::vector<float> scales = {2.0F, 3.0F, 5.0F};
    for (const int64_t n : {1, 127, 128, 129, 255, 256, 257}) {
        const std::vector<std::byte> row(static_cast<size_t>(n), std::byte{0x38});  // 1.0
        std::vector<float> values(static_cast<size_t>(n));
        format_of(FormatId::kFp8Block128).decode_row({row.data(), scales.data()}, n, values.data());
        for (int64_t i = 0; i < n; ++i) {
            ASSERT_EQ(values[static_cast<size_t>(i)], scales[static_cast<size_t>(i / 128)])
                << i << " of " << n;
        }
    }
}

TEST(Format, rows_of_whole_blocks_have_the_published_bits_per_weight) {
    const std::pair<FormatId, double> cases[] = {
        {FormatId::kQ8_0, 8.5},   {FormatId::kQ4_0, 4.5},      {FormatId::kQ4_1, 5.0},
        {FormatId::kQ5_0, 5.5},   {FormatId::kQ5_1, 6.0},      {FormatId::kQ2K, 2.625},
        {FormatId::kQ3K, 3.4375}, {FormatId::kQ4K, 4.5},       {FormatId::kQ5K, 5.5},
        {FormatId::kQ6K, 6.5625}, {FormatId::kIq2Xxs, 2.0625}, {FormatId::kIq4Nl, 4.5},
        {FormatId::kMxfp4, 4.25}, {FormatId::kBf16, 16},       {FormatId::kFp8Block128, 8}};
    for (const auto& [id, bits] : cases) {
        EXPECT_EQ(static_cast<double>(format_of(id).stride_bytes(7168)) * 8 / 7168, bits)
            << format_of(id).name;
    }
}

}  // namespace
}  // namespace nereus
