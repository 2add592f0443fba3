// Which kind of model a path holds, found by looking at it.

#include <algorithm>
#include <string>
#include <vector>

#include "base/file.h"
#include "weights/checkpoint.h"
#include "weights/files/gguf_checkpoint.h"
#include "weights/files/hf_folder.h"
#include "weights/files/pack_folder.h"

namespace nereus {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kExpected =
    "expected a pack, a folder with config.json and safetensors, or a .gguf file";

/// The .gguf files of a folder, sorted. errors: io
Result<std::vector<std::string>> gguf_files_of(const fs::path& folder) {
    std::vector<std::string> names;
    std::error_code code;
    for (fs::directory_iterator it(folder, code), end; !code && it != end; it.increment(code)) {
        if (it->path().extension() == ".gguf") {
            names.push_back(it->path().filename().string());
        }
    }
    if (code) {
        return make_error(ErrorCode::kIo, "{}: cannot list: {}", folder.string(), code.message());
    }
    std::sort(names.begin(), names.end());
    return names;
}

Result<std::unique_ptr<Checkpoint>> open_folder(const fs::path& folder) {
    if (is_pack(folder)) {
        return open_pack(folder);
    }
    std::error_code code;
    const fs::file_status config = fs::symlink_status(folder / "config.json", code);
    if (config.type() != fs::file_type::not_found && !code) {
        return open_hf_folder(folder);
    }
    const std::vector<std::string> names = NEREUS_TRY(gguf_files_of(folder));
    if (names.empty()) {
        return make_error(ErrorCode::kNotFound,
                          "{}: {}; this folder has neither config.json nor a .gguf file",
                          folder.string(), kExpected);
    }
    if (names.size() > 1 && !are_one_split(names)) {
        return make_error(ErrorCode::kInvalidArgument,
                          "{}: {} .gguf files ({}, {}, ...); name one of them", folder.string(),
                          names.size(), names[0], names[1]);
    }
    return open_gguf(folder / names.front());
}

/// A weight file of a Hugging Face folder stands for its folder.
Result<std::unique_ptr<Checkpoint>> open_safetensors_file(const fs::path& path) {
    const fs::path folder = path.has_parent_path() ? path.parent_path() : fs::path(".");
    const std::vector<std::string> names = NEREUS_TRY(weight_files_of(folder));
    if (std::find(names.begin(), names.end(), path.filename().string()) == names.end()) {
        return make_error(ErrorCode::kInvalidArgument,
                          "{}: not one of the weight files of its folder (the first is {})",
                          path.string(), names.front());
    }
    return open_hf_folder(folder);
}

}  // namespace

Result<std::unique_ptr<Checkpoint>> open_checkpoint(const fs::path& path) {
    std::error_code code;
    const fs::file_status status = fs::status(path, code);
    if (status.type() == fs::file_type::directory) {
        return open_folder(path);
    }
    const MappedFile file = NEREUS_TRY(MappedFile::open(path));
    const std::string_view text = file.text();
    if (text.empty()) {
        return make_error(ErrorCode::kCorrupt, "{}: the file is empty; {}", path.string(),
                          kExpected);
    }
    if (text.starts_with("GGUF")) {
        return open_gguf(path);
    }
    if (text.starts_with("version https://git-lfs")) {
        return make_error(ErrorCode::kCorrupt,
                          "{}: this is a Git LFS pointer, not the weights; run `git lfs pull`",
                          path.string());
    }
    if (path.extension() == ".safetensors") {
        return open_safetensors_file(path);
    }
    if (path.extension() == ".gguf") {
        return make_error(ErrorCode::kCorrupt,
                          "{}: expected the magic \"GGUF\" at byte 0, found something else",
                          path.string());
    }
    return make_error(ErrorCode::kUnsupported, "{}: not a model; {}", path.string(), kExpected);
}

}  // namespace nereus
