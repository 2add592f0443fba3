#pragma once
// What was typed before: a bounded list, and its file (mode 0600, one entry a line).

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace nereus {

/// threads: one.
class History {
  public:
    /// path "": memory only.
    History(std::string path, size_t entries_max);

    /// Reads the file and makes it private. A missing file is no error. errors: io, unsupported
    Status load();
    /// Adds an entry (not the same twice in a row) and appends it to the file. errors: io
    Status add(const std::string& entry);
    /// Oldest first.
    const std::vector<std::string>& entries() const { return entries_; }

  private:
    void trim();

    std::string path_;
    size_t entries_max_;
    std::vector<std::string> entries_;
};

}  // namespace nereus
