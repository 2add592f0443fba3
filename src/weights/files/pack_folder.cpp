#include "weights/files/pack_folder.h"

#include <utility>

#include "base/json.h"
#include "weights/files/gguf_header.h"
#include "weights/files/hf_folder.h"
#include "weights/files/mapped_checkpoint.h"
#include "weights/files/tensor_layout.h"

namespace nereus {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kManifestBytesMax = 256 * kMiB;

void add_tensors(const PackManifest::Blob& blob, const MappedFile& file, CheckpointParts& parts) {
    const std::string path = file.path().string();
    for (const PackManifest::Tensor& tensor : blob.tensors) {
        StoredTensor stored;
        stored.name = tensor.tensor.name;
        stored.format = tensor.tensor.format;
        stored.shape = tensor.tensor.shape;
        stored.file = path;
        stored.offset = blob.offset + tensor.offset;
        stored.data = file.bytes().subspan(stored.offset, tensor.n_bytes);
        parts.tensors.push_back(std::move(stored));
    }
}

/// config.json, or the header of the GGUF that the pack was made of.
Status read_description(const fs::path& folder, CheckpointParts& parts) {
    if (parts.kind == CheckpointKind::kHuggingFace) {
        return read_hf_configs(folder, parts);
    }
    const fs::path path = folder / kPackMetadataFile;
    MappedFile file = NEREUS_TRY(MappedFile::open(path));
    parts.gguf = NEREUS_TRY(read_gguf(file.bytes(), path.string())).metadata;
    parts.files.push_back(std::move(file));
    return {};
}

}  // namespace

bool is_pack(const fs::path& folder) {
    return file_is_there(folder / kPackManifestFile) || file_is_there(folder / kPackJournalFile);
}

Result<PackManifest> read_manifest(const fs::path& folder) {
    const fs::path path = folder / kPackManifestFile;
    if (!file_is_there(path) && file_is_there(folder / kPackJournalFile)) {
        return make_error(
            ErrorCode::kNotFound,
            "{}: this pack is not finished; run the same `nereus pack` again, it goes "
            "on where it stopped",
            folder.string());
    }
    const std::string text = NEREUS_TRY(read_file(path, kManifestBytesMax));
    return parse_manifest(text, path.string());
}

Result<MappedFile> map_pack_file(const fs::path& folder, const PackManifest::File& file) {
    MappedFile mapped = NEREUS_TRY(MappedFile::open(folder / file.name));
    if (mapped.bytes().size() != file.n_bytes) {
        return make_error(
            ErrorCode::kCorrupt, "{}: expected {} bytes as in {}, found {}; copy the pack again",
            mapped.path().string(), file.n_bytes, kPackManifestFile, mapped.bytes().size());
    }
    return mapped;
}

Result<std::unique_ptr<Checkpoint>> open_pack(const fs::path& folder) {
    const PackManifest manifest = NEREUS_TRY(read_manifest(folder));
    CheckpointParts parts;
    parts.kind = manifest.kind;
    parts.is_pack = true;
    parts.path = folder;
    for (const PackManifest::File& file : manifest.files) {
        parts.files.push_back(NEREUS_TRY(map_pack_file(folder, file)));
    }
    for (const PackManifest::Blob& blob : manifest.blobs) {
        add_tensors(blob, parts.files[blob.file], parts);
    }
    NEREUS_TRY(refuse_duplicates(parts.tensors));
    NEREUS_TRY(read_description(folder, parts));
    return make_checkpoint(std::move(parts));
}

}  // namespace nereus
