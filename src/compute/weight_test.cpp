// Weight: where the rows of a matrix and of its slices lie, and how many bytes reading it touches.

#include "compute/weight.h"

#include <gtest/gtest.h>

#include <vector>

namespace nereus {
namespace {

Weight weight_of(FormatId id, int64_t rows, int64_t cols, const std::byte* data) {
    const Format& format = format_of(id);
    return {.format = &format,
            .rows = rows,
            .cols = cols,
            .data = data,
            .row_stride_bytes = format.stride_bytes(cols)};
}

TEST(Weight, rows_lie_a_stride_apart_and_rows_of_panels_share_one) {
    const std::vector<std::byte> bytes(1 << 20);
    const Weight plain = weight_of(FormatId::kBf16, 40, 64, bytes.data());
    EXPECT_EQ(plain.row(39).data, bytes.data() + int64_t{39} * 128);
    EXPECT_EQ(plain.row(39).row_in_panel, 0);
    const Weight panels = weight_of(FormatId::kQ8, 40, 300, bytes.data());
    for (const int64_t row : {0, 1, 15, 16, 31, 32, 39}) {
        EXPECT_EQ(panels.row(row).data, bytes.data() + row / 16 * panels.row_stride_bytes);
        EXPECT_EQ(panels.row(row).row_in_panel, row % 16);
    }
}

TEST(Weight, rows_of_a_slice_are_rows_of_the_whole_with_their_scales) {
    const std::vector<std::byte> bytes(1 << 20);
    std::vector<float> scales(64);
    for (const FormatId id : {FormatId::kFp8Block128, FormatId::kQ4, FormatId::kF32}) {
        Weight whole = weight_of(id, 400, 256, bytes.data());
        if (id == FormatId::kFp8Block128) {
            whole.scales = scales.data();
            whole.scale_stride = 2;
            whole.scale_row_offset = 64;  // a slice itself
        }
        const int64_t begin = 16 * 9;
        const Weight part = whole.slice_rows(begin, 200);
        EXPECT_EQ(part.rows, 200);
        EXPECT_EQ(part.cols, 256);
        for (int64_t r = 0; r < 200; ++r) {
            const StoredRow a = part.row(r);
            const StoredRow b = whole.row(begin + r);
            ASSERT_EQ(a.data, b.data) << format_of(id).name << ", row " << r;
            ASSERT_EQ(a.scales, b.scales) << format_of(id).name << ", row " << r;
            ASSERT_EQ(a.row_in_panel, b.row_in_panel);
        }
        const Weight inner = part.slice_rows(32, 16);
        EXPECT_EQ(inner.row(5).data, whole.row(begin + 37).data) << "a slice of a slice";
    }
}

TEST(Weight, its_bytes_are_those_of_the_format_and_four_for_every_block_of_scales) {
    const std::byte one{};
    EXPECT_TRUE(Weight{}.empty());
    EXPECT_EQ(weight_of(FormatId::kBf16, 3, 64, &one).n_bytes(), 3 * 128);
    EXPECT_EQ(weight_of(FormatId::kQ8_0, 3, 64, &one).n_bytes(), 3 * 2 * 34);
    EXPECT_EQ(weight_of(FormatId::kQ4, 17, 129, &one).n_bytes(), 2 * 2 * 1152)
        << "panels are padded to 16 rows and 128 columns";
    Weight fp8 = weight_of(FormatId::kFp8Block128, 129, 130, &one);
    const float scale = 1;
    fp8.scales = &scale;
    EXPECT_EQ(fp8.n_bytes(), 129 * 130 + 2 * 2 * 4);
}

}  // namespace
}  // namespace nereus
