// DeepSeek-V2 and V3: multi-head latent attention and routed experts (models.md 1.1, 1.2, 4).

#include "model/families/config_source.h"
#include "model/families/families.h"

namespace nereus {
namespace {

Status read_attention(const ConfigSource& source, ModelConfig& config) {
    config.q_lora_rank = NEREUS_TRY(source.integer_or("q_lora_rank", 0));
    config.kv_lora_rank = NEREUS_TRY(source.integer("kv_lora_rank"));
    config.qk_nope_head_dim = NEREUS_TRY(source.integer("qk_nope_head_dim", 1, 65536));
    config.qk_rope_head_dim = NEREUS_TRY(source.integer("qk_rope_head_dim", 2, 65536));
    config.v_head_dim = NEREUS_TRY(source.integer("v_head_dim", 1, 65536));
    config.head_dim = config.qk_nope_head_dim + config.qk_rope_head_dim;
    if (config.qk_rope_head_dim % 2 != 0) {
        return make_error(ErrorCode::kCorrupt,
                          "{}: qk_rope_head_dim is {}, expected an even number", source.origin(),
                          config.qk_rope_head_dim);
    }
    if (NEREUS_TRY(source.boolean_or("attention_bias", false))) {
        return source.unsupported("attention_bias", "true", "false");
    }
    return {};
}

Status read_groups(const ConfigSource& source, ModelConfig& config) {
    RouterParams& router = config.router;
    router.n_group = NEREUS_TRY(source.integer_or("n_group", 1, 1, config.n_routed_experts));
    router.topk_group = NEREUS_TRY(source.integer_or("topk_group", 1, 1, router.n_group));
    if (config.n_routed_experts % router.n_group != 0) {
        return make_error(ErrorCode::kCorrupt, "{}: {} routed experts do not divide into {} groups",
                          source.origin(), config.n_routed_experts, router.n_group);
    }
    const int64_t eligible = config.n_routed_experts / router.n_group * router.topk_group;
    if (router.n_group > 1 && router.group_score != GroupScore::kNone && eligible < router.top_k) {
        return make_error(ErrorCode::kCorrupt,
                          "{}: num_experts_per_tok is {}, but {} groups hold only {} experts",
                          source.origin(), router.top_k, router.topk_group, eligible);
    }
    return {};
}

Status read_scoring(const ConfigSource& source, std::string_view fallback, RouterParams& router) {
    const std::string scoring = NEREUS_TRY(source.text_or("scoring_func", fallback));
    if (scoring != "softmax" && scoring != "sigmoid") {
        return source.unsupported("scoring_func", scoring, "softmax, sigmoid");
    }
    router.scoring = scoring == "sigmoid" ? RouterScoring::kSigmoid : RouterScoring::kSoftmax;
    return {};
}

Status read_experts(const ConfigSource& source, ModelConfig& config) {
    config.n_routed_experts = NEREUS_TRY(source.integer_or("n_routed_experts", 0, 0, 65536));
    if (config.n_routed_experts == 0) {
        config.first_k_dense_replace = config.num_hidden_layers;
        return {};
    }
    config.moe_intermediate_size = NEREUS_TRY(source.integer("moe_intermediate_size"));
    config.n_shared_experts = NEREUS_TRY(source.integer_or("n_shared_experts", 0, 0, 1024));
    config.num_experts_per_tok =
        NEREUS_TRY(source.integer("num_experts_per_tok", 1, config.n_routed_experts));
    config.first_k_dense_replace =
        NEREUS_TRY(source.integer_or("first_k_dense_replace", 0, 0, config.num_hidden_layers));
    config.moe_layer_freq = NEREUS_TRY(source.integer_or("moe_layer_freq", 1, 1));
    RouterParams& router = config.router;
    router.top_k = config.num_experts_per_tok;
    router.norm_topk_prob = NEREUS_TRY(source.boolean_or("norm_topk_prob", false));
    router.routed_scaling_factor =
        static_cast<float>(NEREUS_TRY(source.number_or("routed_scaling_factor", 1.0, -1e6, 1e6)));
    return {};
}

void plan_layers(ModelConfig& config) {
    for (int64_t i = 0; i < config.num_hidden_layers; ++i) {
        const bool experts = config.n_routed_experts > 0 && i >= config.first_k_dense_replace &&
                             i % config.moe_layer_freq == 0;
        config.layers.push_back(
            {AttentionKind::kLatent, experts ? FfnKind::kExperts : FfnKind::kDense});
    }
}

/// How the groups of a topk_method are scored. GGUF has no topk_method: the fallback decides.
Status read_topk_method(const ConfigSource& source, std::string_view fallback,
                        RouterParams& router) {
    static constexpr std::pair<std::string_view, GroupScore> kMethods[] = {
        {"greedy", GroupScore::kNone},
        {"group_limited_greedy", GroupScore::kMax},
        {"noaux_tc", GroupScore::kTopTwoSum},
    };
    const std::string method = NEREUS_TRY(source.text_or("topk_method", fallback));
    for (const auto& [name, score] : kMethods) {
        if (name == method) {
            router.group_score = score;
            return {};
        }
    }
    return source.unsupported("topk_method", method, "greedy, group_limited_greedy, noaux_tc");
}

Status read_v2(const ConfigSource& source, ModelConfig& config) {
    NEREUS_TRY(read_deepseek(source, config));
    if (config.n_routed_experts == 0) {
        return {};
    }
    config.router.scale_after_norm = false;
    NEREUS_TRY(read_scoring(source, "softmax", config.router));
    const bool grouped = NEREUS_TRY(source.integer_or("n_group", 1)) > 1;
    NEREUS_TRY(
        read_topk_method(source, grouped ? "group_limited_greedy" : "greedy", config.router));
    return read_groups(source, config);
}

Status read_v3(const ConfigSource& source, ModelConfig& config) {
    NEREUS_TRY(read_deepseek(source, config));
    config.num_nextn_predict_layers =
        NEREUS_TRY(source.integer_or("num_nextn_predict_layers", 0, 0, 64));
    if (config.n_routed_experts == 0) {
        return {};
    }
    NEREUS_TRY(read_scoring(source, "sigmoid", config.router));
    NEREUS_TRY(read_topk_method(source, "noaux_tc", config.router));
    return read_groups(source, config);
}

}  // namespace

Status read_deepseek(const ConfigSource& source, ModelConfig& config) {
    NEREUS_TRY(read_attention(source, config));
    NEREUS_TRY(read_experts(source, config));
    plan_layers(config);
    return {};
}

const Family kDeepseekV2 = {"deepseek_v2", "deepseek2", RopeLayout::kInterleaved,
                            RopeLayout::kInterleaved, read_v2};

const Family kDeepseekV3 = {"deepseek_v3", "deepseek2", RopeLayout::kInterleaved,
                            RopeLayout::kInterleaved, read_v3};

}  // namespace nereus
