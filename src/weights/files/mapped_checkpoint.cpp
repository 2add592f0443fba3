#include "weights/files/mapped_checkpoint.h"

#include <unordered_map>

#include "base/check.h"
#include "base/json.h"

namespace nereus {
namespace {

class MappedCheckpoint final : public Checkpoint {
  public:
    explicit MappedCheckpoint(CheckpointParts parts) : parts_(std::move(parts)) {
        by_name_.reserve(parts_.tensors.size());
        for (const StoredTensor& tensor : parts_.tensors) {
            NEREUS_CHECK(by_name_.emplace(tensor.name, &tensor).second);
        }
    }

    CheckpointKind kind() const override { return parts_.kind; }
    bool is_pack() const override { return parts_.is_pack; }
    const std::filesystem::path& path() const override { return parts_.path; }
    std::span<const StoredTensor> tensors() const override { return parts_.tensors; }

    const StoredTensor* find(std::string_view name) const override {
        const auto place = by_name_.find(name);
        return place == by_name_.end() ? nullptr : place->second;
    }

    const Json& config() const override { return parts_.config ? *parts_.config : absent_; }
    const Json& generation_config() const override {
        return parts_.generation_config ? *parts_.generation_config : absent_;
    }
    const GgufMetadata* gguf() const override { return parts_.gguf.get(); }

    uint64_t n_file_bytes() const override {
        uint64_t n_bytes = 0;
        for (const MappedFile& file : parts_.files) {
            n_bytes += file.bytes().size();
        }
        return n_bytes;
    }

  private:
    const CheckpointParts parts_;
    std::unordered_map<std::string_view, const StoredTensor*> by_name_;  ///< views into parts_
    const Json absent_;
};

}  // namespace

std::unique_ptr<Checkpoint> make_checkpoint(CheckpointParts parts) {
    return std::make_unique<MappedCheckpoint>(std::move(parts));
}

}  // namespace nereus
