// The published tensor inventories (docs of the checkpoints: DeepSeek-V2-Lite, V2, V3/R1 with MTP,
// Qwen2, Llama), written out here once more, against the names and shapes the model binds.

#include "model/blocks/tensor_names.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <set>

#include "base/json.h"
#include "base/thread_pool.h"
#include "model/count.h"
#include "model/model.h"

namespace nereus {
namespace {

using Dims = std::vector<int64_t>;
using Inventory = std::map<std::string, Dims>;

/// What a published configuration says about shapes, in a table of its own.
struct Published {
    const char* name;
    const char* config;
    int64_t hidden, inter, moe_inter, vocab, layers, dense_layers, experts, shared;
    int64_t heads, kv_heads, head_dim;       ///< grouped attention
    int64_t q_rank, kv_rank, nope, rope, v;  ///< latent attention
    bool bias, router_bias;
    int64_t n_tensors;  ///< of the layers that are run, without scales
};

std::string layer_prefix(int64_t i) { return fmt::format("model.layers.{}.", i); }

void add_mlp(Inventory& all, const std::string& prefix, int64_t hidden, int64_t inter) {
    all[prefix + "gate_proj.weight"] = {inter, hidden};
    all[prefix + "up_proj.weight"] = {inter, hidden};
    all[prefix + "down_proj.weight"] = {hidden, inter};
}

void add_attention(Inventory& all, const std::string& prefix, const Published& m) {
    if (m.kv_rank == 0) {
        all[prefix + "q_proj.weight"] = {m.heads * m.head_dim, m.hidden};
        all[prefix + "k_proj.weight"] = {m.kv_heads * m.head_dim, m.hidden};
        all[prefix + "v_proj.weight"] = {m.kv_heads * m.head_dim, m.hidden};
        all[prefix + "o_proj.weight"] = {m.hidden, m.heads * m.head_dim};
        if (m.bias) {
            all[prefix + "q_proj.bias"] = {m.heads * m.head_dim};
            all[prefix + "k_proj.bias"] = {m.kv_heads * m.head_dim};
            all[prefix + "v_proj.bias"] = {m.kv_heads * m.head_dim};
        }
        return;
    }
    if (m.q_rank == 0) {
        all[prefix + "q_proj.weight"] = {m.heads * (m.nope + m.rope), m.hidden};
    } else {
        all[prefix + "q_a_proj.weight"] = {m.q_rank, m.hidden};
        all[prefix + "q_a_layernorm.weight"] = {m.q_rank};
        all[prefix + "q_b_proj.weight"] = {m.heads * (m.nope + m.rope), m.q_rank};
    }
    all[prefix + "kv_a_proj_with_mqa.weight"] = {m.kv_rank + m.rope, m.hidden};
    all[prefix + "kv_a_layernorm.weight"] = {m.kv_rank};
    all[prefix + "kv_b_proj.weight"] = {m.heads * (m.nope + m.v), m.kv_rank};
    all[prefix + "o_proj.weight"] = {m.hidden, m.heads * m.v};
}

Inventory inventory(const Published& m) {
    Inventory all;
    all["model.embed_tokens.weight"] = {m.vocab, m.hidden};
    all["lm_head.weight"] = {m.vocab, m.hidden};
    all["model.norm.weight"] = {m.hidden};
    for (int64_t i = 0; i < m.layers; ++i) {
        const std::string layer = layer_prefix(i);
        all[layer + "input_layernorm.weight"] = {m.hidden};
        all[layer + "post_attention_layernorm.weight"] = {m.hidden};
        add_attention(all, layer + "self_attn.", m);
        if (i < m.dense_layers) {
            add_mlp(all, layer + "mlp.", m.hidden, m.inter);
            continue;
        }
        all[layer + "mlp.gate.weight"] = {m.experts, m.hidden};
        if (m.router_bias) {
            all[layer + "mlp.gate.e_score_correction_bias"] = {m.experts};
        }
        for (int64_t e = 0; e < m.experts; ++e) {
            add_mlp(all, fmt::format("{}mlp.experts.{}.", layer, e), m.hidden, m.moe_inter);
        }
        add_mlp(all, layer + "mlp.shared_experts.", m.hidden, m.shared * m.moe_inter);
    }
    return all;
}

constexpr const char* kV2Lite = R"({"model_type": "deepseek_v2", "vocab_size": 102400,
    "hidden_size": 2048, "intermediate_size": 10944, "moe_intermediate_size": 1408,
    "num_hidden_layers": 27, "num_attention_heads": 16, "num_key_value_heads": 16,
    "q_lora_rank": null, "kv_lora_rank": 512, "qk_nope_head_dim": 128, "qk_rope_head_dim": 64,
    "v_head_dim": 128, "n_routed_experts": 64, "n_shared_experts": 2, "num_experts_per_tok": 6,
    "n_group": 1, "topk_group": 1, "topk_method": "greedy", "scoring_func": "softmax",
    "first_k_dense_replace": 1, "moe_layer_freq": 1})";
