#pragma once
// What the system says about this machine: memory and its limits, huge pages, governor, mounts,
// limits of the process. Read from /proc and /sys below a root, so that tests bring their own.

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "base/result.h"

namespace nereus {

struct MemoryFacts {
    uint64_t total_bytes = 0;
    uint64_t available_bytes = 0;  ///< what could be used now without swapping
    uint64_t swap_bytes = 0, swap_used_bytes = 0;
    /// The smallest memory.max on the way up the process's cgroup (version 2), and what the group
    /// with that limit uses now.
    std::optional<uint64_t> cgroup_limit_bytes;
    uint64_t cgroup_used_bytes = 0;

    /// Available, and no more than the cgroup leaves.
    uint64_t free_bytes() const;
};

/// The file system that holds a path.
struct MountFacts {
    std::string mount_point, file_system, source;
    std::string device;              ///< "259:1"
    std::optional<bool> rotational;  ///< a spinning disk; nothing where the system does not say
};

/// threads: any.
class SystemFacts {
  public:
    explicit SystemFacts(std::filesystem::path root = "/") : root_(std::move(root)) {}

    /// errors: io (no /proc/meminfo, or one without MemTotal)
    Result<MemoryFacts> memory() const;
    /// A path of a changed root, whose mount is not listed, is on "/" of an "unknown" file system.
    /// errors: not_found (no list of mounts)
    Result<MountFacts> mount_of(const std::filesystem::path& path) const;

    /// "model name" of the first processor; "" when not told.
    std::string cpu_name() const;
    /// The chosen word of transparent_hugepage/enabled: "always", "madvise", "never"; "" without.
    std::string huge_pages() const;
    /// scaling_governor of the first processor; "" where there is none.
    std::string governor() const;
    /// Soft limit of the process by its name in /proc/self/limits ("Max open files"); nothing when
    /// unlimited or not told.
    std::optional<uint64_t> soft_limit(std::string_view name) const;
    /// kernel.io_uring_disabled: 0 open to all, 1 to the group, 2 to nobody; 0 where not told.
    int io_uring_disabled() const;

  private:
    std::string text(const std::filesystem::path& relative) const;
    void add_cgroup(MemoryFacts& facts) const;

    std::filesystem::path root_;
};

}  // namespace nereus
