#include "weights/files/hf_folder.h"

#include <optional>
#include <utility>

#include "base/json.h"
#include "base/units.h"
#include "weights/files/fp8_scales.h"
#include "weights/files/mapped_checkpoint.h"
#include "weights/files/safetensors_header.h"
#include "weights/files/shard_index.h"
#include "weights/files/tensor_layout.h"

namespace nereus {
namespace {

constexpr uint64_t kMaxConfigBytes = 4 * kMiB;   // published ones are below 10 kB
constexpr uint64_t kMaxIndexBytes = 256 * kMiB;  // V3's is 9 MB
constexpr const char* kSingleFile = "model.safetensors";
constexpr const char* kIndexFile = "model.safetensors.index.json";

Result<std::unique_ptr<Json>> read_json_object(const std::filesystem::path& path) {
    const std::string text = NEREUS_TRY(read_file(path, kMaxConfigBytes));
    auto json = std::make_unique<Json>(NEREUS_TRY(parse_json(text, path.string())));
    if (!json->is_object()) {
        return make_error(ErrorCode::kCorrupt, "{}: expected a JSON object", path.string());
    }
    return json;
}

/// The shards of a folder; without an index, the one file.
Result<ShardIndex> find_shards(const std::filesystem::path& folder) {
    ShardIndex index;
    if (file_is_there(folder / kSingleFile)) {
        index.shards = {kSingleFile};
        return index;
    }
    if (file_is_there(folder / kIndexFile)) {
        const std::string text = NEREUS_TRY(read_file(folder / kIndexFile, kMaxIndexBytes));
        return parse_shard_index(text, (folder / kIndexFile).string());
    }
    return make_error(ErrorCode::kNotFound,
                      "{}: expected {} or {}, found neither: weights in other files (.bin, .pt) "
                      "cannot be read; is the download complete?",
                      folder.string(), kSingleFile, kIndexFile);
}

/// Maps every shard and reads its header into `parts`.
Status read_shards(const std::filesystem::path& folder, const ShardIndex& index,
                   CheckpointParts& parts) {
    std::vector<std::vector<StoredTensor>> shard_tensors;
    for (const std::string& name : index.shards) {
        MappedFile file = NEREUS_TRY(MappedFile::open(folder / name));
        shard_tensors.push_back(
            NEREUS_TRY(read_safetensors_header(file.bytes(), file.path().string())));
        parts.files.push_back(std::move(file));
    }
    NEREUS_TRY(check_shard_index(index, shard_tensors));
    for (auto& tensors : shard_tensors) {
        parts.tensors.insert(parts.tensors.end(), std::make_move_iterator(tensors.begin()),
                             std::make_move_iterator(tensors.end()));
    }
    return refuse_duplicates(parts.tensors);
}

}  // namespace

bool file_is_there(const std::filesystem::path& path) {
    std::error_code ignored;
    return std::filesystem::symlink_status(path, ignored).type() !=
           std::filesystem::file_type::not_found;
}

Status read_hf_configs(const std::filesystem::path& folder, CheckpointParts& parts) {
    parts.config = NEREUS_TRY(read_json_object(folder / "config.json"));
    if (file_is_there(folder / "generation_config.json")) {
        parts.generation_config = NEREUS_TRY(read_json_object(folder / "generation_config.json"));
    }
    return {};
}

Result<std::vector<std::string>> weight_files_of(const std::filesystem::path& folder) {
    return NEREUS_TRY(find_shards(folder)).shards;
}

Result<std::unique_ptr<Checkpoint>> open_hf_folder(const std::filesystem::path& folder) {
    CheckpointParts parts;
    parts.path = folder;
    NEREUS_TRY(read_hf_configs(folder, parts));
    const bool scales_required =
        NEREUS_TRY(check_quantization_config(*parts.config, (folder / "config.json").string()));
    NEREUS_TRY(read_shards(folder, NEREUS_TRY(find_shards(folder)), parts));
    NEREUS_TRY(attach_fp8_scales(parts.tensors, scales_required, parts.owned_scales));
    return make_checkpoint(std::move(parts));
}

}  // namespace nereus
