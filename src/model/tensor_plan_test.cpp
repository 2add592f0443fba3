#include "model/tensor_plan.h"

#include <gtest/gtest.h>

#include <set>

#include "base/file.h"
#include "base/json.h"
#include "model/count.h"
#include "model/recipe.h"

namespace nereus {
namespace {

ModelConfig read(const std::string& relative) {
    const std::string path = std::string(NEREUS_SOURCE_DIR) + "/" + relative;
    const auto text = read_file(path, 1 << 20);
    return *config_from_json(*parse_json(*text, path), path);
}

const ModelTensor* find(const std::vector<ModelTensor>& tensors, std::string_view name) {
    for (const ModelTensor& tensor : tensors) {
        if (tensor.name == name) {
            return &tensor;
        }
    }
    return nullptr;
}

TEST(TensorPlan, the_numbers_of_all_tensors_are_the_counted_parameters_in_every_layout) {
    for (const char* path : {"bench/configs/v2-lite.json", "bench/configs/r1.json",
                             "tests/golden/qwen2/config.json", "tests/golden/llama3/config.json"}) {
        const ModelConfig config = read(path);
        for (const auto& [kind, layout] :
             {std::pair{CheckpointKind::kHuggingFace, TensorLayout::kPublished},
              {CheckpointKind::kHuggingFace, TensorLayout::kPack},
              {CheckpointKind::kGguf, TensorLayout::kPublished},
              {CheckpointKind::kGguf, TensorLayout::kSplitHeads},
              {CheckpointKind::kGguf, TensorLayout::kPack}}) {
            int64_t n_numbers = 0;
            std::set<std::string> names;
            for (const ModelTensor& tensor : model_tensors(config, kind, layout)) {
                EXPECT_TRUE(names.insert(tensor.name).second) << tensor.name;
                const bool counted =
                    !tensor.optional || (config.attention_bias && tensor.name.ends_with("bias") &&
                                         tensor.name.find("o_proj") == std::string::npos &&
                                         tensor.name.find("attn_output") == std::string::npos);
                n_numbers += counted ? tensor.rows * tensor.cols : 0;
            }
            EXPECT_EQ(n_numbers, count_parameters(config).total()) << path;
        }
    }
}

TEST(TensorPlan, v2_lite_and_r1_have_as_many_parameters_as_published) {
    EXPECT_EQ(count_parameters(read("bench/configs/v2-lite.json")).total(), 15'706'484'224);
    EXPECT_NEAR(static_cast<double>(count_parameters(read("bench/configs/r1.json")).total()),
                671.026e9, 0.001e9);
}

TEST(TensorPlan, a_packs_heads_and_experts_say_where_their_rows_come_from) {
    const ModelConfig config = read("bench/configs/r1.json");
    const auto tensors = model_tensors(config, CheckpointKind::kGguf, TensorLayout::kPack);
    const ModelTensor* key = find(tensors, "blk.7.attn_k_b.weight");
    ASSERT_NE(key, nullptr);
    EXPECT_EQ(key->source, RowSource::kKeyHalf);
    EXPECT_EQ(key->source_name, "blk.7.attn_kv_b.weight");
    EXPECT_EQ(key->source_rows, 128 * 256);
    EXPECT_EQ(key->rows, 128 * 512);
    EXPECT_EQ(key->cols, 128);
    const ModelTensor* expert = find(tensors, "blk.7.ffn_down_exps.weight.5");
    ASSERT_NE(expert, nullptr);
    EXPECT_EQ(expert->source_name, "blk.7.ffn_down_exps.weight");
    EXPECT_EQ(expert->source_first, 5 * 7168);
    EXPECT_EQ(expert->source_rows, 256 * 7168);
}

TEST(Recipe, q4_keeps_ends_and_latent_heads_at_8_bits_and_never_rounds_router_and_norms) {
    const ModelConfig config = read("bench/configs/r1.json");
    const Recipe& recipe = **find_recipe("q4");
    const auto tensors = model_tensors(config, CheckpointKind::kHuggingFace, TensorLayout::kPack);
    const auto format = [&](std::string_view name) {
        const ModelTensor* tensor = find(tensors, name);
        return format_of(format_for(recipe, *tensor, FormatId::kBf16)).name;
    };
    EXPECT_EQ(format("lm_head.weight"), "q8");
    EXPECT_EQ(format("model.embed_tokens.weight"), "q8");
    EXPECT_EQ(format("model.layers.4.self_attn.k_b_proj.weight"), "q8");
    EXPECT_EQ(format("model.layers.4.self_attn.q_b_proj.weight"), "q4");
    EXPECT_EQ(format("model.layers.4.mlp.experts.255.up_proj.weight"), "q4");
    EXPECT_EQ(format("model.layers.4.mlp.gate.weight"), "bf16");
    EXPECT_EQ(format("model.layers.4.mlp.gate.e_score_correction_bias"), "f32");
    EXPECT_EQ(format("model.norm.weight"), "f32");
}

TEST(Recipe, what_cannot_lie_in_panels_stays_bf16) {
    const Recipe& recipe = **find_recipe("q4");
    ModelTensor tensor;
    tensor.role = TensorRole::kLatentHeads;
    tensor.rows = 96;
    tensor.cols = 128;
    tensor.slice_rows = 24;  // a head's rows end inside a panel
    EXPECT_EQ(format_for(recipe, tensor, FormatId::kF32), FormatId::kBf16);
    tensor.slice_rows = 48;
    EXPECT_EQ(format_for(recipe, tensor, FormatId::kF32), FormatId::kQ8);
    tensor.rows = 8;
    EXPECT_EQ(format_for(recipe, tensor, FormatId::kF32), FormatId::kBf16);
}

TEST(Recipe, every_expert_is_one_blob_of_gate_up_and_down) {
    const ModelConfig config = read("bench/configs/v2-lite.json");
    const auto tensors = model_tensors(config, CheckpointKind::kHuggingFace, TensorLayout::kPack);
    const std::vector<FormatId> formats(tensors.size(), FormatId::kBf16);
    int64_t n_experts = 0;
    for (const PackBlob& blob : pack_blobs(tensors, formats)) {
        EXPECT_EQ(blob.tensors.size(), blob.is_expert ? 3U : 1U);
        n_experts += blob.is_expert ? 1 : 0;
    }
    EXPECT_EQ(n_experts, 26 * 64);
}

TEST(Recipe, an_unknown_name_lists_those_there_are) {
    const auto recipe = find_recipe("q5");
    ASSERT_FALSE(recipe.ok());
    EXPECT_NE(recipe.error().message.find("q8, q4, q4-mixed, q2, bf16, f32"), std::string::npos);
}

}  // namespace
}  // namespace nereus
