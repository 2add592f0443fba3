#pragma once
// The Checkpoint both file kinds end in: owns the mappings, the widened scales and the index by
// name.

#include <memory>
#include <vector>

#include "base/file.h"
#include "base/result.h"
#include "weights/checkpoint.h"

namespace nereus {

struct CheckpointParts {
    CheckpointKind kind = CheckpointKind::kHuggingFace;
    bool is_pack = false;
    std::filesystem::path path;
    std::vector<MappedFile> files;
    std::vector<StoredTensor> tensors;
    std::vector<std::unique_ptr<float[]>> owned_scales;
    std::unique_ptr<Json> config;             ///< null for GGUF
    std::unique_ptr<Json> generation_config;  ///< null when absent
    std::unique_ptr<GgufMetadata> gguf;       ///< null for a folder
};

/// No two tensors share a name (tensor_layout.h refuses that).
std::unique_ptr<Checkpoint> make_checkpoint(CheckpointParts parts);

}  // namespace nereus
