// Reading pack.json: nothing in it is believed before it is checked.

#include <algorithm>
#include <charconv>
#include <unordered_map>

#include "base/json.h"
#include "weights/files/pack_manifest.h"
#include "weights/files/printable.h"
#include "weights/files/shard_index.h"

namespace nereus {
namespace {

constexpr uint64_t kManifestBytesMax = 256 * kMiB;  // R1's is 9 MB
constexpr int64_t kVersion = 2;
constexpr size_t kRankMax = 4;

/// Fields of one JSON object, with errors that say where it is.
class Fields {
  public:
    Fields(const Json& json, std::string where) : json_(json), where_(std::move(where)) {}

    Error wrong(std::string_view key, std::string_view expected) const {
        const auto found = json_.is_object() ? json_.find(key) : json_.end();
        const bool there = json_.is_object() && found != json_.end();
        return make_error(ErrorCode::kCorrupt, "{}: {}: expected {}, found {}", where_, key,
                          expected, there ? printable(dump_json(*found).substr(0, 60)) : "nothing");
    }

    Result<uint64_t> number(const char* key) const {
        const Json* value = find(key);
        if (value == nullptr || !value->is_number_unsigned()) {
            return wrong(key, "a number from 0");
        }
        return value->get<uint64_t>();
    }

    Result<std::string> text(const char* key) const {
        const Json* value = find(key);
        if (value == nullptr || !value->is_string()) {
            return wrong(key, "a string");
        }
        return value->get<std::string>();
    }

    Result<uint64_t> checksum(const char* key) const {
        const std::string digits = NEREUS_TRY(text(key));
        uint64_t value = 0;
        const auto [end, code] =
            std::from_chars(digits.data(), digits.data() + digits.size(), value, 16);
        if (digits.size() != 16 || code != std::errc() || end != digits.data() + digits.size()) {
            return wrong(key, "16 hexadecimal digits");
        }
        return value;
    }

    /// The name of a file in the pack's own folder.
    Result<std::string> file_name(const char* key) const {
        const std::string name = NEREUS_TRY(text(key));
        if (!is_plain_name(name)) {
            return wrong(key, "the name of a file in this folder");
        }
        return name;
    }

    Result<const Json*> list(const char* key) const {
        const Json* value = find(key);
        if (value == nullptr || !value->is_array()) {
            return wrong(key, "a list");
        }
        return value;
    }

    const std::string& where() const { return where_; }

  private:
    const Json* find(const char* key) const {
        const auto found = json_.is_object() ? json_.find(key) : json_.end();
        return json_.is_object() && found != json_.end() ? &*found : nullptr;
    }

