#include "model/count.h"

#include <gtest/gtest.h>

#include "base/file.h"
#include "base/json.h"

namespace nereus {
namespace {

ModelConfig config_in(const std::string& path) {
    const std::string full = std::string(NEREUS_SOURCE_DIR) + "/" + path;
    const auto text = read_file(full, 1 << 20);
    EXPECT_TRUE(text.ok()) << path;
    const auto json = parse_json(*text, full);
    const auto config = config_from_json(*json, full);
    EXPECT_TRUE(config.ok()) << config.error().message;
    return *config;
}

/// What DeepSeek-V3 publishes.
ModelConfig v3() {
    const auto json = parse_json(R"({"model_type": "deepseek_v3", "vocab_size": 129280,
        "hidden_size": 7168, "intermediate_size": 18432, "moe_intermediate_size": 2048,
        "num_hidden_layers": 61, "num_nextn_predict_layers": 1, "num_attention_heads": 128,
        "num_key_value_heads": 128, "n_shared_experts": 1, "n_routed_experts": 256,
        "routed_scaling_factor": 2.5, "kv_lora_rank": 512, "q_lora_rank": 1536,
        "qk_rope_head_dim": 64, "v_head_dim": 128, "qk_nope_head_dim": 128,
        "topk_method": "noaux_tc", "n_group": 8, "topk_group": 4, "num_experts_per_tok": 8,
        "moe_layer_freq": 1, "first_k_dense_replace": 3, "norm_topk_prob": true,
        "scoring_func": "sigmoid", "hidden_act": "silu", "max_position_embeddings": 163840,
        "rope_theta": 10000})",
                                 "v3");
    const auto config = config_from_json(*json, "v3");
    EXPECT_TRUE(config.ok()) << config.error().message;
    return *config;
}

TEST(Count, v3_has_671_billion_parameters_and_37_active) {
    const ModelConfig config = v3();
    const PartCounts counts = count_parameters(config);
    EXPECT_NEAR(static_cast<double>(counts.total()), 671.026e9, 0.5e6);
    EXPECT_NEAR(static_cast<double>(active_parameters(config)), 37.552e9, 0.5e6);
    EXPECT_NEAR(static_cast<double>(counts[ModelPart::kMtp]), 11.61e9, 5e6);
    EXPECT_EQ(counts[ModelPart::kRoutedExperts], 58 * 256 * 44'040'192LL);
    EXPECT_EQ(kv_values_per_token(config) * 2, 70272);  // as BF16, models.md 15
}

TEST(Count, configuration_and_tensors_agree_for_every_golden_model) {
    for (const char* name : {"llama3", "qwen2", "v2_lite", "v2_group", "v3", "v3_fp8"}) {
        const std::string folder = std::string("tests/golden/") + name;
        const ModelConfig config = config_in(folder + "/config.json");
        const auto checkpoint = open_checkpoint(std::string(NEREUS_SOURCE_DIR) + "/" + folder);
        ASSERT_TRUE(checkpoint.ok()) << checkpoint.error().message;
        PartCounts stored;
        for (const StoredTensor& tensor : (*checkpoint)->tensors()) {
            stored[part_of_tensor(tensor.name, config)] += tensor.shape.n_elements();
        }
        const PartCounts counted = count_parameters(config);
        for (size_t i = 0; i < kModelParts; ++i) {
            const auto part = static_cast<ModelPart>(i);
            if (part != ModelPart::kMtp) {  // files hold copies of embedding and head too
                EXPECT_EQ(stored[part], counted[part]) << name << " " << model_part_name(part);
            }
        }
    }
}

TEST(Count, tensors_of_a_layer_past_the_last_are_mtp) {
    const ModelConfig config = v3();
    EXPECT_EQ(part_of_tensor("model.layers.61.eh_proj.weight", config), ModelPart::kMtp);
    EXPECT_EQ(part_of_tensor("model.layers.60.mlp.experts.3.up_proj.weight", config),
              ModelPart::kRoutedExperts);
    EXPECT_EQ(part_of_tensor("blk.61.nextn.eh_proj.weight", config), ModelPart::kMtp);
    EXPECT_EQ(part_of_tensor("blk.4.ffn_gate_inp.weight", config), ModelPart::kRouter);
    EXPECT_EQ(part_of_tensor("rope_freqs.weight", config), ModelPart::kOther);
}

TEST(Count, a_token_reads_its_experts_one_embedding_row_and_no_mtp) {
    ModelConfig config = v3();
    EXPECT_DOUBLE_EQ(share_read_per_token(config, ModelPart::kRoutedExperts), 8.0 / 256);
    EXPECT_DOUBLE_EQ(share_read_per_token(config, ModelPart::kMtp), 0);
    EXPECT_DOUBLE_EQ(share_read_per_token(config, ModelPart::kEmbedding), 1.0 / 129280);
    config.tie_word_embeddings = true;
    EXPECT_DOUBLE_EQ(share_read_per_token(config, ModelPart::kEmbedding), 1);
}

}  // namespace
}  // namespace nereus
