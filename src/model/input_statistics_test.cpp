#include "model/input_statistics.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/rng.h"
#include "base/thread_pool.h"
#include "tensor/format.h"

namespace nereus {
namespace {

/// A float matrix in memory and rows that enter it.
struct Product {
    Product(int64_t rows, int64_t cols, int64_t n_tokens, uint64_t seed)
        : weights(static_cast<size_t>(rows * cols)), inputs(static_cast<size_t>(n_tokens * cols)) {
        weight = {.format = &format_of(FormatId::kF32),
                  .rows = rows,
                  .cols = cols,
                  .data = reinterpret_cast<const std::byte*>(weights.data()),
                  .row_stride_bytes = cols * 4};
        for (size_t i = 0; i < inputs.size(); ++i) {
            inputs[i] = static_cast<float>(random_unit(seed, 0, i)) *
                        static_cast<float>(1 + i % static_cast<size_t>(cols));
        }
    }

    MatmulTask task(int64_t first, int64_t n) const {
        const ConstRows x{inputs.data() + first * weight.cols, n, weight.cols, weight.cols};
        return {weight, x, {}};
    }

    std::vector<float> weights, inputs;
    Weight weight;
};

InputStatistics statistics_of(const Product& product, int64_t n_tokens, int64_t at_once,
                              int n_threads) {
    ThreadPool pool(n_threads);
    InputStatistics statistics;
    for (int64_t first = 0; first < n_tokens; first += at_once) {
        const MatmulTask task = product.task(first, std::min(at_once, n_tokens - first));
        statistics.add({&task, 1}, pool);
    }
    statistics.finish();
    return statistics;
}

TEST(InputStatistics, weights_are_mean_squares_of_the_columns_over_their_mean) {
    const Product product(4, 70, 9, 1);
    const InputStatistics statistics = statistics_of(product, 9, 4, 2);
    const float* weights = statistics.weights_of(product.weight.data, 70);
    ASSERT_NE(weights, nullptr);
    std::vector<double> squares(70);
    double sum = 0;
    for (size_t i = 0; i < product.inputs.size(); ++i) {
        const double square = std::pow(double{product.inputs[i]}, 2);
        squares[i % 70] += square;
        sum += square;
    }
    for (size_t c = 0; c < 70; ++c) {
        const double expected =
            std::max(squares[c] * 70 / sum, double{InputStatistics::kLeastWeight});
        EXPECT_NEAR(double{weights[c]}, expected, 1e-5 * expected) << "column " << c;
    }
}

TEST(InputStatistics, the_bits_do_not_depend_on_the_number_of_threads) {
    const Product product(2, 1000, 40, 2);
    const InputStatistics one = statistics_of(product, 40, 16, 1);
    const InputStatistics five = statistics_of(product, 40, 16, 5);
    for (int64_t c = 0; c < 1000; ++c) {
        EXPECT_EQ(one.weights_of(product.weight.data, 1000)[c],
                  five.weights_of(product.weight.data, 1000)[c]);
    }
}

TEST(InputStatistics, rows_anywhere_in_the_matrix_find_it_and_those_outside_do_not) {
    const Product product(6, 32, 3, 3);
    const InputStatistics statistics = statistics_of(product, 3, 3, 1);
    const float* weights = statistics.weights_of(product.weight.data, 32);
    EXPECT_EQ(statistics.weights_of(product.weight.row(5).data, 32), weights);
    EXPECT_EQ(statistics.weights_of(product.weight.data + 6 * 32 * 4, 32), nullptr);
    EXPECT_EQ(statistics.weights_of(product.weight.data - 1, 32), nullptr);
    EXPECT_EQ(statistics.weights_of(product.weight.data, 31), nullptr);
    EXPECT_EQ(InputStatistics().weights_of(product.weight.data, 32), nullptr);
}

TEST(InputStatistics, a_column_that_stays_zero_keeps_a_little_weight_and_all_zeros_count_alike) {
    Product product(2, 40, 2, 4);
    product.inputs[7] = product.inputs[47] = 0.0F;
    const InputStatistics some = statistics_of(product, 2, 2, 1);
    EXPECT_EQ(some.weights_of(product.weight.data, 40)[7], InputStatistics::kLeastWeight);
    std::fill(product.inputs.begin(), product.inputs.end(), 0.0F);
    const InputStatistics none = statistics_of(product, 2, 2, 1);
    EXPECT_EQ(none.weights_of(product.weight.data, 40)[0], 1.0F);
}

TEST(InputStatistics, matrices_that_share_an_input_are_counted_one_by_one) {
    const Product a(2, 40, 2, 5);
    const Product b(3, 40, 2, 6);
    ThreadPool pool(1);
    InputStatistics statistics;
    const MatmulTask tasks[] = {a.task(0, 2), {b.weight, a.task(0, 2).x, {}}};
    statistics.add(tasks, pool);
    statistics.finish();
    EXPECT_EQ(statistics.n_matrices(), 2);
    EXPECT_EQ(statistics.weights_of(a.weight.data, 40)[3],
              statistics.weights_of(b.weight.data, 40)[3]);
}

}  // namespace
}  // namespace nereus
