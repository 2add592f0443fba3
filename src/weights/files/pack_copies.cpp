// The small files of a model that a pack takes along.

#include <algorithm>

#include "base/file.h"
#include "weights/files/hf_folder.h"
#include "weights/files/pack_manifest.h"

namespace nereus {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kCopyBytesMax = 256 * kMiB;

constexpr std::string_view kFolderFiles[] = {
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "chat_template.jinja",
    "chat_template.json",
    "LICENSE",
};

}  // namespace

Result<std::vector<PackCopy>> files_to_copy(const Checkpoint& checkpoint) {
    std::vector<PackCopy> copies;
    if (checkpoint.kind() == CheckpointKind::kGguf) {
        copies.push_back({kPackMetadataFile, checkpoint.gguf()->as_file()});
        return copies;
    }
    for (const std::string_view name : kFolderFiles) {
        const fs::path path = checkpoint.path() / name;
        if (file_is_there(path)) {
            copies.push_back({std::string(name), NEREUS_TRY(read_file(path, kCopyBytesMax))});
        }
    }
    return copies;
}

}  // namespace nereus
