#pragma once
// InputFile: a big file read at any place, with or without the page cache.

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>

#include "base/result.h"
#include "base/units.h"

namespace nereus {

/// What direct reads are aligned to: offset, length and address. Devices of today want 512 or 4096.
inline constexpr uint64_t kDirectAlignment = 4 * kKiB;

/// The aligned stretch of a file around [offset, offset + n_bytes).
struct AlignedRange {
    uint64_t begin = 0, end = 0;
    uint64_t n_bytes() const { return end - begin; }
};
constexpr AlignedRange aligned_around(uint64_t offset, uint64_t n_bytes) {
    return {offset / kDirectAlignment * kDirectAlignment,
            round_up(offset + n_bytes, kDirectAlignment)};
}

/// kUse: through the page cache. kAvoid: O_DIRECT where the file system has it, else through it.
enum class PageCache { kUse, kAvoid };

/// A regular file opened for reading. Movable; closed on destruction. threads: any may read.
class InputFile {
  public:
    /// errors: not_found, io, invalid_argument (not a regular file)
    static Result<InputFile> open(const std::filesystem::path& path, PageCache cache);

    InputFile() = default;
    InputFile(InputFile&& other) noexcept;
    InputFile& operator=(InputFile&& other) noexcept;
    ~InputFile();

    /// Waits for exactly these bytes; any alignment. errors: io (names offset, expected, found)
    Status read_at(uint64_t offset, std::span<std::byte> out) const;

    const std::filesystem::path& path() const { return path_; }
    uint64_t n_bytes() const { return size_; }
    bool is_direct() const { return direct_; }
    int descriptor() const { return fd_; }

  private:
    Status read_plain(uint64_t offset, std::span<std::byte> out, uint64_t n_wanted) const;

    std::filesystem::path path_;
    uint64_t size_ = 0;
    int fd_ = -1;
    bool direct_ = false;
};

/// The one wording of a failed read. result: bytes read before the end of the file, or -errno.
Error read_error(const InputFile& file, uint64_t offset, uint64_t n_expected, int64_t result);

/// Whether pages of a mapped file are in the page cache now: looks at a few of them. Does not load
/// any, and says yes where the system does not tell.
bool is_in_page_cache(std::span<const std::byte> mapped);

}  // namespace nereus
