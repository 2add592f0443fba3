// Which tasks share a rounding of their activations, that sharing, threads and what a buffer held
// before change nothing, and scratch memory of threads.

#include "compute/cpu/int8_activations.h"

#include <gtest/gtest.h>

#include <set>

#include "compute/cpu/isa.h"
#include "compute/cpu/scratch.h"
#include "compute/testing/stated_order.h"

namespace nereus {
namespace {

using stated::random_floats;

/// Tasks over parts of one buffer; only x counts here.
class Tasks {
  public:
    Tasks() : values_(random_floats(kFloats, 1)) {}
    void add(int64_t first, int64_t rows, int64_t cols, Activations kind) {
        tasks_.emplace_back().x = ConstRows(values_.data() + first, rows, cols, cols);
        kinds_.push_back(kind);
    }
    void prepare(Int8Activations& activations, ThreadPool& pool, const char* isa = "") const {
        activations.prepare(tasks_, kinds_, select_kernels(isa).value(), pool);
    }

  private:
    static constexpr int64_t kFloats = int64_t{1} << 18;
    std::vector<float> values_;
    std::vector<MatmulTask> tasks_;
    std::vector<Activations> kinds_;
};

/// Values and scales as one string of bytes.
std::string bytes_of(const Int8Rows& rows, int64_t columns) {
    const auto blocks = static_cast<size_t>(rows.n_blocks * rows.n_rows);
    return std::string(reinterpret_cast<const char*>(rows.values),
                       blocks * static_cast<size_t>(columns)) +
           std::string(reinterpret_cast<const char*>(rows.scales), blocks * sizeof(float));
}

TEST(Int8Activations, the_same_rows_are_rounded_once_for_each_kind) {
    Tasks tasks;
    tasks.add(0, 2, 256, Activations::kInt8Per32);
    tasks.add(0, 2, 256, Activations::kF32);
    tasks.add(0, 2, 256, Activations::kInt8Per256);
    tasks.add(0, 2, 256, Activations::kInt8Per32);
    tasks.add(0, 1, 256, Activations::kInt8Per32);    // fewer rows
    tasks.add(0, 4, 128, Activations::kInt8Per32);    // the same floats, cut otherwise
    tasks.add(256, 2, 256, Activations::kInt8Per32);  // others
    ThreadPool pool(1);
    Int8Activations activations;
    tasks.prepare(activations, pool);
    EXPECT_EQ(activations.of_task(1), nullptr) << "floats stay floats";
    EXPECT_EQ(activations.of_task(0), activations.of_task(3));
    std::set<const Int8Rows*> different;
    for (const size_t i : {0U, 2U, 4U, 5U, 6U}) {
        ASSERT_NE(activations.of_task(i), nullptr);
        different.insert(activations.of_task(i));
    }
    EXPECT_EQ(different.size(), 5U);
    EXPECT_EQ(activations.of_task(0)->n_blocks, 8);
    EXPECT_EQ(activations.of_task(2)->n_blocks, 1);
    EXPECT_EQ(activations.of_task(4)->n_rows, 1);
}

TEST(Int8Activations, sharing_and_threads_change_no_byte) {
    // 600 rows are more than one thread does by itself.
    for (const Activations kind : {Activations::kInt8Per32, Activations::kInt8Per256}) {
        const int64_t columns = kind == Activations::kInt8Per32 ? 32 : 256;
        ThreadPool one(1);
        Int8Activations alone;
        Tasks single;
        single.add(512, 600, 256, kind);
        single.prepare(alone, one, "portable");
        const std::string expected = bytes_of(*alone.of_task(0), columns);
        for (const int n_threads : {1, 2, 5}) {
            ThreadPool pool(n_threads);
            Int8Activations together;
            Tasks tasks;
            tasks.add(0, 3, 512, Activations::kInt8Per32);
            tasks.add(0, 1, 256, Activations::kPanels);
            tasks.add(512, 600, 256, kind);
            tasks.add(9, 1, 256, Activations::kInt8Per256);
            tasks.prepare(together, pool);
            EXPECT_EQ(bytes_of(*together.of_task(2), columns), expected) << n_threads;
        }
    }
}

TEST(Int8Activations, a_call_leaves_no_trace_in_the_next_one) {
    ThreadPool pool(2);
    Tasks large, small;
    large.add(0, 100, 512, Activations::kInt8Per256);
    small.add(7, 3, 64, Activations::kInt8Per32);
    Int8Activations used, fresh;
    large.prepare(used, pool);
    small.prepare(used, pool);
    small.prepare(fresh, pool);
    EXPECT_EQ(bytes_of(*used.of_task(0), 32), bytes_of(*fresh.of_task(0), 32));
    Tasks none;
    none.prepare(used, pool);  // and a call without tasks is no error
}

TEST(Int8Activations, every_set_begins_at_a_cache_line) {
    ThreadPool pool(1);
    Tasks tasks;
    for (int64_t rows = 1; rows < 9; ++rows) {
        tasks.add(rows, rows, 256, Activations::kInt8Per32);
        tasks.add(rows, rows, 256, Activations::kInt8Per256);
        tasks.add(rows, rows, 130, Activations::kPanels);
    }
    Int8Activations activations;
    tasks.prepare(activations, pool);
    for (size_t i = 0; i < 24; ++i) {
        EXPECT_EQ(reinterpret_cast<uintptr_t>(activations.of_task(i)->values) % 64, 0U) << i;
    }
}

TEST(Scratch, leases_that_live_at_once_have_buffers_of_their_own_at_cache_lines) {
    Scratch scratch(3);
    scratch.reserve(100);
    std::set<float*> seen;
    {
        const Scratch::Lease a(scratch), b(scratch), c(scratch);
        for (float* data : {a.data(), b.data(), c.data()}) {
            EXPECT_EQ(reinterpret_cast<uintptr_t>(data) % 64, 0U);
            std::fill_n(data, 100, 1.0F);
            seen.insert(data);
        }
        EXPECT_EQ(seen.size(), 3U);
    }
    const Scratch::Lease again(scratch);
    EXPECT_EQ(seen.count(again.data()), 1U) << "a buffer given back is taken again";
}

TEST(Scratch, grows_and_never_shrinks) {
    Scratch scratch(1);
    scratch.reserve(1000);
    float* before = nullptr;
    {
        const Scratch::Lease lease(scratch);
        before = lease.data();
    }
    scratch.reserve(10);
    const Scratch::Lease lease(scratch);
    EXPECT_EQ(lease.data(), before);
}

TEST(ScratchDeathTest, one_lease_more_than_threads_ends_the_program) {
    GTEST_FLAG_SET(death_test_style, "threadsafe");
    Scratch scratch(1);
    scratch.reserve(10);
    const Scratch::Lease lease(scratch);
    EXPECT_DEATH(Scratch::Lease{scratch}, "");
}

}  // namespace
}  // namespace nereus
