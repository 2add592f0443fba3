#include "base/topology.h"

#include <fmt/format.h>
#include <sched.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <iterator>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <thread>
#include <tuple>

#include "base/units.h"

namespace nereus {
namespace {

using std::filesystem::path;

/// No machine has more; a broken list cannot ask for more memory than this.
constexpr int kCpusMax = 1 << 16;
/// Threads on one memory node before a second one is used.
constexpr int kThreadsOfNode = 4;
/// Cores below which second hardware threads count: what they hide of memory's latency is worth
/// more than a few cores' share of a bandwidth that they do not fill.
constexpr int kFewCores = 4;

/// A file of /sys or /proc, whose size is not known before; empty when it cannot be read.
std::string text_of(const path& file) {
    std::ifstream stream(file);
    return {std::istreambuf_iterator<char>(stream), {}};
}

/// The number at the front, advancing; -1 when there is none or it is absurd.
int take_number(std::string_view& text) {
    int number = -1;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc() || number < 0 || number >= kCpusMax) {
        return -1;
    }
    text.remove_prefix(static_cast<size_t>(end - text.data()));
    return number;
}

bool take_sign(std::string_view& text, char sign) {
    if (text.empty() || text.front() != sign) {
        return false;
    }
    text.remove_prefix(1);
    return true;
}

std::map<int, int> nodes_of_cpus(const path& root) {
    std::map<int, int> nodes;
    const path folder = root / "sys/devices/system/node";
    for (const int node : parse_cpu_list(text_of(folder / "online"))) {
        for (const int cpu :
             parse_cpu_list(text_of(folder / fmt::format("node{}/cpulist", node)))) {
            nodes[cpu] = node;
        }
    }
    return nodes;
}

int core_of(const path& root, int id) {
    const path folder = root / fmt::format("sys/devices/system/cpu/cpu{}/topology", id);
    const std::vector<int> siblings = parse_cpu_list(text_of(folder / "thread_siblings_list"));
    return siblings.empty() ? id : *std::min_element(siblings.begin(), siblings.end());
}

/// "200000 100000" is two CPUs; "max ..." or nothing is no limit (0).
int limit_of(std::string_view quota, std::string_view period) {
    double allowed = 0;
    double of = 0;
    std::istringstream(std::string(quota)) >> allowed;
    std::istringstream(std::string(period)) >> of;
    const double cpus = of > 0 ? allowed / of : 0;
    return cpus > 0 && cpus < kCpusMax ? static_cast<int>(cpus + 0.999) : 0;
}

int group_limit(const path& group) {
    const std::string both = text_of(group / "cpu.max");
    const int second_version = limit_of(both, both.substr(std::min(both.find(' '), both.size())));
    return second_version != 0 ? second_version
                               : limit_of(text_of(group / "cpu.cfs_quota_us"),
                                          text_of(group / "cpu.cfs_period_us"));
}

int smaller_limit(int a, int b) { return a == 0 || b == 0 ? std::max(a, b) : std::min(a, b); }

/// The smallest limit from a group up to the mount point; inside a container the group's own path
/// may not be visible, and its limit stands at the mount point.
int limit_along(const path& mount, path group) {
    int limit = group_limit(mount);
    for (; group.has_relative_path(); group = group.parent_path()) {
        limit = smaller_limit(limit, group_limit(mount / group.relative_path()));
    }
    return limit;
}

/// Lines of /proc/self/cgroup: "0::/path" for the second version, "4:cpu,cpuacct:/path" for the
/// first.
int quota_of(const path& root) {
    const path mount = root / "sys/fs/cgroup";
    int limit = 0;
    std::istringstream lines(text_of(root / "proc/self/cgroup"));
    for (std::string line; std::getline(lines, line);) {
        const size_t first = line.find(':');
        const size_t second = first == std::string::npos ? first : line.find(':', first + 1);
        if (second == std::string::npos) {
            continue;
        }
        const std::string controllers = line.substr(first + 1, second - first - 1);
        const path group = line.substr(second + 1);
        if (controllers.empty()) {
            limit = smaller_limit(limit, limit_along(mount, group));
        } else if (("," + controllers + ",").find(",cpu,") != std::string::npos) {
            limit = smaller_limit(limit, limit_along(mount / "cpu", group));
            limit = smaller_limit(limit, limit_along(mount / controllers, group));
        }
    }
    return limit;
}

std::vector<int> affinity() {
    std::vector<int> allowed;
    cpu_set_t* const set = CPU_ALLOC(kCpusMax);
    const size_t size = CPU_ALLOC_SIZE(kCpusMax);
    CPU_ZERO_S(size, set);
    if (sched_getaffinity(0, size, set) == 0) {
        for (int id = 0; id < kCpusMax; ++id) {
            if (CPU_ISSET_S(static_cast<size_t>(id), size, set)) {
                allowed.push_back(id);
            }
        }
    }
    CPU_FREE(set);
    return allowed;
}

/// A CPU with its rank: how many before it on the same core.
struct Ranked {
    Cpu cpu;
    int rank = 0;
};

/// The best CPUs first: fast cores, slow cores, second threads.
std::vector<Ranked> by_merit(std::span<const Cpu> cpus) {
    std::map<int, int> seen;
    std::vector<Ranked> ranked;
    for (const Cpu& cpu : cpus) {
        ranked.push_back({cpu, seen[cpu.core]++});
    }
    std::sort(ranked.begin(), ranked.end(), [](const Ranked& a, const Ranked& b) {
        return std::tuple(a.rank, a.cpu.efficient, a.cpu.id) <
               std::tuple(b.rank, b.cpu.efficient, b.cpu.id);
    });
    return ranked;
}

int default_threads(const Topology& topology) {
    std::set<int> cores;
    std::set<int> fast;
    for (const Cpu& cpu : topology.cpus) {
        cores.insert(cpu.core);
        if (!cpu.efficient) {
            fast.insert(cpu.core);
        }
    }
    const size_t n_cores = fast.empty() ? cores.size() : fast.size();
    const size_t n = cores.size() < kFewCores ? topology.cpus.size() : n_cores;
    return smaller_limit(static_cast<int>(n), topology.quota);
}

bool worth_pinning(const Topology& topology, int n_threads) {
    if (topology.quota != 0 || n_threads > static_cast<int>(topology.cpus.size())) {
        return false;
    }
    const Cpu& first = topology.cpus.front();
    return std::any_of(topology.cpus.begin(), topology.cpus.end(), [&](const Cpu& cpu) {
        return cpu.core != cpu.id || cpu.node != first.node || cpu.efficient;
    });
}

/// The n best CPUs, as evenly over the chosen nodes as these have room.
std::vector<Cpu> choose(const Topology& topology, int n) {
    std::map<int, std::vector<Ranked>> left;  // by node, the best last
    for (const Ranked& one : by_merit(topology.cpus)) {
        left[one.cpu.node].push_back(one);
    }
    const size_t n_nodes = std::min(left.size(), static_cast<size_t>(ceil_div(n, kThreadsOfNode)));
    std::vector<Cpu> chosen;
    // Turn by turn one of each node; nodes beyond n_nodes only when those are full.
    for (size_t nodes = n_nodes; static_cast<int>(chosen.size()) < n; ++nodes) {
        for (size_t turn = 0; turn < topology.cpus.size(); ++turn) {
            size_t index = 0;
            for (const auto& [node, cpus] : left) {
                if (index++ < nodes && turn < cpus.size() && static_cast<int>(chosen.size()) < n &&
                    std::find(chosen.begin(), chosen.end(), cpus[turn].cpu) == chosen.end()) {
                    chosen.push_back(cpus[turn].cpu);
                }
            }
        }
    }
    std::vector<Cpu> by_node;
    for (const auto& of_node : left) {
        std::copy_if(chosen.begin(), chosen.end(), std::back_inserter(by_node),
                     [&](const Cpu& cpu) { return cpu.node == of_node.first; });
    }
    return by_node;
}

}  // namespace

