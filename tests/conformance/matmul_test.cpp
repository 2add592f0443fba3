// matmul with F32 activations: every table equals the portable table bit for bit, whatever the
// format, the shape, the number of threads or the company in the batch; the portable table equals a
// sum in double. Block formats are asked for F32 here; int8_blocks_test.cpp has their own way.

#include <gtest/gtest.h>

#include <cmath>

#include "tests/conformance/cases.h"

namespace nereus {
namespace {

using conformance::Machine;
using conformance::Matrix;
using conformance::OwnedWeight;
using conformance::same_bits;
using conformance::weight_formats;

struct Shape2 {
    int64_t rows;
    int64_t cols;
};

/// Odd tails for formats of single numbers; one and several blocks for the others.
std::vector<Shape2> shapes_of(const Format& format) {
    if (format.block_elements > 1) {
        const int64_t block = format.block_elements;
        return {{1, block}, {3, 2 * block}, {5, 3 * block}, {9, block}, {130, 2 * block}};
    }
    return {{1, 1}, {2, 15}, {3, 16}, {4, 17}, {5, 130}, {7, 128}, {9, 576}, {131, 257}};
}

Matrix multiply(Machine& machine, const Weight& weight, const Matrix& x, bool transposed,
                const float* bias = nullptr) {
    Matrix out = Matrix::filled(x.n_rows, transposed ? weight.cols : weight.rows, std::nanf(""));
    const MatmulTask task = {
        .weight = weight, .x = x.read(), .out = out.rows(), .bias = bias, .transposed = transposed};
    machine->matmul({&task, 1});
    return out;
}

constexpr auto kFloats = ActivationsChoice::kF32;

class MatmulFormat : public testing::TestWithParam<FormatId> {
  protected:
    static constexpr int64_t kTokens[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 33};

