#include "model/config.h"

#include <cmath>

#include "base/json.h"
#include "model/families/config_source.h"
#include "model/family.h"

namespace nereus {
namespace {

constexpr int64_t kLayersMax = 4096;
constexpr int64_t kHeadsMax = 65536;

Status read_common(const ConfigSource& source, ModelConfig& config) {
    config.vocab_size = NEREUS_TRY(source.integer("vocab_size"));
    config.hidden_size = NEREUS_TRY(source.integer("hidden_size"));
    config.intermediate_size = NEREUS_TRY(source.integer("intermediate_size"));
    config.num_hidden_layers = NEREUS_TRY(source.integer("num_hidden_layers", 1, kLayersMax));
    config.num_attention_heads = NEREUS_TRY(source.integer("num_attention_heads", 1, kHeadsMax));
    config.num_key_value_heads = config.num_attention_heads;
    config.max_position_embeddings =
        NEREUS_TRY(source.integer_or("max_position_embeddings", 2048, 1));
    config.rms_norm_eps = NEREUS_TRY(source.number_or("rms_norm_eps", 1e-6, 0, 1));
    // Above 1: YaRN divides by its logarithm. Published models have 10,000 and more.
    config.rope_theta = NEREUS_TRY(source.number_or("rope_theta", 10000, 1.01, 1e15));
    config.tie_word_embeddings = NEREUS_TRY(source.boolean_or("tie_word_embeddings", false));
    config.attention_bias = NEREUS_TRY(source.boolean_or("attention_bias", false));
    config.rope_scaling = NEREUS_TRY(source.rope_scaling());
    const std::string act = NEREUS_TRY(source.text_or("hidden_act", "silu"));
    if (act != "silu") {
        return source.unsupported("hidden_act", act, "silu");
    }
    return {};
}

Status read_token_ids(const Json& config, std::string_view key, const std::string& origin,
                      std::vector<int32_t>& ids) {
    const auto found = config.find(key);
    if (found == config.end() || found->is_null()) {
        return {};
    }
    const Json list = found->is_array() ? *found : Json::array({*found});
    for (const Json& id : list) {
        if (!id.is_number_integer() || id.get<int64_t>() < 0 || id.get<int64_t>() > kDimensionMax) {
            return make_error(ErrorCode::kCorrupt, "{}: {} is {}, expected a token id", origin, key,
                              dump_json(*found).substr(0, 60));
        }
        ids.push_back(id.get<int32_t>());
    }
    return {};
}

Result<const Family*> family_for(std::string_view name, bool known, const Family* family,
                                 const std::string& origin) {
    if (family != nullptr) {
        return family;
    }
    return make_error(known ? ErrorCode::kUnsupported : ErrorCode::kCorrupt,
                      "{}: model_type is \"{}\"; this build knows {}", origin, name,
                      family_names());
}

/// deepseek2 holds both V2 and V3: the gating function tells them apart.
const Family* gguf_family(std::string_view architecture, const GgufMetadata& header) {
    if (architecture == "deepseek2") {
        const bool sigmoid = header.integer("deepseek2.expert_gating_func") == 2;
        return find_family(sigmoid ? "deepseek_v3" : "deepseek_v2");
    }
    for (const Family* family : all_families()) {
        if (family->gguf_architecture == architecture) {
            return family;
        }
    }
    return nullptr;
}

}  // namespace

double yarn_mscale(double factor, double mscale) {
    return factor <= 1 ? 1.0 : 0.1 * mscale * std::log(factor) + 1.0;
}

float ModelConfig::softmax_scale() const {
    double scale = 1.0 / std::sqrt(static_cast<double>(head_dim));
    if (rope_scaling.type == RopeScalingType::kYarn && rope_scaling.mscale_all_dim != 0) {
        const double mscale = yarn_mscale(rope_scaling.factor, rope_scaling.mscale_all_dim);
        scale *= mscale * mscale;
    }
    return static_cast<float>(scale);
}

Result<ModelConfig> config_from_json(const Json& json, const std::string& origin) {
    if (!json.is_object()) {
        return make_error(ErrorCode::kCorrupt, "{}: expected a JSON object", origin);
    }
    const auto source = source_from_json(json, origin);
    ModelConfig config;
    config.model_type = NEREUS_TRY(source->text_or("model_type", ""));
    const Family* family = NEREUS_TRY(family_for(config.model_type, !config.model_type.empty(),
                                                 find_family(config.model_type), origin));
    config.rope_layout = family->rope_layout;
    NEREUS_TRY(read_common(*source, config));
    NEREUS_TRY(family->read(*source, config));
    NEREUS_TRY(read_token_ids(json, "eos_token_id", origin, config.eos_token_ids));
    std::vector<int32_t> bos;
    NEREUS_TRY(read_token_ids(json, "bos_token_id", origin, bos));
    config.bos_token_id = bos.empty() ? -1 : bos.front();
    return config;
}

Result<ModelConfig> config_from_gguf(const Checkpoint& checkpoint) {
    const GgufMetadata& header = *checkpoint.gguf();
    const std::string origin = checkpoint.path().string();
    const auto architecture = header.string("general.architecture").value_or("");
    const Family* family = NEREUS_TRY(
        family_for(architecture, !architecture.empty(), gguf_family(architecture, header), origin));
    const auto source = source_from_gguf(checkpoint, architecture);
    ModelConfig config;
    config.model_type = family->model_type;
    config.rope_layout = family->gguf_rope_layout;
    NEREUS_TRY(read_common(*source, config));
    NEREUS_TRY(family->read(*source, config));
    for (const char* key : {"tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id"}) {
        if (const auto id = header.integer(key); id && *id >= 0 && *id < config.vocab_size) {
            config.eos_token_ids.push_back(static_cast<int32_t>(*id));
        }
    }
    const auto bos = header.integer("tokenizer.ggml.bos_token_id").value_or(-1);
    config.bos_token_id = bos >= 0 && bos < config.vocab_size ? static_cast<int32_t>(bos) : -1;
    return config;
}

Result<ModelConfig> config_of(const Checkpoint& checkpoint) {
    if (checkpoint.kind() == CheckpointKind::kGguf) {
        return config_from_gguf(checkpoint);
    }
    return config_from_json(checkpoint.config(), (checkpoint.path() / "config.json").string());
}

}  // namespace nereus
