// The roof's bookkeeping: rates from times, the best of rows, what its JSON and text say. How fast
// a machine is, is no test.

#include "compute/roof.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "compute/measure/rate_kernel.h"

namespace nereus {
namespace {

using testing::HasSubstr;

Roof some_roof() {
    Roof roof;
    roof.bandwidth = {{1, 2, 0, {20e9, 19e9}}, {8, 4, 512, {60e9, 55e9}}};
    roof.multiply_adds = {{8, "int8", "vpdpbusd", {900e9, 890e9}, {700e9, 690e9}},
                          {8, "int8", "vpmaddubsw", {400e9, 390e9}, {300e9, 290e9}},
                          {1, "f32", "vfmadd231ps", {50e9, 49e9}, {40e9, 39e9}}};
    return roof;
}

TEST(MeasureRate, runs_once_to_warm_up_and_then_as_often_as_asked) {
    int n = 0;
    const Rate rate = measure_rate(1e6, 7, 0, [&] { ++n; });
    EXPECT_EQ(n, 8);
    EXPECT_GT(rate.best, 0);
    EXPECT_GE(rate.best, rate.median) << "the best is the fastest of them";
}

TEST(MeasureRate, goes_on_until_the_time_is_over_but_not_forever) {
    int n = 0;
    measure_rate(1, 1, 3600, [&] { ++n; });  // an hour of nothing
    EXPECT_EQ(n, 1001);
}

TEST(ThreadCounts, double_up_to_the_number_and_end_with_it) {
    EXPECT_EQ(thread_counts(1), (std::vector<int>{1}));
    EXPECT_EQ(thread_counts(2), (std::vector<int>{1, 2}));
    EXPECT_EQ(thread_counts(6), (std::vector<int>{1, 2, 4, 6}));
    EXPECT_EQ(thread_counts(8), (std::vector<int>{1, 2, 4, 8}));
}

TEST(Roof, the_best_of_the_rows_counts_and_what_was_not_measured_is_zero) {
    const Roof roof = some_roof();
    EXPECT_EQ(roof.bytes_per_second(8), 60e9);
    EXPECT_EQ(roof.bytes_per_second(4), 0);
    EXPECT_EQ(roof.multiply_adds_per_second("int8", 8), 700e9) << "with weights from the L2 cache";
    EXPECT_EQ(roof.multiply_adds_per_second("int8", 1), 0);
    EXPECT_EQ(roof.multiply_adds_per_second("bf16", 8), 0);
    EXPECT_EQ(Roof{}.bytes_per_second(1), 0);
}

TEST(Roof, json_and_text_say_the_same_figures) {
    const Json json = roof_json(some_roof());
    ASSERT_EQ(json["read"].size(), 2U);
    EXPECT_EQ(json["read"][1]["gb_per_second"], 60.0);
    EXPECT_EQ(json["read"][1]["prefetch_bytes"], 512);
    ASSERT_EQ(json["multiply_adds"].size(), 3U);
    EXPECT_EQ(json["multiply_adds"][0]["l2_gop"], 700.0);
    EXPECT_EQ(json["multiply_adds"][0]["instruction"], "vpdpbusd");
    const std::string text = roof_text(some_roof());
    EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 5);
    EXPECT_THAT(text, HasSubstr("    60.0 GB/s"));
    EXPECT_THAT(text, HasSubstr("no prefetch"));
    EXPECT_THAT(text, HasSubstr("prefetch 512 B ahead"));
    EXPECT_THAT(text, HasSubstr("   700.0 Gmadd/s from L2"));
}

TEST(RateKernels, each_counts_the_multiply_adds_of_the_steps_it_took) {
    for (const RateKernel* kernel : all_rate_kernels()) {
        if (!kernel->runs_here()) {
            continue;
        }
        const auto one = static_cast<double>(kernel->registers(1000));
        const auto two = static_cast<double>(kernel->registers(2000));
        EXPECT_GT(one, 1000) << kernel->instruction << ": many a step";
        EXPECT_DOUBLE_EQ(two, 2 * one) << kernel->instruction;
    }
}

}  // namespace
}  // namespace nereus
