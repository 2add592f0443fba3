#pragma once
// What is in the files of a model: metadata, tensors and their bytes, mapped and validated. Knows
// neither CPUs nor budgets nor what a transformer is.

#include <cstddef>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/json_fwd.h"
#include "base/result.h"
#include "tensor/format.h"
#include "tensor/tensor.h"

namespace nereus {

/// One tensor of a checkpoint. `data` points into the mapping and lives as long as the Checkpoint.
struct StoredTensor {
    std::string name;
    FormatId format = FormatId::kF32;
    Shape shape;
    std::span<const std::byte> data;  ///< exactly format.matrix_bytes(rows, cols) bytes
    /// For fp8_block128: the companion `weight_scale_inv`, F32 or BF16 widened to
    /// [ceil(rows/128), ceil(cols/128)]; owned by the Checkpoint. null otherwise.
    const float* scales = nullptr;
    std::string scales_file;     ///< where they are mapped from; "" when the Checkpoint owns them
    uint64_t scales_offset = 0;  ///< in that file
    std::string file;            ///< which file, for messages
    uint64_t offset = 0;         ///< byte offset of `data` in that file
};

/// Values of a GGUF header. Arrays of strings stay views into the mapping.
class GgufMetadata {
  public:
    virtual ~GgufMetadata() = default;
    virtual bool contains(std::string_view key) const = 0;
    virtual std::optional<int64_t> integer(std::string_view key) const = 0;  ///< any int type, bool
    virtual std::optional<double> number(std::string_view key) const = 0;    ///< any numeric type
    virtual std::optional<std::string_view> string(std::string_view key) const = 0;
    virtual std::vector<std::string_view> strings(std::string_view key) const = 0;  ///< or empty
    virtual std::vector<double> numbers(std::string_view key) const = 0;            ///< or empty
    /// A GGUF file with these values, sorted by key, and no tensors; what speaks of parts of a
    /// split model is left out.
    virtual std::string as_file() const = 0;
};

enum class CheckpointKind { kHuggingFace, kGguf };

/// A model's files, opened, mapped and validated: sizes and offsets by checked arithmetic, no
/// overlaps, no duplicates, every tensor inside its file, every fp8 tensor with scales of the right
/// shape. threads: read from any number.
class Checkpoint {
  public:
    virtual ~Checkpoint() = default;
    virtual CheckpointKind kind() const = 0;
    /// Whether it is a pack, so that its tensors lie as kernels want them.
    virtual bool is_pack() const { return false; }
    virtual const std::filesystem::path& path() const = 0;

    /// All tensors in file order (weight_scale_inv companions are not listed by themselves).
    virtual std::span<const StoredTensor> tensors() const = 0;
    /// nullptr when there is none of that name.
    virtual const StoredTensor* find(std::string_view name) const = 0;

    /// config.json and generation_config.json of a folder; a null Json for GGUF or when absent.
    virtual const Json& config() const = 0;
    virtual const Json& generation_config() const = 0;
    /// The GGUF header; nullptr for a folder.
    virtual const GgufMetadata* gguf() const = 0;
    /// Bytes of all mapped files.
    virtual uint64_t n_file_bytes() const = 0;
};

/// Opens a pack (pack.h), a Hugging Face folder, a .safetensors file's folder, or a GGUF (first
/// split or the only file), by content. errors: not_found, io, corrupt, unsupported,
/// invalid_argument; each names file, tensor, offset, expected and found, and what to do.
Result<std::unique_ptr<Checkpoint>> open_checkpoint(const std::filesystem::path& path);

}  // namespace nereus
