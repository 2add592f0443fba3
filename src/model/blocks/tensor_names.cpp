#include "model/blocks/tensor_names.h"

#include <fmt/format.h>

#include "base/check.h"

namespace nereus {
namespace {

struct NameRow {
    Part part;
    const char* hugging_face;  ///< {0} layer, {1} expert; nullptr: no such tensor there
    const char* gguf;
};

constexpr NameRow kNames[] = {
    {Part::kEmbedding, "model.embed_tokens.weight", "token_embd.weight"},
    {Part::kFinalNorm, "model.norm.weight", "output_norm.weight"},
    {Part::kHead, "lm_head.weight", "output.weight"},
    {Part::kRopeFactors, nullptr, "rope_freqs.weight"},
    {Part::kInputNorm, "model.layers.{0}.input_layernorm.weight", "blk.{0}.attn_norm.weight"},
    {Part::kPostNorm, "model.layers.{0}.post_attention_layernorm.weight",
     "blk.{0}.ffn_norm.weight"},
    {Part::kQ, "model.layers.{0}.self_attn.q_proj.weight", "blk.{0}.attn_q.weight"},
    {Part::kK, "model.layers.{0}.self_attn.k_proj.weight", "blk.{0}.attn_k.weight"},
    {Part::kV, "model.layers.{0}.self_attn.v_proj.weight", "blk.{0}.attn_v.weight"},
    {Part::kO, "model.layers.{0}.self_attn.o_proj.weight", "blk.{0}.attn_output.weight"},
    {Part::kQBias, "model.layers.{0}.self_attn.q_proj.bias", "blk.{0}.attn_q.bias"},
    {Part::kKBias, "model.layers.{0}.self_attn.k_proj.bias", "blk.{0}.attn_k.bias"},
    {Part::kVBias, "model.layers.{0}.self_attn.v_proj.bias", "blk.{0}.attn_v.bias"},
    {Part::kOBias, "model.layers.{0}.self_attn.o_proj.bias", "blk.{0}.attn_output.bias"},
    {Part::kQA, "model.layers.{0}.self_attn.q_a_proj.weight", "blk.{0}.attn_q_a.weight"},
    {Part::kQANorm, "model.layers.{0}.self_attn.q_a_layernorm.weight",
     "blk.{0}.attn_q_a_norm.weight"},
    {Part::kQB, "model.layers.{0}.self_attn.q_b_proj.weight", "blk.{0}.attn_q_b.weight"},
    {Part::kKvA, "model.layers.{0}.self_attn.kv_a_proj_with_mqa.weight",
     "blk.{0}.attn_kv_a_mqa.weight"},
    {Part::kKvANorm, "model.layers.{0}.self_attn.kv_a_layernorm.weight",
     "blk.{0}.attn_kv_a_norm.weight"},
    {Part::kKvB, "model.layers.{0}.self_attn.kv_b_proj.weight", "blk.{0}.attn_kv_b.weight"},
    {Part::kKB, "model.layers.{0}.self_attn.k_b_proj.weight", "blk.{0}.attn_k_b.weight"},
    {Part::kVB, "model.layers.{0}.self_attn.v_b_proj.weight", "blk.{0}.attn_v_b.weight"},
    {Part::kGate, "model.layers.{0}.mlp.gate_proj.weight", "blk.{0}.ffn_gate.weight"},
    {Part::kUp, "model.layers.{0}.mlp.up_proj.weight", "blk.{0}.ffn_up.weight"},
    {Part::kDown, "model.layers.{0}.mlp.down_proj.weight", "blk.{0}.ffn_down.weight"},
    {Part::kRouter, "model.layers.{0}.mlp.gate.weight", "blk.{0}.ffn_gate_inp.weight"},
    {Part::kRouterBias, "model.layers.{0}.mlp.gate.e_score_correction_bias",
     "blk.{0}.exp_probs_b.bias"},
    {Part::kExpertGate, "model.layers.{0}.mlp.experts.{1}.gate_proj.weight",
     "blk.{0}.ffn_gate_exps.weight"},
    {Part::kExpertUp, "model.layers.{0}.mlp.experts.{1}.up_proj.weight",
     "blk.{0}.ffn_up_exps.weight"},
    {Part::kExpertDown, "model.layers.{0}.mlp.experts.{1}.down_proj.weight",
     "blk.{0}.ffn_down_exps.weight"},
    {Part::kSharedGate, "model.layers.{0}.mlp.shared_experts.gate_proj.weight",
     "blk.{0}.ffn_gate_shexp.weight"},
    {Part::kSharedUp, "model.layers.{0}.mlp.shared_experts.up_proj.weight",
     "blk.{0}.ffn_up_shexp.weight"},
    {Part::kSharedDown, "model.layers.{0}.mlp.shared_experts.down_proj.weight",
     "blk.{0}.ffn_down_shexp.weight"},
};

}  // namespace

std::string tensor_name(Part part, CheckpointKind kind, int64_t layer, int64_t expert) {
    const NameRow& row = kNames[static_cast<size_t>(part)];
    NEREUS_CHECK(row.part == part);
    const char* pattern = kind == CheckpointKind::kGguf ? row.gguf : row.hugging_face;
    return pattern == nullptr ? std::string() : fmt::format(fmt::runtime(pattern), layer, expert);
}

std::string single_expert_name(Part part, CheckpointKind kind, int64_t layer, int64_t expert) {
    const std::string name = tensor_name(part, kind, layer, expert);
    return kind == CheckpointKind::kGguf ? fmt::format("{}.{}", name, expert) : name;
}

}  // namespace nereus
