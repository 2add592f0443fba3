// The matmul verb through its door: the bits are those of decoded rows in the stated order, in
// every format whose activations stay floats, for any number of tokens, threads and tasks; nothing
// beside the outputs is written; and what does not fit together ends the program.

#include <gtest/gtest.h>

#include <thread>

#include "base/thread_pool.h"
#include "compute/backend.h"
#include "compute/testing/stated_order.h"

namespace nereus {
namespace {

using stated::Framed;
using stated::random_floats;
using stated::same_bits;

/// Formats that a test can fill: they encode.
constexpr FormatId kEncoding[] = {FormatId::kF32, FormatId::kF16, FormatId::kBf16, FormatId::kQ8_0,
                                  FormatId::kQ4_0};

/// A matrix of random numbers in a format, owned.
struct Matrix {
    Matrix(FormatId id, int64_t rows, int64_t cols, uint64_t seed) {
        const Format& format = format_of(id);
        const std::vector<float> values = random_floats(rows * cols, seed);
        bytes.resize(static_cast<size_t>(format.matrix_bytes(rows, cols)));
        for (int64_t r = 0; r < rows; ++r) {
            format.encode_row(values.data() + r * cols, cols,
                              bytes.data() + r * format.row_bytes(cols));
        }
        weight = {.format = &format,
                  .rows = rows,
                  .cols = cols,
                  .data = bytes.data(),
                  .row_stride_bytes = format.row_bytes(cols)};
    }
    std::vector<std::byte> bytes;
    Weight weight;
};

struct Machine {
    explicit Machine(int n_threads)
        : pool(n_threads), backend(create_cpu_backend(pool, "", ActivationsChoice::kF32).value()) {}
    ThreadPool pool;
    std::unique_ptr<Backend> backend;
};

/// out[t, c] = sum_r weight[r, c] * x[t, r], row sums in order of r.
float transposed_sum(const std::vector<std::vector<float>>& rows, const float* x, size_t column) {
    float sum = 0;
    for (size_t r = 0; r < rows.size(); ++r) {
        sum = std::fma(x[r], rows[r][column], sum);
    }
    return sum;
}

std::vector<std::vector<float>> all_rows(const Weight& weight) {
    std::vector<std::vector<float>> rows;
    for (int64_t r = 0; r < weight.rows; ++r) {
        rows.push_back(stated::decoded(weight, r));
    }
    return rows;
}

TEST(MatmulOrder, products_have_the_bits_of_decoded_rows_in_the_stated_order) {
    Machine machine(2);
    for (const FormatId id : kEncoding) {
        for (const auto& [rows, cols] :
             {std::pair<int64_t, int64_t>{1, 32}, {37, 96}, {130, 256}}) {
            const Matrix matrix(id, rows, cols, 1);
            const auto decoded = all_rows(matrix.weight);
            for (const int64_t n_tokens : {1, 3, 4, 5, 9, 33}) {
                const Framed x = Framed::random(n_tokens, cols, 2);
                Framed out(n_tokens, rows);
                const MatmulTask task{.weight = matrix.weight, .x = x.read(), .out = out.view()};
                machine.backend->matmul(std::span(&task, 1));
                for (int64_t t = 0; t < n_tokens; ++t) {
                    for (int64_t r = 0; r < rows; ++r) {
                        ASSERT_TRUE(same_bits(out.at(t, r),
                                              stated::dot(decoded[static_cast<size_t>(r)].data(),
                                                          x.read().row(t), cols)))
                            << matrix.weight.format->name << " [" << rows << ", " << cols
                            << "], token " << t << " of " << n_tokens << ", row " << r;
                    }
                }
                EXPECT_TRUE(out.frame_is_whole());
            }
        }
    }
}

TEST(MatmulOrder, transposed_products_have_the_bits_of_row_sums_in_order) {
    Machine machine(3);
    for (const FormatId id : kEncoding) {
        const Matrix matrix(id, 53, 320, 3);
        const auto decoded = all_rows(matrix.weight);
        for (const int64_t n_tokens : {1, 2, 19}) {
            const Framed x = Framed::random(n_tokens, 53, 4);
            Framed out(n_tokens, 320);
            const MatmulTask task{
                .weight = matrix.weight, .x = x.read(), .out = out.view(), .transposed = true};
            machine.backend->matmul(std::span(&task, 1));
            for (int64_t t = 0; t < n_tokens; ++t) {
                for (size_t c = 0; c < 320; ++c) {
                    ASSERT_TRUE(same_bits(out.at(t, static_cast<int64_t>(c)),
                                          transposed_sum(decoded, x.read().row(t), c)))
                        << matrix.weight.format->name << ", token " << t << ", column " << c;
                }
            }
            EXPECT_TRUE(out.frame_is_whole());
        }
    }
}

TEST(MatmulOrder, a_bias_is_one_rounded_addition_at_the_end) {
    Machine machine(2);
    const Matrix matrix(FormatId::kBf16, 48, 64, 5);
    const auto decoded = all_rows(matrix.weight);
    const std::vector<float> bias = random_floats(64, 6);
    for (const bool transposed : {false, true}) {
        const int64_t n_in = transposed ? 48 : 64;
        const int64_t n_out = transposed ? 64 : 48;
        const Framed x = Framed::random(2, n_in, 7);
        Framed out(2, n_out);
        const MatmulTask task{.weight = matrix.weight,
                              .x = x.read(),
                              .out = out.view(),
                              .bias = bias.data(),
                              .transposed = transposed};
        machine.backend->matmul(std::span(&task, 1));
        for (int64_t t = 0; t < 2; ++t) {
            for (size_t i = 0; i < static_cast<size_t>(n_out); ++i) {
                const float sum = transposed ? transposed_sum(decoded, x.read().row(t), i)
                                             : stated::dot(decoded[i].data(), x.read().row(t), 64);
                EXPECT_TRUE(same_bits(out.at(t, static_cast<int64_t>(i)), sum + bias[i]));
            }
        }
    }
}

TEST(MatmulOrder, tasks_of_any_size_in_one_call_do_not_touch_each_other) {
    // Large enough to wake the pool, beside tasks of one row and of no token at all.
    const Matrix large(FormatId::kBf16, 600, 512, 8);
    const Matrix small(FormatId::kF32, 1, 32, 9);
    for (const int n_threads : {1, 2, 5}) {
        Machine machine(n_threads);
        const Framed x_large = Framed::random(3, 512, 10);
        const Framed x_small = Framed::random(7, 32, 11);
        const Framed nothing(0, 512);
        Framed out_large(3, 600), out_small(7, 1), out_nothing(0, 600);
        const MatmulTask tasks[] = {
            {.weight = small.weight, .x = x_small.read(), .out = out_small.view()},
            {.weight = large.weight, .x = nothing.read(), .out = out_nothing.view()},
            {.weight = large.weight, .x = x_large.read(), .out = out_large.view()}};
        machine.backend->matmul(tasks);
        for (int64_t t = 0; t < 3; ++t) {
            for (int64_t r = 0; r < 600; ++r) {
                ASSERT_TRUE(same_bits(out_large.at(t, r),
                                      stated::dot(stated::decoded(large.weight, r).data(),
                                                  x_large.read().row(t), 512)));
            }
        }
        for (int64_t t = 0; t < 7; ++t) {
            EXPECT_TRUE(same_bits(
                out_small.at(t, 0),
                stated::dot(stated::decoded(small.weight, 0).data(), x_small.read().row(t), 32)));
        }
        EXPECT_TRUE(out_large.frame_is_whole());
        EXPECT_TRUE(out_small.frame_is_whole());
        EXPECT_TRUE(out_nothing.frame_is_whole());
    }
}

TEST(MatmulOrder, an_observer_sees_the_products_before_they_run_until_it_is_taken_away) {
    Machine machine(2);
    const Matrix matrix(FormatId::kF32, 4, 32, 12);
    const Matrix gate(FormatId::kF32, 4, 32, 13);
    const Framed x = Framed::random(2, 32, 14);
    Framed out(2, 4), room(2, 4);
    std::vector<const std::byte*> seen;
    const auto here = std::this_thread::get_id();
    machine.backend->observe_products([&](std::span<const MatmulTask> tasks) {
        EXPECT_EQ(std::this_thread::get_id(), here);
        EXPECT_EQ(out.at(0, 0), Framed::kFrame) << "not yet written";
        for (const MatmulTask& task : tasks) {
            EXPECT_EQ(task.x.data, x.read().data);
            seen.push_back(task.weight.data);
        }
    });
    MatmulTask task{.weight = matrix.weight, .x = x.read(), .out = out.view()};
    task.gate = gate.weight;
    task.gate_out = room.view();
    machine.backend->matmul(std::span(&task, 1));
    EXPECT_EQ(seen, (std::vector<const std::byte*>{matrix.weight.data, gate.weight.data}))
        << "a gate is a product of its own";
    machine.backend->observe_products(nullptr);
    machine.backend->matmul(std::span(&task, 1));
    EXPECT_EQ(seen.size(), 2U);
}

TEST(MatmulOrderDeathTest, shapes_that_do_not_fit_end_the_program) {
    GTEST_FLAG_SET(death_test_style, "threadsafe");
    const Matrix matrix(FormatId::kF32, 8, 32, 15);
    const Matrix other(FormatId::kF32, 9, 32, 16);
    const auto run = [&](const Weight& weight, int64_t x_rows, int64_t x_cols, int64_t out_rows,
                         int64_t out_cols, const Weight& gate = {}) {
        Machine machine(1);
        const Framed x = Framed::random(x_rows, x_cols, 17);
        Framed out(out_rows, out_cols), room(out_rows, out_cols);
        MatmulTask task{.weight = weight, .x = x.read(), .out = out.view()};
        task.gate = gate;
        task.gate_out = room.view();
        machine.backend->matmul(std::span(&task, 1));
    };
    run(matrix.weight, 2, 32, 2, 8);  // this one fits
    EXPECT_DEATH(run(matrix.weight, 2, 31, 2, 8), "n_cols");
    EXPECT_DEATH(run(matrix.weight, 2, 32, 3, 8), "n_rows");
    EXPECT_DEATH(run(matrix.weight, 2, 32, 2, 9), "n_cols");
    EXPECT_DEATH(run(matrix.weight, 2, 32, 2, 8, other.weight), "gate");
    Weight unknown = matrix.weight;
    unknown.format = &format_of(FormatId::kF64);  // recognised in files, never a weight
    EXPECT_DEATH(run(unknown, 2, 32, 2, 8), "decode_row");
}

}  // namespace
}  // namespace nereus
