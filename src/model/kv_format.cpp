#include "model/kv_format.h"

#include <algorithm>

#include "tensor/format.h"

namespace nereus {

Result<KvFormat> choose_kv_format(std::optional<KvFormat> wanted, const ModelConfig& config,
                                  bool has_panels) {
    const bool is_latent = config.kv_lora_rank > 0;
    if (!wanted) {
        return is_latent && has_panels ? KvFormat::kInt8 : KvFormat::kF32;
    }
    if (*wanted == KvFormat::kInt8 && !is_latent) {
        return make_error(ErrorCode::kUnsupported,
                          "--cache int8 is for latent attention; {} has keys and values of {} heads, "
                          "for which there are f32 and bf16",
                          config.model_type, config.num_key_value_heads);
    }
    return *wanted;
}

bool has_panels(const Checkpoint& checkpoint) {
    const auto& tensors = checkpoint.tensors();
    return std::any_of(tensors.begin(), tensors.end(), [](const StoredTensor& tensor) {
        return format_of(tensor.format).panel != nullptr;
    });
}

KvSpec kv_spec_of(const ModelConfig& config, KvFormat format, int64_t max_tokens) {
    const int64_t width = config.kv_lora_rank > 0 ? config.kv_lora_rank + config.qk_rope_head_dim
                                                  : 2 * config.num_key_value_heads * config.head_dim;
    KvSpec spec;
    spec.row_floats.assign(static_cast<size_t>(config.num_hidden_layers), width);
    spec.page_tokens = kv_format_row(format).page_tokens;
    spec.max_tokens = max_tokens;
    spec.format = format;
    spec.latent = config.kv_lora_rank;
    return spec;
}

}  // namespace nereus
