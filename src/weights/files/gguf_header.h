#pragma once
// One GGUF file (v2 or v3, little-endian): header, metadata, tensor table, data. Format:
// ggml-org/ggml docs/gguf.md.

#include <cstddef>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "weights/checkpoint.h"
#include "weights/files/gguf_values.h"

namespace nereus {

struct GgufFile {
    std::unique_ptr<GgufValues> metadata;  ///< views into the bytes
    std::vector<StoredTensor> tensors;     ///< by offset
};

/// Reads a whole file in memory; the bytes must outlive the result. Shapes come slowest dimension
/// first. `file` names it in errors. errors: corrupt, unsupported (version, byte order, number
/// type)
Result<GgufFile> read_gguf(std::span<const std::byte> bytes, std::string_view file);

/// ggml's number of a format that GGUF has.
uint32_t gguf_type_of(FormatId format);

}  // namespace nereus
