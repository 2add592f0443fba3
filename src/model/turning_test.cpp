#include "model/turning.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstddef>
#include <vector>

#include "base/rng.h"

namespace nereus {
namespace {

std::vector<float> random_row(int64_t n, uint64_t seed) {
    std::vector<float> row(static_cast<size_t>(n));
    for (size_t i = 0; i < row.size(); ++i) {
        row[i] = static_cast<float>(random_unit(seed, 0, i)) - 0.5F;
    }
    return row;
}

double dot(const std::vector<float>& a, const std::vector<float>& b) {
    double sum = 0;
    for (size_t i = 0; i < a.size(); ++i) {
        sum += double{a[i]} * double{b[i]};
    }
    return sum;
}

TEST(Turning, blocks_are_the_largest_power_of_two_that_divides_and_stays_below_the_limit) {
    EXPECT_EQ(turn_block(7168), 256);
    EXPECT_EQ(turn_block(2048), 256);
    EXPECT_EQ(turn_block(576), 64);
    EXPECT_EQ(turn_block(24), 8);
    EXPECT_EQ(turn_block(7), 1);
}

TEST(Turning, twice_is_the_identity_and_products_stay) {
    for (const int64_t n : {8, 64, 96, 576, 512}) {
        const std::vector<float> a = random_row(n, 1);
        const std::vector<float> b = random_row(n, 2);
        std::vector<float> turned_a = a;
        std::vector<float> turned_b = b;
        turn_row(turned_a.data(), n, turn_block(n));
        turn_row(turned_b.data(), n, turn_block(n));
        EXPECT_NE(turned_a, a);
        EXPECT_NEAR(dot(turned_a, turned_b), dot(a, b), 1e-4) << n;
        turn_row(turned_a.data(), n, turn_block(n));
        for (size_t i = 0; i < a.size(); ++i) {
            EXPECT_NEAR(turned_a[i], a[i], 1e-6F) << n << " at " << i;
        }
    }
}

TEST(Turning, one_large_channel_becomes_many_small_ones) {
    std::vector<float> row(512);
    row[300] = 160.0F;
    turn_row(row.data(), 512, 256);
    for (size_t i = 0; i < row.size(); ++i) {
        EXPECT_EQ(std::fabs(row[i]), i < 256 ? 0.0F : 10.0F) << i;
    }
}

TEST(Turning, columns_of_rows_are_turned_as_a_row_is) {
    constexpr int64_t kRows = 32, kCols = 5;
    std::vector<float> rows = random_row(kRows * kCols, 3);
    std::vector<std::vector<float>> columns(kCols);
    for (size_t i = 0; i < rows.size(); ++i) {
        columns[i % kCols].push_back(rows[i]);
    }
    turn_columns(rows.data(), kRows, kCols, 16);
    for (size_t c = 0; c < kCols; ++c) {
        turn_row(columns[c].data(), kRows, 16);
        for (size_t r = 0; r < kRows; ++r) {
            EXPECT_EQ(rows[r * kCols + c], columns[c][r]) << r << ", " << c;
        }
    }
}

TEST(Turning, a_block_of_one_changes_nothing) {
    std::vector<float> row = random_row(7, 4);
    const std::vector<float> before = row;
    turn_row(row.data(), 7, turn_block(7));
    EXPECT_EQ(row, before);
}

}  // namespace
}  // namespace nereus
