// ConfigSource over a GGUF header: config.json's names are translated to GGUF keys
// (models.md 14.1).

#include <cmath>

#include "model/families/config_source.h"

namespace nereus {
namespace {

struct KeyName {
    std::string_view config;
    std::string_view gguf;  ///< after "<architecture>."
};

constexpr KeyName kKeys[] = {
    {"hidden_size", "embedding_length"},
    {"intermediate_size", "feed_forward_length"},
    {"num_hidden_layers", "block_count"},
    {"num_attention_heads", "attention.head_count"},
    {"num_key_value_heads", "attention.head_count_kv"},
    {"max_position_embeddings", "context_length"},
    {"rms_norm_eps", "attention.layer_norm_rms_epsilon"},
    {"rope_theta", "rope.freq_base"},
    {"head_dim", "attention.key_length"},
    {"vocab_size", "vocab_size"},
    {"q_lora_rank", "attention.q_lora_rank"},
    {"kv_lora_rank", "attention.kv_lora_rank"},
    {"qk_rope_head_dim", "rope.dimension_count"},
    {"v_head_dim", "attention.value_length_mla"},
    {"moe_intermediate_size", "expert_feed_forward_length"},
    {"n_routed_experts", "expert_count"},
    {"n_shared_experts", "expert_shared_count"},
    {"num_experts_per_tok", "expert_used_count"},
    {"first_k_dense_replace", "leading_dense_block_count"},
    {"routed_scaling_factor", "expert_weights_scale"},
    {"norm_topk_prob", "expert_weights_norm"},
    {"n_group", "expert_group_count"},
    {"topk_group", "expert_group_used_count"},
};

/// Group counts of files written before the keys existed (models.md 14.1).
struct GroupDefault {
    int64_t n_routed_experts, n_group, topk_group;
};
constexpr GroupDefault kGroupDefaults[] = {{256, 8, 4}, {160, 8, 3}};

class GgufSource final : public ConfigSource {
  public:
    GgufSource(const Checkpoint& checkpoint, std::string_view architecture)
        : checkpoint_(&checkpoint),
          header_(checkpoint.gguf()),
          architecture_(architecture),
          origin_(checkpoint.path().string()) {}

    const std::string& origin() const override { return origin_; }

    Result<std::optional<int64_t>> find_integer(std::string_view key) const override {
        std::optional<int64_t> value = header_->integer(gguf_key(key));
        return value.has_value() ? value : derived(key);
    }

    Result<std::optional<double>> find_number(std::string_view key) const override {
        const auto value = header_->number(gguf_key(key));
        if (value.has_value() && !std::isfinite(*value)) {
            return make_error(ErrorCode::kCorrupt, "{}: {} is not a finite number", origin_,
                              gguf_key(key));
        }
        return value;
    }

    Result<std::optional<bool>> find_boolean(std::string_view key) const override {
        if (key == "tie_word_embeddings") {
            return std::optional<bool>(checkpoint_->find("output.weight") == nullptr);
        }
        const auto value = header_->integer(gguf_key(key));
        return value.has_value() ? std::optional<bool>(*value != 0) : std::nullopt;
    }

    Result<std::optional<std::string>> find_text(std::string_view key) const override {
        if (key != "scoring_func") {
            return std::optional<std::string>();
        }
        const auto gating = header_->integer(gguf("expert_gating_func"));
        return std::optional<std::string>(gating.value_or(1) == 2 ? "sigmoid" : "softmax");
    }

    Result<RopeScaling> rope_scaling() const override {
        RopeScaling scaling;
        const auto type = header_->string(gguf("rope.scaling.type")).value_or("none");
        if (type == "none") {
            return scaling;
        }
        if (type != "yarn" && type != "linear") {
            return unsupported("rope.scaling.type", type, "none, linear, yarn");
        }
        scaling.type = type == "yarn" ? RopeScalingType::kYarn : RopeScalingType::kLinear;
        scaling.factor = NEREUS_TRY(finite("rope.scaling.factor", 1));
        const int64_t positions = NEREUS_TRY(integer("max_position_embeddings"));
        scaling.original_max_position_embeddings =
            header_->integer(gguf("rope.scaling.original_context_length")).value_or(positions);
        const double multiplier = NEREUS_TRY(finite("rope.scaling.yarn_log_multiplier", 0));
        if (multiplier != 0) {  // 0.1 * mscale_all_dim, with mscale equal to it
            scaling.mscale = multiplier * 10;
            scaling.mscale_all_dim = multiplier * 10;
        }
        if (!(scaling.factor > 0) || scaling.original_max_position_embeddings < 1) {
            return make_error(ErrorCode::kCorrupt, "{}: rope.scaling: factor {} over {} positions",
                              origin_, scaling.factor, scaling.original_max_position_embeddings);
        }
        return scaling;
    }

  private:
    std::string gguf(std::string_view name) const {
        return fmt::format("{}.{}", architecture_, name);
    }

    std::string gguf_key(std::string_view key) const {
        for (const KeyName& name : kKeys) {
            if (name.config == key) {
                return gguf(name.gguf);
            }
        }
        return gguf(key);
    }

    Result<double> finite(std::string_view name, double fallback) const {
        const double value = header_->number(gguf(name)).value_or(fallback);
        if (!std::isfinite(value)) {
            return make_error(ErrorCode::kCorrupt, "{}: {} is not a finite number", origin_,
                              gguf(name));
        }
        return value;
    }

    /// Values that GGUF states in another form.
    std::optional<int64_t> derived(std::string_view key) const {
        if (key == "vocab_size") {
            const auto n = header_->strings("tokenizer.ggml.tokens").size();
            return n == 0 ? std::nullopt : std::optional<int64_t>(static_cast<int64_t>(n));
        }
        if (key == "v_head_dim") {  // before the MLA layout: value_length is a head's
            return header_->integer(gguf("attention.value_length"));
        }
        if (key == "qk_nope_head_dim") {
            auto qk = header_->integer(gguf("attention.key_length_mla"));
            qk = qk.has_value() ? qk : header_->integer(gguf("attention.key_length"));
            const auto rope = header_->integer(gguf("rope.dimension_count"));
            return qk && rope ? std::optional<int64_t>(*qk - *rope) : std::nullopt;
        }
        for (const GroupDefault& row : kGroupDefaults) {
            if (header_->integer(gguf("expert_count")) == row.n_routed_experts) {
                if (key == "n_group") {
                    return row.n_group;
                }
                if (key == "topk_group") {
                    return row.topk_group;
                }
            }
        }
        return std::nullopt;
    }

    const Checkpoint* checkpoint_;
    const GgufMetadata* header_;
    std::string architecture_;
    std::string origin_;
};

}  // namespace

std::unique_ptr<ConfigSource> source_from_gguf(const Checkpoint& checkpoint,
                                               std::string_view architecture) {
    return std::make_unique<GgufSource>(checkpoint, architecture);
}

}  // namespace nereus
