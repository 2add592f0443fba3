#pragma once
// JSON that the commands for comparison read: files or stdin, checked before use.

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/result.h"

namespace nereus {

bool path_exists(const std::filesystem::path& path);

/// The whole of a regular file, or of stdin for "-". errors: those of read_file; unsupported over
/// 256 MiB
Result<std::string> read_input(const std::string& path);

/// A JSON array; what is said about its elements goes into the message. errors: corrupt
Result<Json> read_json_array(const std::string& path, std::string_view elements);

/// An array of ids in [0, limit). origin for messages. errors: invalid_argument, with index, found
/// and limit
Result<std::vector<int32_t>> token_ids(const Json& array, int64_t limit, const std::string& origin);

}  // namespace nereus
