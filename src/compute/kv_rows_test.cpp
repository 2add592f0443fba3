// How cached rows are stored: blocks cover every column once and lie behind one another; plain
// formats are copied or rounded as they say.

#include "compute/kv_rows.h"

#include <gtest/gtest.h>

#include <cstring>

#include "base/floats.h"
#include "compute/backend.h"
#include "compute/cpu/append_kv.h"
#include "compute/testing/stated_order.h"

namespace nereus {
namespace {

constexpr int64_t kPart[] = {1, 2, 63, 64, 65, 127, 128, 129, 192, 256, 300, 512};

KvRows int8_rows(int64_t latent, int64_t rope) { return {KvFormat::kInt8, latent + rope, latent}; }

TEST(KvBlocks, latent_and_rope_are_each_covered_once_and_the_rope_once_more) {
    for (const int64_t latent : kPart) {
        for (const int64_t rope : kPart) {
            const KvRows rows = int8_rows(latent, rope);
            std::vector<int> covered(static_cast<size_t>(rows.width));
            for (int64_t b = 0; b < rows.n_blocks(); ++b) {
                const KvBlock block = rows.block(b);
                const bool in_latent = block.column < latent;
                EXPECT_TRUE(!in_latent || block.column + block.n <= latent)
                    << "no block spans both";
                EXPECT_EQ(block.is_remainder, b >= rows.query_blocks());
                EXPECT_FALSE(block.is_remainder && in_latent);
                EXPECT_EQ(rows.block(block.query).column, block.column)
                    << "the query's block has the same columns";
                for (int64_t c = 0; c < block.n; ++c) {
                    ++covered[static_cast<size_t>(block.column + c)];
                }
            }
            for (size_t c = 0; c < covered.size(); ++c) {
                ASSERT_EQ(covered[c], c < static_cast<size_t>(latent) ? 1 : 2)
                    << latent << " + " << rope << ", column " << c;
            }
        }
    }
}

TEST(KvBlocks, lie_behind_one_another_and_end_with_the_page) {
    for (const int64_t latent : kPart) {
        for (const int64_t rope : kPart) {
            const KvRows rows = int8_rows(latent, rope);
            int64_t end = 0;
            for (int64_t b = 0; b < rows.n_blocks(); ++b) {
                const KvBlock block = rows.block(b);
                ASSERT_EQ(block.offset, end) << latent << " + " << rope << ", block " << b;
                EXPECT_EQ(block.codes() - block.offset, 128 * 4) << "a scale for each of 128 rows";
                EXPECT_TRUE(block.stored == 64 || block.stored == 128);
                EXPECT_GE(block.stored, block.n);
                EXPECT_LT(block.stored - block.n, 64);
                end = block.end();
            }
            EXPECT_EQ(rows.page_bytes(128), end);
        }
    }
}

TEST(KvBlocks, a_row_of_v3_takes_640_codes_and_six_scales) {
    const KvRows rows = int8_rows(512, 64);
    EXPECT_EQ(rows.n_blocks(), 6);
    EXPECT_EQ(rows.row_bytes(), 664);
    EXPECT_EQ((KvRows{KvFormat::kF32, 576, 512}.row_bytes()), 4 * 576);
    EXPECT_EQ((KvRows{KvFormat::kBf16, 576, 512}.row_bytes()), 2 * 576);
}

TEST(KvFormats, are_listed_in_the_order_of_their_enum) {
    for (const KvFormatRow& row : kKvFormats) {
        EXPECT_EQ(&kv_format_row(row.format), &row) << row.name;
    }
}

class AppendRow : public testing::TestWithParam<std::string> {
  protected:
    /// A page of n rows with the second one written.
    std::vector<std::byte> page_with(const KvRows& rows, const std::vector<float>& x) {
        std::vector<std::byte> page(static_cast<size_t>(rows.page_bytes(3)), std::byte{0xa5});
        append_kv_row(table_, rows, x.data(), {page.data(), 1});
        return page;
    }
    const KernelTable table_ = std::move(select_kernels(GetParam())).value();
};

TEST_P(AppendRow, f32_keeps_every_bit_and_touches_no_other_row) {
    std::vector<float> x = stated::random_floats(37, 1);
    x[3] = std::nanf("");
    x[4] = -0.0F;
    x[5] = 1e-42F;
    const auto page = page_with({KvFormat::kF32, 37, 0}, x);
    EXPECT_EQ(std::memcmp(page.data() + 37 * 4, x.data(), 37 * 4), 0);
    for (size_t i = 0; i < 37 * 4; ++i) {
        ASSERT_EQ(page[i], std::byte{0xa5});
        ASSERT_EQ(page[i + 2 * 37 * 4], std::byte{0xa5});
    }
}

TEST_P(AppendRow, bf16_rounds_to_nearest_even_and_touches_no_other_row) {
    std::vector<float> x = stated::random_floats(37, 2);
    x[0] = 0x1.01p0F;  // half way, down to even
    x[1] = 0x1.03p0F;  // half way, up to even
    x[2] = std::numeric_limits<float>::infinity();
    x[3] = std::nanf("");
    const auto page = page_with({KvFormat::kBf16, 37, 0}, x);
    const auto stored = [&](size_t i) {
        uint16_t bits = 0;
        std::memcpy(&bits, page.data() + (37 + i) * 2, 2);
        return bf16_to_f32(bits);
    };
    EXPECT_EQ(stored(0), 1.0F);
    EXPECT_EQ(stored(1), 0x1.04p0F);
    EXPECT_EQ(stored(2), x[2]);
    EXPECT_TRUE(std::isnan(stored(3)));
    for (size_t i = 4; i < 37; ++i) {
        EXPECT_LE(std::fabs(stored(i) - x[i]), std::fabs(x[i]) * 0x1p-8F);
    }
    for (size_t i = 0; i < 37 * 2; ++i) {
        ASSERT_EQ(page[i], std::byte{0xa5});
        ASSERT_EQ(page[i + 2 * 37 * 2], std::byte{0xa5});
    }
}

TEST_P(AppendRow, every_byte_of_an_int8_page_belongs_to_exactly_one_row) {
    const KvRows rows = int8_rows(130, 40);
    const auto n_bytes = static_cast<size_t>(rows.page_bytes(128));
    std::vector<int> n_writers(n_bytes);
    for (int64_t r = 0; r < 128; ++r) {
        const std::vector<float> x = stated::random_floats(170, 3 + static_cast<uint64_t>(r));
        std::vector<std::byte> over_zeros(n_bytes, std::byte{0x00});
        std::vector<std::byte> over_ones(n_bytes, std::byte{0xff});
        append_kv_row(table_, rows, x.data(), {over_zeros.data(), r});
        append_kv_row(table_, rows, x.data(), {over_ones.data(), r});
        for (size_t i = 0; i < n_bytes; ++i) {
            n_writers[i] += over_zeros[i] == over_ones[i] ? 1 : 0;
        }
    }
    for (size_t i = 0; i < n_bytes; ++i) {
        ASSERT_EQ(n_writers[i], 1) << "byte " << i;
    }
}

TEST_P(AppendRow, zeros_are_stored_as_zeros_with_a_scale_of_zero) {
    const KvRows rows = int8_rows(64, 16);
    std::vector<std::byte> page(static_cast<size_t>(rows.page_bytes(128)), std::byte{0xff});
    const std::vector<float> zeros(80, 0.0F);
    append_kv_row(table_, rows, zeros.data(), {page.data(), 17});
    for (int64_t b = 0; b < rows.n_blocks(); ++b) {
        const KvBlock block = rows.block(b);
        float scale = 1;
        std::memcpy(&scale, page.data() + block.offset + 17 * 4, 4);
        EXPECT_EQ(scale, 0.0F);
        const std::byte* codes = page.data() + block.codes() + 16 * block.stored + 1 * 4;
        for (int64_t c = 0; c < block.stored; ++c) {
            ASSERT_EQ(codes[c / 4 * 64 + c % 4], std::byte{128}) << "w8 + 128";
        }
    }
}

INSTANTIATE_TEST_SUITE_P(tables, AppendRow, testing::ValuesIn(available_isas()),
                         [](const auto& row) { return row.param; });

}  // namespace
}  // namespace nereus
