#pragma once
// One home for tensor names: what each part is called in a Hugging Face folder and in a GGUF
// (models.md 2, 14.2).

#include <string>

#include "weights/checkpoint.h"

namespace nereus {

enum class Part {
    kEmbedding,
    kFinalNorm,
    kHead,
    kRopeFactors,
    kInputNorm,
    kPostNorm,
    kQ,
    kK,
    kV,
    kO,
    kQBias,
    kKBias,
    kVBias,
    kOBias,
    kQA,
    kQANorm,
    kQB,
    kKvA,
    kKvANorm,
    kKvB,
    kKB,
    kVB,
    kGate,
    kUp,
    kDown,
    kRouter,
    kRouterBias,
    kExpertGate,
    kExpertUp,
    kExpertDown,
    kSharedGate,
    kSharedUp,
    kSharedDown,
};

/// The name of a part; layer and expert are ignored where the part has none. A GGUF stacks experts
/// in one tensor, so its names have no expert.
std::string tensor_name(Part part, CheckpointKind kind, int64_t layer = 0, int64_t expert = 0);

}  // namespace nereus
