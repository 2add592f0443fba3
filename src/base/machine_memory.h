#pragma once
// How much memory there is: of the machine, of the control group the process lives in (version 1 or
// 2, all its ancestors), and of the process itself.

#include <cstdint>
#include <filesystem>

namespace nereus {

struct MachineMemory {
    uint64_t total = 0;       ///< of the machine, or of the control group where that is less
    uint64_t available = 0;   ///< of it, without pushing anybody's memory out; page cache counts
    bool is_limited = false;  ///< a control group says less than the machine has
};

/// root: where /proc and /sys lie; tests bring their own. Zeros where the system does not tell.
MachineMemory machine_memory(const std::filesystem::path& root = "/");

/// Bytes of this process in memory now, and at most so far.
struct ProcessMemory {
    uint64_t resident = 0, peak = 0;
};
ProcessMemory process_memory(const std::filesystem::path& root = "/");

}  // namespace nereus
