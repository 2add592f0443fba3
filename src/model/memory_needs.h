#pragma once
// What a model needs in memory, by part: the input of memory/plan.h.

#include <cstdint>

#include "memory/plan.h"
#include "model/config.h"
#include "weights/checkpoint.h"

namespace nereus {

/// Activations of one row of a chunk, in all buffers of a pass.
uint64_t activation_bytes_per_row(const ModelConfig& config);

/// The checkpoint's needs, all but slot_bytes (memory/expert_bank.h knows it) and
/// kv_bytes_per_token (the model's KvSpec). process_bytes: what the process takes now, files open
/// and tokenizer read, and what it will take beside the parts of the plan.
MemoryNeeds memory_needs(const Checkpoint& checkpoint, const ModelConfig& config);

}  // namespace nereus
