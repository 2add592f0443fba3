#pragma once
// What a GGUF of a made-up model says about itself, and which formats llama.cpp's Q4_K_M mixes.

#include "model/config.h"
#include "model/tensor_plan.h"
#include "weights/model_files.h"

namespace nereus {

/// Header of the architecture deepseek2, qwen2 or llama, without a vocabulary.
GgufPairs gguf_pairs(const ModelConfig& config);

/// A tensor in the format that llama-quantize gives it under Q4_K_M, in the dimensions of a GGUF.
FileTensor q4_k_m_tensor(const ModelTensor& tensor, const ModelConfig& config);

}  // namespace nereus
