#include "base/machine_memory.h"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <optional>
#include <string>
#include <string_view>

#include "base/units.h"

namespace nereus {
namespace {

namespace fs = std::filesystem;

/// Files of /proc and /sys say that they are empty, so they are read to their end.
std::string read_system_file(const fs::path& path) {
    std::string text;
    if (std::FILE* file = std::fopen(path.c_str(), "re")) {
        char buffer[4096];
        for (size_t n = 0; (n = std::fread(buffer, 1, sizeof(buffer), file)) > 0;) {
            text.append(buffer, n);
        }
        std::fclose(file);
    }
    return text;
}

/// The number that follows `key` at the start of a line; a line of the number alone where key is
/// "". Nothing for "max".
std::optional<uint64_t> number_after(std::string_view text, std::string_view key) {
    while (!text.empty()) {
        const std::string_view line = text.substr(0, text.find('\n'));
        text.remove_prefix(std::min(text.size(), line.size() + 1));
        if (!line.starts_with(key)) {
            continue;
        }
        const size_t digits = line.find_first_of("0123456789", key.size());
        uint64_t value = 0;
        if (digits != std::string_view::npos &&
            std::from_chars(line.data() + digits, line.data() + line.size(), value).ec ==
                std::errc()) {
            return value;
        }
    }
    return std::nullopt;
}

struct GroupFiles {
    const char* mount;   ///< below root
    const char* marker;  ///< what the group's line in /proc/self/cgroup has before the path
    const char* limit;
    const char* usage;
    const char* inactive;  ///< keys of memory.stat: page cache that can go
    const char* active;
};

constexpr GroupFiles kGroupKinds[] = {
    {"sys/fs/cgroup/memory", ":memory:", "memory.limit_in_bytes", "memory.usage_in_bytes",
     "total_inactive_file ", "total_active_file "},
    {"sys/fs/cgroup", "0::", "memory.max", "memory.current", "inactive_file ", "active_file "},
    {"sys/fs/cgroup/unified", "0::", "memory.max", "memory.current", "inactive_file ",
     "active_file "},
};

/// The group's path below the mount; "" when the process has none of this kind.
std::string group_path(std::string_view groups, std::string_view marker) {
    const size_t at = groups.find(marker);
    if (at == std::string_view::npos) {
        return "";
    }
    groups.remove_prefix(at + marker.size());
    return std::string(groups.substr(0, groups.find('\n')));
}

/// Lowers `memory` to what one group allows.
void apply_group(const fs::path& folder, const GroupFiles& kind, MachineMemory& memory) {
    const auto limit = number_after(read_system_file(folder / kind.limit), "");
    const auto usage = number_after(read_system_file(folder / kind.usage), "");
    if (!limit || !usage || *limit >= memory.total) {
        return;
    }
    const std::string stat = read_system_file(folder / "memory.stat");
    const uint64_t cache =
        number_after(stat, kind.inactive).value_or(0) + number_after(stat, kind.active).value_or(0);
    const uint64_t used = *usage - std::min(*usage, cache);
    memory.total = *limit;
    memory.available = std::min(memory.available, *limit - std::min(*limit, used));
    memory.is_limited = true;
}

}  // namespace

MachineMemory machine_memory(const fs::path& root) {
    MachineMemory memory;
    const std::string info = read_system_file(root / "proc/meminfo");
    memory.total = number_after(info, "MemTotal:").value_or(0) * kKiB;
    memory.available = number_after(info, "MemAvailable:").value_or(0) * kKiB;
    const std::string groups = read_system_file(root / "proc/self/cgroup");
    for (const GroupFiles& kind : kGroupKinds) {
        const fs::path mount = root / kind.mount;
        apply_group(mount, kind, memory);  // in a container the mount is the group itself
        fs::path folder = mount;
        for (const fs::path& step : fs::path(group_path(groups, kind.marker)).relative_path()) {
            folder /= step;
            apply_group(folder, kind, memory);
        }
    }
    return memory;
}

ProcessMemory process_memory(const fs::path& root) {
    const std::string status = read_system_file(root / "proc/self/status");
    return {number_after(status, "VmRSS:").value_or(0) * kKiB,
            number_after(status, "VmHWM:").value_or(0) * kKiB};
}

}  // namespace nereus
