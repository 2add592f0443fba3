// What the benchmarks rest on: rate kernels compute a product, reading touches every byte once,
// counts are right.

#include <gmock/gmock.h>

#include <cstring>
#include <vector>

#include "base/floats.h"
#include "bench/machine.h"
#include "bench/op_cases.h"
#include "compute/measure/rate_kernel.h"
#include "compute/roof.h"

namespace nereus {
namespace {

/// A small whole number that every format here holds exactly, as an element of `k`.
void put(const RateKernel& k, std::byte* at, int value) {
    const auto f = static_cast<float>(value);
    uint32_t bits = 0;
    std::memcpy(&bits, &f, 4);
    const auto bf16 = static_cast<uint16_t>(bits >> 16);  // exact: 8 bits suffice
    const auto byte = static_cast<int8_t>(value);
    switch (k.element_bytes) {
        case 1:
            std::memcpy(at, &byte, 1);
            break;
        case 2:
            std::memcpy(at, &bf16, 2);
            break;
        default:
            std::memcpy(at, &f, 4);
    }
}

int weight_value(int64_t column, int64_t i) { return static_cast<int>((column * 3 + i) % 3); }
int x_value(int64_t row, int64_t i) { return static_cast<int>((row + i * i) % 5) - 2; }

/// Byte of element i of an output column: steps, then the two vectors, then groups of four bytes of
/// depth, then lanes.
int64_t weight_offset(const RateKernel& k, int64_t column, int64_t i) {
    const int64_t per_panel = 2 * k.lanes;
    const int64_t step = i / k.depth;
    const int64_t in_step = i % k.depth * k.element_bytes;
    const int64_t vector = k.lanes * k.depth * k.element_bytes;
    return column / per_panel * per_panel * kProductDepth * k.element_bytes +
           (step * 2 + column % per_panel / k.lanes) * vector +
           (in_step / 4 * k.lanes + column % k.lanes) * 4 + in_step % 4;
}

double read_output(const RateKernel& k, const std::byte* at) {
    int32_t whole = 0;
    float f = 0;
    std::memcpy(&whole, at, 4);
    std::memcpy(&f, at, 4);
    return k.element_bytes == 1 ? whole : double{f};
}

TEST(RateKernel, the_product_is_the_product_with_every_instruction_of_this_machine) {
    constexpr int64_t kPanels = 2;
    int n_run = 0;
    for (const RateKernel* k : all_rate_kernels()) {
        if (!k->runs_here()) {
            continue;
        }
        SCOPED_TRACE(k->instruction);
        ++n_run;
        const int64_t n_columns = kPanels * 2 * k->lanes;
        std::vector<std::byte> storage(
            static_cast<size_t>((n_columns + k->rows) * kProductDepth * k->element_bytes + 128));
        std::byte* const weights =
            storage.data() + (64 - reinterpret_cast<uintptr_t>(storage.data()) % 64);
        std::byte* const x = weights + n_columns * kProductDepth * k->element_bytes;
        for (int64_t i = 0; i < kProductDepth; ++i) {
            for (int64_t column = 0; column < n_columns; ++column) {
                put(*k, weights + weight_offset(*k, column, i), weight_value(column, i));
            }
            for (int64_t row = 0; row < k->rows; ++row) {
                const int64_t at = (i / k->depth * k->rows + row) * k->depth + i % k->depth;
                put(*k, x + at * k->element_bytes, x_value(row, i));
            }
        }
        std::vector<std::byte> out(static_cast<size_t>(n_columns * k->rows * 4));
        k->product(weights, x, kPanels, out.data());
        for (int64_t column = 0; column < n_columns; ++column) {
            for (int64_t row = 0; row < k->rows; ++row) {
                double expected = 0;
                for (int64_t i = 0; i < kProductDepth; ++i) {
                    expected += weight_value(column, i) * x_value(row, i);
                }
                const int64_t panel = column / (2 * k->lanes);
                const int64_t at =
                    ((panel * k->rows + row) * 2 * k->lanes) + column % (2 * k->lanes);
                ASSERT_EQ(read_output(*k, out.data() + at * 4), expected)
                    << "row " << row << ", column " << column;
            }
        }
    }
    EXPECT_GT(n_run, 0);
}

TEST(RateKernel, rounds_on_registers_are_counted_by_outputs_and_depth) {
    for (const RateKernel* k : all_rate_kernels()) {
        if (k->runs_here()) {
            const int64_t sums = k->rows * 2 * k->lanes;  // as many as the product keeps
            EXPECT_EQ(k->registers(10), 10 * sums * k->depth) << k->instruction;
        }
    }
}

TEST(ReadKernel, every_byte_counts_once_for_any_number_of_streams) {
    if (!__builtin_cpu_supports("avx2")) {
        GTEST_SKIP() << "no AVX2";
    }
    std::vector<uint64_t> words(8 * 1024);
    uint64_t expected = 0;
    for (size_t i = 0; i < words.size(); ++i) {
        words[i] = i * i + 1;
        expected += words[i];
    }
    const auto* data = reinterpret_cast<const std::byte*>(words.data());
    for (const ReadKernel read : {read_avx2, read_avx512}) {
        if (read == read_avx512 && !__builtin_cpu_supports("avx512f")) {
            continue;
        }
        for (const int64_t streams : {1, 2, 4, 8}) {
            for (const int64_t ahead : {0, 512}) {
                EXPECT_EQ(read(data, static_cast<int64_t>(words.size() * 8), streams, ahead),
                          expected);
            }
        }
    }
}

TEST(MeasureRate, the_best_is_at_least_the_median_and_runs_are_as_many_as_asked) {
    int n_runs = 0;
    const Rate rate = measure_rate(1000, 9, 0, [&] { ++n_runs; });
    EXPECT_EQ(n_runs, 10);  // one to warm up
    EXPECT_GE(rate.best, rate.median);
    EXPECT_GT(rate.median, 0);
}

TEST(Roof, shares_are_of_the_same_number_of_threads_and_the_best_instruction) {
    Roof roof;
    roof.bandwidth = {{1, 1, 0, {10, 9}}, {2, 1, 0, {20, 18}}};
    roof.multiply_adds = {{1, "int8", "slow", {9, 9}, {3, 3}},
                          {1, "int8", "fast", {9, 9}, {7, 6}},
                          {2, "int8", "fast", {9, 9}, {14, 12}},
                          {1, "f32", "fast", {99, 99}, {50, 50}}};
    EXPECT_EQ(roof.bytes_per_second(1), 10);
    EXPECT_EQ(roof.bytes_per_second(4), 0);
    EXPECT_EQ(roof.multiply_adds_per_second("int8", 1), 7);
    EXPECT_EQ(roof.multiply_adds_per_second("int8", 2), 14);
    EXPECT_EQ(roof.multiply_adds_per_second("bf16", 1), 0);
}

TEST(ThreadCounts, double_up_to_the_number_itself) {
    EXPECT_EQ(thread_counts(1), std::vector<int>({1}));
    EXPECT_EQ(thread_counts(6), std::vector<int>({1, 2, 4, 6}));
    EXPECT_EQ(thread_counts(8), std::vector<int>({1, 2, 4, 8}));
}

TEST(ProcValue, is_that_of_the_whole_key) {
    const std::string text = "model\t\t: 17\nmodel name\t: AMD EPYC\nflags\t:\n";
    EXPECT_EQ(proc_value(text, "model"), "17");
    EXPECT_EQ(proc_value(text, "model name"), "AMD EPYC");
    EXPECT_EQ(proc_value(text, "flags"), "");
    EXPECT_EQ(proc_value(text, "stepping"), "");
}

TEST(OpCases, small_ones_give_the_portable_answer_and_names_are_unique) {
    ThreadPool pool(1);
    const auto portable = create_cpu_backend(pool, "portable");
    const auto fastest = create_cpu_backend(pool, "");
    std::vector<std::string> names;
    for (const OpCaseRow& row : all_op_cases()) {
        names.push_back(row.name);
        const bool small_product = row.name.starts_with("matmul/q4/1408x2048");
        if (!row.name.ends_with("/1") || (row.name.starts_with("matmul") && !small_product)) {
            continue;
        }
        const OpCase one = row.make();
        EXPECT_EQ(one.name, row.name);
        EXPECT_GT(one.bytes, 0);
        one.run(*portable.value());
        const std::vector<float> expected = one.answer();
        one.run(*fastest.value());
        EXPECT_EQ(one.answer(), expected) << one.name;
    }
    std::sort(names.begin(), names.end());
    EXPECT_EQ(std::adjacent_find(names.begin(), names.end()), names.end());
}

}  // namespace
}  // namespace nereus
