#include "apps/doctor_checks.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

#include "base/units.h"

namespace nereus {
namespace {

namespace fs = std::filesystem;

/// A made-up /proc and /sys of a good machine; change single files before asking.
class FakeMachine {
  public:
    FakeMachine() {
        static int counter = 0;
        root_ = fs::temp_directory_path() / fmt::format("nereus_doc_{}_{}", ::getpid(), counter++);
        put("proc/meminfo", "MemTotal: 32000000 kB\nMemAvailable: 30000000 kB\n");
        put("proc/cpuinfo", "model name : Test CPU\n");
        put("sys/kernel/mm/transparent_hugepage/enabled", "[always] madvise never\n");
        put("sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "performance\n");
        put("proc/self/limits", "Max open files 4096 4096 files\n");
        put("proc/self/mountinfo", "22 1 259:2 / / rw shared:1 - ext4 /dev/nvme0n1p2 rw\n");
        put("sys/dev/block/259:2/queue/rotational", "0\n");
    }
    FakeMachine(const FakeMachine&) = delete;
    FakeMachine& operator=(const FakeMachine&) = delete;
    ~FakeMachine() {
        std::error_code ignored;
        fs::remove_all(root_, ignored);
    }
    void put(const std::string& path, const std::string& text) const {
        fs::create_directories((root_ / path).parent_path());
        std::ofstream(root_ / path) << text;
    }
    SystemFacts facts() const { return SystemFacts(root_); }
    Finding finding(const std::string& name, const std::string& isa = "avx512_vnni",
                    bool uring = true) const {
        for (const Finding& each : check_system(facts(), isa, uring)) {
            if (each.name == name) {
                return each;
            }
        }
        ADD_FAILURE() << "no finding " << name;
        return {};
    }

  private:
    fs::path root_;
};

TEST(DoctorChecks, a_good_machine_is_good_in_every_line_and_needs_no_advice) {
    const FakeMachine machine;
    for (const Finding& finding : check_system(machine.facts(), "avx512_vnni", true)) {
        EXPECT_EQ(finding.verdict, Verdict::kGood) << finding_line(finding);
        EXPECT_EQ(finding.advice, "") << finding.name;
        EXPECT_NE(finding.found, "") << finding.name;
    }
    EXPECT_EQ(check_mount(machine.facts(), "/models").verdict, Verdict::kGood);
}

struct Case {
    const char* file;
    const char* text;
    const char* name;
    Verdict verdict;
    const char* says;
};
constexpr Case kCases[] = {
    {"sys/kernel/mm/transparent_hugepage/enabled", "always madvise [never]\n", "huge pages",
     Verdict::kNote, "echo madvise"},
    {"sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "powersave\n", "clock", Verdict::kNote,
     "governor powersave"},
    {"proc/self/limits", "Max open files 256 4096 files\n", "open files", Verdict::kBad,
     "ulimit -n"},
    {"proc/self/limits", "Max locked memory 65536 65536 bytes\n", "locked memory", Verdict::kNote,
     "ulimit -l"},
    {"proc/meminfo", "MemTotal: 32000000 kB\nMemAvailable: 3000000 kB\n", "memory", Verdict::kNote,
     "other programs"},
    {"proc/meminfo",
     "MemTotal: 32000000 kB\nMemAvailable: 30000000 kB\nSwapTotal: 8000000 kB\nSwapFree: 8000000 "
     "kB\n",
     "swap", Verdict::kNote, "swapped out"},
    {"proc/meminfo",
     "MemTotal: 32000000 kB\nMemAvailable: 30000000 kB\nSwapTotal: 8000000 kB\nSwapFree: 1000000 "
     "kB\n",
     "swap", Verdict::kBad, "memory is short"},
    {"proc/meminfo", "nothing\n", "memory", Verdict::kBad, "MemTotal"},
};

TEST(DoctorChecks, what_costs_speed_is_found_and_comes_with_what_to_do) {
    for (const Case& one : kCases) {
        const FakeMachine machine;
        machine.put(one.file, one.text);
        const Finding finding = machine.finding(one.name);
        EXPECT_EQ(finding.verdict, one.verdict) << finding_line(finding);
        EXPECT_NE(finding_line(finding).find(one.says), std::string::npos) << finding_line(finding);
    }
}

TEST(DoctorChecks, a_cgroup_counts_as_the_machine) {
    const FakeMachine machine;
    machine.put("proc/self/cgroup", "0::/box\n");
    machine.put("sys/fs/cgroup/box/memory.max", "4000000000\n");
    machine.put("sys/fs/cgroup/box/memory.current", "1000000000\n");
    const Finding finding = machine.finding("memory limit");
    EXPECT_EQ(finding.verdict, Verdict::kNote);
    EXPECT_NE(finding.found.find("4.00 GB"), std::string::npos) << finding.found;
    EXPECT_NE(machine.finding("memory").found.find("3.00 GB"), std::string::npos);
}

TEST(DoctorChecks, slower_kernels_are_named_with_what_is_faster) {
    const FakeMachine machine;
    EXPECT_EQ(machine.finding("processor", "amx_int8").verdict, Verdict::kGood);
    EXPECT_EQ(machine.finding("processor", "avx2").verdict, Verdict::kNote);
    EXPECT_EQ(machine.finding("processor", "portable").verdict, Verdict::kBad);
}

TEST(DoctorChecks, io_uring_that_is_refused_says_by_whom) {
    const FakeMachine machine;
    EXPECT_NE(machine.finding("io_uring", "avx2", false).found.find("seccomp"), std::string::npos);
    machine.put("proc/sys/kernel/io_uring_disabled", "2\n");
    const Finding finding = machine.finding("io_uring", "avx2", false);
    EXPECT_NE(finding.found.find("io_uring_disabled = 2"), std::string::npos);
    EXPECT_EQ(finding.verdict, Verdict::kNote) << "threads read instead";
}

TEST(DoctorChecks, file_systems_that_are_no_local_disk_are_named) {
    const std::pair<const char*, Verdict> systems[] = {
        {"xfs", Verdict::kGood}, {"btrfs", Verdict::kNote},   {"tmpfs", Verdict::kBad},
        {"nfs4", Verdict::kBad}, {"overlay", Verdict::kNote}, {"unheard", Verdict::kNote}};
    for (const auto& [system, verdict] : systems) {
        const FakeMachine machine;
        machine.put("proc/self/mountinfo",
                    fmt::format("22 1 259:2 / / rw shared:1 - {} source rw\n", system));
        const Finding finding = check_mount(machine.facts(), "/models");
        EXPECT_EQ(finding.verdict, verdict) << system;
        EXPECT_NE(finding.found.find(system), std::string::npos) << finding.found;
        EXPECT_EQ(finding.advice.empty(), verdict == Verdict::kGood) << system;
    }
}

TEST(DoctorChecks, a_disk_that_says_it_spins_is_noted_whatever_lies_on_it) {
    const FakeMachine machine;
    machine.put("sys/dev/block/259:2/queue/rotational", "1\n");
    const Finding finding = check_mount(machine.facts(), "/models");
    EXPECT_EQ(finding.verdict, Verdict::kNote);
    EXPECT_NE(finding.advice.find("NVMe"), std::string::npos);
    machine.put("proc/self/mountinfo", "22 1 259:2 / / rw shared:1 - nfs4 host:/x rw\n");
    EXPECT_EQ(check_mount(machine.facts(), "/models").verdict, Verdict::kBad);
}

TEST(DoctorChecks, json_has_the_same_words) {
    const Json json = finding_json({"swap", Verdict::kBad, "3 GB used", "close programs"});
    EXPECT_EQ(json.dump(),
              R"({"name":"swap","verdict":"bad","found":"3 GB used","advice":"close programs"})");
    EXPECT_EQ(finding_line({"swap", Verdict::kBad, "3 GB used", "close programs"}),
              "bad   swap: 3 GB used. close programs\n");
}

}  // namespace
}  // namespace nereus
