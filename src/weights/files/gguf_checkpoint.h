#pragma once
// A GGUF model: one file, or the parts NAME-00001-of-0000N.gguf of a split.

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "weights/checkpoint.h"

namespace nereus {

/// Opens the file, or the whole split when given any part of it; the metadata is the first part's.
/// errors: not_found (a missing part), io, corrupt, unsupported
Result<std::unique_ptr<Checkpoint>> open_gguf(const std::filesystem::path& path);

/// Whether these file names are parts of the same split.
bool are_one_split(const std::vector<std::string>& names);

}  // namespace nereus
