#pragma once
// What a model's config.json (or GGUF header) says, in one struct with the published names.

#include <cstdint>
#include <string>
#include <vector>

#include "base/json_fwd.h"
#include "base/result.h"
#include "compute/backend.h"
#include "weights/checkpoint.h"

namespace nereus {

enum class RopeScalingType { kNone, kYarn, kLlama3, kLinear, kFactors };

/// rope_scaling / rope_parameters (models.md 3.6, 9).
struct RopeScaling {
    RopeScalingType type = RopeScalingType::kNone;
    double factor = 1;
    int64_t original_max_position_embeddings = 0;
    double beta_fast = 32, beta_slow = 1, mscale = 1, mscale_all_dim = 0;  // yarn
    double low_freq_factor = 1, high_freq_factor = 4;                      // llama3
    std::vector<float> factors;  ///< divisors of each frequency (GGUF rope_freqs.weight)
};

enum class AttentionKind { kLatent, kGrouped };
enum class FfnKind { kDense, kExperts };

/// What one layer is made of.
struct LayerPlan {
    AttentionKind attention = AttentionKind::kLatent;
    FfnKind ffn = FfnKind::kDense;
};

/// Fields are named as in config.json; zero or false where a family has no such thing.
struct ModelConfig {
    std::string model_type;  ///< "deepseek_v3", "qwen2", ...
    int64_t vocab_size = 0, hidden_size = 0, intermediate_size = 0, num_hidden_layers = 0;
    int64_t num_attention_heads = 0, num_key_value_heads = 0, head_dim = 0;
    int64_t max_position_embeddings = 0;
    double rms_norm_eps = 1e-6, rope_theta = 10000;
    bool tie_word_embeddings = false, attention_bias = false;
    RopeScaling rope_scaling;
    RopeLayout rope_layout = RopeLayout::kInterleaved;
    // MLA
    int64_t q_lora_rank = 0, kv_lora_rank = 0;  ///< q_lora_rank 0: one q_proj
    int64_t qk_nope_head_dim = 0, qk_rope_head_dim = 0, v_head_dim = 0;
    // MoE
    int64_t moe_intermediate_size = 0, n_routed_experts = 0, n_shared_experts = 0;
    int64_t num_experts_per_tok = 0, first_k_dense_replace = 0, moe_layer_freq = 1;
    RouterParams router;  ///< without the bias pointer
    int64_t num_nextn_predict_layers = 0;
    std::vector<int32_t> eos_token_ids;
    int32_t bos_token_id = -1;

    std::vector<LayerPlan> layers;  ///< num_hidden_layers entries

    /// 1/sqrt(qk dim), times the YaRN mscale squared.
    float softmax_scale() const;
};

/// 0.1 * mscale * ln(factor) + 1, or 1 without extension (models.md 3.6).
double yarn_mscale(double factor, double mscale);

/// Reads and checks a config.json. errors: corrupt (a field missing, of the wrong type or absurd;
/// names key, expected and found), unsupported (model_type, with the known ones)
Result<ModelConfig> config_from_json(const Json& config, const std::string& origin);
Result<ModelConfig> config_from_gguf(const Checkpoint& checkpoint);
Result<ModelConfig> config_of(const Checkpoint& checkpoint);

}  // namespace nereus
