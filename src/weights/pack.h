#pragma once
// Packs: Nereus' own folder of a model, ready for its kernels. pack.json says which tensors lie
// where; dense.bin holds what every token reads, experts-NNNNN.bin one blob an expert (gate, up,
// down, each 64-byte aligned), every blob on a page of its own, so that an expert is one read.
// config.json, tokenizer and templates are copied, so that a pack needs nothing beside it.
//
// A writer takes the whole content first, so that every offset is known; then come the bytes, blob
// by blob. What is done is kept in the journal pack.partial: the same content goes on where a
// killed run stopped and ends in the same bytes.

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/units.h"
#include "tensor/format.h"
#include "tensor/tensor.h"
#include "weights/checkpoint.h"

namespace nereus {

inline constexpr uint64_t kPackTensorAlignment = 64;
inline constexpr uint64_t kPackBlobAlignment = 4096;

struct PackTensor {
    std::string name;
    FormatId format = FormatId::kF32;
    Shape shape;  ///< [rows, cols], or [n] of a vector
};

/// Tensors that are read together, one after the other.
struct PackBlob {
    bool is_expert = false;
    std::vector<PackTensor> tensors;
};

/// A small file that travels along.
struct PackCopy {
    std::string name;
    std::string bytes;
};

struct PackContent {
    std::string recipe;
    CheckpointKind kind = CheckpointKind::kHuggingFace;  ///< whose names and config it has
    std::string source;  ///< whatever tells sources and options apart
    std::vector<PackBlob> blobs;
    std::vector<PackCopy> copies;
};

struct PackLimits {
    uint64_t file_bytes = 32 * kGiB;   ///< an experts file starts anew above it
    uint64_t sync_bytes = 256 * kMiB;  ///< how much a power cut may cost
};

/// threads: one at a time.
class PackWriter {
  public:
    virtual ~PackWriter() = default;
    /// Bytes of all blobs, and of those already written.
    virtual uint64_t n_bytes() const = 0;
    virtual uint64_t n_bytes_done() const = 0;
    /// The blob to write next; the number of blobs when all are there.
    virtual size_t next_blob() const = 0;
    /// The next bytes of that blob: its tensors back to back, without padding, in pieces of any
    /// size within one tensor. errors: io (a full disk; what is written stays of use)
    virtual Status append(std::span<const std::byte> bytes) = 0;
    /// Writes pack.json when all blobs are there and removes the journal. errors: io
    virtual Status finish() = 0;
};

/// Creates the folder, or goes on in one that holds a part of the same pack (or all of it).
/// errors: invalid_argument (the folder holds something else, or a part of another pack), io
Result<std::unique_ptr<PackWriter>> create_pack(const std::filesystem::path& folder,
                                                PackContent content, const PackLimits& limits = {});

/// Reads every byte and compares checksums. errors: those of opening; corrupt names the file, the
/// place and the tensors
Status verify_pack(const std::filesystem::path& folder,
                   const std::function<void(double fraction)>& progress);

/// What a pack of this model copies: config.json, tokenizer files and templates of a folder, or the
/// header of a GGUF without tensors as metadata.gguf. errors: io
Result<std::vector<PackCopy>> files_to_copy(const Checkpoint& checkpoint);

}  // namespace nereus