std::vector<int> parse_cpu_list(std::string_view text) {
    std::vector<int> ids;
    do {
        const int first = take_number(text);
        const int last = first >= 0 && take_sign(text, '-') ? take_number(text) : first;
        for (int id = first; id >= 0 && id <= last; ++id) {
            ids.push_back(id);
        }
    } while (take_sign(text, ','));
    return ids;
}

Topology read_topology(const path& root, std::span<const int> allowed) {
    Topology topology;
    const std::vector<int> online = parse_cpu_list(text_of(root / "sys/devices/system/cpu/online"));
    const std::vector<int> efficient = parse_cpu_list(text_of(root / "sys/devices/cpu_atom/cpus"));
    const std::map<int, int> nodes = nodes_of_cpus(root);
    for (const int id :
         online.empty() ? std::vector<int>(allowed.begin(), allowed.end()) : online) {
        if (!allowed.empty() && std::find(allowed.begin(), allowed.end(), id) == allowed.end()) {
            continue;
        }
        const auto node = nodes.find(id);
        topology.cpus.push_back(
            {id, core_of(root, id), node == nodes.end() ? 0 : node->second,
             std::find(efficient.begin(), efficient.end(), id) != efficient.end()});
    }
    if (topology.cpus.empty()) {
        topology.cpus.push_back({});
    }
    topology.quota = quota_of(root);
    return topology;
}

const Topology& this_machine() {
    static const Topology topology = read_topology("/", affinity());
    return topology;
}

std::vector<ThreadPlace> place_threads(const Topology& topology, int n_threads) {
    const int n = n_threads > 0 ? n_threads : default_threads(topology);
    const auto n_cpus = static_cast<int>(topology.cpus.size());
    const bool pinned = worth_pinning(topology, n);
    std::vector<ThreadPlace> places;
    for (const Cpu& cpu : choose(topology, std::min(n, n_cpus))) {
        ThreadPlace place{{}, cpu.node};
        for (const Cpu& sibling : topology.cpus) {
            if (pinned && sibling.core == cpu.core) {
                place.cpus.push_back(sibling.id);
            }
        }
        places.push_back(std::move(place));
    }
    while (static_cast<int>(places.size()) < n) {  // more threads than CPUs: some share
        places.push_back(places[places.size() % static_cast<size_t>(n_cpus)]);
    }
    return places;
}

}  // namespace nereus
