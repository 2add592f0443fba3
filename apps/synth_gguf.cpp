#include "apps/synth_gguf.h"

#include "base/check.h"
#include "model/family.h"

namespace nereus {
namespace {

/// Adds "<architecture>.<name>" keys.
class ArchitecturePairs {
  public:
    explicit ArchitecturePairs(std::string architecture) : prefix_(std::move(architecture) + ".") {}

    void text(std::string_view name, std::string_view value) {
        pairs.text(prefix_ + std::string(name), value);
    }
    void integer(std::string_view name, int64_t value) {
        pairs.integer(prefix_ + std::string(name), static_cast<uint32_t>(value));
    }
    void number(std::string_view name, double value) {
        pairs.number(prefix_ + std::string(name), static_cast<float>(value));
    }
    void boolean(std::string_view name, bool value) {
        pairs.boolean(prefix_ + std::string(name), value);
    }

    GgufPairs pairs;

  private:
    std::string prefix_;
};

/// Multi-head latent attention as one key head of latent and rope (models.md 14.1).
void add_latent(const ModelConfig& c, ArchitecturePairs& out) {
    const int64_t width = c.kv_lora_rank + c.qk_rope_head_dim;
    out.integer("attention.head_count_kv", 1);
    if (c.q_lora_rank > 0) {
        out.integer("attention.q_lora_rank", c.q_lora_rank);
    }
    out.integer("attention.kv_lora_rank", c.kv_lora_rank);
    out.integer("attention.key_length", width);
    out.integer("attention.value_length", c.kv_lora_rank);
    out.integer("attention.key_length_mla", c.qk_nope_head_dim + c.qk_rope_head_dim);
    out.integer("attention.value_length_mla", c.v_head_dim);
    out.integer("rope.dimension_count", c.qk_rope_head_dim);
}

void add_experts(const ModelConfig& c, ArchitecturePairs& out) {
    out.integer("leading_dense_block_count", c.first_k_dense_replace);
    if (c.n_routed_experts == 0) {
        return;
    }
    out.integer("expert_count", c.n_routed_experts);
    out.integer("expert_used_count", c.num_experts_per_tok);
    out.integer("expert_shared_count", c.n_shared_experts);
    out.integer("expert_feed_forward_length", c.moe_intermediate_size);
    out.number("expert_weights_scale", c.router.routed_scaling_factor);
    out.boolean("expert_weights_norm", c.router.norm_topk_prob);
    out.integer("expert_gating_func", c.router.scoring == RouterScoring::kSigmoid ? 2 : 1);
    if (c.router.n_group > 1) {
        out.integer("expert_group_count", c.router.n_group);
        out.integer("expert_group_used_count", c.router.topk_group);
    }
}

void add_rope(const ModelConfig& c, ArchitecturePairs& out) {
    out.number("rope.freq_base", c.rope_theta);
    if (c.rope_scaling.type == RopeScalingType::kYarn) {
        out.text("rope.scaling.type", "yarn");
        out.number("rope.scaling.factor", c.rope_scaling.factor);
        out.integer("rope.scaling.original_context_length",
                    c.rope_scaling.original_max_position_embeddings);
        out.number("rope.scaling.yarn_log_multiplier", 0.1 * c.rope_scaling.mscale_all_dim);
    }
}

/// The layers whose values and down projections get more bits (llama-quant.cpp, use_more_bits).
bool more_bits(int64_t layer, int64_t n_layers) {
    return layer < n_layers / 8 || layer >= 7 * n_layers / 8 || (layer - n_layers / 8) % 3 == 2;
}

FormatId q4_k_m_format(const ModelTensor& tensor, const ModelConfig& config) {
    if (tensor.role == TensorRole::kVector || tensor.role == TensorRole::kRouter) {
        return FormatId::kF32;
    }
    const bool careful = tensor.name.find("ffn_down") != std::string::npos ||
                         tensor.name.find("attn_v.weight") != std::string::npos;
    const bool large = tensor.role == TensorRole::kHead ||
                       (careful && more_bits(tensor.layer, config.num_hidden_layers));
    constexpr int64_t kSuperBlock = 256;
    constexpr int64_t kBlock = 32;
    if (tensor.cols % kBlock != 0) {
        return FormatId::kF16;
    }
    if (tensor.cols % kSuperBlock != 0) {  // what llama-quantize falls back to
        return large ? FormatId::kQ8_0 : FormatId::kQ5_0;
    }
    return large ? FormatId::kQ6K : FormatId::kQ4K;
}

}  // namespace

GgufPairs gguf_pairs(const ModelConfig& c) {
    const Family* family = find_family(c.model_type);
    NEREUS_CHECK(family != nullptr);
    const std::string architecture(family->gguf_architecture);
    constexpr uint32_t kFileTypeQ4KM = 15;
    ArchitecturePairs out(architecture);
    out.pairs.text("general.architecture", architecture);
    out.pairs.text("general.name", "synthetic");
    out.pairs.integer("general.file_type", kFileTypeQ4KM);
    out.pairs.integer("general.quantization_version", 2);
    out.integer("block_count", c.num_hidden_layers);
    out.integer("context_length", c.max_position_embeddings);
    out.integer("embedding_length", c.hidden_size);
    out.integer("feed_forward_length", c.intermediate_size);
    out.integer("vocab_size", c.vocab_size);
    out.integer("attention.head_count", c.num_attention_heads);
    out.number("attention.layer_norm_rms_epsilon", c.rms_norm_eps);
    add_rope(c, out);
    if (c.kv_lora_rank > 0) {
        add_latent(c, out);
        add_experts(c, out);
    } else {
        out.integer("attention.head_count_kv", c.num_key_value_heads);
        out.integer("attention.key_length", c.head_dim);
        out.integer("attention.value_length", c.head_dim);
        out.integer("rope.dimension_count", c.head_dim);
    }
    out.pairs.text("tokenizer.ggml.model", "none");
    return std::move(out.pairs);
}

FileTensor q4_k_m_tensor(const ModelTensor& tensor, const ModelConfig& config) {
    FileTensor file{tensor.name, q4_k_m_format(tensor, config), {}};
    const int64_t n_stacked =
        tensor.slice_rows > 0 ? tensor.rows / tensor.slice_rows : tensor.n_stacked;
    if (tensor.role == TensorRole::kVector) {
        file.shape.dims = {tensor.cols};
    } else if (n_stacked > 1) {
        file.shape.dims = {n_stacked, tensor.rows / n_stacked, tensor.cols};
    } else {
        file.shape.dims = {tensor.rows, tensor.cols};
    }
    return file;
}

}  // namespace nereus
