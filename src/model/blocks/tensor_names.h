#pragma once
// One home for tensor names: what each part is called in a Hugging Face folder and in a GGUF
// (models.md 2, 14.2). Hugging Face names of k_b and v_b are those of packs (tensor_plan.h).

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

/// The name of one expert's matrix in a pack: the Hugging Face name, or the GGUF stack's with the
/// expert's number behind it.
std::string single_expert_name(Part part, CheckpointKind kind, int64_t layer, int64_t expert);

}  // namespace nereus
