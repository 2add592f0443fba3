#pragma once
// The choice of routed experts for one token (models.md 4.3 and 4.4 of the specification): scores,
// groups, top-k, weights. Ids are valid and distinct whatever the logits are, NaN included.

#include <cstdint>

#include "compute/backend.h"
#include "compute/cpu/kernels.h"

namespace nereus {

/// Floats of scratch that route_token needs.
int64_t router_scratch_floats(int64_t n_experts, const RouterParams& params);

void route_token(const KernelTable& kernels, const float* logits, int64_t n_experts,
                 const RouterParams& params, float* scratch, int32_t* ids, float* weights);

}  // namespace nereus