constexpr const char* kV2 = R"({"model_type": "deepseek_v2", "vocab_size": 102400,
    "hidden_size": 5120, "intermediate_size": 12288, "moe_intermediate_size": 1536,
    "num_hidden_layers": 60, "num_attention_heads": 128, "num_key_value_heads": 128,
    "q_lora_rank": 1536, "kv_lora_rank": 512, "qk_nope_head_dim": 128, "qk_rope_head_dim": 64,
    "v_head_dim": 128, "n_routed_experts": 160, "n_shared_experts": 2, "num_experts_per_tok": 6,
    "n_group": 8, "topk_group": 3, "topk_method": "group_limited_greedy",
    "scoring_func": "softmax", "routed_scaling_factor": 16.0, "first_k_dense_replace": 1})";
constexpr const char* kV3 = R"({"model_type": "deepseek_v3", "vocab_size": 129280,
    "hidden_size": 7168, "intermediate_size": 18432, "moe_intermediate_size": 2048,
    "num_hidden_layers": 61, "num_nextn_predict_layers": 1, "num_attention_heads": 128,
    "num_key_value_heads": 128, "q_lora_rank": 1536, "kv_lora_rank": 512, "qk_nope_head_dim": 128,
    "qk_rope_head_dim": 64, "v_head_dim": 128, "n_routed_experts": 256, "n_shared_experts": 1,
    "num_experts_per_tok": 8, "n_group": 8, "topk_group": 4, "topk_method": "noaux_tc",
    "scoring_func": "sigmoid", "norm_topk_prob": true, "routed_scaling_factor": 2.5,
    "first_k_dense_replace": 3})";
constexpr const char* kQwen7b = R"({"model_type": "qwen2", "vocab_size": 152064,
    "hidden_size": 3584, "intermediate_size": 18944, "num_hidden_layers": 28,
    "num_attention_heads": 28, "num_key_value_heads": 4})";
constexpr const char* kLlama8b = R"({"model_type": "llama", "vocab_size": 128256,
    "hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32,
    "num_attention_heads": 32, "num_key_value_heads": 8})";

constexpr Published kModels[] = {
    {"V2Lite", kV2Lite, 2048, 10944, 1408,  102400, 27,
     1,        64,      2,    16,    0,     0,      0,
     512,      128,     64,   128,   false, false,  3 + 27 * 7 + 3 + 26 * (1 + 64 * 3 + 3)},
    {"V2", kV2, 5120, 12288, 1536,  102400, 60,
     1,    160, 2,    128,   0,     0,      1536,
     512,  128, 64,   128,   false, false,  3 + 60 * 9 + 3 + 59 * (1 + 160 * 3 + 3)},
    {"V3", kV3, 7168, 18432, 2048,  129280, 61,
     3,    256, 1,    128,   0,     0,      1536,
     512,  128, 64,   128,   false, true,   3 + 61 * 9 + 3 * 3 + 58 * (2 + 256 * 3 + 3)},
    {"Qwen7b", kQwen7b, 3584, 18944, 0, 152064, 28, 28,   0,     0,          28,
     4,        128,     0,    0,     0, 0,      0,  true, false, 3 + 28 * 12},
    {"Llama8b", kLlama8b, 4096, 14336, 0, 128256, 32, 32,    0,     0,         32,
     8,         128,      0,    0,     0, 0,      0,  false, false, 3 + 32 * 9},
};

