#include "base/system_facts.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <fstream>

#include "base/units.h"

namespace nereus {
namespace {

namespace fs = std::filesystem;

/// A made-up /proc and /sys, removed with its owner.
class FakeRoot {
  public:
    FakeRoot() {
        static int counter = 0;
        root_ = fs::temp_directory_path() / fmt::format("nereus_root_{}_{}", ::getpid(), counter++);
        fs::create_directories(root_);
    }
    FakeRoot(const FakeRoot&) = delete;
    FakeRoot& operator=(const FakeRoot&) = delete;
    ~FakeRoot() {
        std::error_code ignored;
        fs::remove_all(root_, ignored);
    }
    void put(const std::string& path, const std::string& text) const {
        fs::create_directories((root_ / path).parent_path());
        std::ofstream(root_ / path) << text;
    }
    SystemFacts facts() const { return SystemFacts(root_); }

  private:
    fs::path root_;
};

constexpr const char* kMeminfo =
    "MemTotal:       24000000 kB\nMemFree:         1000000 kB\nMemAvailable:   20000000 kB\n"
    "SwapTotal:       4000000 kB\nSwapFree:        3000000 kB\n";

TEST(SystemFacts, memory_is_read_in_bytes) {
    const FakeRoot root;
    root.put("proc/meminfo", kMeminfo);
    const MemoryFacts facts = root.facts().memory().value();
    EXPECT_EQ(facts.total_bytes, 24'000'000 * kKiB);
    EXPECT_EQ(facts.available_bytes, 20'000'000 * kKiB);
    EXPECT_EQ(facts.swap_bytes, 4'000'000 * kKiB);
    EXPECT_EQ(facts.swap_used_bytes, 1'000'000 * kKiB);
    EXPECT_FALSE(facts.cgroup_limit_bytes.has_value());
    EXPECT_EQ(facts.free_bytes(), facts.available_bytes);
}

TEST(SystemFacts, without_meminfo_memory_is_an_error_that_names_the_file) {
    const FakeRoot root;
    const auto facts = root.facts().memory();
    ASSERT_FALSE(facts.ok());
    EXPECT_NE(facts.error().message.find("proc/meminfo"), std::string::npos);
}

TEST(SystemFacts, the_tightest_cgroup_on_the_way_up_counts) {
    const FakeRoot root;
    root.put("proc/meminfo", kMeminfo);
    root.put("proc/self/cgroup", "0::/user.slice/nereus.scope\n");
    root.put("sys/fs/cgroup/user.slice/nereus.scope/memory.max", "max\n");
    root.put("sys/fs/cgroup/user.slice/memory.max", "4294967296\n");
    root.put("sys/fs/cgroup/user.slice/memory.current", "1073741824\n");
    root.put("sys/fs/cgroup/memory.max", "8589934592\n");
    const MemoryFacts facts = root.facts().memory().value();
    EXPECT_EQ(facts.cgroup_limit_bytes.value(), 4 * kGiB);
    EXPECT_EQ(facts.free_bytes(), 3 * kGiB);
}

TEST(SystemFacts, a_cgroup_over_its_limit_leaves_nothing_and_a_wide_one_changes_nothing) {
    MemoryFacts facts;
    facts.available_bytes = 10;
    facts.cgroup_limit_bytes = 5;
    facts.cgroup_used_bytes = 7;
    EXPECT_EQ(facts.free_bytes(), 0U);
    facts.cgroup_limit_bytes = 1000;
    EXPECT_EQ(facts.free_bytes(), 10U);
}

constexpr const char* kMounts =
    "22 1 259:2 / / rw,relatime shared:1 - ext4 /dev/nvme0n1p2 rw\n"
    "23 22 0:21 / /proc rw shared:2 - proc proc rw\n"
    "24 22 8:1 / /mnt/big\\040disk rw - xfs /dev/sda1 rw\n"
    "25 22 0:40 / /mnt rw - tmpfs tmpfs rw\n"
    "broken line\n";

TEST(SystemFacts, the_longest_mount_point_that_holds_the_path_is_its_own) {
    const FakeRoot root;
    root.put("proc/self/mountinfo", kMounts);
    EXPECT_EQ(root.facts().mount_of("/home/me/models").value().file_system, "ext4");
    EXPECT_EQ(root.facts().mount_of("/mnt/x").value().file_system, "tmpfs");
    const MountFacts big = root.facts().mount_of("/mnt/big disk/r1").value();
    EXPECT_EQ(big.file_system, "xfs");
    EXPECT_EQ(big.mount_point, "/mnt/big disk");
    EXPECT_EQ(big.source, "/dev/sda1");
    EXPECT_EQ(root.facts().mount_of("/mnt/bigger").value().file_system, "tmpfs")
        << "a name that only begins alike";
}

TEST(SystemFacts, a_spinning_disk_is_known_by_its_queue_or_its_parents) {
    const FakeRoot root;
    root.put("proc/self/mountinfo", kMounts);
    EXPECT_FALSE(root.facts().mount_of("/home").value().rotational.has_value());
    root.put("sys/dev/block/259:2/queue/rotational", "0\n");
    root.put("sys/dev/block/8:1/x", "");
    root.put("sys/dev/block/queue/rotational", "1\n");  // what 8:1/.. leads to here
    EXPECT_FALSE(root.facts().mount_of("/home").value().rotational.value());
    EXPECT_TRUE(root.facts().mount_of("/mnt/big disk").value().rotational.value());
}

TEST(SystemFacts, a_changed_root_whose_mount_is_not_listed_is_known_by_its_device) {
    const FakeRoot root;
    root.put("proc/self/mountinfo", "30 22 0:21 / /proc rw shared:2 - proc proc rw\n");
    struct stat status{};
    ASSERT_EQ(::stat("/", &status), 0);
    const MountFacts mount = root.facts().mount_of("/no such folder/file").value();
    EXPECT_EQ(mount.mount_point, "/");
    EXPECT_EQ(mount.file_system, "unknown");
    EXPECT_EQ(mount.device,
              std::to_string(major(status.st_dev)) + ":" + std::to_string(minor(status.st_dev)));
}

TEST(SystemFacts, no_list_of_mounts_is_an_error) {
    const FakeRoot root;
    const auto mount = root.facts().mount_of("/home");
    ASSERT_FALSE(mount.ok());
    EXPECT_EQ(mount.error().code, ErrorCode::kNotFound);
}

TEST(SystemFacts, words_of_the_kernel_are_read_and_missing_ones_are_empty) {
    const FakeRoot root;
    EXPECT_EQ(root.facts().cpu_name(), "");
    EXPECT_EQ(root.facts().huge_pages(), "");
    EXPECT_EQ(root.facts().governor(), "");
    EXPECT_EQ(root.facts().io_uring_disabled(), 0);
    EXPECT_FALSE(root.facts().soft_limit("Max open files").has_value());
    root.put("proc/cpuinfo", "processor\t: 0\nmodel\t\t: 17\nmodel name\t: Some CPU 3000\n");
    root.put("sys/kernel/mm/transparent_hugepage/enabled", "always [madvise] never\n");
    root.put("sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "powersave\n");
    root.put("proc/sys/kernel/io_uring_disabled", "2\n");
    root.put("proc/self/limits",
             "Limit                     Soft Limit           Hard Limit           Units\n"
             "Max open files            1024                 524288               files\n"
             "Max locked memory         unlimited            unlimited            bytes\n");
    EXPECT_EQ(root.facts().cpu_name(), "Some CPU 3000");
    EXPECT_EQ(root.facts().huge_pages(), "madvise");
    EXPECT_EQ(root.facts().governor(), "powersave");
    EXPECT_EQ(root.facts().io_uring_disabled(), 2);
    EXPECT_EQ(root.facts().soft_limit("Max open files").value(), 1024U);
    EXPECT_FALSE(root.facts().soft_limit("Max locked memory").has_value());
}

TEST(SystemFacts, this_machine_has_memory_and_a_file_system) {
    const SystemFacts facts;
    EXPECT_GT(facts.memory().value().total_bytes, 100 * kMiB);
    EXPECT_FALSE(facts.mount_of(fs::temp_directory_path()).value().file_system.empty());
}

}  // namespace
}  // namespace nereus
