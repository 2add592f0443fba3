#pragma once
// Who chooses the experts when it is not the router: recorded routing, played to a model whose own
// choice says nothing (random weights), so that caches and disks see what a real model asks for.

#include <cstdint>
#include <memory>
#include <span>

#include "base/result.h"
#include "memory/routing_trace.h"
#include "model/config.h"
#include "model/model.h"

namespace nereus {

/// threads: one at a time, as the model's forward.
class RoutingSource {
  public:
    virtual ~RoutingSource() = default;
    /// Replaces the router's choice for the tokens of a batch in one mixture layer.
    ///   ids, gates [n_tokens, top_k]; the ids of a token are distinct
    virtual void choose(int64_t layer, const Batch& batch, std::span<int32_t> ids,
                        std::span<float> gates) = 0;
};

/// Plays a trace. Each slot of the cache walks through the trace on its own, a token a token, from
/// the beginning of the sequence of its number on and round at the end, whatever its positions: a
/// repeated measurement meets new tokens, as a conversation does.
/// errors: invalid_argument (layers, experts or choices differ; trace and model are named)
Result<std::unique_ptr<RoutingSource>> replay_routing(RoutingTrace trace,
                                                      const ModelConfig& config);

}  // namespace nereus