/// Every tensor of an inventory, as if on disk: all share the first bytes of one large area that
/// nobody reads (matrices are bound, not touched; vectors read at most 28 KB).
class PublishedCheckpoint final : public Checkpoint {
  public:
    PublishedCheckpoint(const char* config, Inventory inventory)
        : json_(parse_json(config, "config.json").value()) {
        for (auto& [name, dims] : inventory) {
            StoredTensor tensor;
            tensor.name = name;
            tensor.format = FormatId::kBf16;
            tensor.shape.dims = std::move(dims);
            tensor.data = bytes_;
            tensor.file = "model.safetensors";
            tensors_.push_back(tensor);
        }
        for (size_t i = 0; i < tensors_.size(); ++i) {
            places_[tensors_[i].name] = i;
        }
    }
    CheckpointKind kind() const override { return CheckpointKind::kHuggingFace; }
    const std::filesystem::path& path() const override { return path_; }
    std::span<const StoredTensor> tensors() const override { return tensors_; }
    const StoredTensor* find(std::string_view name) const override {
        const auto found = places_.find(name);
        if (found == places_.end()) {
            return nullptr;
        }
        asked.insert(found->first);
        return &tensors_[found->second];
    }
    const Json& config() const override { return json_; }
    const Json& generation_config() const override { return json_; }
    const GgufMetadata* gguf() const override { return nullptr; }
    uint64_t n_file_bytes() const override { return 0; }

    mutable std::set<std::string_view> asked;

  private:
    std::filesystem::path path_ = "published";
    Json json_;
    std::vector<std::byte> bytes_ = std::vector<std::byte>(1 << 16);
    std::vector<StoredTensor> tensors_;
    std::map<std::string_view, size_t> places_;
};

class PublishedModel : public ::testing::TestWithParam<Published> {};

TEST_P(PublishedModel, loading_asks_for_every_tensor_of_the_inventory_and_for_no_other) {
    const Inventory all = inventory(GetParam());
    EXPECT_EQ(static_cast<int64_t>(all.size()), GetParam().n_tensors);
    const PublishedCheckpoint checkpoint(GetParam().config, all);
    ThreadPool pool(1);
    const auto backend = create_cpu_backend(pool, "portable").value();
    const auto model = load_model(checkpoint, *backend);
    ASSERT_TRUE(model.ok()) << model.error().message;
    for (const auto& [name, dims] : all) {
        EXPECT_TRUE(checkpoint.asked.contains(name)) << name << " was not bound";
    }
}

TEST_P(PublishedModel, the_parts_counted_from_the_configuration_are_those_of_the_inventory) {
    const ModelConfig config =
        config_from_json(parse_json(GetParam().config, "x").value(), "x").value();
    PartCounts stored;
    for (const auto& [name, dims] : inventory(GetParam())) {
        stored[part_of_tensor(name, config)] += dims[0] * (dims.size() == 2 ? dims[1] : 1);
    }
    const PartCounts counted = count_parameters(config);
    for (size_t i = 0; i < kModelParts; ++i) {
        const auto part = static_cast<ModelPart>(i);
        if (part != ModelPart::kMtp) {
            EXPECT_EQ(counted[part], stored[part]) << model_part_name(part);
        }
    }
}

INSTANTIATE_TEST_SUITE_P(published, PublishedModel, ::testing::ValuesIn(kModels),
                         [](const auto& model) { return std::string(model.param.name); });

/// The inventory above, with the FP8 scales and the MTP layer, is the published one to the tensor.
TEST(TensorNames, v3_has_the_91991_tensors_of_its_index) {
    Published with_mtp = kModels[2];
    with_mtp.layers = 62;  // the MTP layer is a whole layer ...
    const Inventory longer = inventory(with_mtp);
    int64_t n = static_cast<int64_t>(longer.size()) + 6;  // ... and six tensors of its own, in BF16
    for (const auto& [name, dims] : longer) {
        // Every projection is FP8 with scales; router, norms, embedding and head are not.
        n += name.find("_proj") != std::string::npos ? 1 : 0;
    }
    EXPECT_EQ(n, 91991);
}

