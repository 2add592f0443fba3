#pragma once
// The rows of the family table; each is defined in its own file here.

#include "model/family.h"

namespace nereus {

extern const Family kDeepseekV2;
extern const Family kDeepseekV3;
extern const Family kQwen2;
extern const Family kLlama;

/// The fields DeepSeek-V2 and V3 share: MLA and expert dimensions (models.md 1.1, 1.2).
Status read_deepseek(const ConfigSource& source, ModelConfig& config);

/// Grouped attention with dense layers: Qwen2 and Llama (models.md 1.6).
Status read_grouped_dense(const ConfigSource& source, ModelConfig& config);

}  // namespace nereus
