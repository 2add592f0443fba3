#pragma once
// The machine as a thread pool sees it: the CPUs a process may use, which of them share a core,
// which cores are slow on purpose, on which memory node they are, and how many a control group lets
// run at a time; and where n threads go. Reading and deciding are apart: the first takes the root
// of the file system, so that tests describe machines they do not have; the second is a pure
// function.

#include <filesystem>
#include <span>
#include <string_view>
#include <vector>

namespace nereus {

/// One hardware thread.
struct Cpu {
    int id = 0;
    int core = 0;            ///< the lowest id among those that share its core
    int node = 0;            ///< of memory
    bool efficient = false;  ///< a small core of a machine that has fast ones

    bool operator==(const Cpu&) const = default;
};

struct Topology {
    std::vector<Cpu> cpus;  ///< usable ones, by id; never empty
    /// CPUs' worth of time a second that the control groups grant, rounded up; 0: no limit.
    int quota = 0;
};

/// A kernel's list of CPUs: "0-3,8,10-11" are seven. What cannot be read ends the list.
std::vector<int> parse_cpu_list(std::string_view text);

/// From root/sys and root/proc. allowed: ids the process may use (its affinity); empty: all online.
/// What is missing there is taken as its plainest: one core a CPU, one node, no limit.
Topology read_topology(const std::filesystem::path& root, std::span<const int> allowed);

/// This machine with this process's affinity, read once.
const Topology& this_machine();

/// Where one thread runs.
struct ThreadPlace {
    std::vector<int> cpus;  ///< to be pinned to; empty: wherever the system likes
    int node = 0;

    bool operator==(const ThreadPlace&) const = default;
};

/// Places of n_threads threads, never none; neighbours share a node. n_threads <= 0 decides how
/// many: one a core, slow cores left out (they would be waited for), all hardware threads below
/// four cores, no more than the quota.
///
/// The cores: first one thread on each fast core, then the slow ones, then second threads. Up to
/// four threads stay on one node, close to each other; more spread evenly over as many nodes as
/// have four each, for all their memory. Threads are pinned, to the core and not to one of its
/// hardware threads, where the system could choose worse: cores are shared, slow or on several
/// nodes. Not where others compete for the CPUs anyway: under a quota, or with more threads than
/// hardware threads.
std::vector<ThreadPlace> place_threads(const Topology& topology, int n_threads);

}  // namespace nereus
