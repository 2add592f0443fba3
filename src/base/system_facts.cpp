#include "base/system_facts.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <iterator>
#include <sstream>
#include <vector>

#include "base/units.h"

namespace nereus {
namespace {

namespace fs = std::filesystem;

std::optional<uint64_t> number_of(std::string_view text) {
    const size_t begin = text.find_first_not_of(" \t");
    if (begin == std::string_view::npos) {
        return std::nullopt;
    }
    text.remove_prefix(begin);
    uint64_t value = 0;
    const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value);
    return parsed.ec == std::errc() ? std::optional(value) : std::nullopt;
}

/// What follows "key :" on the first line that begins with it; "" without one.
std::string value_of(const std::string& text, std::string_view key) {
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) {
        const size_t colon = line.find(':');
        if (colon == std::string::npos || !line.starts_with(key) ||
            line.find_first_not_of(" \t", key.size()) != colon) {
            continue;
        }
        const size_t begin = line.find_first_not_of(" \t", colon + 1);
        return begin == std::string::npos ? "" : line.substr(begin);
    }
    return "";
}

std::string first_line(const std::string& text) { return text.substr(0, text.find('\n')); }

std::vector<std::string> words_of(const std::string& line) {
    std::istringstream words(line);
    return {std::istream_iterator<std::string>(words), {}};
}

/// /proc/self/mountinfo writes a space as \040.
std::string unescaped(const std::string& word) {
    std::string text;
    for (size_t i = 0; i < word.size(); ++i) {
        const bool octal = word[i] == '\\' && i + 3 < word.size() &&
                           std::all_of(word.begin() + static_cast<int64_t>(i) + 1,
                                       word.begin() + static_cast<int64_t>(i) + 4,
                                       [](char c) { return c >= '0' && c <= '7'; });
        if (octal) {
            text += static_cast<char>((word[i + 1] - '0') * 64 + (word[i + 2] - '0') * 8 +
                                      (word[i + 3] - '0'));
            i += 3;
        } else {
            text += word[i];
        }
    }
    return text;
}

bool lies_below(const fs::path& path, const fs::path& folder) {
    return std::mismatch(folder.begin(), folder.end(), path.begin(), path.end(),
                         [](const fs::path& a, const fs::path& b) {
                             return a == b || a.empty();  // "/" ends in an empty part
                         })
               .first == folder.end();
}

/// "259:1" of the file or of the nearest folder above that exists.
std::string device_of(fs::path path) {
    struct stat status{};
    while (::stat(path.c_str(), &status) != 0 && path.has_relative_path()) {
        path = path.parent_path();
    }
    return fmt::format("{}:{}", major(status.st_dev), minor(status.st_dev));
}

/// The longest mount point above the path. A changed root (chroot, some containers) is on a file
/// system whose mount point is not listed.
MountFacts mount_in(const std::string& mounts, const fs::path& path) {
    MountFacts best;
    std::istringstream lines(mounts);
    for (std::string line; std::getline(lines, line);) {
        // 36 35 98:0 /root /mount rw,noatime shared:1 - ext4 /dev/vda rw
        const std::vector<std::string> words = words_of(line);
        const auto dash = std::find(words.begin(), words.end(), "-");
        if (words.size() < 8 || words.end() - dash < 3) {
            continue;
        }
        const std::string mount_point = unescaped(words[4]);
        if (lies_below(path, mount_point) && mount_point.size() >= best.mount_point.size()) {
            best = {mount_point, *(dash + 1), unescaped(*(dash + 2)), words[2], std::nullopt};
        }
    }
    return best.mount_point.empty()
               ? MountFacts{"/", "unknown", "an unlisted mount", device_of(path), std::nullopt}
               : best;
}

}  // namespace

uint64_t MemoryFacts::free_bytes() const {
    if (!cgroup_limit_bytes) {
        return available_bytes;
    }
    const uint64_t left = *cgroup_limit_bytes - std::min(*cgroup_limit_bytes, cgroup_used_bytes);
    return std::min(available_bytes, left);
}

std::string SystemFacts::text(const fs::path& relative) const {
    std::ifstream file(root_ / relative);  // sizes in /proc are not known before reading
    return {std::istreambuf_iterator<char>(file), {}};
}

Result<MemoryFacts> SystemFacts::memory() const {
    const std::string meminfo = text("proc/meminfo");
    const auto bytes = [&](std::string_view key) {
        return number_of(value_of(meminfo, key)).value_or(0) * kKiB;
    };
    MemoryFacts facts;
    facts.total_bytes = bytes("MemTotal");
    facts.available_bytes = bytes("MemAvailable");
    facts.swap_bytes = bytes("SwapTotal");
    facts.swap_used_bytes = facts.swap_bytes - std::min(facts.swap_bytes, bytes("SwapFree"));
    if (facts.total_bytes == 0) {
        return make_error(ErrorCode::kIo, "{}: expected MemTotal in kB",
                          (root_ / "proc/meminfo").string());
    }
    add_cgroup(facts);
    return facts;
}

void SystemFacts::add_cgroup(MemoryFacts& facts) const {
    const std::string cgroups = text("proc/self/cgroup");
    const size_t at = cgroups.find("0::/");
    if (at == std::string::npos) {
        return;
    }
    fs::path group = first_line(cgroups.substr(at + 4));
    for (;; group = group.parent_path()) {
        const fs::path folder = fs::path("sys/fs/cgroup") / group;
        const auto limit = number_of(text(folder / "memory.max"));
        if (limit && *limit < facts.cgroup_limit_bytes.value_or(UINT64_MAX)) {
            facts.cgroup_limit_bytes = limit;
            facts.cgroup_used_bytes = number_of(text(folder / "memory.current")).value_or(0);
        }
        if (group.empty()) {
            return;
        }
    }
}

Result<MountFacts> SystemFacts::mount_of(const fs::path& path) const {
    std::error_code failed;
    const fs::path real = fs::weakly_canonical(path, failed);
    const std::string mounts = text("proc/self/mountinfo");
    if (failed || mounts.empty()) {
        return make_error(ErrorCode::kNotFound, "{}: no mounted file system holds it",
                          path.string());
    }
    MountFacts mount = mount_in(mounts, real);
    const fs::path device = fs::path("sys/dev/block") / mount.device;
    for (const char* queue : {"queue/rotational", "../queue/rotational"}) {  // a disk, a partition
        if (const auto value = number_of(text(device / queue)); value && !mount.rotational) {
            mount.rotational = *value != 0;
        }
    }
    return mount;
}

std::string SystemFacts::cpu_name() const { return value_of(text("proc/cpuinfo"), "model name"); }

std::string SystemFacts::huge_pages() const {
    const std::string words = text("sys/kernel/mm/transparent_hugepage/enabled");
    const size_t begin = words.find('[');
    const size_t end = words.find(']');
    return begin == std::string::npos || end == std::string::npos || end < begin
               ? ""
               : words.substr(begin + 1, end - begin - 1);
}

std::string SystemFacts::governor() const {
    return first_line(text("sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"));
}

std::optional<uint64_t> SystemFacts::soft_limit(std::string_view name) const {
    std::istringstream lines(text("proc/self/limits"));
    for (std::string line; std::getline(lines, line);) {
        if (line.starts_with(name)) {
            return number_of(std::string_view(line).substr(name.size()));
        }
    }
    return std::nullopt;
}

int SystemFacts::io_uring_disabled() const {
    return static_cast<int>(number_of(text("proc/sys/kernel/io_uring_disabled")).value_or(0));
}

}  // namespace nereus
