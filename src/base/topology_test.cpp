// Machines that are not here, written as the files the kernel would show: a laptop with fast and
// slow cores, a virtual machine, a server with two nodes and two threads a core, one with four
// nodes, and containers with CPU limits.

#include "base/topology.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <set>
#include <string>
#include <utility>

namespace nereus {
namespace {

namespace fs = std::filesystem;

/// A root folder that is removed again.
class Root {
  public:
    Root() {
        static int counter = 0;
        path_ =
            fs::temp_directory_path() / fmt::format("nereus-topology-{}-{}", ::getpid(), counter++);
        fs::create_directories(path_);
    }
    ~Root() { fs::remove_all(path_); }
    Root(const Root&) = delete;

    Root& file(const std::string& name, const std::string& text) {
        fs::create_directories((path_ / name).parent_path());
        std::ofstream(path_ / name) << text << "\n";
        return *this;
    }
    Root& cpus(int n, const std::function<std::string(int)>& siblings) {
        file("sys/devices/system/cpu/online", fmt::format("0-{}", n - 1));
        for (int id = 0; id < n; ++id) {
            file(fmt::format("sys/devices/system/cpu/cpu{}/topology/thread_siblings_list", id),
                 siblings(id));
        }
        return *this;
    }
    Root& node(int node, const std::string& cpus) {
        return file(fmt::format("sys/devices/system/node/node{}/cpulist", node), cpus);
    }
    Topology read(const std::vector<int>& allowed = {}) const {
        return read_topology(path_, allowed);
    }

