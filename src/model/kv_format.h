#pragma once
// Which format the rows of a model's cache get, and how many bytes that makes: from the
// configuration and the weights' formats, so that `inspect` says what a run will take.

#include <cstdint>
#include <optional>

#include "base/result.h"
#include "compute/kv_rows.h"
#include "memory/kv_cache.h"
#include "model/config.h"
#include "weights/checkpoint.h"

namespace nereus {

/// wanted, or without it: int8 for latent attention beside weights of panel formats, whose products
/// round activations to int8 anyway; f32 for all others (docs/decisions/0007).
/// errors: unsupported (int8 for grouped attention)
Result<KvFormat> choose_kv_format(std::optional<KvFormat> wanted, const ModelConfig& config,
                                  bool has_panels);

/// Whether any tensor is stored in a panel format.
bool has_panels(const Checkpoint& checkpoint);

/// All layers' rows, for caches of max_tokens.
KvSpec kv_spec_of(const ModelConfig& config, KvFormat format, int64_t max_tokens);

}  // namespace nereus
