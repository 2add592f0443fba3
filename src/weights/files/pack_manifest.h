#pragma once
// pack.json: what lies where in a pack. Made from a content before any byte is written; read back
// as untrusted text.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "weights/pack.h"

namespace nereus {

inline constexpr const char* kPackManifestFile = "pack.json";
inline constexpr const char* kPackJournalFile = "pack.partial";
inline constexpr const char* kPackMetadataFile = "metadata.gguf";

struct PackManifest {
    struct Tensor {
        PackTensor tensor;
        uint64_t offset = 0;   ///< in its blob
        uint64_t n_bytes = 0;  ///< of the format and shape
    };
    struct Blob {
        size_t file = 0;
        uint64_t offset = 0;    ///< in its file
        uint64_t n_bytes = 0;   ///< to the end of its last tensor
        uint64_t checksum = 0;  ///< XXH3 of its bytes, padding included
        std::vector<Tensor> tensors;
    };
    struct File {
        std::string name;
        uint64_t n_bytes = 0;
    };
    struct Copy {
        std::string name;
        uint64_t n_bytes = 0;
        uint64_t checksum = 0;
    };
    CheckpointKind kind = CheckpointKind::kHuggingFace;
    std::string recipe;
    uint64_t plan = 0;  ///< tells two packs apart before they have bytes
    std::vector<Copy> copies;
    std::vector<File> files;
    std::vector<Blob> blobs;

    /// Bytes of all blobs.
    uint64_t n_bytes() const;
};

/// Bytes of a tensor. errors: corrupt (absurd dimensions, rows that are not whole blocks),
/// unsupported (a format that packs do not hold)
Result<uint64_t> pack_tensor_bytes(const PackTensor& tensor, std::string_view file);

/// Places every blob. errors: those of pack_tensor_bytes
Result<PackManifest> lay_out_pack(const PackContent& content, const PackLimits& limits);

std::string manifest_text(const PackManifest& manifest);

/// Everything that can be judged without the files: plain names, known formats, tensors inside
/// their blob and blobs inside their file, aligned, none on top of another, no name twice. errors:
/// corrupt, unsupported
Result<PackManifest> parse_manifest(std::string_view text, std::string_view file);

/// Sixteen hexadecimal digits.
std::string checksum_text(uint64_t checksum);

}  // namespace nereus
