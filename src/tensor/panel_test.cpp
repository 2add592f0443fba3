// The panel formats: where every code lies (walked again here, by the words of panel.h), and what
// their encoders promise about rounding.

#include "tensor/panel.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <numeric>
#include <string>
#include <vector>

#include "base/floats.h"
#include "base/rng.h"

namespace nereus {
namespace {

constexpr FormatId kPanelFormats[] = {FormatId::kQ8, FormatId::kQ4, FormatId::kQ2};

/// Half a step of a run whose values span `span`, and a little for the scale's own rounding.
struct Quality {
    FormatId format;
    double levels;
};
constexpr Quality kQualities[] = {{FormatId::kQ8, 254}, {FormatId::kQ4, 15}, {FormatId::kQ2, 3}};

std::vector<float> random_values(int64_t n, uint64_t seed, float spread = 1.0F) {
    std::vector<float> values(static_cast<size_t>(n));
    for (size_t i = 0; i < values.size(); ++i) {
        values[i] = spread * static_cast<float>(2 * random_unit(seed, 5, i) - 1);
    }
    return values;
}

struct Unpacked {
    std::array<int8_t, kPanelRows * kPanelColumns> values{};
    std::array<float, kPanelRows> scales{};

    float number(int64_t row, int64_t column) const {
        return scales[static_cast<size_t>(row)] *
               static_cast<float>(values[static_cast<size_t>(row * kPanelColumns + column)]);
    }
};

Unpacked unpack(const Format& format, const std::byte* block) {
    Unpacked out;
    format.panel->unpack(block, out.values.data(), out.scales.data());
    return out;
}

std::vector<std::byte> encode(const Format& format, const std::vector<float>& values,
                              EncodeEffort effort = EncodeEffort::kBest,
                              const float* importance = nullptr) {
    std::vector<std::byte> block(static_cast<size_t>(format.panel->block_bytes));
    format.panel->encode({values.data(), importance, effort}, block.data());
    return block;
}

/// One block of any finite numbers.
std::vector<std::byte> encode_any(const Format& format, const std::vector<float>& values) {
    std::vector<std::byte> block(static_cast<size_t>(format.panel->block_bytes));
    encode_panel(format, values.data(), kPanelColumns, kPanelRows, kPanelColumns, nullptr,
                 EncodeEffort::kBest, block.data());
    return block;
}

double squared_error(const Format& format, const std::vector<std::byte>& block,
                     const std::vector<float>& values, const float* importance = nullptr) {
    const Unpacked out = unpack(format, block.data());
    double sum = 0;
    for (int64_t i = 0; i < kPanelRows * kPanelColumns; ++i) {
        const double d = static_cast<double>(out.number(i / kPanelColumns, i % kPanelColumns)) -
                         values[static_cast<size_t>(i)];
        sum += d * d * (importance == nullptr ? 1.0 : importance[i % kPanelColumns]);
    }
    return sum;
}

int byte_at(const std::vector<std::byte>& block, int64_t at) {
    return std::to_integer<int>(block[static_cast<size_t>(at)]);
}

float scale_at(const std::vector<std::byte>& block, int64_t row) {
    uint16_t bits = 0;
    std::memcpy(&bits, block.data() + 2 * row, sizeof bits);
    return f16_to_f32(bits);
}

/// A block of bytes that no encoder chose; offsets small enough that every w8 is an int8.
std::vector<std::byte> any_block(const Format& format, uint64_t seed) {
    std::vector<std::byte> block(static_cast<size_t>(format.panel->block_bytes));
    for (size_t i = 0; i < block.size(); ++i) {
        block[i] = static_cast<std::byte>(random_bits(seed, 3, i) & 0xff);
    }
    for (size_t r = 0; r < kPanelRows; ++r) {
        const uint16_t bits = f32_to_f16(0.01F * static_cast<float>(r + 1));
        std::memcpy(block.data() + 2 * r, &bits, sizeof bits);
    }
    return block;
}

/// w8 of a Q8 block, by the words: groups of four columns, in a group the 16 rows, biased by 128.
int walk_q8(const std::vector<std::byte>& block, int64_t row, int64_t column) {
    const int64_t group = column / 4;
    return byte_at(block, 32 + group * 64 + row * 4 + column % 4) - 128;
}

/// w8 = step * code + offset of a block of codes.
template <int kBits, int kColumns>
int walk_codes(const std::vector<std::byte>& block, int64_t row, int64_t column) {
    const int64_t n_runs = 128 / kColumns;
    const int64_t run = column / kColumns;
    const int steps = byte_at(block, 32 + run * 8 + row / 2);
    const int step = 1 + (row % 2 == 0 ? steps & 15 : steps >> 4);
    const int raw_offset = byte_at(block, 32 + n_runs * 8 + run * 16 + row);
    const int offset = raw_offset < 128 ? raw_offset : raw_offset - 256;
    const int64_t group = column / 4;
    const int64_t per_chunk = 8 / kBits;
    const int64_t chunk = 32 + n_runs * 24 + group / per_chunk * 64;
    const int byte = byte_at(block, chunk + row * 4 + column % 4);
    const int code = (byte >> (group % per_chunk * kBits)) & ((1 << kBits) - 1);
    return static_cast<int8_t>(step * code + offset);
}

TEST(Panel, every_code_of_any_block_is_where_the_layout_says) {
    using Walk = int (*)(const std::vector<std::byte>&, int64_t, int64_t);
    const std::pair<FormatId, Walk> kWalks[] = {{FormatId::kQ8, walk_q8},
                                                {FormatId::kQ4, walk_codes<4, 32>},
                                                {FormatId::kQ2, walk_codes<2, 16>}};
    for (const auto& [id, walk] : kWalks) {
        const Format& format = format_of(id);
        for (uint64_t seed = 0; seed < 4; ++seed) {
            const auto block = any_block(format, seed);
            const Unpacked out = unpack(format, block.data());
            for (int64_t r = 0; r < kPanelRows; ++r) {
                EXPECT_EQ(out.scales[static_cast<size_t>(r)], scale_at(block, r));
                for (int64_t c = 0; c < kPanelColumns; ++c) {
                    ASSERT_EQ(out.values[static_cast<size_t>(r * kPanelColumns + c)],
                              walk(block, r, c))
                        << format.name << " row " << r << " column " << c;
                }
            }
        }
    }
}

TEST(Panel, bits_per_weight_are_the_bytes_of_a_block) {
    for (const FormatId id : kPanelFormats) {
        const Format& format = format_of(id);
        EXPECT_DOUBLE_EQ(
            static_cast<double>(format.panel->block_bytes) * 8 / (kPanelRows * kPanelColumns),
            format.panel->bits_per_weight)
            << format.name;
    }
}

TEST(Panel, a_matrix_is_whole_panels_of_whole_blocks) {
    for (const FormatId id : kPanelFormats) {
        const Format& format = format_of(id);
        const int64_t block = format.panel->block_bytes;
        EXPECT_EQ(format.rows_together(), 16);
        EXPECT_EQ(format.matrix_bytes(1, 1), block);
        EXPECT_EQ(format.matrix_bytes(16, 128), block);
        EXPECT_EQ(format.matrix_bytes(17, 128), 2 * block);
        EXPECT_EQ(format.matrix_bytes(16, 129), 2 * block);
        EXPECT_EQ(format.matrix_bytes(33, 257), 9 * block);
    }
}

TEST(Panel, no_number_is_further_from_its_rounding_than_the_levels_allow) {
    for (const Quality& quality : kQualities) {
        const Format& format = format_of(quality.format);
        for (const float spread : {1e-4F, 1.0F, 300.0F}) {
            const auto values = random_values(kPanelRows * kPanelColumns, 1, spread);
            const Unpacked out = unpack(format, encode(format, values).data());
            // A run of uniform numbers spans nearly 2 * spread; the least-squares line may leave
            // the outermost ones a whole step outside.
            // Scales are halves: the smallest are 2^-24 apart, times a w8 of 127.
            const double step = 2.0 * spread / quality.levels + 0x1p-25 * 127;
            for (int64_t i = 0; i < kPanelRows * kPanelColumns; ++i) {
                const double d = std::fabs(
                    static_cast<double>(out.number(i / kPanelColumns, i % kPanelColumns)) -
                    values[static_cast<size_t>(i)]);
                ASSERT_LE(d, 1.1 * step) << format.name << " " << spread << " number " << i;
            }
        }
    }
}

/// Uniform numbers rounded to L levels over their range have a noise of range^2 / 12 L^2.
TEST(Panel, the_mean_error_is_that_of_even_levels_or_better) {
    for (const Quality& quality : kQualities) {
        const Format& format = format_of(quality.format);
        const auto values = random_values(kPanelRows * kPanelColumns, 2);
        const double noise =
            squared_error(format, encode(format, values), values) / (kPanelRows * kPanelColumns);
        const double step = 2.0 / quality.levels;
        EXPECT_LE(noise, 1.15 * step * step / 12) << format.name;
        EXPECT_GE(noise, 0.3 * step * step / 12) << format.name << ": too good to be true";
    }
}

TEST(Panel, zeros_stay_zeros_and_their_scales_are_finite) {
    for (const FormatId id : kPanelFormats) {
        const Format& format = format_of(id);
        const std::vector<float> zeros(kPanelRows * kPanelColumns);
        const Unpacked out = unpack(format, encode(format, zeros).data());
        for (int64_t i = 0; i < kPanelRows * kPanelColumns; ++i) {
            ASSERT_EQ(out.number(i / kPanelColumns, i % kPanelColumns), 0.0F) << format.name;
        }
    }
}

TEST(Panel, one_value_everywhere_is_kept_to_the_precision_of_a_scale) {
    for (const FormatId id : kPanelFormats) {
        const Format& format = format_of(id);
        for (const float value : {0.37F, -0.37F, 1000.0F, -3e-3F}) {
            const std::vector<float> values(kPanelRows * kPanelColumns, value);
            const Unpacked out = unpack(format, encode(format, values).data());
            for (int64_t r = 0; r < kPanelRows; ++r) {
                // A half has 11 bits; w8 has 7 and a sign.
                ASSERT_NEAR(out.number(r, 77), value, std::fabs(value) / 120) << format.name;
            }
        }
    }
}

TEST(Panel, numbers_beyond_every_half_are_rounded_to_the_largest_and_stay_finite) {
    for (const FormatId id : kPanelFormats) {
        const Format& format = format_of(id);
        for (const float value : {1e30F, -1e30F, 3e38F}) {
            const std::vector<float> values(kPanelRows * kPanelColumns, value);
            const Unpacked out = unpack(format, encode_any(format, values).data());
            for (const float scale : out.scales) {
                ASSERT_TRUE(std::isfinite(scale)) << format.name << " " << value;
            }
            float largest = 0.0F;  // turned, equal numbers are not equal any more
            for (int64_t c = 0; c < kPanelColumns; ++c) {
                largest = std::max(largest, std::fabs(out.number(0, c)));
            }
            EXPECT_GT(largest, 60000.0F) << format.name;
        }
    }
}

TEST(Panel, numbers_below_every_half_become_small_and_stay_finite) {
    for (const FormatId id : kPanelFormats) {
        const Format& format = format_of(id);
        const auto values = random_values(kPanelRows * kPanelColumns, 3, 1e-38F);
        const Unpacked out = unpack(format, encode(format, values).data());
        for (int64_t i = 0; i < kPanelRows * kPanelColumns; ++i) {
            ASSERT_LE(std::fabs(out.number(i / kPanelColumns, i % kPanelColumns)), 1e-5F)
                << format.name;
        }
    }
}

TEST(Panel, one_huge_number_does_not_change_other_rows) {
    for (const FormatId id : kPanelFormats) {
        const Format& format = format_of(id);
        const auto values = random_values(kPanelRows * kPanelColumns, 4);
        const Unpacked before = unpack(format, encode_any(format, values).data());
        for (const float huge : {1e4F, -1e20F, 3e38F}) {
            for (const int64_t row : {5, 6}) {
                auto changed = values;
                changed[static_cast<size_t>(row * kPanelColumns + 9)] = huge;
                changed[static_cast<size_t>(row * kPanelColumns + 8)] = -huge;
                const Unpacked after = unpack(format, encode_any(format, changed).data());
                for (int64_t r = 0; r < kPanelRows; ++r) {
                    bool same = true;
                    for (int64_t c = 0; c < kPanelColumns; ++c) {
                        same = same && before.number(r, c) == after.number(r, c);
                    }
                    EXPECT_EQ(same, r != row) << format.name << " row " << r << " " << huge;
                }
            }
        }
    }
}

TEST(Panel, searching_harder_is_never_worse) {
    for (const FormatId id : kPanelFormats) {
        const Format& format = format_of(id);
        for (uint64_t seed = 10; seed < 16; ++seed) {
            const auto values = random_values(kPanelRows * kPanelColumns, seed);
            const double fast =
                squared_error(format, encode(format, values, EncodeEffort::kFast), values);
            const double best =
                squared_error(format, encode(format, values, EncodeEffort::kBest), values);
            EXPECT_LE(best, fast * 1.0001) << format.name << " seed " << seed;
        }
    }
}

TEST(Panel, columns_that_matter_more_are_rounded_better) {
    std::array<float, kPanelColumns> importance;
    for (size_t c = 0; c < importance.size(); ++c) {
        importance[c] = c % 4 == 0 ? 1000.0F : 1.0F;
    }
    for (const FormatId id : {FormatId::kQ4, FormatId::kQ2}) {
        const Format& format = format_of(id);
        double even = 0;
        double weighted = 0;
        for (uint64_t seed = 20; seed < 24; ++seed) {
            const auto values = random_values(kPanelRows * kPanelColumns, seed);
            even += squared_error(format, encode(format, values), values, importance.data());
            weighted += squared_error(
                format, encode(format, values, EncodeEffort::kBest, importance.data()), values,
                importance.data());
        }
        EXPECT_LT(weighted, 0.9 * even) << format.name;
    }
}

TEST(Panel, importance_that_is_the_same_everywhere_changes_nothing) {
    const std::vector<float> ones(kPanelColumns, 1.0F);
    for (const FormatId id : kPanelFormats) {
        const Format& format = format_of(id);
        const auto values = random_values(kPanelRows * kPanelColumns, 30);
        EXPECT_EQ(encode(format, values), encode(format, values, EncodeEffort::kBest, ones.data()))
            << format.name;
    }
}

TEST(Panel, what_was_rounded_once_is_rounded_to_itself_by_q8) {
    const Format& format = format_of(FormatId::kQ8);
    const auto values = random_values(kPanelRows * kPanelColumns, 31);
    const auto once = encode(format, values);
    const Unpacked out = unpack(format, once.data());
    std::vector<float> rounded;
    for (int64_t i = 0; i < kPanelRows * kPanelColumns; ++i) {
        rounded.push_back(out.number(i / kPanelColumns, i % kPanelColumns));
    }
    EXPECT_EQ(squared_error(format, encode(format, rounded), rounded), 0.0);
}

TEST(TurnBlock, keeps_lengths_and_angles_and_turning_back_is_the_converse_times_128) {
    const auto a = random_values(kPanelColumns, 50);
    const auto b = random_values(kPanelColumns, 51);
    auto turned_a = a;
    auto turned_b = b;
    turn_block(turned_a.data());
    turn_block(turned_b.data());
    EXPECT_NEAR(std::inner_product(turned_a.begin(), turned_a.end(), turned_b.begin(), 0.0),
                128 * std::inner_product(a.begin(), a.end(), b.begin(), 0.0), 1e-3);
    turn_block_back(turned_a.data());
    for (size_t c = 0; c < a.size(); ++c) {
        ASSERT_NEAR(turned_a[c], 128 * a[c], 1e-3) << c;
    }
}

TEST(TurnBlock, one_large_channel_and_one_offset_of_all_are_spread_over_the_block) {
    std::vector<float> channel(kPanelColumns, 0.0F);
    channel[77] = 1.0F;
    turn_block(channel.data());
    for (const float x : channel) {
        ASSERT_EQ(std::fabs(x), 1.0F);
    }
    std::vector<float> offset(kPanelColumns, 1.0F);
    turn_block(offset.data());
    for (const float x : offset) {
        ASSERT_LE(std::fabs(x), 4 * std::sqrt(128.0F)) << "without the signs one number were 128";
    }
}

/// Rows of a matrix of odd sizes, decoded one by one.
std::vector<float> through_panels(const Format& format, const std::vector<float>& matrix,
                                  int64_t rows, int64_t cols) {
    std::vector<std::byte> bytes(static_cast<size_t>(format.matrix_bytes(rows, cols)));
    const int64_t stride = format.stride_bytes(cols);
    for (int64_t first = 0; first < rows; first += kPanelRows) {
        encode_panel(format, matrix.data() + first * cols, cols, std::min(kPanelRows, rows - first),
                     cols, nullptr, EncodeEffort::kFast,
                     bytes.data() + first / kPanelRows * stride);
    }
    std::vector<float> out(matrix.size());
    for (int64_t r = 0; r < rows; ++r) {
        format.decode_row({bytes.data() + r / kPanelRows * stride, nullptr, r % kPanelRows}, cols,
                          out.data() + r * cols);
    }
    return out;
}

TEST(EncodePanel, rows_and_columns_beyond_the_matrix_do_not_matter) {
    for (const Quality& quality : kQualities) {
        const Format& format = format_of(quality.format);
        for (const auto& [rows, cols] : std::initializer_list<std::pair<int64_t, int64_t>>{
                 {1, 1}, {3, 5}, {15, 127}, {16, 128}, {17, 129}, {40, 200}}) {
            const auto matrix = random_values(rows * cols, static_cast<uint64_t>(rows + cols));
            const auto out = through_panels(format, matrix, rows, cols);
            for (size_t i = 0; i < matrix.size(); ++i) {
                ASSERT_NEAR(out[i], matrix[i], (format.panel->turned ? 4.0 : 2.2) / quality.levels)
                    << format.name << " " << rows << " x " << cols << " number " << i;
            }
        }
    }
}

TEST(EncodePanel, a_row_stride_larger_than_the_row_skips_what_lies_between) {
    const Format& format = format_of(FormatId::kQ8);
    const auto wide = random_values(16 * 200, 40);
    std::vector<float> narrow;
    for (size_t r = 0; r < 16; ++r) {
        narrow.insert(narrow.end(), wide.begin() + static_cast<std::ptrdiff_t>(r * 200),
                      wide.begin() + static_cast<std::ptrdiff_t>(r * 200 + 130));
    }
    std::vector<std::byte> from_wide(static_cast<size_t>(format.stride_bytes(130)));
    std::vector<std::byte> from_narrow(from_wide.size());
    encode_panel(format, wide.data(), 200, 16, 130, nullptr, EncodeEffort::kBest, from_wide.data());
    encode_panel(format, narrow.data(), 130, 16, 130, nullptr, EncodeEffort::kBest,
                 from_narrow.data());
    EXPECT_EQ(from_wide, from_narrow);
}

TEST(EncodePanel, importance_of_the_last_block_is_that_of_its_columns) {
    const Format& format = format_of(FormatId::kQ4);
    constexpr int64_t kCols = 192;
    const auto matrix = random_values(16 * kCols, 41);
    std::vector<float> importance(kCols, 1.0F);
    std::fill(importance.begin() + 128, importance.end(), 5.0F);  // a factor changes no choice
    std::vector<std::byte> with(static_cast<size_t>(format.stride_bytes(kCols)));
    std::vector<std::byte> without(with.size());
    encode_panel(format, matrix.data(), kCols, 16, kCols, importance.data(), EncodeEffort::kBest,
                 with.data());
    encode_panel(format, matrix.data(), kCols, 16, kCols, nullptr, EncodeEffort::kBest,
                 without.data());
    const auto block = static_cast<std::ptrdiff_t>(format.panel->block_bytes);
    EXPECT_TRUE(std::equal(with.begin(), with.begin() + block, without.begin()));
    // In the second block the padding counts as much as the numbers without importance, and not at
    // all with it: the numbers may only get better.
    const auto error_of = [&](const std::vector<std::byte>& bytes) {
        const Unpacked out = unpack(format, bytes.data() + block);
        double sum = 0;
        for (int64_t r = 0; r < 16; ++r) {
            for (int64_t c = 0; c < kCols - 128; ++c) {
                const double d = static_cast<double>(out.number(r, c)) -
                                 matrix[static_cast<size_t>(r * kCols + 128 + c)];
                sum += d * d;
            }
        }
        return sum;
    };
    EXPECT_LE(error_of(with), 1.001 * error_of(without));
}

}  // namespace
}  // namespace nereus
