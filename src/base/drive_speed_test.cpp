#include "base/drive_speed.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

#include "base/units.h"

namespace nereus {
namespace {

namespace fs = std::filesystem;

class DriveSpeedTest : public testing::Test {
  protected:
    DriveSpeedTest() {
        folder_ = fs::temp_directory_path() / fmt::format("nereus_drive_{}", ::getpid());
        fs::create_directories(folder_ / "deep" / "deeper");
    }
    ~DriveSpeedTest() override {
        std::error_code ignored;
        fs::remove_all(folder_, ignored);
    }
    fs::path file(const std::string& name, uint64_t n_bytes) const {
        std::ofstream(folder_ / name) << std::string(n_bytes, 'x');
        return folder_ / name;
    }
    fs::path folder_;
};

TEST_F(DriveSpeedTest, every_block_size_and_depth_is_read_and_progress_ends_at_one) {
    const fs::path path = file("big", 20 * kMiB);
    DrivePlan plan;
    plan.block_bytes = {kMiB, 3 * kMiB + 1000};
    plan.depths = {1, 3};
    plan.seconds_each = 0;
    double last = 0;
    const DriveSpeed speed =
        measure_drive(path, plan, [&](double fraction) { last = fraction; }).value();
    EXPECT_EQ(last, 1);
    ASSERT_EQ(speed.reads.size(), 5U);
    EXPECT_FALSE(speed.reads[0].random);
    EXPECT_EQ(speed.reads[4].block_bytes, 3 * kMiB + 1000);
    EXPECT_EQ(speed.reads[4].depth, 3);
    for (const DriveRead& read : speed.reads) {
        EXPECT_GT(read.bytes_per_second, 0);
    }
    EXPECT_TRUE(speed.engine == "io_uring" || speed.engine == "threads") << speed.engine;
}

TEST_F(DriveSpeedTest, a_small_file_is_refused_with_both_sizes) {
    DrivePlan plan;
    plan.block_bytes = {kMiB};
    const auto speed = measure_drive(file("small", 3000), plan, [](double) {});
    ASSERT_FALSE(speed.ok());
    EXPECT_EQ(speed.error().code, ErrorCode::kInvalidArgument);
    EXPECT_NE(speed.error().message.find("3000 bytes; at least 16777216"), std::string::npos)
        << speed.error().message;
}

TEST_F(DriveSpeedTest, a_missing_file_is_not_found) {
    const auto speed = measure_drive(folder_ / "none", {}, [](double) {});
    ASSERT_FALSE(speed.ok());
    EXPECT_EQ(speed.error().code, ErrorCode::kNotFound);
}

TEST_F(DriveSpeedTest, the_largest_file_is_looked_for_one_folder_deep) {
    EXPECT_EQ(largest_file(folder_), fs::path());
    file("a", 10);
    file("deep/b", 30);
    file("deep/deeper/c", 50);
    EXPECT_EQ(largest_file(folder_), folder_ / "deep" / "b");
    EXPECT_EQ(largest_file(folder_ / "missing"), fs::path());
}

TEST(DriveSpeedFigures, the_nearest_block_size_and_its_best_depth_answer) {
    DriveSpeed speed;
    speed.reads = {{8 << 20, 4, false, 9e9},
                   {1 << 20, 1, true, 1e9},
                   {1 << 20, 8, true, 2e9},
                   {24 << 20, 1, true, 3e9},
                   {24 << 20, 8, true, 2.5e9}};
    EXPECT_EQ(speed.sequential_bytes_per_second(), 9e9);
    EXPECT_EQ(speed.random_bytes_per_second(1 << 20), 2e9);
    EXPECT_EQ(speed.random_bytes_per_second(100), 2e9);
    EXPECT_EQ(speed.random_bytes_per_second(44 << 20), 3e9);
    EXPECT_EQ(speed.random_bytes_per_second(1 << 20, 1), 1e9);
    EXPECT_EQ(speed.random_bytes_per_second(1 << 20, 7), 1e9);
    EXPECT_EQ(speed.random_bytes_per_second(1 << 20, 8), 2e9);
    EXPECT_EQ(speed.random_bytes_per_second(24 << 20, 0), 3e9) << "the smallest there is";
    EXPECT_EQ(DriveSpeed().random_bytes_per_second(1), 0);
    EXPECT_EQ(DriveSpeed().sequential_bytes_per_second(), 0);
}

}  // namespace
}  // namespace nereus
