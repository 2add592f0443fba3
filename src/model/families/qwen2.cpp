// Qwen2, the base of R1-Distill-Qwen: q, k, v biases, rotate-half RoPE (models.md 9).

#include "model/families/config_source.h"
#include "model/families/families.h"

namespace nereus {
namespace {

Status read_qwen2(const ConfigSource& source, ModelConfig& config) {
    if (NEREUS_TRY(source.boolean_or("use_sliding_window", false))) {
        return source.unsupported("use_sliding_window", "true", "false");
    }
    config.attention_bias = true;  // on q, k and v, in every Qwen2; config.json does not say so
    return read_grouped_dense(source, config);
}

}  // namespace

const Family kQwen2 = {"qwen2", "qwen2", RopeLayout::kRotateHalf, RopeLayout::kRotateHalf,
                       read_qwen2};

}  // namespace nereus