TEST(TensorNames, the_mtp_layer_of_r1_is_left_alone) {
    Inventory all = inventory(kModels[2]);
    const std::string mtp = layer_prefix(61);
    for (const char* name :
         {"embed_tokens.weight", "enorm.weight", "hnorm.weight", "eh_proj.weight",
          "shared_head.norm.weight", "shared_head.head.weight", "mlp.gate.weight",
          "mlp.gate.e_score_correction_bias", "self_attn.q_a_proj.weight"}) {
        all[mtp + name] = {7168};
    }
    const PublishedCheckpoint checkpoint(kV3, all);
    ThreadPool pool(1);
    const auto backend = create_cpu_backend(pool, "portable").value();
    ASSERT_TRUE(load_model(checkpoint, *backend).ok());
    const ModelConfig config = config_from_json(checkpoint.config(), "x").value();
    for (const auto& [name, dims] : all) {
        EXPECT_EQ(checkpoint.asked.contains(name), !name.starts_with(mtp)) << name;
        EXPECT_EQ(part_of_tensor(name, config) == ModelPart::kMtp, name.starts_with(mtp)) << name;
    }
}

/// llama.cpp's names (gguf-py tensor_mapping.py), for a layer and as experts are stacked.
TEST(TensorNames, gguf_names_are_those_of_the_converter) {
    const std::pair<Part, const char*> names[] = {
        {Part::kEmbedding, "token_embd.weight"},
        {Part::kFinalNorm, "output_norm.weight"},
        {Part::kHead, "output.weight"},
        {Part::kRopeFactors, "rope_freqs.weight"},
        {Part::kInputNorm, "blk.7.attn_norm.weight"},
        {Part::kPostNorm, "blk.7.ffn_norm.weight"},
        {Part::kQ, "blk.7.attn_q.weight"},
        {Part::kKBias, "blk.7.attn_k.bias"},
        {Part::kO, "blk.7.attn_output.weight"},
        {Part::kQA, "blk.7.attn_q_a.weight"},
        {Part::kQANorm, "blk.7.attn_q_a_norm.weight"},
        {Part::kQB, "blk.7.attn_q_b.weight"},
        {Part::kKvA, "blk.7.attn_kv_a_mqa.weight"},
        {Part::kKvANorm, "blk.7.attn_kv_a_norm.weight"},
        {Part::kKvB, "blk.7.attn_kv_b.weight"},
        {Part::kKB, "blk.7.attn_k_b.weight"},
        {Part::kVB, "blk.7.attn_v_b.weight"},
        {Part::kGate, "blk.7.ffn_gate.weight"},
        {Part::kRouter, "blk.7.ffn_gate_inp.weight"},
        {Part::kRouterBias, "blk.7.exp_probs_b.bias"},
        {Part::kExpertDown, "blk.7.ffn_down_exps.weight"},
        {Part::kSharedUp, "blk.7.ffn_up_shexp.weight"},
    };
    for (const auto& [part, name] : names) {
        EXPECT_EQ(tensor_name(part, CheckpointKind::kGguf, 7, 3), name);
    }
    EXPECT_EQ(tensor_name(Part::kExpertUp, CheckpointKind::kHuggingFace, 7, 3),
              "model.layers.7.mlp.experts.3.up_proj.weight");
    EXPECT_EQ(tensor_name(Part::kRopeFactors, CheckpointKind::kHuggingFace), "") << "GGUF's alone";
    EXPECT_EQ(tensor_name(Part::kKB, CheckpointKind::kHuggingFace, 7),
              "model.layers.7.self_attn.k_b_proj.weight")
        << "of packs";
}

TEST(TensorNames, no_two_parts_share_a_name) {
    for (const CheckpointKind kind : {CheckpointKind::kHuggingFace, CheckpointKind::kGguf}) {
        std::set<std::string> names;
        int n = 0;
        for (int part = 0; part <= static_cast<int>(Part::kSharedDown); ++part) {
            const std::string name = tensor_name(static_cast<Part>(part), kind, 1, 2);
            if (!name.empty()) {
                names.insert(name);
                ++n;
            }
        }
        EXPECT_EQ(static_cast<int>(names.size()), n);
    }
}

}  // namespace
}  // namespace nereus
