#pragma once
// Files: read whole small ones, map large ones, write large ones in place. Only regular files are
// opened (a FIFO, a socket or a directory is an error, at once, never a hang).

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"

namespace nereus {

/// Reads a regular file of at most max_bytes. errors: not_found, io (permission), invalid_argument
/// (not a regular file), unsupported (larger than max_bytes; both sizes are named).
Result<std::string> read_file(const std::filesystem::path& path, uint64_t max_bytes);

/// Writes through a temporary neighbour, fsync and rename, so that a crash leaves the old file or
/// the new one. mode is the permission of a new file.
Status write_file_atomic(const std::filesystem::path& path, std::string_view bytes,
                         unsigned mode = 0644);

/// A regular file mapped read-only for its whole size. Movable; unmapped on destruction.
/// threads: read from any number.
class MappedFile {
  public:
    static Result<MappedFile> open(const std::filesystem::path& path);

    MappedFile() = default;
    MappedFile(MappedFile&& other) noexcept;
    MappedFile& operator=(MappedFile&& other) noexcept;
    ~MappedFile();

    std::span<const std::byte> bytes() const { return {data_, size_}; }
    std::string_view text() const { return {reinterpret_cast<const char*>(data_), size_}; }
    const std::filesystem::path& path() const { return path_; }

  private:
    std::filesystem::path path_;
    const std::byte* data_ = nullptr;
    size_t size_ = 0;
};

/// Lets the system take back the pages of a mapping that lie wholly inside `bytes`; a later read
/// loads them again. For one walk over a file larger than memory.
void drop_pages(std::span<const std::byte> bytes);

/// A regular file opened for writing at any place, created when absent, never shortened by opening.
/// Movable; closed on destruction. errors: io (a full disk says so); open: not_found (its folder).
class OutputFile {
  public:
    static Result<OutputFile> open(const std::filesystem::path& path);

    OutputFile() = default;
    OutputFile(OutputFile&& other) noexcept;
    OutputFile& operator=(OutputFile&& other) noexcept;
    ~OutputFile();

    Status write_at(uint64_t offset, std::span<const std::byte> bytes);
    /// Makes the file this long; what is added reads as zeros.
    Status resize(uint64_t n_bytes);
    Result<uint64_t> size() const;
    /// Waits until the bytes are on the disk.
    Status sync();
    const std::filesystem::path& path() const { return path_; }

  private:
    std::filesystem::path path_;
    int fd_ = -1;
};

}  // namespace nereus