  private:
    fs::path path_;
};

/// 4 fast cores with two threads each (0-7), 8 slow ones (8-15).
void make_laptop(Root& root) {
    root.cpus(16, [](int id) {
        return id < 8 ? fmt::format("{}-{}", id / 2 * 2, id / 2 * 2 + 1) : std::to_string(id);
    });
    root.file("sys/devices/cpu_core/cpus", "0-7").file("sys/devices/cpu_atom/cpus", "8-15");
    root.file("sys/devices/system/node/online", "0").node(0, "0-15");
}

void make_vm(Root& root) {
    root.cpus(2, [](int id) { return std::to_string(id); });
}

/// Two nodes of 32 cores; thread two of core c is CPU c + 64.
void make_server(Root& root) {
    root.cpus(128, [](int id) { return fmt::format("{},{}", id % 64, id % 64 + 64); });
    root.file("sys/devices/system/node/online", "0-1");
    root.node(0, "0-31,64-95").node(1, "32-63,96-127");
}

/// Four nodes of 16 cores, 128 threads; thread two of a core is the next CPU.
void make_four_nodes(Root& root) {
    root.cpus(128, [](int id) { return fmt::format("{}-{}", id / 2 * 2, id / 2 * 2 + 1); });
    root.file("sys/devices/system/node/online", "0-3");
    for (int node = 0; node < 4; ++node) {
        root.node(node, fmt::format("{}-{}", node * 32, node * 32 + 31));
    }
}

std::vector<int> first_cpus(const std::vector<ThreadPlace>& places) {
    std::vector<int> ids;
    for (const ThreadPlace& place : places) {
        ids.push_back(place.cpus.empty() ? -1 : place.cpus.front());
    }
    return ids;
}

std::vector<int> threads_of_nodes(const std::vector<ThreadPlace>& places, int n_nodes) {
    std::vector<int> counts(static_cast<size_t>(n_nodes));
    for (const ThreadPlace& place : places) {
        ++counts[static_cast<size_t>(place.node)];
    }
    return counts;
}

TEST(CpuList, ranges_single_numbers_and_nothing_else) {
    EXPECT_EQ(parse_cpu_list("0-3,8,10-11\n"), (std::vector<int>{0, 1, 2, 3, 8, 10, 11}));
    EXPECT_EQ(parse_cpu_list("5"), std::vector<int>{5});
    EXPECT_EQ(parse_cpu_list(""), std::vector<int>{});
    EXPECT_EQ(parse_cpu_list("x"), std::vector<int>{});
    EXPECT_EQ(parse_cpu_list("1,x"), std::vector<int>{1});
    EXPECT_EQ(parse_cpu_list("3-1"), std::vector<int>{});
    EXPECT_EQ(parse_cpu_list("0-99999999999"), std::vector<int>{});  // absurd: not believed
    EXPECT_EQ(parse_cpu_list("-4"), std::vector<int>{});
}

TEST(Topology, a_server_s_cores_siblings_and_nodes_are_read) {
    Root root;
    make_server(root);
    const Topology server = root.read();
    ASSERT_EQ(server.cpus.size(), 128U);
    EXPECT_EQ(server.cpus[3], (Cpu{3, 3, 0, false}));
    EXPECT_EQ(server.cpus[67], (Cpu{67, 3, 0, false}));
    EXPECT_EQ(server.cpus[100], (Cpu{100, 36, 1, false}));
    EXPECT_EQ(server.quota, 0);
}

TEST(Topology, slow_cores_are_known_as_such) {
    Root root;
    make_laptop(root);
    const Topology laptop = root.read();
    EXPECT_EQ(laptop.cpus[1], (Cpu{1, 0, 0, false}));
    EXPECT_EQ(laptop.cpus[8], (Cpu{8, 8, 0, true}));
}

TEST(Topology, an_empty_tree_is_one_cpu_and_an_affinity_alone_is_its_cpus) {
    const Root root;
    EXPECT_EQ(root.read().cpus, std::vector<Cpu>{Cpu{}});
    EXPECT_EQ(root.read({2, 5}).cpus, (std::vector<Cpu>{{2, 2, 0, false}, {5, 5, 0, false}}));
}

TEST(Topology, only_cpus_of_the_affinity_are_used) {
    Root root;
    make_server(root);
    const Topology some = root.read({1, 40, 65, 104});
    ASSERT_EQ(some.cpus.size(), 4U);
    EXPECT_EQ(some.cpus[2], (Cpu{65, 1, 0, false}));
    EXPECT_EQ(place_threads(some, 0).size(), 4U);  // two cores: both their threads
}

struct QuotaCase {
    const char* name;
    std::vector<std::pair<std::string, std::string>> files;
    int quota;
};

TEST(Topology, the_smallest_limit_of_the_control_groups_counts) {
    const QuotaCase cases[] = {
        {"no groups", {}, 0},
        {"no limit", {{"proc/self/cgroup", "0::/"}, {"sys/fs/cgroup/cpu.max", "max 100000"}}, 0},
        {"container",
         {{"proc/self/cgroup", "0::/"}, {"sys/fs/cgroup/cpu.max", "200000 100000"}},
         2},
        {"host's path",
         {{"proc/self/cgroup", "0::/kube/pod7"}, {"sys/fs/cgroup/cpu.max", "50000 100000"}},
         1},
        {"parent",
         {{"proc/self/cgroup", "0::/a/b"},
          {"sys/fs/cgroup/a/b/cpu.max", "800000 100000"},
          {"sys/fs/cgroup/a/cpu.max", "250000 100000"}},
         3},
        {"first version",
         {{"proc/self/cgroup", "5:cpu,cpuacct:/x\n4:memory:/x"},
          {"sys/fs/cgroup/cpu/x/cpu.cfs_quota_us", "400000"},
          {"sys/fs/cgroup/cpu/x/cpu.cfs_period_us", "100000"}},
         4},
        {"first version, none",
         {{"proc/self/cgroup", "5:cpu:/"},
          {"sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1"},
          {"sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000"}},
         0},
        {"broken", {{"proc/self/cgroup", "0:"}, {"sys/fs/cgroup/cpu.max", "2 0"}}, 0},
    };
    for (const QuotaCase& one : cases) {
        Root root;
        make_vm(root);
        for (const auto& [name, text] : one.files) {
            root.file(name, text);
        }
        EXPECT_EQ(root.read().quota, one.quota) << one.name;
    }
}

TEST(Placement, a_limit_of_two_cpus_on_a_server_starts_two_threads_and_pins_none) {
    Root root;
    make_server(root);
    root.file("proc/self/cgroup", "0::/").file("sys/fs/cgroup/cpu.max", "200000 100000");
    const auto places = place_threads(root.read(), 0);
    EXPECT_EQ(first_cpus(places), (std::vector<int>{-1, -1}));
    EXPECT_EQ(place_threads(root.read(), 5).size(), 5U);  // what is asked for is given
}

TEST(Placement, a_virtual_machine_uses_its_cpus_and_leaves_them_to_the_system) {
    Root root;
    make_vm(root);
    EXPECT_EQ(first_cpus(place_threads(root.read(), 0)), (std::vector<int>{-1, -1}));
    EXPECT_EQ(place_threads(root.read(), 7).size(), 7U);
}

TEST(Placement, a_laptop_takes_its_fast_cores_then_slow_ones_then_second_threads) {
    Root root;
    make_laptop(root);
    const Topology laptop = root.read();
    EXPECT_EQ(first_cpus(place_threads(laptop, 0)), (std::vector<int>{0, 2, 4, 6}));
    EXPECT_EQ(first_cpus(place_threads(laptop, 6)), (std::vector<int>{0, 2, 4, 6, 8, 9}));
    const auto most = place_threads(laptop, 13);
    EXPECT_EQ(most.back().cpus, (std::vector<int>{0, 1}));  // a core, not one of its threads
    EXPECT_EQ(first_cpus(place_threads(laptop, 17)), std::vector<int>(17, -1));
}

TEST(Placement, a_server_has_a_thread_a_core_and_neighbours_share_a_node) {
    Root root;
    make_server(root);
    const Topology server = root.read();
    const auto places = place_threads(server, 0);
    ASSERT_EQ(places.size(), 64U);
    std::set<std::vector<int>> cores;
    for (size_t i = 0; i < places.size(); ++i) {
        EXPECT_EQ(places[i].node, i < 32 ? 0 : 1);
        EXPECT_TRUE(cores.insert(places[i].cpus).second);
    }
    EXPECT_EQ(places[40].cpus, (std::vector<int>{40, 104}));
    EXPECT_EQ(place_threads(server, 100).size(), 100U);
}

TEST(Placement, few_threads_stay_together_and_more_use_the_memory_of_every_node) {
    Root root;
    make_four_nodes(root);
    const Topology machine = root.read();
    EXPECT_EQ(threads_of_nodes(place_threads(machine, 4), 4), (std::vector<int>{4, 0, 0, 0}));
    EXPECT_EQ(threads_of_nodes(place_threads(machine, 6), 4), (std::vector<int>{3, 3, 0, 0}));
    EXPECT_EQ(threads_of_nodes(place_threads(machine, 16), 4), (std::vector<int>{4, 4, 4, 4}));
    EXPECT_EQ(threads_of_nodes(place_threads(machine, 0), 4), (std::vector<int>{16, 16, 16, 16}));
    EXPECT_EQ(threads_of_nodes(place_threads(machine, 128), 4), (std::vector<int>{32, 32, 32, 32}));
}

TEST(Placement, every_number_of_threads_gets_cpus_of_its_own_while_there_are_any) {
    Root root;
    make_four_nodes(root);
    const Topology machine = root.read();
    for (int n = 1; n <= 130; ++n) {
        const auto places = place_threads(machine, n);
        ASSERT_EQ(places.size(), static_cast<size_t>(n));
        std::multiset<std::vector<int>> cores;
        for (const ThreadPlace& place : places) {
            cores.insert(place.cpus);
            ASSERT_EQ(place.cpus.empty(), n > 128);
        }
        const auto most = static_cast<size_t>(n > 128 ? n : n > 64 ? 2 : 1);
        for (const auto& core : cores) {
            ASSERT_LE(cores.count(core), most) << n;
        }
    }
}

TEST(Placement, this_machine_has_at_least_the_cpu_this_test_runs_on) {
    EXPECT_FALSE(this_machine().cpus.empty());
    EXPECT_FALSE(place_threads(this_machine(), 0).empty());
}

}  // namespace
}  // namespace nereus
