#include "model/tensor_plan.h"

#include "model/blocks/tensor_names.h"

namespace nereus {
namespace {

class Planner {
  public:
    Planner(const ModelConfig& config, CheckpointKind kind, TensorLayout layout)
        : c_(config), kind_(kind), layout_(layout) {}

    std::vector<ModelTensor> plan() {
        matrix(Part::kEmbedding, TensorRole::kEmbedding, c_.vocab_size, c_.hidden_size).reads =
            Space::kResidual;
        residual_norm(Part::kFinalNorm);
        if (!c_.tie_word_embeddings) {
            reader(Part::kHead, TensorRole::kHead, c_.vocab_size);
        }
        if (kind_ == CheckpointKind::kGguf) {
            const int64_t width = c_.kv_lora_rank > 0 ? c_.qk_rope_head_dim : c_.head_dim;
            vector(Part::kRopeFactors, width / 2).optional = true;
        }
        for (layer_ = 0; layer_ < c_.num_hidden_layers; ++layer_) {
            const LayerPlan& plan = c_.layers[static_cast<size_t>(layer_)];
            residual_norm(Part::kInputNorm);
            plan.attention == AttentionKind::kLatent ? add_latent() : add_grouped();
            residual_norm(Part::kPostNorm);
            plan.ffn == FfnKind::kDense ? add_dense() : add_experts();
        }
        return std::move(tensors_);
    }

  private:
    ModelTensor& matrix(Part part, TensorRole role, int64_t rows, int64_t cols) {
        ModelTensor tensor;
        tensor.name = tensor_name(part, kind_, layer_);
        tensor.role = role;
        tensor.rows = rows;
        tensor.cols = cols;
        tensor.layer = layer_;
        tensor.source_name = tensor.name;
        tensor.source_rows = rows;
        tensors_.push_back(std::move(tensor));
        return tensors_.back();
    }

    ModelTensor& vector(Part part, int64_t n) { return matrix(part, TensorRole::kVector, 1, n); }

    /// A norm of the residual stream; the readers that follow stand behind it.
    void residual_norm(Part part) {
        ModelTensor& tensor = vector(part, c_.hidden_size);
        tensor.norm = norm_ = tensor.name;
    }

    static void read(ModelTensor& tensor, const std::string& norm) {
        tensor.reads = Space::kResidual;
        tensor.norm = norm;
    }

    ModelTensor& reader(Part part, TensorRole role, int64_t rows) {
        ModelTensor& tensor = matrix(part, role, rows, c_.hidden_size);
        read(tensor, norm_);
        return tensor;
    }

    void bias(Part part, int64_t n, Space space) {
        ModelTensor& tensor = vector(part, n);
        tensor.optional = true;
        tensor.writes = space;
    }

    ModelTensor& writer(Part part, TensorRole role, int64_t cols) {
        ModelTensor& tensor = matrix(part, role, c_.hidden_size, cols);
        tensor.writes = Space::kResidual;
        return tensor;
    }

    void add_latent() {
        const int64_t heads = c_.num_attention_heads;
        const int64_t q_rows = heads * (c_.qk_nope_head_dim + c_.qk_rope_head_dim);
        if (c_.q_lora_rank == 0) {
            reader(Part::kQ, TensorRole::kAttention, q_rows);
        } else {
            reader(Part::kQA, TensorRole::kAttention, c_.q_lora_rank);
            vector(Part::kQANorm, c_.q_lora_rank);
            matrix(Part::kQB, TensorRole::kAttention, q_rows, c_.q_lora_rank);
        }
        reader(Part::kKvA, TensorRole::kAttention, c_.kv_lora_rank + c_.qk_rope_head_dim);
        vector(Part::kKvANorm, c_.kv_lora_rank);
        add_latent_heads();
        writer(Part::kO, TensorRole::kAttention, heads * c_.v_head_dim).reads = Space::kValues;
    }

