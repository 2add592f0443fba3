#include "apps/doctor_checks.h"

#include <algorithm>

#include "base/units.h"

namespace nereus {
namespace {

Finding check_isa(const std::string& best) {
    const bool fast = best.starts_with("avx512") || best.starts_with("amx");
    Finding finding{"processor", Verdict::kGood, fmt::format("kernels {}", best), ""};
    if (!fast) {
        finding.verdict = best == "portable" ? Verdict::kBad : Verdict::kNote;
        finding.advice = best == "portable"
                             ? "a processor with AVX2 or AVX-512 is several times faster"
                             : "a processor with AVX-512 VNNI computes prompts faster";
    }
    return finding;
}

Finding check_memory(const Result<MemoryFacts>& memory) {
    if (!memory.ok()) {
        return {"memory", Verdict::kBad, memory.error().message, ""};
    }
    Finding finding{"memory", Verdict::kGood,
                    fmt::format("{} of {} free", human_bytes(memory->free_bytes()),
                                human_bytes(memory->total_bytes)),
                    ""};
    if (memory->free_bytes() < memory->total_bytes / 2) {
        finding.verdict = Verdict::kNote;
        finding.advice =
            "other programs hold more than half of it; what they give back holds experts";
    }
    return finding;
}

Finding check_cgroup(const Result<MemoryFacts>& memory) {
    if (!memory.ok() || !memory->cgroup_limit_bytes) {
        return {"memory limit", Verdict::kGood, "none for this process", ""};
    }
    return {"memory limit", Verdict::kNote,
            fmt::format("a cgroup allows {}, of which {} is used",
                        human_bytes(*memory->cgroup_limit_bytes),
                        human_bytes(memory->cgroup_used_bytes)),
            "this counts as the machine's memory; raise memory.max of the group for more"};
}

Finding check_swap(const Result<MemoryFacts>& memory) {
    if (!memory.ok() || memory->swap_bytes == 0) {
        return {"swap", Verdict::kGood, "none", ""};
    }
    const bool used = memory->swap_used_bytes > memory->total_bytes / 50;
    return {"swap", used ? Verdict::kBad : Verdict::kNote,
            fmt::format("{} of {} used", human_bytes(memory->swap_used_bytes),
                        human_bytes(memory->swap_bytes)),
            used ? "memory is short: close programs, or give a smaller --memory"
                 : "keep --memory below what is free, so that no weight is swapped out"};
}

Finding check_huge_pages(const std::string& mode) {
    if (mode == "always" || mode == "madvise") {
        return {"huge pages", Verdict::kGood, fmt::format("transparent, {}", mode), ""};
    }
    return {"huge pages", Verdict::kNote, mode.empty() ? "the kernel has none" : "switched off",
            "as root: echo madvise > /sys/kernel/mm/transparent_hugepage/enabled"};
}

Finding check_governor(const std::string& governor) {
    if (governor.empty()) {
        return {"clock", Verdict::kGood, "not set by this system (a virtual machine?)", ""};
    }
    if (governor == "performance") {
        return {"clock", Verdict::kGood, "governor performance", ""};
    }
    return {
        "clock", Verdict::kNote, fmt::format("governor {}", governor),
        "as root: cpupower frequency-set -g performance, where short answers are slow to start"};
}

Finding check_open_files(std::optional<uint64_t> limit) {
    constexpr uint64_t kEnough = 512;  // R1 is published in 163 files
    const std::string found =
        limit ? fmt::format("{} at once", *limit) : std::string("no limit that is told");
    if (!limit || *limit >= kEnough) {
        return {"open files", Verdict::kGood, found, ""};
    }
    return {"open files", Verdict::kBad, found, "ulimit -n 4096: large models have many files"};
}

Finding check_locked_memory(std::optional<uint64_t> limit) {
    constexpr uint64_t kRings = 8 * kMiB;  // io_uring's rings count on kernels before 5.12
    const std::string found = limit ? human_bytes(*limit) : std::string("no limit that is told");
    if (!limit || *limit >= kRings) {
        return {"locked memory", Verdict::kGood, found, ""};
    }
    return {"locked memory", Verdict::kNote, found,
            "ulimit -l 65536, if io_uring is refused by an older kernel"};
}

Finding check_uring(int disabled, bool works) {
    if (works) {
        return {"io_uring", Verdict::kGood, "works", ""};
    }
    return {"io_uring", Verdict::kNote,
            disabled > 0 ? fmt::format("switched off (kernel.io_uring_disabled = {})", disabled)
                         : std::string("refused (a container's seccomp profile, or an old kernel)"),
            "reads use threads instead; as root: sysctl kernel.io_uring_disabled=0"};
}

/// What reading experts from a file system is like.
struct FileSystemRow {
    std::string_view name;
    Verdict verdict;
    std::string_view advice;
};
constexpr FileSystemRow kFileSystems[] = {
    {"ext4", Verdict::kGood, ""},
    {"xfs", Verdict::kGood, ""},
    {"f2fs", Verdict::kGood, ""},
    {"btrfs", Verdict::kNote, "checksums every read; chattr +C on the folder of packs, or ext4"},
    {"zfs", Verdict::kNote, "reads pass its own cache; ext4 or xfs gives the drive's speed"},
    {"overlay", Verdict::kNote, "a container's layer; mount a folder of the host for models"},
    {"tmpfs", Verdict::kBad, "this is memory: a model here takes it twice"},
    {"nfs", Verdict::kBad, "a network: copy the model to a local drive"},
    {"nfs4", Verdict::kBad, "a network: copy the model to a local drive"},
    {"cifs", Verdict::kBad, "a network: copy the model to a local drive"},
    {"9p", Verdict::kBad, "a bridge to another system: keep models on this one's own disk"},
};

}  // namespace

const char* verdict_name(Verdict verdict) {
    constexpr const char* kNames[] = {"good", "note", "bad"};
    return kNames[static_cast<size_t>(verdict)];
}

std::vector<Finding> check_system(const SystemFacts& facts, const std::string& best_isa,
                                  bool uring_works) {
    const auto memory = facts.memory();
    return {check_isa(best_isa),
            check_memory(memory),
            check_cgroup(memory),
            check_swap(memory),
            check_huge_pages(facts.huge_pages()),
            check_governor(facts.governor()),
            check_open_files(facts.soft_limit("Max open files")),
            check_locked_memory(facts.soft_limit("Max locked memory")),
            check_uring(facts.io_uring_disabled(), uring_works)};
}

Finding check_mount(const SystemFacts& facts, const std::filesystem::path& folder) {
    const std::string name = fmt::format("file system of {}", folder.string());
    const auto mount = facts.mount_of(folder);
    if (!mount.ok()) {
        return {name, Verdict::kNote, mount.error().message, ""};
    }
    Finding finding{name, Verdict::kNote,
                    fmt::format("{} on {}", mount->file_system, mount->source),
                    "not one that was tried; the measured reads say what it is worth"};
    for (const FileSystemRow& row : kFileSystems) {
        if (row.name == mount->file_system) {
            finding.verdict = row.verdict;
            finding.advice = row.advice;
        }
    }
    if (mount->rotational.value_or(false)) {
        finding.verdict = std::max(finding.verdict, Verdict::kNote);
        finding.found += ", which says that it spins";
        finding.advice =
            "virtual disks say so too; a real one is 20 to 100 times slower than NVMe at "
            "random reads, which are measured below";
    }
    return finding;
}

std::string finding_line(const Finding& finding) {
    std::string line =
        fmt::format("{:<5} {}: {}", verdict_name(finding.verdict), finding.name, finding.found);
    if (!finding.advice.empty()) {
        line += fmt::format(". {}", finding.advice);
    }
    return line + "\n";
}

Json finding_json(const Finding& finding) {
    return {{"name", finding.name},
            {"verdict", verdict_name(finding.verdict)},
            {"found", finding.found},
            {"advice", finding.advice}};
}

}  // namespace nereus
