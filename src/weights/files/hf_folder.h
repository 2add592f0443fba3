#pragma once
// A Hugging Face folder: config.json and one safetensors file, or shards named by
// model.safetensors.index.json.

#include <filesystem>
#include <memory>

#include "base/result.h"
#include "weights/checkpoint.h"
#include "weights/files/mapped_checkpoint.h"

namespace nereus {

/// errors: not_found, io, corrupt, unsupported
Result<std::unique_ptr<Checkpoint>> open_hf_folder(const std::filesystem::path& folder);

/// The names of the weight files of a folder, in order: the shards of the index, or the one file.
/// errors: not_found (neither is there), corrupt (a bad index), io
Result<std::vector<std::string>> weight_files_of(const std::filesystem::path& folder);

/// Reads config.json and, where there is one, generation_config.json. errors: not_found, io,
/// corrupt
Status read_hf_configs(const std::filesystem::path& folder, CheckpointParts& parts);

/// Whether anything, readable or not, has this path.
bool file_is_there(const std::filesystem::path& path);

}  // namespace nereus