    /// check(weight, x, transposed) for every shape and number of tokens.
    template <typename Check>
    void for_each_case(const Check& check) {
        for (const Shape2& shape : shapes_of(format_of(GetParam()))) {
            const OwnedWeight weight(GetParam(), shape.rows, shape.cols, 17);
            for (const int64_t tokens : kTokens) {
                SCOPED_TRACE(testing::Message()
                             << shape.rows << " x " << shape.cols << ", " << tokens << " tokens");
                check(weight.get(), Matrix::random(tokens, shape.cols, 5), false);
                check(weight.get(), Matrix::random(tokens, shape.rows, 6), true);
            }
        }
    }
};

TEST_P(MatmulFormat, every_table_and_thread_count_gives_the_portable_bits) {
    Machine portable("portable", 1, kFloats);
    for (const std::string& isa : available_isas()) {
        for (const int threads : {1, 2, 3}) {
            SCOPED_TRACE(testing::Message() << isa << ", " << threads << " threads");
            Machine machine(isa, threads, kFloats);
            for_each_case([&](const Weight& weight, const Matrix& x, bool transposed) {
                const Matrix expected = multiply(portable, weight, x, transposed);
                const Matrix found = multiply(machine, weight, x, transposed);
                EXPECT_TRUE(same_bits(expected, found)) << "transposed " << transposed;
            });
        }
    }
}

TEST_P(MatmulFormat, a_row_alone_equals_the_row_in_a_batch) {
    for (const std::string& isa : available_isas()) {
        SCOPED_TRACE(isa);
        Machine machine(isa, 2, kFloats);
        for_each_case([&](const Weight& weight, const Matrix& x, bool transposed) {
            const Matrix batch = multiply(machine, weight, x, transposed);
            for (int64_t t = 0; t < x.n_rows; ++t) {
                Matrix one = {1, x.n_cols, {x.row(t), x.row(t) + x.n_cols}};
                const Matrix alone = multiply(machine, weight, one, transposed);
                EXPECT_EQ(
                    0, std::memcmp(alone.row(0), batch.row(t), alone.values.size() * sizeof(float)))
                    << "token " << t << ", transposed " << transposed;
            }
        });
    }
}

/// |sum in float - sum in double| <= (terms + 5) * 2^-24 * sum |w x|: one rounding an addition.
TEST_P(MatmulFormat, portable_equals_a_sum_in_double_within_its_rounding) {
    Machine portable("portable", 1, kFloats);
    for_each_case([&](const Weight& weight, const Matrix& x, bool transposed) {
        std::vector<float> w(static_cast<size_t>(weight.rows * weight.cols));
        for (int64_t r = 0; r < weight.rows; ++r) {
            weight.format->decode_row(weight.row(r), weight.cols, w.data() + r * weight.cols);
        }
        const Matrix out = multiply(portable, weight, x, transposed);
        for (int64_t t = 0; t < out.n_rows; ++t) {
            for (int64_t o = 0; o < out.n_cols; ++o) {
                double sum = 0;
                double size = 0;
                for (int64_t i = 0; i < x.n_cols; ++i) {
                    const int64_t at = transposed ? i * weight.cols + o : o * weight.cols + i;
                    const double term = double{w[static_cast<size_t>(at)]} * double{x.row(t)[i]};
                    sum += term;
                    size += std::fabs(term);
                }
                const double bound = static_cast<double>(x.n_cols + 5) * 0x1p-24 * size + 1e-40;
                ASSERT_NEAR(sum, double{out.row(t)[o]}, bound) << "transposed " << transposed;
            }
        }
    });
}

INSTANTIATE_TEST_SUITE_P(formats, MatmulFormat, testing::ValuesIn(weight_formats()),
                         [](const auto& param) {
                             return std::string(format_of(param.param).name);
                         });

TEST(Matmul, a_large_matrix_is_cut_into_pieces_without_a_trace) {
    Machine portable("portable", 1);
    for (const FormatId id : {FormatId::kBf16, FormatId::kFp8Block128, FormatId::kQ4K}) {
        const OwnedWeight weight(id, 517, 1024, 3);
        const Matrix x = Matrix::random(7, 1024, 4);
        const Matrix expected = multiply(portable, weight.get(), x, false);
        for (const std::string& isa : available_isas()) {
            Machine machine(isa, 3);
            EXPECT_TRUE(same_bits(expected, multiply(machine, weight.get(), x, false))) << isa;
        }
    }
}

TEST(Matmul, tasks_of_one_call_equal_tasks_of_their_own) {
    for (const std::string& isa : available_isas()) {
        Machine machine(isa, 3);
        const OwnedWeight a(FormatId::kBf16, 40, 130, 1);
        const OwnedWeight b(FormatId::kQ8_0, 300, 512, 2);
        const OwnedWeight c(FormatId::kF32, 129, 300, 3);
        const Matrix xa = Matrix::random(3, 130, 4);
        const Matrix xb = Matrix::random(1, 512, 5);
        const Matrix xc = Matrix::random(9, 129, 6);
        Matrix oa = Matrix::filled(3, 40, 0);
        Matrix ob = Matrix::filled(1, 300, 0);
        Matrix oc = Matrix::filled(9, 300, 0);
        const MatmulTask tasks[] = {
            {.weight = a.get(), .x = xa.read(), .out = oa.rows()},
            {.weight = b.get(), .x = xb.read(), .out = ob.rows()},
            {.weight = c.get(), .x = xc.read(), .out = oc.rows(), .transposed = true}};
        machine->matmul(tasks);
        EXPECT_TRUE(same_bits(oa, multiply(machine, a.get(), xa, false))) << isa;
        EXPECT_TRUE(same_bits(ob, multiply(machine, b.get(), xb, false))) << isa;
        EXPECT_TRUE(same_bits(oc, multiply(machine, c.get(), xc, true))) << isa;
    }
}

TEST(Matmul, the_bias_is_added_last) {
    for (const std::string& isa : available_isas()) {
        Machine machine(isa, 2);
        const OwnedWeight weight(FormatId::kF16, 67, 100, 1);
        const Matrix x = Matrix::random(3, 100, 2);
        const Matrix bias = Matrix::random(1, 67, 3);
        const Matrix plain = multiply(machine, weight.get(), x, false);
        const Matrix biased = multiply(machine, weight.get(), x, false, bias.row(0));
        for (int64_t t = 0; t < 3; ++t) {
            for (int64_t r = 0; r < 67; ++r) {
                ASSERT_EQ(plain.row(t)[r] + bias.row(0)[r], biased.row(t)[r]) << isa;
            }
        }
    }
}

TEST(Matmul, a_slice_of_rows_equals_those_rows_of_the_whole) {
    for (const FormatId id : {FormatId::kFp8Block128, FormatId::kBf16, FormatId::kQ6K}) {
        const OwnedWeight weight(id, 300, 256, 1);
        const Matrix x = Matrix::random(2, 256, 2);
        for (const std::string& isa : available_isas()) {
            Machine machine(isa, 2);
            const Matrix whole = multiply(machine, weight.get(), x, false);
            const Matrix part = multiply(machine, weight.get().slice_rows(150, 120), x, false);
            for (int64_t t = 0; t < 2; ++t) {
                EXPECT_EQ(0, std::memcmp(whole.row(t) + 150, part.row(t), 120 * sizeof(float)));
            }
        }
    }
}

TEST(Matmul, nan_codes_and_huge_scales_of_fp8_stay_what_they_are) {
    OwnedWeight weight(FormatId::kFp8Block128, 9, 300, 1);
    Weight broken = weight.get();
    std::vector<std::byte> bytes(broken.data, broken.data + 9 * broken.row_stride_bytes);
    for (std::byte& code : bytes) {
        code &= std::byte{0xbf};  // below 2 in magnitude: no product overflows
    }
    bytes[static_cast<size_t>(2 * broken.row_stride_bytes + 17)] = std::byte{0xff};   // whole block
    bytes[static_cast<size_t>(5 * broken.row_stride_bytes + 290)] = std::byte{0x7f};  // tail block
    broken.data = bytes.data();
    std::vector<float> scales(6, 0x1p+121F);
    broken.scales = scales.data();
    broken.scale_row_offset = 0;
    const Matrix x = Matrix::filled(1, 300, 0x1p-30F);
    Machine portable("portable", 1);
    const Matrix expected = multiply(portable, broken, x, false);
    for (const std::string& isa : available_isas()) {
        Machine machine(isa, 1);
        const Matrix found = multiply(machine, broken, x, false);
        for (int64_t r = 0; r < 9; ++r) {
            EXPECT_EQ(r == 2 || r == 5, std::isnan(found.row(0)[r])) << isa << " row " << r;
            if (r != 2 && r != 5) {
                EXPECT_EQ(expected.row(0)[r], found.row(0)[r]) << isa << " row " << r;
            }
        }
    }
}

}  // namespace
}  // namespace nereus
