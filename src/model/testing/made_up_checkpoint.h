#pragma once
// A checkpoint that is only a list of tensors: names, formats and shapes, for accounts of bytes.

#include <list>
#include <vector>

#include "base/json.h"
#include "weights/checkpoint.h"

namespace nereus {

class MadeUpCheckpoint final : public Checkpoint {
  public:
    /// Its bytes are zeros; with scales, one float a block of 128 x 128 begun.
    void add(const std::string& name, FormatId format, std::vector<int64_t> dims) {
        StoredTensor tensor;
        tensor.name = name;
        tensor.format = format;
        tensor.shape = {std::move(dims)};
        const int64_t rows = tensor.shape.rows();
        const int64_t cols = tensor.shape.cols();
        auto& bytes =
            bytes_.emplace_back(static_cast<size_t>(format_of(format).matrix_bytes(rows, cols)));
        tensor.data = bytes;
        if (format == FormatId::kFp8Block128) {
            tensor.scales = &scale_;
        }
        tensors_.push_back(std::move(tensor));
    }

    CheckpointKind kind() const override { return CheckpointKind::kHuggingFace; }
    const std::filesystem::path& path() const override { return path_; }
    std::span<const StoredTensor> tensors() const override { return tensors_; }
    const StoredTensor* find(std::string_view name) const override {
        for (const StoredTensor& tensor : tensors_) {
            if (tensor.name == name) {
                return &tensor;
            }
        }
        return nullptr;
    }
    const Json& config() const override { return nothing_; }
    const Json& generation_config() const override { return nothing_; }
    const GgufMetadata* gguf() const override { return nullptr; }
    uint64_t n_file_bytes() const override {
        uint64_t sum = 0;
        for (const auto& bytes : bytes_) {
            sum += bytes.size();
        }
        return sum;
    }

  private:
    std::list<std::vector<std::byte>> bytes_;
    std::vector<StoredTensor> tensors_;
    std::filesystem::path path_ = "made-up";
    Json nothing_;
    float scale_ = 1;
};

}  // namespace nereus
