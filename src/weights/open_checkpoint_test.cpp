#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <filesystem>
#include <string>
#include <vector>

#include "base/json.h"
#include "weights/checkpoint.h"

namespace nereus {
namespace {

std::filesystem::path in_tree(const std::string& path) {
    return std::filesystem::path(NEREUS_SOURCE_DIR) / path;
}

std::unique_ptr<Checkpoint> open_or_fail(const std::filesystem::path& path) {
    auto checkpoint = open_checkpoint(path);
    EXPECT_TRUE(checkpoint.ok()) << checkpoint.error().message;
    return checkpoint.ok() ? std::move(*checkpoint) : nullptr;
}

struct KnownModel {
    const char* path;
    size_t n_tensors;  ///< without scales
    size_t n_scaled;
};

class KnownModelTest : public ::testing::TestWithParam<KnownModel> {};

TEST_P(KnownModelTest, opens_with_every_tensor_whole) {
    const KnownModel& known = GetParam();
    const auto checkpoint = open_or_fail(in_tree(known.path));
    ASSERT_NE(checkpoint, nullptr);
    EXPECT_EQ(checkpoint->tensors().size(), known.n_tensors);
    size_t n_scaled = 0;
    for (const StoredTensor& tensor : checkpoint->tensors()) {
        const Format& format = format_of(tensor.format);
        EXPECT_EQ(static_cast<int64_t>(tensor.data.size()),
                  format.row_bytes(tensor.shape.cols()) * tensor.shape.rows());
        EXPECT_EQ(checkpoint->find(tensor.name), &tensor);
        n_scaled += tensor.scales != nullptr ? 1 : 0;
    }
    EXPECT_EQ(n_scaled, known.n_scaled);
}

// Counts by the safetensors headers and gguf-py's reader.
INSTANTIATE_TEST_SUITE_P(
    Models, KnownModelTest,
    ::testing::Values(
        KnownModel{"tests/golden/llama3", 30, 0}, KnownModel{"tests/golden/qwen2", 38, 0},
        KnownModel{"tests/golden/v2_group", 137, 0}, KnownModel{"tests/golden/v2_lite", 83, 0},
        KnownModel{"tests/golden/v3", 207, 0}, KnownModel{"tests/golden/v3_fp8", 135, 104},
        KnownModel{"tests/golden/v3_long", 97, 0}, KnownModel{"tests/golden/v3_norope", 109, 0},
        KnownModel{"models/nereus-seed", 249, 200}, KnownModel{"tests/data/seed-q8_0.gguf", 106, 0},
        KnownModel{"tests/data/gguf/v3-mla.gguf", 52, 0},
        KnownModel{"tests/data/gguf/v3-legacy.gguf", 49, 0},
        KnownModel{"tests/data/gguf/v2_lite-mla.gguf", 44, 0},
        KnownModel{"tests/data/gguf/v2_lite-legacy.gguf", 41, 0},
        KnownModel{"tests/data/gguf/llama3.gguf", 31, 0},
        KnownModel{"tests/data/gguf/qwen2.gguf", 38, 0},
        KnownModel{"tests/data/gguf/qwen2-split-00001-of-00002.gguf", 38, 0}),
    [](const auto& model) {
        std::string name = model.param.path;
        std::replace_if(name.begin(), name.end(), [](char c) { return std::isalnum(c) == 0; }, '_');
        return name;
    });

TEST(OpenCheckpoint, gives_the_config_of_a_folder) {
    const auto checkpoint = open_or_fail(in_tree("models/nereus-seed"));
    ASSERT_NE(checkpoint, nullptr);
    EXPECT_EQ(checkpoint->kind(), CheckpointKind::kHuggingFace);
    EXPECT_EQ(checkpoint->config()["model_type"], "deepseek_v3");
    EXPECT_TRUE(checkpoint->generation_config().is_object());
    EXPECT_EQ(checkpoint->gguf(), nullptr);
    EXPECT_EQ(checkpoint->find("no.such.tensor"), nullptr);
}

TEST(OpenCheckpoint, takes_a_weight_file_for_its_folder) {
    const auto one = open_or_fail(in_tree("tests/golden/llama3/model.safetensors"));
    const auto shard =
        open_or_fail(in_tree("tests/golden/v2_lite/model-00002-of-00003.safetensors"));
    ASSERT_NE(one, nullptr);
    ASSERT_NE(shard, nullptr);
    EXPECT_EQ(one->tensors().size(), 30U);
    EXPECT_EQ(shard->tensors().size(), 83U);
}

/// The bytes of a tensor, or none.
std::string_view bytes_of(const Checkpoint& checkpoint, std::string_view name) {
    const StoredTensor* tensor = checkpoint.find(name);
    return tensor == nullptr ? std::string_view()
                             : std::string_view(reinterpret_cast<const char*>(tensor->data.data()),
                                                tensor->data.size());
}

TEST(OpenCheckpoint, a_gguf_and_the_folder_it_came_from_hold_the_same_bytes) {
    const auto folder = open_or_fail(in_tree("tests/golden/v3"));
    const auto gguf = open_or_fail(in_tree("tests/data/gguf/v3-legacy.gguf"));
    ASSERT_NE(folder, nullptr);
    ASSERT_NE(gguf, nullptr);
    ASSERT_NE(gguf->gguf(), nullptr);
    EXPECT_EQ(gguf->gguf()->string("general.architecture"), "deepseek2");
    EXPECT_EQ(gguf->gguf()->strings("tokenizer.ggml.tokens").size(), 320U);
    EXPECT_TRUE(gguf->config().is_null());
    const auto embedding = bytes_of(*folder, "model.embed_tokens.weight");
    EXPECT_FALSE(embedding.empty());
    EXPECT_EQ(bytes_of(*gguf, "token_embd.weight"), embedding);
    EXPECT_EQ(bytes_of(*gguf, "blk.2.attn_kv_b.weight"),
              bytes_of(*folder, "model.layers.2.self_attn.kv_b_proj.weight"));
    const StoredTensor* experts = gguf->find("blk.1.ffn_gate_exps.weight");
    ASSERT_NE(experts, nullptr);
    EXPECT_EQ(experts->shape, (Shape{{16, 80, 128}}));
    EXPECT_EQ(bytes_of(*gguf, experts->name).substr(3 * 80 * 128 * 2, 80 * 128 * 2),
              bytes_of(*folder, "model.layers.1.mlp.experts.3.gate_proj.weight"));
}

TEST(OpenCheckpoint, fp8_weights_carry_one_scale_per_block) {
    const auto checkpoint = open_or_fail(in_tree("tests/golden/v3_fp8"));
    ASSERT_NE(checkpoint, nullptr);
    // kv_lora_rank is 130: one whole and one partial block of columns.
    const StoredTensor* weight = checkpoint->find("model.layers.0.self_attn.kv_b_proj.weight");
    ASSERT_NE(weight, nullptr);
    EXPECT_EQ(weight->format, FormatId::kFp8Block128);
    EXPECT_EQ(weight->shape.cols(), 130);
    ASSERT_NE(weight->scales, nullptr);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(weight->scales) % alignof(float), 0U);
    std::vector<float> row(130);
    format_of(weight->format).decode_row({weight->data.data(), weight->scales}, 130, row.data());
    for (const float value : row) {
        EXPECT_TRUE(std::isfinite(value));
        EXPECT_LT(std::fabs(value), 10.0F);  // N(0, 1.2 / sqrt(fan_in)): far below
    }
    EXPECT_EQ(checkpoint->find("model.layers.0.self_attn.kv_b_proj.weight_scale_inv"), nullptr);
}

TEST(OpenCheckpoint, refuses_a_safetensors_file_that_is_not_part_of_the_model) {
    const auto checkpoint = open_checkpoint(in_tree("tests/golden/llama3/hidden.safetensors"));
    ASSERT_FALSE(checkpoint.ok());
    EXPECT_EQ(checkpoint.error().code, ErrorCode::kInvalidArgument);
    EXPECT_THAT(checkpoint.error().message, ::testing::HasSubstr("hidden.safetensors: not one of"));
}

}  // namespace
}  // namespace nereus
