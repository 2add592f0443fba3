#pragma once
// Block scales of FP8 weights: attaches each `X.weight_scale_inv` to its `X.weight`.

#include <memory>
#include <vector>

#include "base/json_fwd.h"
#include "base/result.h"
#include "weights/checkpoint.h"

namespace nereus {

/// Refuses quantisations this build cannot read: quant_method other than fp8, block sizes other
/// than [128, 128]. Returns whether FP8 weights must have scales. errors: corrupt, unsupported
Result<bool> check_quantization_config(const Json& config, std::string_view file);

/// Takes the companions out of `tensors`, checks their shape and points their weights, which become
/// fp8_block128, at them: at the mapping itself where it is F32 and aligned, else at a copy that is
/// appended to `owned`. errors: corrupt, unsupported
Status attach_fp8_scales(std::vector<StoredTensor>& tensors, bool scales_required,
                         std::vector<std::unique_ptr<float[]>>& owned);

}  // namespace nereus
