// The kernels of every table have the bits of the orders that their headers state: a table that
// agrees with the portable one is no proof when both are wrong.

#include "compute/testing/stated_order.h"

#include <gtest/gtest.h>

#include "compute/backend.h"
#include "compute/cpu/kernels.h"

namespace nereus {
namespace {

using stated::random_floats;
using stated::same_bits;

/// One of every residue of 16, and lengths around the unrolled steps of the wide tables.
constexpr int64_t kLengths[] = {1, 2, 7, 15, 16, 17, 31, 32, 33, 63, 64, 100, 127, 129, 576, 1000};

class StatedOrder : public testing::TestWithParam<std::string> {
  protected:
    const KernelTable table_ = std::move(select_kernels(GetParam())).value();
};

TEST_P(StatedOrder, a_dot_product_has_sixteen_lanes_and_a_tree) {
    for (const int64_t n : kLengths) {
        const int64_t stride = n + 3;
        const std::vector<float> rows = random_floats(9 * stride, 1);
        const std::vector<float> x = random_floats(5 * stride, 2);
        std::vector<float> out(5 * 11, -1.0F);
        table_.products({.rows = rows.data(),
                         .row_stride = stride,
                         .n_rows = 9,
                         .x = x.data(),
                         .x_stride = stride,
                         .n_x = 5,
                         .n_cols = n,
                         .out = out.data(),
                         .out_stride = 11});
        for (int64_t t = 0; t < 5; ++t) {
            for (int64_t r = 0; r < 9; ++r) {
                EXPECT_TRUE(
                    same_bits(out[static_cast<size_t>(t * 11 + r)],
                              stated::dot(rows.data() + r * stride, x.data() + t * stride, n)))
                    << n << " columns, row " << r << ", vector " << t;
            }
            EXPECT_EQ(out[static_cast<size_t>(t * 11 + 9)], -1.0F) << "beyond the rows asked for";
        }
    }
}

TEST_P(StatedOrder, sums_of_rows_are_fused_one_after_the_other) {
    for (const int64_t n : kLengths) {
        const std::vector<float> rows = random_floats(7 * n, 3);
        const std::vector<float> coefficients = random_floats(3 * 8, 4);
        std::vector<float> out = random_floats(3 * n, 5);
        std::vector<float> expected = out;
        table_.accumulate({.rows = rows.data(),
                           .row_stride = n,
                           .n_rows = 7,
                           .coefficients = coefficients.data(),
                           .coefficient_stride = 8,
                           .n_out = 3,
                           .out = out.data(),
                           .out_stride = n,
                           .n_cols = n});
        for (int64_t i = 0; i < 3 * n; ++i) {
            float& sum = expected[static_cast<size_t>(i)];
            for (int64_t r = 0; r < 7; ++r) {
                sum = std::fma(coefficients[static_cast<size_t>(i / n * 8 + r)],
                               rows[static_cast<size_t>(r * n + i % n)], sum);
            }
            ASSERT_TRUE(same_bits(out[static_cast<size_t>(i)], sum)) << n << " columns, at " << i;
        }
    }
}

TEST_P(StatedOrder, a_softmax_rounds_every_operation_and_adds_in_lanes) {
    for (const int64_t n : kLengths) {
        std::vector<float> scores = random_floats(n, 6);
        for (float& score : scores) {
            score *= 40;
        }
        const stated::Softmax expected = stated::softmax(scores, 0.37F);
        float highest = 0;
        const float sum = table_.softmax_row(scores.data(), n, 0.37F, &highest);
        EXPECT_TRUE(same_bits(sum, expected.sum)) << n;
        EXPECT_TRUE(same_bits(highest, expected.highest)) << n;
        for (size_t i = 0; i < scores.size(); ++i) {
            ASSERT_TRUE(same_bits(scores[i], expected.weights[i])) << n << ", at " << i;
        }
    }
}

TEST_P(StatedOrder, a_norm_divides_by_the_root_of_a_dot_product_and_then_multiplies) {
    for (const int64_t n : kLengths) {
        const std::vector<float> x = random_floats(n, 7);
        const std::vector<float> gain = random_floats(n, 8);
        std::vector<float> out(static_cast<size_t>(n));
        table_.rms_norm_row(x.data(), gain.data(), 1e-6F, n, out.data());
        const float square = stated::dot(x.data(), x.data(), n);
        const float divisor = std::sqrt(square / static_cast<float>(n) + 1e-6F);
        std::vector<float> in_place = x;
        table_.rms_norm_row(in_place.data(), gain.data(), 1e-6F, n, in_place.data());
        for (size_t i = 0; i < x.size(); ++i) {
            const float quotient = x[i] / divisor;
            ASSERT_TRUE(same_bits(out[i], quotient * gain[i])) << n << ", at " << i;
            ASSERT_TRUE(same_bits(out[i], in_place[i])) << "out may be x";
        }
    }
}

TEST_P(StatedOrder, a_gate_is_divided_by_one_plus_an_exponential_and_then_multiplied) {
    for (const int64_t n : kLengths) {
        std::vector<float> gate = random_floats(n, 9);
        const std::vector<float> up = random_floats(n, 10);
        for (float& value : gate) {
            value *= 30;
        }
        std::vector<float> out(static_cast<size_t>(n));
        table_.swiglu_row(gate.data(), up.data(), n, out.data());
        std::vector<float> in_place = gate;
        table_.swiglu_row(in_place.data(), up.data(), n, in_place.data());
        for (size_t i = 0; i < gate.size(); ++i) {
            const float silu = gate[i] / (1.0F + stated::exp_of(-gate[i]));
            ASSERT_TRUE(same_bits(out[i], silu * up[i])) << n << ", at " << i;
            ASSERT_TRUE(same_bits(out[i], in_place[i])) << "out may be gate";
        }
    }
}

TEST_P(StatedOrder, nothing_is_read_or_written_where_there_are_no_columns_or_rows) {
    float out = 3.5F;
    table_.products({.n_rows = 1, .n_x = 1, .n_cols = 0, .out = &out, .out_stride = 1});
    EXPECT_TRUE(same_bits(out, 0.0F)) << "an empty dot product is zero";
    out = 3.5F;
    table_.products({.n_rows = 0, .n_x = 1, .n_cols = 0, .out = &out, .out_stride = 1});
    table_.accumulate({.n_rows = 0, .n_out = 1, .out = &out, .out_stride = 1, .n_cols = 1});
    table_.accumulate({.n_rows = 5, .n_out = 0, .out = &out, .n_cols = 1});
    EXPECT_EQ(out, 3.5F);
}

INSTANTIATE_TEST_SUITE_P(tables, StatedOrder, testing::ValuesIn(available_isas()),
                         [](const auto& row) { return row.param; });

}  // namespace
}  // namespace nereus
