#pragma once
// Writing published kinds of model files, tensor by tensor: a Hugging Face folder of safetensors,
// or a GGUF. For models that are made up: nothing here can be resumed.

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "tensor/format.h"
#include "tensor/tensor.h"

namespace nereus {

struct FileTensor {
    std::string name;
    FormatId format = FormatId::kF32;
    Shape shape;
};

/// Takes the bytes of all tensors in order, back to back. threads: one at a time.
class TensorFileWriter {
  public:
    virtual ~TensorFileWriter() = default;
    virtual Status append(std::span<const std::byte> bytes) = 0;
    /// errors: io
    virtual Status finish() = 0;
};

/// A folder: shards of at most shard_bytes and their index, and these files beside them. Formats:
/// f32, bf16, and fp8_block128 as F8_E4M3. errors: invalid_argument (the folder is not empty), io
Result<std::unique_ptr<TensorFileWriter>> create_safetensors_folder(
    const std::filesystem::path& folder, const std::vector<FileTensor>& tensors,
    const std::string& config_json, uint64_t shard_bytes = 5'000'000'000);

/// Key-value pairs of a GGUF header, in the order they are added.
class GgufPairs {
  public:
    void text(std::string_view key, std::string_view value);
    void integer(std::string_view key, uint32_t value);
    void number(std::string_view key, float value);
    void boolean(std::string_view key, bool value);

    const std::string& bytes() const { return bytes_; }
    uint64_t count() const { return count_; }

  private:
    void begin(std::string_view key, uint32_t type);

    std::string bytes_;
    uint64_t count_ = 0;
};

/// One GGUF (version 3) with these pairs and tensors. errors: invalid_argument (the file exists),
/// io
Result<std::unique_ptr<TensorFileWriter>> create_gguf(const std::filesystem::path& path,
                                                      const GgufPairs& pairs,
                                                      const std::vector<FileTensor>& tensors);

}  // namespace nereus
