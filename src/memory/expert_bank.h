#pragma once
// Where routed experts live. The expert block asks its bank for the ids a batch routed to and does
// not know whether they were in memory, on disk or on another device.

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/result.h"
#include "compute/weight.h"

namespace nereus {

/// One routed expert: w_down( silu(w_gate x) * (w_up x) ).
struct ExpertWeights {
    Weight gate;  ///< [moe_intermediate_size, hidden_size]
    Weight up;    ///< [moe_intermediate_size, hidden_size]
    Weight down;  ///< [hidden_size, moe_intermediate_size]
};

/// threads: one at a time.
class ExpertBank {
  public:
    virtual ~ExpertBank() = default;
    /// out[i] becomes expert ids[i] of the layer; its bytes stay put until release of that layer.
    /// errors: io, corrupt
    virtual Status acquire(int64_t layer, std::span<const int32_t> ids,
                           std::vector<ExpertWeights>& out) = 0;
    virtual void release(int64_t layer) = 0;
};

/// All experts resident (mapped): acquire is a look-up. experts[layer] is empty for dense layers.
std::unique_ptr<ExpertBank> create_ram_bank(std::vector<std::vector<ExpertWeights>> experts);

}  // namespace nereus
