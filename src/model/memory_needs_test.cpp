// What a checkpoint needs in memory, by part: every tensor once and in its part, by hand for a
// made-up model; and the same account from a configuration alone, for the models that come along.

#include "model/memory_needs.h"

#include <gtest/gtest.h>

#include <numeric>

#include "base/input_file.h"
#include "base/json.h"
#include "base/machine_memory.h"
#include "base/units.h"
#include "model/count.h"
#include "model/forecast.h"
#include "model/testing/made_up_checkpoint.h"

namespace nereus {
namespace {

/// Three layers, the first dense; 4 experts, 2 a token; one layer of multi-token prediction.
ModelConfig small_config() {
    const Json json = {{"model_type", "deepseek_v3"},
                       {"vocab_size", 100},
                       {"hidden_size", 256},
                       {"intermediate_size", 512},
                       {"moe_intermediate_size", 128},
                       {"num_hidden_layers", 3},
                       {"num_attention_heads", 4},
                       {"kv_lora_rank", 64},
                       {"q_lora_rank", 96},
                       {"qk_nope_head_dim", 32},
                       {"qk_rope_head_dim", 16},
                       {"v_head_dim", 32},
                       {"n_routed_experts", 4},
                       {"n_shared_experts", 1},
                       {"num_experts_per_tok", 2},
                       {"first_k_dense_replace", 1},
                       {"n_group", 2},
                       {"topk_group", 1},
                       {"num_nextn_predict_layers", 1},
                       {"max_position_embeddings", 512}};
    return config_from_json(json, "small").value();
}

/// What reading a tensor with aligned reads takes beside its bytes.
constexpr uint64_t kEdges = 2 * kDirectAlignment;

TEST(MemoryNeeds, every_tensor_counts_once_in_its_part_and_layer_with_the_edges_of_its_read) {
    MadeUpCheckpoint files;
    files.add("model.embed_tokens.weight", FormatId::kBf16, {100, 256});
    files.add("model.layers.0.mlp.up_proj.weight", FormatId::kBf16, {512, 256});
    files.add("model.layers.1.self_attn.o_proj.weight", FormatId::kF32, {256, 128});
    files.add("model.layers.1.mlp.experts.0.up_proj.weight", FormatId::kBf16, {128, 256});
    files.add("model.layers.2.mlp.experts.3.down_proj.weight", FormatId::kBf16, {256, 128});
    files.add("model.layers.2.mlp.shared_experts.up_proj.weight", FormatId::kBf16, {128, 256});
    files.add("model.layers.3.eh_proj.weight", FormatId::kBf16, {256, 512});  // multi-token
    files.add("model.norm.weight", FormatId::kF32, {256});
    const MemoryNeeds needs = memory_needs(files, small_config());
    constexpr uint64_t kEmbedding = 100 * 256 * 2 + kEdges;
    constexpr uint64_t kUp = 512 * 256 * 2 + kEdges;
    constexpr uint64_t kOut = 256 * 128 * 4 + kEdges;
    constexpr uint64_t kExpert = 128 * 256 * 2 + kEdges;
    EXPECT_EQ(needs.layer_bytes, (std::vector<uint64_t>{kUp, kOut, kExpert}))
        << "the shared expert of layer 2 is as large as a routed one and dense";
    EXPECT_EQ(needs.expert_bytes, 2 * kExpert);
    EXPECT_EQ(needs.dense_bytes, kEmbedding + kUp + kOut + kExpert + (256 * 4 + kEdges));
    EXPECT_EQ(needs.n_experts, 2 * 4) << "two mixture layers, whatever the files hold";
    EXPECT_EQ(needs.n_experts_min, 2) << "those of one token in one layer";
}

TEST(MemoryNeeds, scales_are_in_memory_even_where_the_expert_is_on_disk) {
    MadeUpCheckpoint files;
    files.add("model.layers.1.mlp.experts.0.up_proj.weight", FormatId::kFp8Block128, {130, 256});
    const MemoryNeeds needs = memory_needs(files, small_config());
    EXPECT_EQ(needs.expert_bytes, 130 * 256 + kEdges);
    EXPECT_EQ(needs.dense_bytes, 16 + 4 * 2 * 2) << "four blocks begun, and the allocation's head";
}

TEST(MemoryNeeds, names_of_ggufs_have_layers_too) {
    MadeUpCheckpoint files;
    files.add("token_embd.weight", FormatId::kF32, {100, 256});
    files.add("blk.2.attn_output.weight", FormatId::kF32, {256, 128});
    files.add("blk.7.attn_output.weight", FormatId::kF32, {256, 128});  // beyond the last layer
    files.add("blk.1.ffn_up_exps.weight", FormatId::kF32, {4, 128, 256});
    const MemoryNeeds needs = memory_needs(files, small_config());
    EXPECT_EQ(needs.layer_bytes, (std::vector<uint64_t>{0, 0, 256 * 128 * 4 + kEdges}));
    EXPECT_EQ(needs.expert_bytes, 4 * 128 * 256 * 4 + kEdges);
}

TEST(MemoryNeeds, a_model_without_experts_keeps_none) {
    Json json = {{"model_type", "llama"},    {"vocab_size", 100},
                 {"hidden_size", 64},        {"intermediate_size", 128},
                 {"num_hidden_layers", 2},   {"num_attention_heads", 4},
                 {"num_key_value_heads", 2}, {"max_position_embeddings", 512}};
    MadeUpCheckpoint files;
    files.add("lm_head.weight", FormatId::kF32, {100, 64});
    const MemoryNeeds needs = memory_needs(files, config_from_json(json, "dense").value());
    EXPECT_EQ(needs.n_experts, 0);
    EXPECT_EQ(needs.n_experts_min, 0);
    EXPECT_EQ(needs.expert_bytes, 0U);
    EXPECT_EQ(needs.layer_bytes, (std::vector<uint64_t>{0, 0}));
}

TEST(MemoryNeeds, the_process_is_what_it_takes_now_with_a_margin_and_eight_rows_of_logits) {
    MadeUpCheckpoint none;
    ModelConfig config = small_config();
    const uint64_t small = memory_needs(none, config).process_bytes;
    EXPECT_GE(small, process_memory().resident);
    config.vocab_size += 10'000'000;
    const uint64_t large = memory_needs(none, config).process_bytes;
    // The process may grow a little between the two.
    EXPECT_NEAR(static_cast<double>(large - small), 8.0 * 4 * 1e7, 8e6);
}

TEST(ActivationBytes, hold_the_buffers_of_a_pass_that_the_equations_name) {
    const ModelConfig c = small_config();
    // Residual stream, its norm and what a block adds; latent attention: compressed query, latent
    // and shared key, per head the query, the absorbed query, the latent sum and the value; the
    // experts of a token side by side, the shared one, the dense layer, the router's scores.
    const double attention = 96 + (64 + 16) + 4 * ((32 + 16) + (64 + 16) + 64 + 32);
    const double ffn = 2 * (2 * 128 + 2 * 256) + 2 * 128 + 2 * 512 + 4;
    const double values = 3 * 256 + attention + ffn;
    EXPECT_NEAR(static_cast<double>(activation_bytes_per_row(c)), 5 * values, 1)
        << "four bytes each and a quarter for rounded copies";
}

TEST(ActivationBytes, grow_with_every_dimension_of_a_model) {
    const ModelConfig c = small_config();
    const uint64_t plain = activation_bytes_per_row(c);
    for (int64_t ModelConfig::* dimension :
         {&ModelConfig::hidden_size, &ModelConfig::intermediate_size,
          &ModelConfig::num_attention_heads, &ModelConfig::q_lora_rank, &ModelConfig::kv_lora_rank,
          &ModelConfig::qk_nope_head_dim, &ModelConfig::qk_rope_head_dim, &ModelConfig::v_head_dim,
          &ModelConfig::moe_intermediate_size, &ModelConfig::n_routed_experts,
          &ModelConfig::n_shared_experts, &ModelConfig::num_experts_per_tok}) {
        ModelConfig larger = c;
        larger.*dimension += 1;
        EXPECT_GT(activation_bytes_per_row(larger), plain);
    }
}

class NeedsOfFiles : public testing::TestWithParam<const char*> {};

TEST_P(NeedsOfFiles, from_the_configuration_alone_are_those_of_the_files_up_to_edges_of_reads) {
    const auto checkpoint =
        open_checkpoint(std::string(NEREUS_SOURCE_DIR) + "/" + GetParam()).value();
    const ModelSize size = size_of_files(*checkpoint).value();
    const MemoryNeeds files = memory_needs(*checkpoint, size.config);
    const MemoryNeeds forecast = needs_of(size);
    EXPECT_EQ(files.n_experts, forecast.n_experts);
    EXPECT_EQ(files.n_experts_min, forecast.n_experts_min);
    EXPECT_EQ(files.row_bytes, forecast.row_bytes);
    const auto edges = static_cast<uint64_t>(checkpoint->tensors().size()) * (kEdges + 16);
    for (const auto& [of_files, of_size] : {std::pair{files.dense_bytes + files.expert_bytes,
                                                      forecast.dense_bytes + forecast.expert_bytes},
                                            {files.expert_bytes, forecast.expert_bytes}}) {
        EXPECT_GE(of_files + edges, of_size);
        EXPECT_LE(of_files, of_size + edges);
    }
    const uint64_t in_layers =
        std::accumulate(files.layer_bytes.begin(), files.layer_bytes.end(), uint64_t{0});
    EXPECT_LT(in_layers, files.dense_bytes) << "embedding, head and the last norm are in no layer";
    for (const uint64_t layer : files.layer_bytes) {
        EXPECT_GT(layer, 0U);
    }
}

INSTANTIATE_TEST_SUITE_P(models, NeedsOfFiles,
                         testing::Values("models/nereus-seed", "tests/golden/v2_lite",
                                         "tests/golden/v3_fp8", "tests/golden/qwen2",
                                         "tests/golden/llama3", "tests/data/seed-q8_0.gguf"),
                         [](const auto& row) {
                             std::string name = row.param;
                             for (char& c : name) {
                                 c = std::isalnum(static_cast<unsigned char>(c)) != 0 ? c : '_';
                             }
                             return name;
                         });

}  // namespace
}  // namespace nereus
