#include "base/machine_memory.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

#include "base/result.h"
#include "base/units.h"

namespace nereus {
namespace {

namespace fs = std::filesystem;

/// A made-up /proc and /sys.
class FakeSystem {
  public:
    FakeSystem() : root_(fs::temp_directory_path() / fmt::format("nereus_system_{}", ::getpid())) {
        fs::remove_all(root_);
        add("proc/meminfo",
            "MemTotal:       16000000 kB\nMemFree: 1 kB\nMemAvailable:   9000000 kB\n");
    }
    FakeSystem(const FakeSystem&) = delete;
    FakeSystem& operator=(const FakeSystem&) = delete;
    ~FakeSystem() { fs::remove_all(root_); }

    FakeSystem& add(const std::string& path, const std::string& text) {
        fs::create_directories((root_ / path).parent_path());
        std::ofstream(root_ / path) << text;
        return *this;
    }
    MachineMemory memory() const { return machine_memory(root_); }

  private:
    fs::path root_;
};

TEST(MachineMemory, without_groups_it_is_the_machines) {
    const MachineMemory memory = FakeSystem().memory();
    EXPECT_EQ(memory.total, 16'000'000 * kKiB);
    EXPECT_EQ(memory.available, 9'000'000 * kKiB);
    EXPECT_FALSE(memory.is_limited);
}

TEST(MachineMemory, a_group_of_version_1_counts_as_the_machine_and_its_page_cache_as_free) {
    FakeSystem system;
    system.add("proc/self/cgroup", "5:cpu:/x\n4:memory:/jobs/one\n0::/\n")
        .add("sys/fs/cgroup/memory/jobs/one/memory.limit_in_bytes", "4000000000\n")
        .add("sys/fs/cgroup/memory/jobs/one/memory.usage_in_bytes", "3000000000\n")
        .add("sys/fs/cgroup/memory/jobs/one/memory.stat",
             "inactive_file 1\ntotal_inactive_file 500000000\ntotal_active_file 1500000000\n")
        .add("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n")
        .add("sys/fs/cgroup/memory/memory.usage_in_bytes", "1\n");
    EXPECT_EQ(system.memory().total, 4'000'000'000U);
    EXPECT_EQ(system.memory().available, 3'000'000'000U);
    EXPECT_TRUE(system.memory().is_limited);
}

TEST(MachineMemory, the_tightest_ancestor_of_version_2_decides_and_max_is_no_limit) {
    FakeSystem system;
    system.add("proc/self/cgroup", "0::/a/b\n")
        .add("sys/fs/cgroup/a/memory.max", "2000000000\n")
        .add("sys/fs/cgroup/a/memory.current", "1800000000\n")
        .add("sys/fs/cgroup/a/b/memory.max", "max\n")
        .add("sys/fs/cgroup/a/b/memory.current", "100\n");
    EXPECT_EQ(system.memory().total, 2'000'000'000U);
    EXPECT_EQ(system.memory().available, 200'000'000U);
}

TEST(MachineMemory, in_a_container_the_mount_is_the_group) {
    FakeSystem system;
    system.add("proc/self/cgroup", "0::/\n")
        .add("sys/fs/cgroup/memory.max", "1000000000\n")
        .add("sys/fs/cgroup/memory.current", "400000000\n")
        .add("sys/fs/cgroup/memory.stat", "anon 5\ninactive_file 100000000\nactive_file 0\n");
    EXPECT_EQ(system.memory().available, 700'000'000U);
}

TEST(MachineMemory, a_group_over_its_limit_has_nothing_available) {
    FakeSystem system;
    system.add("sys/fs/cgroup/memory.max", "1000\n").add("sys/fs/cgroup/memory.current", "4000\n");
    EXPECT_EQ(system.memory().available, 0U);
}

TEST(MachineMemory, this_machine_and_this_process_have_some) {
    EXPECT_GT(machine_memory().total, 64 * kMiB);
    const ProcessMemory process = process_memory();
    EXPECT_GT(process.resident, kMiB);
    EXPECT_GE(process.peak, process.resident);
    EXPECT_EQ(machine_memory("/nowhere").total, 0U);
}

}  // namespace
}  // namespace nereus
