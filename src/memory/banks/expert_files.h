#pragma once
// ExpertFiles: where each expert's bytes are on disk and how they are laid into a slot. An expert
// of a pack is one read; of published shards or a GGUF, up to one a matrix.

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "base/input_file.h"
#include "base/result.h"
#include "memory/expert_bank.h"
#include "weights/checkpoint.h"

namespace nereus {

/// One read of an expert: a stretch of a file and where it goes.
struct ExpertRead {
    uint32_t file = 0;
    uint64_t offset = 0, n_bytes = 0;
    uint64_t slot_offset = 0;  ///< of the aligned stretch around it; a multiple of kDirectAlignment
};

class ExpertFiles {
  public:
    /// The table's weights point into the checkpoint's mapping.
    ExpertFiles(const Checkpoint& checkpoint, ExpertTable experts);

    /// Opens the files for direct reads. errors: not_found, io
    Status open();

    int64_t n_layers() const { return static_cast<int64_t>(experts_.size()); }
    int64_t n_experts(int64_t layer) const {
        return static_cast<int64_t>(experts_[static_cast<size_t>(layer)].size());
    }
    /// The largest expert's place in memory.
    uint64_t slot_bytes() const { return slot_bytes_; }

    std::span<const ExpertRead> reads(int64_t layer, int32_t id) const;
    const InputFile& file(uint32_t index) const { return files_[index]; }
    /// The expert's matrices where its reads put them.
    ExpertWeights in_slot(int64_t layer, int32_t id, const std::byte* slot) const;

  private:
    static constexpr size_t kMatrices = 3;

    struct Expert {
        std::array<ExpertRead, kMatrices> reads;
        uint32_t n_reads = 0;
        std::array<uint64_t, kMatrices> at = {};  ///< slot offset of gate, up, down
    };

    Expert plan(const ExpertWeights& weights);
    uint32_t file_index(const std::string& path);
    const Expert& expert(int64_t layer, int32_t id) const {
        return plans_[static_cast<size_t>(layer)][static_cast<size_t>(id)];
    }

    ExpertTable experts_;
    std::vector<std::vector<Expert>> plans_;
    std::vector<std::string> paths_;
    std::vector<InputFile> files_;
    std::vector<const StoredTensor*> by_address_;  ///< while planning
    uint64_t slot_bytes_ = 0;
};

}  // namespace nereus
