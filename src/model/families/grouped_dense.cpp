// What Qwen2 and Llama share: grouped-query attention and a dense SwiGLU in every layer.

#include "model/families/config_source.h"
#include "model/families/families.h"

namespace nereus {

Status read_grouped_dense(const ConfigSource& source, ModelConfig& config) {
    const int64_t heads = config.num_attention_heads;
    config.num_key_value_heads = NEREUS_TRY(source.integer_or("num_key_value_heads", heads, 1));
    if (heads % config.num_key_value_heads != 0) {
        return make_error(ErrorCode::kCorrupt,
                          "{}: num_attention_heads {} is not a multiple of num_key_value_heads {}",
                          source.origin(), heads, config.num_key_value_heads);
    }
    const auto head_dim = NEREUS_TRY(source.find_integer("head_dim"));
    if (!head_dim.has_value() && config.hidden_size % heads != 0) {
        return make_error(ErrorCode::kCorrupt, "{}: hidden_size {} is not a multiple of {} heads",
                          source.origin(), config.hidden_size, heads);
    }
    config.head_dim =
        NEREUS_TRY(source.integer_or("head_dim", config.hidden_size / heads, 2, 65536));
    if (config.head_dim % 2 != 0) {
        return make_error(ErrorCode::kCorrupt, "{}: head_dim is {}, expected an even number",
                          source.origin(), config.head_dim);
    }
    config.v_head_dim = config.head_dim;
    config.layers.assign(static_cast<size_t>(config.num_hidden_layers),
                         {AttentionKind::kGrouped, FfnKind::kDense});
    return {};
}

}  // namespace nereus
