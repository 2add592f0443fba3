#pragma once
// A file of raw float32 rows that appears under its name only when it is complete.

#include <cstdio>
#include <filesystem>
#include <memory>

#include "base/result.h"
#include "tensor/tensor.h"

namespace nereus {

/// Rows go to a temporary neighbour that finish() renames; without finish() it is removed. A target
/// that is not a regular file (a pipe, a device) is written directly.
class RowFile {
  public:
    /// errors: io, with the system's reason
    static Result<RowFile> create(const std::filesystem::path& path);
    RowFile(RowFile&& other) noexcept = default;
    RowFile& operator=(RowFile&&) = delete;
    ~RowFile();

    /// errors: io (disk full)
    Status append(ConstRows rows);
    Status finish();

  private:
    struct Close {
        void operator()(std::FILE* file) const { std::fclose(file); }
    };
    RowFile() = default;
    Error failed(const char* what) const;

    std::filesystem::path path_;
    std::filesystem::path temporary_;  ///< empty when written directly
    std::unique_ptr<std::FILE, Close> file_;
};

}  // namespace nereus
