#pragma once
// The journal of an unfinished pack: one line for the plan, one for every blob that is on the disk.
// Lines are only appended; a line torn by a kill or a full disk is dropped when the file is opened.

#include <filesystem>
#include <vector>

#include "base/file.h"
#include "base/result.h"

namespace nereus {

class PackJournal {
  public:
    /// Opens or creates it. errors: invalid_argument (of another plan), io
    static Result<PackJournal> open(const std::filesystem::path& path, uint64_t plan);

    /// Checksums of the blobs that are done, in order.
    const std::vector<uint64_t>& done() const { return done_; }

    /// Adds blobs, whose bytes must be on the disk, and waits for the disk. errors: io
    Status add(const std::vector<uint64_t>& checksums);

  private:
    OutputFile file_;
    uint64_t end_ = 0;  ///< after the last whole line
    std::vector<uint64_t> done_;
};

}  // namespace nereus
