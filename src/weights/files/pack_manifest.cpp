#include "weights/files/pack_manifest.h"

#include <array>

#include "base/digest.h"
#include "base/json.h"
#include "weights/files/tensor_layout.h"

namespace nereus {
namespace {

constexpr std::string_view kKinds[] = {"hugging_face", "gguf"};  // indexed by CheckpointKind

class Layout {
  public:
    explicit Layout(const PackLimits& limits) : limits_(limits) {}

    Status add(const PackBlob& content, PackManifest& manifest) {
        PackManifest::Blob blob;
        for (const PackTensor& tensor : content.tensors) {
            const uint64_t offset = round_up(blob.n_bytes, kPackTensorAlignment);
            const uint64_t n_bytes = NEREUS_TRY(pack_tensor_bytes(tensor, kPackManifestFile));
            blob.tensors.push_back({tensor, offset, n_bytes});
            blob.n_bytes = offset + n_bytes;
        }
        blob.file = file_for(content.is_expert, blob.n_bytes, manifest);
        PackManifest::File& file = manifest.files[blob.file];
        blob.offset = round_up(file.n_bytes, kPackBlobAlignment);
        file.n_bytes = blob.offset + blob.n_bytes;
        manifest.blobs.push_back(std::move(blob));
        return {};
    }

  private:
    size_t file_for(bool is_expert, uint64_t n_bytes, PackManifest& manifest) {
        std::optional<size_t>& current = is_expert ? experts_ : dense_;
        const bool full = current && is_expert && manifest.files[*current].n_bytes > 0 &&
                          manifest.files[*current].n_bytes + n_bytes > limits_.file_bytes;
        if (!current || full) {
            manifest.files.push_back(
                {is_expert ? fmt::format("experts-{:05}.bin", n_experts_files_++) : "dense.bin"});
            current = manifest.files.size() - 1;
        }
        return *current;
    }

    PackLimits limits_;
    std::optional<size_t> dense_, experts_;
    int n_experts_files_ = 0;
};

Json tensor_json(const PackManifest::Tensor& tensor) {
    Json json;
    json["name"] = tensor.tensor.name;
    json["format"] = std::string(format_of(tensor.tensor.format).name);
    json["shape"] = tensor.tensor.shape.dims;
    json["offset"] = tensor.offset;
    json["bytes"] = tensor.n_bytes;
    return json;
}

Json blob_json(const PackManifest::Blob& blob) {
    Json json;
    json["file"] = blob.file;
    json["offset"] = blob.offset;
    json["bytes"] = blob.n_bytes;
    json["xxh3"] = checksum_text(blob.checksum);
    json["tensors"] = Json::array();
    for (const PackManifest::Tensor& tensor : blob.tensors) {
        json["tensors"].push_back(tensor_json(tensor));
    }
    return json;
}

/// "name": [ one item a line ]
template <typename Items, typename ToJson>
std::string list_text(std::string_view name, const Items& items, const ToJson& to_json) {
    std::string text = fmt::format("\"{}\": [", name);
    const char* separator = "\n";
    for (const auto& item : items) {
        text += separator + dump_json(to_json(item));
        separator = ",\n";
    }
    return text + "\n]";
}

}  // namespace

std::string checksum_text(uint64_t checksum) { return fmt::format("{:016x}", checksum); }

uint64_t PackManifest::n_bytes() const {
    uint64_t sum = 0;
    for (const Blob& blob : blobs) {
        sum += blob.n_bytes;
    }
    return sum;
}

Result<uint64_t> pack_tensor_bytes(const PackTensor& tensor, std::string_view file) {
    const Format& format = format_of(tensor.format);
    if (format.decode_row == nullptr || tensor.format == FormatId::kFp8Block128) {
        return make_error(ErrorCode::kUnsupported, "{}: tensor {}: packs hold no {}", file,
                          tensor.name, format.name);
    }
    std::vector<uint64_t> dims;
    for (const int64_t dim : tensor.shape.dims) {
        dims.push_back(static_cast<uint64_t>(dim));
    }
    const uint64_t n_elements = NEREUS_TRY(checked_elements(dims, file, tensor.name));
    const uint64_t cols = dims.empty() ? 1 : dims.back();
    if (format.panel == nullptr) {
        return checked_bytes(format, n_elements, cols, file, tensor.name);
    }
    // Padding to 16 rows and 128 columns makes at most 2^11 times as many, of about a byte.
    constexpr uint64_t kPanelElementsMax = kMaxElements >> 8;
    if (n_elements == 0 || n_elements > kPanelElementsMax) {
        return make_error(ErrorCode::kCorrupt, "{}: tensor {}: shape {} cannot be {}", file,
                          tensor.name, tensor.shape.to_string(), format.name);
    }
    return static_cast<uint64_t>(format.matrix_bytes(tensor.shape.rows(), tensor.shape.cols()));
}

Result<PackManifest> lay_out_pack(const PackContent& content, const PackLimits& limits) {
    PackManifest manifest;
    manifest.kind = content.kind;
    manifest.recipe = content.recipe;
    for (const PackCopy& copy : content.copies) {
        manifest.copies.push_back({copy.name, copy.bytes.size(), digest_of(copy.bytes)});
    }
    Layout layout(limits);
    for (const PackBlob& blob : content.blobs) {
        NEREUS_TRY(layout.add(blob, manifest));
    }
    manifest.plan = Digest().add_text(manifest_text(manifest)).add_text(content.source).value();
    return manifest;
}

std::string manifest_text(const PackManifest& manifest) {
    const std::string head = fmt::format(
        "{{\n\"nereus_pack\": 2,\n\"recipe\": {},\n\"source\": \"{}\",\n\"plan\": \"{}\",\n",
        dump_json(Json(manifest.recipe)), kKinds[static_cast<size_t>(manifest.kind)],
        checksum_text(manifest.plan));
    const auto copy_json = [](const PackManifest::Copy& copy) {
        Json json;
        json["name"] = copy.name;
        json["bytes"] = copy.n_bytes;
        json["xxh3"] = checksum_text(copy.checksum);
        return json;
    };
    const auto file_json = [](const PackManifest::File& file) {
        Json json;
        json["name"] = file.name;
        json["bytes"] = file.n_bytes;
        return json;
    };
    return head + list_text("copies", manifest.copies, copy_json) + ",\n" +
           list_text("files", manifest.files, file_json) + ",\n" +
           list_text("blobs", manifest.blobs, blob_json) + "\n}\n";
}

}  // namespace nereus