    const Json& json_;
    std::string where_;
};

Result<Shape> parse_shape(const Fields& fields) {
    const Json* list = NEREUS_TRY(fields.list("shape"));
    Shape shape;
    for (const Json& dim : *list) {
        if (!dim.is_number_unsigned() || dim.get<uint64_t>() > (1ULL << 56)) {
            return fields.wrong("shape", "a list of dimensions");
        }
        shape.dims.push_back(dim.get<int64_t>());
    }
    if (shape.dims.empty() || shape.dims.size() > kRankMax) {
        return fields.wrong("shape", "1 to 4 dimensions");
    }
    return shape;
}

Result<FormatId> parse_format(const Fields& fields) {
    const std::string name = NEREUS_TRY(fields.text("format"));
    for (const Format& format : all_formats()) {
        if (format.name == name && format.decode_row != nullptr) {
            return format.id;
        }
    }
    return make_error(ErrorCode::kUnsupported,
                      "{}: format {} is not known to this build; pack the model again",
                      fields.where(), printable(name));
}

Result<PackManifest::Tensor> parse_tensor(const Json& json, const std::string& where) {
    const Fields unnamed(json, where);
    PackManifest::Tensor tensor;
    tensor.tensor.name = NEREUS_TRY(unnamed.text("name"));
    const Fields fields(json, where + ": tensor " + printable(tensor.tensor.name));
    tensor.tensor.format = NEREUS_TRY(parse_format(fields));
    tensor.tensor.shape = NEREUS_TRY(parse_shape(fields));
    tensor.offset = NEREUS_TRY(fields.number("offset"));
    tensor.n_bytes = NEREUS_TRY(fields.number("bytes"));
    PackTensor shown = tensor.tensor;
    shown.name = printable(shown.name);
    const uint64_t expected = NEREUS_TRY(pack_tensor_bytes(shown, where));
    if (expected != tensor.n_bytes) {
        return make_error(
            ErrorCode::kCorrupt, "{}: shape {} of {} needs {} bytes, found {} at offset {}",
            fields.where(), tensor.tensor.shape.to_string(), format_of(tensor.tensor.format).name,
            expected, tensor.n_bytes, tensor.offset);
    }
    return tensor;
}

Status check_place(const PackManifest::Tensor& tensor, const PackManifest::Blob& blob,
                   uint64_t previous_end, const std::string& where) {
    const auto end = checked_add(tensor.offset, tensor.n_bytes);
    if (!end || *end > blob.n_bytes || tensor.offset % kPackTensorAlignment != 0) {
        return make_error(ErrorCode::kCorrupt,
                          "{}: tensor {}: {} bytes at offset {} do not lie inside the {} bytes of "
                          "their blob, at a multiple of {}",
                          where, printable(tensor.tensor.name), tensor.n_bytes, tensor.offset,
                          blob.n_bytes, kPackTensorAlignment);
    }
    if (tensor.offset < previous_end) {
        return make_error(ErrorCode::kCorrupt,
                          "{}: tensor {} at offset {} overlaps the one before, which ends at {}",
                          where, printable(tensor.tensor.name), tensor.offset, previous_end);
    }
    return {};
}

Result<PackManifest::Blob> parse_blob(const Json& json, const std::string& where) {
    const Fields fields(json, where);
    PackManifest::Blob blob;
    blob.file = NEREUS_TRY(fields.number("file"));
    blob.offset = NEREUS_TRY(fields.number("offset"));
    blob.n_bytes = NEREUS_TRY(fields.number("bytes"));
    blob.checksum = NEREUS_TRY(fields.checksum("xxh3"));
    uint64_t end = 0;
    for (const Json& entry : *NEREUS_TRY(fields.list("tensors"))) {
        blob.tensors.push_back(NEREUS_TRY(parse_tensor(entry, where)));
        NEREUS_TRY(check_place(blob.tensors.back(), blob, end, where));
        end = blob.tensors.back().offset + blob.tensors.back().n_bytes;
    }
    return blob;
}

/// Blobs lie inside their files and, in the order of the list, behind each other.
Status check_blob(const PackManifest& manifest, const PackManifest::Blob& blob,
                  std::vector<uint64_t>& ends, const std::string& where) {
    if (blob.file >= manifest.files.size()) {
        return make_error(ErrorCode::kCorrupt, "{}: file is {}, there are {}", where, blob.file,
                          manifest.files.size());
    }
    const PackManifest::File& file = manifest.files[blob.file];
    const auto end = checked_add(blob.offset, blob.n_bytes);
    if (!end || *end > file.n_bytes || blob.offset % kPackBlobAlignment != 0) {
        return make_error(ErrorCode::kCorrupt,
                          "{}: {} bytes at offset {} do not lie inside {} of {} bytes, at a "
                          "multiple of {}",
                          where, blob.n_bytes, blob.offset, printable(file.name), file.n_bytes,
                          kPackBlobAlignment);
    }
    if (blob.offset < ends[blob.file]) {
        return make_error(ErrorCode::kCorrupt,
                          "{}: offset {} of {} overlaps the blob before, which ends at {}", where,
                          blob.offset, printable(file.name), ends[blob.file]);
    }
    ends[blob.file] = *end;
    return {};
}

Status parse_files(const Fields& fields, PackManifest& manifest) {
    for (const Json& entry : *NEREUS_TRY(fields.list("copies"))) {
        const Fields copy(entry, fields.where() + ": copies");
        manifest.copies.push_back({NEREUS_TRY(copy.file_name("name")),
                                   NEREUS_TRY(copy.number("bytes")),
                                   NEREUS_TRY(copy.checksum("xxh3"))});
    }
    for (const Json& entry : *NEREUS_TRY(fields.list("files"))) {
        const Fields file(entry, fields.where() + ": files");
        manifest.files.push_back(
            {NEREUS_TRY(file.file_name("name")), NEREUS_TRY(file.number("bytes"))});
        const auto same = [&](const PackManifest::File& other) {
            return other.name == manifest.files.back().name;
        };
        if (std::count_if(manifest.files.begin(), manifest.files.end(), same) > 1) {
            return make_error(ErrorCode::kCorrupt, "{}: files: {} is there twice", fields.where(),
                              printable(manifest.files.back().name));
        }
    }
    return {};
}

Result<CheckpointKind> parse_kind(const Fields& fields) {
    const std::string source = NEREUS_TRY(fields.text("source"));
    if (source != "hugging_face" && source != "gguf") {
        return fields.wrong("source", "hugging_face or gguf");
    }
    return source == "gguf" ? CheckpointKind::kGguf : CheckpointKind::kHuggingFace;
}

}  // namespace

Result<PackManifest> parse_manifest(std::string_view text, std::string_view file) {
    const Json json = NEREUS_TRY(parse_json(text, file, {.max_bytes = kManifestBytesMax}));
    const Fields fields(json, std::string(file));
    const uint64_t version = NEREUS_TRY(fields.number("nereus_pack"));
    if (version != kVersion) {
        return make_error(ErrorCode::kUnsupported,
                          "{}: a pack of version {}, this build reads {}; pack the model again",
                          file, version, kVersion);
    }
    PackManifest manifest;
    manifest.recipe = NEREUS_TRY(fields.text("recipe"));
    manifest.kind = NEREUS_TRY(parse_kind(fields));
    manifest.plan = NEREUS_TRY(fields.checksum("plan"));
    NEREUS_TRY(parse_files(fields, manifest));
    std::vector<uint64_t> ends(manifest.files.size());
    for (const Json& entry : *NEREUS_TRY(fields.list("blobs"))) {
        const std::string where = fmt::format("{}: blob {}", file, manifest.blobs.size());
        manifest.blobs.push_back(NEREUS_TRY(parse_blob(entry, where)));
        NEREUS_TRY(check_blob(manifest, manifest.blobs.back(), ends, where));
    }
    return manifest;
}

}  // namespace nereus
