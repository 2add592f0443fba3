#include "tensor/tensor.h"

#include <gtest/gtest.h>

#include <vector>

namespace nereus {
namespace {

TEST(Shape, counts_rows_as_everything_but_the_fastest_dimension) {
    const Shape experts{{8, 80, 128}};
    EXPECT_EQ(experts.n_elements(), 8 * 80 * 128);
    EXPECT_EQ(experts.cols(), 128);
    EXPECT_EQ(experts.rows(), 640);
    EXPECT_EQ(experts.to_string(), "[8, 80, 128]");
}

TEST(Shape, a_scalar_is_one_row_of_one) {
    const Shape scalar;
    EXPECT_EQ(scalar.n_elements(), 1);
    EXPECT_EQ(scalar.cols(), 1);
    EXPECT_EQ(scalar.rows(), 1);
    EXPECT_EQ(scalar.to_string(), "[]");
}

TEST(Shape, an_empty_matrix_has_no_rows) {
    EXPECT_EQ((Shape{{4, 0}}.rows()), 0);
    EXPECT_EQ((Shape{{0, 4}}.rows()), 0);
}

TEST(Rows, are_a_stride_apart) {
    std::vector<float> numbers(12);
    const Rows rows{numbers.data(), 3, 2, 4};
    EXPECT_EQ(rows.row(2), numbers.data() + 8);
    EXPECT_EQ(ConstRows(rows).row(1), numbers.data() + 4);
}

}  // namespace
}  // namespace nereus
