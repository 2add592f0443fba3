// Grouped-query attention of Qwen2 and Llama (models.md 9). A cache row is
// [num_key_value_heads * head_dim keys, rotated | the same of values].

#include "model/blocks/block.h"

namespace nereus {
namespace {

struct GroupedWeights {
    Weight q, k, v, o;
    const float* q_bias = nullptr;
    const float* k_bias = nullptr;
    const float* v_bias = nullptr;
    const float* o_bias = nullptr;
};

class GroupedAttention final : public AttentionBlock {
  public:
    GroupedAttention(const ModelConfig& config, GroupedWeights weights)
        : config_(config), w_(weights), scale_(config.softmax_scale()) {}

    void run(const Pass& pass, ConstRows x, Rows out) override {
        const int64_t n = pass.n_tokens();
        const int64_t n_heads = config_.num_attention_heads;
        const int64_t n_kv = config_.num_key_value_heads;
        const int64_t dim = config_.head_dim;
        const Rows q = pass.scratch.rows(Scratch::kQ, n, n_heads * dim);
        const Rows kv = pass.scratch.rows(Scratch::kKv, n, 2 * n_kv * dim);
        const Rows keys{kv.data, n, n_kv * dim, kv.stride};
        const Rows values{kv.data + n_kv * dim, n, n_kv * dim, kv.stride};
        const MatmulTask tasks[] = {
            {w_.q, x, q, w_.q_bias}, {w_.k, x, keys, w_.k_bias}, {w_.v, x, values, w_.v_bias}};
        pass.backend.matmul(tasks);
        rotate(pass, q, n_heads);
        rotate(pass, keys, n_kv);
        pass.append_rows(kv);
        pass.see_cache(pass.layer);
        const Rows heads = pass.scratch.rows(Scratch::kHeads, n, n_heads * dim);
        pass.backend.attend_grouped({q, heads, pass.visible, n_heads, n_kv, dim, dim, scale_});
        const MatmulTask o{w_.o, heads, out, w_.o_bias};
        pass.backend.matmul({&o, 1});
    }

    int64_t n_bytes() const override {
        return w_.q.n_bytes() + w_.k.n_bytes() + w_.v.n_bytes() + w_.o.n_bytes();
    }

  private:
    void rotate(const Pass& pass, Rows x, int64_t n_heads) const {
        RopeArgs args;
        args.x = x;
        args.head_stride = config_.head_dim;
        args.n_heads = n_heads;
        args.width = config_.head_dim;
        args.layout = config_.rope_layout;
        args.positions = pass.batch.positions;
        args.cos = pass.rope.cos();
        args.sin = pass.rope.sin();
        pass.backend.rope(args);
    }

    const ModelConfig& config_;
    GroupedWeights w_;
    float scale_;
};

}  // namespace

Result<std::unique_ptr<AttentionBlock>> build_grouped_attention(const Build& build, int64_t layer) {
    const ModelConfig& c = build.config;
    const int64_t q_rows = c.num_attention_heads * c.head_dim;
    const int64_t kv_rows = c.num_key_value_heads * c.head_dim;
    GroupedWeights w;
    w.q = NEREUS_TRY(build.matrix(Part::kQ, layer, q_rows, c.hidden_size));
    w.k = NEREUS_TRY(build.matrix(Part::kK, layer, kv_rows, c.hidden_size));
    w.v = NEREUS_TRY(build.matrix(Part::kV, layer, kv_rows, c.hidden_size));
    w.o = NEREUS_TRY(build.matrix(Part::kO, layer, c.hidden_size, q_rows));
    w.q_bias = NEREUS_TRY(build.optional_vector(Part::kQBias, layer, q_rows));
    w.k_bias = NEREUS_TRY(build.optional_vector(Part::kKBias, layer, kv_rows));
    w.v_bias = NEREUS_TRY(build.optional_vector(Part::kVBias, layer, kv_rows));
    w.o_bias = NEREUS_TRY(build.optional_vector(Part::kOBias, layer, c.hidden_size));
    return std::unique_ptr<AttentionBlock>(std::make_unique<GroupedAttention>(c, w));
}

}  // namespace nereus
