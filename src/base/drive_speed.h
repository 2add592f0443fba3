#pragma once
// How fast a drive gives the bytes of a big file: in order, and block by block at random as experts
// are asked for, by how many blocks are asked for at once. Past the page cache where the file
// system allows it.

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "base/result.h"

namespace nereus {

struct DriveRead {
    uint64_t block_bytes = 0;
    int depth = 1;  ///< blocks asked for at once
    bool random = true;
    double bytes_per_second = 0;
};

struct DriveSpeed {
    std::string engine;  ///< "io_uring" or "threads"
    bool is_direct =
        false;  ///< false: the page cache answered too, so the figures flatter the drive
    std::vector<DriveRead> reads;

    double sequential_bytes_per_second() const;
    /// Of random blocks of the nearest measured size, at the best measured depth of at most this
    /// (the smallest where all are larger).
    double random_bytes_per_second(uint64_t block_bytes, int depth_max = INT32_MAX) const;
};

struct DrivePlan {
    std::vector<uint64_t> block_bytes;  ///< of the random reads
    std::vector<int> depths = {1, 4, 16};
    double seconds_each = 0.5;
};

/// Reads the file, which is at least twice the largest block. progress gets a fraction in [0, 1].
/// errors: io, not_found, invalid_argument (too small; sizes are named)
Result<DriveSpeed> measure_drive(const std::filesystem::path& file, const DrivePlan& plan,
                                 const std::function<void(double)>& progress);

/// The largest regular file in a folder or its direct subfolders, or an empty path.
std::filesystem::path largest_file(const std::filesystem::path& folder);

}  // namespace nereus