    void add_latent_heads() {
        const int64_t heads = c_.num_attention_heads;
        const int64_t both = heads * (c_.qk_nope_head_dim + c_.v_head_dim);
        if (layout_ == TensorLayout::kPublished) {
            matrix(Part::kKvB, TensorRole::kAttention, both, c_.kv_lora_rank);
            return;
        }
        const std::string kv_b = tensor_name(Part::kKvB, kind_, layer_);
        const auto half = [&](Part part, int64_t slice, int64_t cols, RowSource source) {
            ModelTensor& tensor = matrix(part, TensorRole::kLatentHeads, heads * slice, cols);
            tensor.slice_rows = slice;
            tensor.source = source;
            tensor.source_name = kv_b;
            tensor.source_rows = both;
        };
        half(Part::kKB, c_.kv_lora_rank, c_.qk_nope_head_dim, RowSource::kKeyHalf);
        half(Part::kVB, c_.v_head_dim, c_.kv_lora_rank, RowSource::kValueHalf);
        tensors_.back().writes = Space::kValues;
    }

    void add_grouped() {
        const int64_t q_rows = c_.num_attention_heads * c_.head_dim;
        const int64_t kv_rows = c_.num_key_value_heads * c_.head_dim;
        reader(Part::kQ, TensorRole::kAttention, q_rows);
        reader(Part::kK, TensorRole::kAttention, kv_rows);
        reader(Part::kV, TensorRole::kAttention, kv_rows).writes = Space::kValues;
        writer(Part::kO, TensorRole::kAttention, q_rows).reads = Space::kValues;
        bias(Part::kQBias, q_rows, Space::kOwn);
        bias(Part::kKBias, kv_rows, Space::kOwn);
        bias(Part::kVBias, kv_rows, Space::kValues);
        bias(Part::kOBias, c_.hidden_size, Space::kResidual);
    }

    void add_dense() {
        reader(Part::kGate, TensorRole::kDenseFfn, c_.intermediate_size);
        reader(Part::kUp, TensorRole::kDenseFfn, c_.intermediate_size);
        writer(Part::kDown, TensorRole::kDenseFfn, c_.intermediate_size);
    }

    void add_experts() {
        reader(Part::kRouter, TensorRole::kRouter, c_.n_routed_experts);
        if (c_.router.group_score == GroupScore::kTopTwoSum) {
            vector(Part::kRouterBias, c_.n_routed_experts);
        }
        const int64_t inner = c_.moe_intermediate_size;
        if (c_.n_shared_experts > 0) {
            const int64_t shared = c_.n_shared_experts * inner;
            reader(Part::kSharedGate, TensorRole::kSharedExpert, shared);
            reader(Part::kSharedUp, TensorRole::kSharedExpert, shared);
            writer(Part::kSharedDown, TensorRole::kSharedExpert, shared);
        }
        if (kind_ == CheckpointKind::kGguf && layout_ != TensorLayout::kPack) {
            stack(Part::kExpertGate, inner, c_.hidden_size);
            stack(Part::kExpertUp, inner, c_.hidden_size);
            stack(Part::kExpertDown, c_.hidden_size, inner);
            return;
        }
        for (int64_t e = 0; e < c_.n_routed_experts; ++e) {
            single(Part::kExpertGate, e, inner, c_.hidden_size);
            single(Part::kExpertUp, e, inner, c_.hidden_size);
            single(Part::kExpertDown, e, c_.hidden_size, inner);
        }
    }

    void stack(Part part, int64_t rows, int64_t cols) {
        ModelTensor& tensor =
            matrix(part, TensorRole::kRoutedExpert, c_.n_routed_experts * rows, cols);
        tensor.n_stacked = c_.n_routed_experts;
    }

    void single(Part part, int64_t expert, int64_t rows, int64_t cols) {
        ModelTensor& tensor = matrix(part, TensorRole::kRoutedExpert, rows, cols);
        tensor.name = single_expert_name(part, kind_, layer_, expert);
        tensor.expert = expert;
        tensor.source_name = tensor_name(part, kind_, layer_, expert);
        if (part == Part::kExpertDown) {
            tensor.writes = Space::kResidual;
        } else {
            read(tensor, norm_);
        }
        if (kind_ == CheckpointKind::kGguf) {
            tensor.source_rows = c_.n_routed_experts * rows;
            tensor.source_first = expert * rows;
        }
    }

    const ModelConfig& c_;
    CheckpointKind kind_;
    TensorLayout layout_;
    int64_t layer_ = -1;
    std::string norm_;  ///< of the residual stream, the last one
    std::vector<ModelTensor> tensors_;
};

}  // namespace

std::vector<ModelTensor> model_tensors(const ModelConfig& config, CheckpointKind kind,
                                       TensorLayout layout) {
    return Planner(config, kind, layout).plan();
}

}  // namespace nereus
