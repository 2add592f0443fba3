#include <gmock/gmock.h>
#include <gtest/gtest.h>

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
INSTANTIATE_TEST_SUITE_P(Models, KnownModelTest,
                         ::testing::Values(KnownModel{"tests/golden/llama3", 30, 0},
                                           KnownModel{"tests/golden/qwen2", 38, 0},
                                           KnownModel{"tests/golden/v2_group", 137, 0},
                                           KnownModel{"tests/golden/v2_lite", 83, 0},
                                           KnownModel{"tests/golden/v3", 207, 0},
                                           KnownModel{"tests/golden/v3_fp8", 135, 104},
                                           KnownModel{"tests/golden/v3_long", 97, 0},
                                           KnownModel{"tests/golden/v3_norope", 109, 0},
                                           KnownModel{"models/nereus-seed", 249, 200},
                                           KnownModel{"tests/data/seed-q8_0.gguf", 106, 0}),
                         [](const auto& model) {
                             std::string name = std::filesystem::path(model.param.path).stem();
                             std::replace(name.begin(), name.end(), '-', '_');
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

TEST(OpenCheckpoint, refuses_a_safetensors_file_that_is_not_part_of_the_model) {
    const auto checkpoint = open_checkpoint(in_tree("tests/golden/llama3/hidden.safetensors"));
    ASSERT_FALSE(checkpoint.ok());
    EXPECT_EQ(checkpoint.error().code, ErrorCode::kInvalidArgument);
    EXPECT_THAT(checkpoint.error().message, ::testing::HasSubstr("hidden.safetensors: not one of"));
}

}  // namespace
}  // namespace nereus
