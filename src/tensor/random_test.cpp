#include "tensor/random.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "tensor/panel.h"

namespace nereus {
namespace {

constexpr int64_t kRows = 64;
constexpr int64_t kCols = 1024;
constexpr double kDeviation = 0.02;

std::vector<std::byte> random_matrix(const Format& format, uint64_t seed) {
    std::vector<std::byte> bytes(static_cast<size_t>(format.matrix_bytes(kRows, kCols)));
    fill_random(format.id, kDeviation, seed, 7, bytes);
    return bytes;
}

std::vector<float> decoded(const Format& format, const std::vector<std::byte>& bytes) {
    std::vector<float> values(kRows * kCols);
    const std::vector<float> scales(kCols / 128, static_cast<float>(kDeviation * kRandomFp8Scale));
    for (int64_t r = 0; r < kRows; ++r) {
        const int64_t together = format.rows_together();
        const std::byte* data = bytes.data() + r / together * format.stride_bytes(kCols);
        format.decode_row({data, scales.data(), r % together}, kCols, values.data() + r * kCols);
    }
    return values;
}

TEST(Random, every_format_gives_finite_numbers_of_mean_zero_and_the_wanted_deviation) {
    int n_formats = 0;
    for (const Format& format : all_formats()) {
        if (!can_fill_random(format.id)) {
            continue;
        }
        ++n_formats;
        double sum = 0;
        double square = 0;
        for (const float value : decoded(format, random_matrix(format, 1))) {
            ASSERT_TRUE(std::isfinite(value)) << format.name;
            sum += value;
            square += static_cast<double>(value) * value;
        }
        constexpr double kCount = kRows * kCols;
        EXPECT_NEAR(std::sqrt(square / kCount), kDeviation, 0.06 * kDeviation) << format.name;
        EXPECT_NEAR(sum / kCount, 0.0, 0.03 * kDeviation) << format.name;
    }
    EXPECT_EQ(n_formats, 11);
}

TEST(Random, rows_differ_and_the_seed_decides) {
    const Format& format = format_of(FormatId::kQ4);
    const auto one = random_matrix(format, 1);
    EXPECT_EQ(one, random_matrix(format, 1));
    EXPECT_NE(one, random_matrix(format, 2));
    const auto values = decoded(format, one);
    for (int64_t r = 1; r < kRows; ++r) {
        EXPECT_FALSE(std::equal(values.begin(), values.begin() + kCols, values.begin() + r * kCols))
            << r;
    }
}

TEST(Random, codes_of_panels_are_ones_that_an_encoder_could_have_written) {
    std::vector<int8_t> values(kPanelRows * kPanelColumns);
    std::vector<float> scales(kPanelRows);
    for (const FormatId id : {FormatId::kQ8, FormatId::kQ4, FormatId::kQ2}) {
        const Format& format = format_of(id);
        const auto bytes = random_matrix(format, 3);
        for (size_t at = 0; at < bytes.size();
             at += static_cast<size_t>(format.panel->block_bytes)) {
            format.panel->unpack(bytes.data() + at, values.data(), scales.data());
            for (const int8_t value : values) {
                ASSERT_GE(value, -127) << format.name;
            }
        }
    }
}

}  // namespace
}  // namespace nereus
