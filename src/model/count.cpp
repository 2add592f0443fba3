#include "model/count.h"

#include <charconv>

namespace nereus {
namespace {

// Indexed by ModelPart.
constexpr std::string_view kPartNames[] = {
    "embedding", "attention", "dense_ffn", "shared_experts", "routed_experts", "router",
    "norms",     "head",      "mtp",       "other"};
static_assert(std::size(kPartNames) == kModelParts);

/// The first row whose pattern occurs in the name decides; norms come before the blocks they sit
/// in, experts before the dense FFN whose names they contain.
struct PatternRow {
    std::string_view pattern;
    ModelPart part;
};
constexpr PatternRow kPatterns[] = {
    {"norm", ModelPart::kNorms},
    {".mlp.experts.", ModelPart::kRoutedExperts},
    {"_exps.", ModelPart::kRoutedExperts},
    {".shared_experts.", ModelPart::kSharedExperts},
    {"_shexp.", ModelPart::kSharedExperts},
    {".mlp.gate.", ModelPart::kRouter},
    {"ffn_gate_inp", ModelPart::kRouter},
    {"exp_probs_b", ModelPart::kRouter},
    {".self_attn.", ModelPart::kAttention},
    {".attn_", ModelPart::kAttention},
    {".mlp.", ModelPart::kDenseFfn},
    {".ffn_", ModelPart::kDenseFfn},
    {"embed_tokens", ModelPart::kEmbedding},
    {"token_embd", ModelPart::kEmbedding},
    {"lm_head", ModelPart::kHead},
    {"output.weight", ModelPart::kHead},
};

/// The layer number after "model.layers." or "blk."; -1 for tensors outside layers.
int64_t layer_of(std::string_view name) {
    for (const std::string_view prefix : {"model.layers.", "blk."}) {
        int64_t layer = -1;
        if (name.starts_with(prefix)) {
            name.remove_prefix(prefix.size());
            std::from_chars(name.data(), name.data() + name.size(), layer);
            return layer;
        }
    }
    return -1;
}

int64_t latent_attention(const ModelConfig& c) {
    const int64_t heads = c.num_attention_heads;
    const int64_t q_rows = heads * (c.qk_nope_head_dim + c.qk_rope_head_dim);
    const int64_t q =
        c.q_lora_rank > 0 ? c.q_lora_rank * (c.hidden_size + q_rows) : c.hidden_size * q_rows;
    const int64_t kv_a = (c.kv_lora_rank + c.qk_rope_head_dim) * c.hidden_size;
    const int64_t kv_b = heads * (c.qk_nope_head_dim + c.v_head_dim) * c.kv_lora_rank;
    return q + kv_a + kv_b + heads * c.v_head_dim * c.hidden_size;
}

int64_t grouped_attention(const ModelConfig& c) {
    const int64_t q = c.num_attention_heads * c.head_dim;
    const int64_t kv = 2 * c.num_key_value_heads * c.head_dim;
    return c.hidden_size * (2 * q + kv) + (c.attention_bias ? q + kv : 0);
}

void add_layer(const ModelConfig& c, const LayerPlan& plan, PartCounts& counts) {
    const bool latent = plan.attention == AttentionKind::kLatent;
    counts[ModelPart::kAttention] += latent ? latent_attention(c) : grouped_attention(c);
    counts[ModelPart::kNorms] += 2 * c.hidden_size + (latent ? c.q_lora_rank + c.kv_lora_rank : 0);
    if (plan.ffn == FfnKind::kDense) {
        counts[ModelPart::kDenseFfn] += 3 * c.hidden_size * c.intermediate_size;
        return;
    }
    const int64_t expert = 3 * c.hidden_size * c.moe_intermediate_size;
    // e_score_correction_bias belongs to topk_method noaux_tc, not to the sigmoid.
    const bool biased = c.router.group_score == GroupScore::kTopTwoSum;
    const int64_t bias = biased ? c.n_routed_experts : 0;
    counts[ModelPart::kRoutedExperts] += c.n_routed_experts * expert;
    counts[ModelPart::kSharedExperts] += c.n_shared_experts * expert;
    counts[ModelPart::kRouter] += c.n_routed_experts * c.hidden_size + bias;
}

/// A whole layer, enorm, hnorm, eh_proj and shared_head.norm (models.md 2.2).
int64_t mtp_layer(const ModelConfig& c) {
    PartCounts layer;
    add_layer(c, c.layers.back(), layer);
    return layer.total() + 3 * c.hidden_size + 2 * c.hidden_size * c.hidden_size;
}

}  // namespace

std::string_view model_part_name(ModelPart part) { return kPartNames[static_cast<size_t>(part)]; }

int64_t PartCounts::total() const {
    int64_t sum = 0;
    for (const int64_t value : values) {
        sum += value;
    }
    return sum - (*this)[ModelPart::kMtp];
}

PartCounts count_parameters(const ModelConfig& config) {
    PartCounts counts;
    const int64_t ends = config.vocab_size * config.hidden_size;
    counts[ModelPart::kEmbedding] = ends;
    counts[ModelPart::kHead] = config.tie_word_embeddings ? 0 : ends;
    counts[ModelPart::kNorms] = config.hidden_size;
    for (const LayerPlan& plan : config.layers) {
        add_layer(config, plan, counts);
    }
    if (config.num_nextn_predict_layers > 0) {
        counts[ModelPart::kMtp] = config.num_nextn_predict_layers * mtp_layer(config);
    }
    return counts;
}

int64_t active_parameters(const ModelConfig& config) {
    const PartCounts counts = count_parameters(config);
    const int64_t routed = counts[ModelPart::kRoutedExperts];
    return counts.total() - routed +
           (routed == 0 ? 0 : routed / config.n_routed_experts * config.num_experts_per_tok);
}

double share_read_per_token(const ModelConfig& config, ModelPart part) {
    switch (part) {
        case ModelPart::kEmbedding:
            return config.tie_word_embeddings ? 1.0 : 1.0 / static_cast<double>(config.vocab_size);
        case ModelPart::kRoutedExperts:
            return config.n_routed_experts == 0 ? 0.0
                                                : static_cast<double>(config.num_experts_per_tok) /
                                                      static_cast<double>(config.n_routed_experts);
        case ModelPart::kMtp:
            return 0.0;
        default:
            return 1.0;
    }
}

ModelPart part_of_tensor(std::string_view name, const ModelConfig& config) {
    if (layer_of(name) >= config.num_hidden_layers) {
        return ModelPart::kMtp;
    }
    for (const PatternRow& row : kPatterns) {
        if (name.find(row.pattern) != std::string_view::npos) {
            return row.part;
        }
    }
    return ModelPart::kOther;
}

int64_t kv_values_per_token(const ModelConfig& config) {
    int64_t sum = 0;
    for (const LayerPlan& plan : config.layers) {
        sum += plan.attention == AttentionKind::kLatent
                   ? config.kv_lora_rank + config.qk_rope_head_dim
                   : 2 * config.num_key_value_heads * config.head_dim;
    }
    return sum;
}

}  // namespace nereus
