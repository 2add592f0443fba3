// Made-up models: what a GGUF says about itself is the configuration it was made from, formats are
// the mixture of Q4_K_M, and random bytes depend on seed, name and format only.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <set>

#include "apps/random_model.h"
#include "apps/synth_gguf.h"
#include "base/json.h"
#include "tests/support/golden.h"
#include "tests/support/scratch.h"
#include "weights/checkpoint.h"

namespace nereus {
namespace {

using test::must;
using test::source_path;

ModelConfig config_at(const std::string& relative) {
    const std::string path = source_path(relative);
    return must(config_from_json(must(parse_json(must(read_file(path, 1 << 20)), path)), path));
}

constexpr const char* kConfigs[] = {
    "tests/golden/v3/config.json",      "tests/golden/v3_long/config.json",
    "tests/golden/v2_lite/config.json", "tests/golden/v2_group/config.json",
    "tests/golden/qwen2/config.json",   "tests/golden/llama3/config.json",
    "bench/configs/v2-lite.json",       "bench/configs/r1.json"};

/// The configuration that a GGUF with nothing but our header is read as.
ModelConfig through_gguf(const ModelConfig& config) {
    const std::filesystem::path path = scratch_folder() / "header.gguf";
    std::filesystem::remove(path);
    auto writer = must(create_gguf(path, gguf_pairs(config), {}));
    EXPECT_TRUE(writer->finish().ok());
    const auto checkpoint = must(open_checkpoint(path));
    return must(config_of(*checkpoint));
}

TEST(GgufPairs, say_the_dimensions_they_were_made_from) {
    for (const char* path : kConfigs) {
        const ModelConfig a = config_at(path);
        const ModelConfig b = through_gguf(a);
        const auto same = [&](const char* what, auto field) {
            EXPECT_EQ(a.*field, b.*field) << path << " " << what;
        };
        same("vocab", &ModelConfig::vocab_size);
        same("hidden", &ModelConfig::hidden_size);
        same("intermediate", &ModelConfig::intermediate_size);
        same("layers", &ModelConfig::num_hidden_layers);
        same("heads", &ModelConfig::num_attention_heads);
        same("context", &ModelConfig::max_position_embeddings);
        same("q_lora", &ModelConfig::q_lora_rank);
        same("kv_lora", &ModelConfig::kv_lora_rank);
        same("nope", &ModelConfig::qk_nope_head_dim);
        same("rope", &ModelConfig::qk_rope_head_dim);
        same("v", &ModelConfig::v_head_dim);
        same("experts", &ModelConfig::n_routed_experts);
        same("shared", &ModelConfig::n_shared_experts);
        same("per token", &ModelConfig::num_experts_per_tok);
        same("dense layers", &ModelConfig::first_k_dense_replace);
        if (a.n_routed_experts > 0) {
            same("expert width", &ModelConfig::moe_intermediate_size);
        }
        EXPECT_FLOAT_EQ(static_cast<float>(a.rms_norm_eps), static_cast<float>(b.rms_norm_eps));
        EXPECT_FLOAT_EQ(static_cast<float>(a.rope_theta), static_cast<float>(b.rope_theta));
        ASSERT_EQ(a.layers.size(), b.layers.size());
        for (size_t i = 0; i < a.layers.size(); ++i) {
            EXPECT_EQ(a.layers[i].attention, b.layers[i].attention) << path << " layer " << i;
            EXPECT_EQ(a.layers[i].ffn, b.layers[i].ffn) << path << " layer " << i;
        }
    }
}

TEST(GgufPairs, say_how_experts_are_chosen) {
    for (const char* path : {"tests/golden/v3/config.json", "tests/golden/v2_group/config.json",
                             "tests/golden/v2_lite/config.json", "bench/configs/r1.json"}) {
        const ModelConfig a = config_at(path);
        const ModelConfig b = through_gguf(a);
        EXPECT_EQ(a.router.scoring, b.router.scoring) << path;
        EXPECT_EQ(a.router.n_group, b.router.n_group) << path;
        EXPECT_EQ(a.router.topk_group, b.router.topk_group) << path;
        EXPECT_EQ(a.router.top_k, b.router.top_k) << path;
        EXPECT_EQ(a.router.norm_topk_prob, b.router.norm_topk_prob) << path;
        EXPECT_FLOAT_EQ(static_cast<float>(a.router.routed_scaling_factor),
                        static_cast<float>(b.router.routed_scaling_factor))
            << path;
    }
}

TEST(GgufPairs, keep_the_stretch_of_yarn) {
    for (const char* path : {"tests/golden/v3/config.json", "bench/configs/r1.json"}) {
        const ModelConfig a = config_at(path);
        const ModelConfig b = through_gguf(a);
        ASSERT_EQ(a.rope_scaling.type, RopeScalingType::kYarn);
        EXPECT_EQ(b.rope_scaling.type, RopeScalingType::kYarn);
        EXPECT_FLOAT_EQ(static_cast<float>(a.rope_scaling.factor),
                        static_cast<float>(b.rope_scaling.factor));
        EXPECT_EQ(a.rope_scaling.original_max_position_embeddings,
                  b.rope_scaling.original_max_position_embeddings);
        EXPECT_NEAR(a.softmax_scale(), b.softmax_scale(), 1e-6) << path;
    }
}

std::vector<ModelTensor> gguf_plan(const ModelConfig& config) {
    return model_tensors(config, CheckpointKind::kGguf, TensorLayout::kSplitHeads);
}

TEST(Q4KM, the_shape_of_every_tensor_holds_its_numbers) {
    for (const char* path : kConfigs) {
        const ModelConfig config = config_at(path);
        for (const ModelTensor& tensor : gguf_plan(config)) {
            const FileTensor file = q4_k_m_tensor(tensor, config);
            EXPECT_EQ(file.name, tensor.name);
            EXPECT_EQ(file.shape.n_elements(), tensor.rows * tensor.cols) << tensor.name;
            EXPECT_EQ(file.shape.cols(), tensor.cols) << tensor.name;
            const int64_t block = format_of(file.format).block_elements;
            EXPECT_EQ(tensor.cols % block, 0)
                << path << " " << tensor.name << " " << format_of(file.format).name;
        }
    }
}

TEST(Q4KM, mixes_the_formats_that_llama_quantize_mixes) {
    const ModelConfig config = config_at("bench/configs/r1.json");
    std::set<std::string> more_bits;
    for (const ModelTensor& tensor : gguf_plan(config)) {
        const FormatId format = q4_k_m_tensor(tensor, config).format;
        if (tensor.role == TensorRole::kVector || tensor.role == TensorRole::kRouter) {
            EXPECT_EQ(format, FormatId::kF32) << tensor.name;
        } else if (tensor.name == "output.weight") {
            EXPECT_EQ(format, FormatId::kQ6K);
        } else if (tensor.name.find("ffn_down") == std::string::npos && tensor.cols % 256 == 0) {
            EXPECT_EQ(format, FormatId::kQ4K) << tensor.name;
        }
        if (tensor.name.find("ffn_down_exps") != std::string::npos && format == FormatId::kQ6K) {
            more_bits.insert(tensor.name);
        }
    }
    // 61 layers: the first 7, the last 8, and every third between; layers 0 to 2 have no experts.
    EXPECT_TRUE(more_bits.contains("blk.3.ffn_down_exps.weight"));
    EXPECT_TRUE(more_bits.contains("blk.60.ffn_down_exps.weight"));
    EXPECT_FALSE(more_bits.contains("blk.7.ffn_down_exps.weight"));
    EXPECT_FALSE(more_bits.contains("blk.8.ffn_down_exps.weight"));
    EXPECT_TRUE(more_bits.contains("blk.9.ffn_down_exps.weight"));
}

TEST(Q4KM, rows_that_are_no_whole_super_blocks_fall_back_to_smaller_blocks) {
    const ModelConfig config = config_at("bench/configs/r1.json");
    ModelTensor tensor;
    tensor.name = "blk.20.attn_q.weight";
    tensor.role = TensorRole::kAttention;
    tensor.layer = 20;
    tensor.rows = 8;
    const auto format_with = [&](int64_t cols) {
        tensor.cols = cols;
        return q4_k_m_tensor(tensor, config).format;
    };
    EXPECT_EQ(format_with(512), FormatId::kQ4K);
    EXPECT_EQ(format_with(96), FormatId::kQ5_0);
    EXPECT_EQ(format_with(48), FormatId::kF16);
    tensor.role = TensorRole::kHead;
    EXPECT_EQ(format_with(512), FormatId::kQ6K);
    EXPECT_EQ(format_with(96), FormatId::kQ8_0);
    EXPECT_EQ(format_with(48), FormatId::kF16);
}

ModelTensor matrix(const std::string& name, int64_t rows, int64_t cols,
                   TensorRole role = TensorRole::kAttention) {
    ModelTensor tensor;
    tensor.name = name;
    tensor.role = role;
    tensor.rows = rows;
    tensor.cols = cols;
    return tensor;
}

std::vector<std::byte> random_bytes(const ModelTensor& tensor, FormatId format, uint64_t seed,
                                    int threads = 1) {
    ThreadPool pool(threads);
    std::vector<std::byte> bytes;
    const Status status =
        RandomBytes(pool, seed).write(tensor, format, [&](std::span<const std::byte> more) {
            bytes.insert(bytes.end(), more.begin(), more.end());
            return Status();
        });
    EXPECT_TRUE(status.ok());
    return bytes;
}

std::vector<float> floats_of(const std::vector<std::byte>& bytes) {
    std::vector<float> values(bytes.size() / sizeof(float));
    std::memcpy(values.data(), bytes.data(), bytes.size());
    return values;
}

TEST(RandomBytes, are_as_many_as_the_format_needs_and_depend_on_seed_and_name) {
    for (const FormatId id :
         {FormatId::kF32, FormatId::kBf16, FormatId::kQ8_0, FormatId::kQ4K, FormatId::kQ4}) {
        const ModelTensor tensor = matrix("a", 48, 512);
        const auto bytes = random_bytes(tensor, id, 1);
        EXPECT_EQ(bytes.size(), static_cast<size_t>(format_of(id).matrix_bytes(48, 512)));
        EXPECT_TRUE(bytes == random_bytes(tensor, id, 1, 3)) << format_of(id).name;
        EXPECT_FALSE(bytes == random_bytes(tensor, id, 2)) << format_of(id).name;
        EXPECT_FALSE(bytes == random_bytes(matrix("b", 48, 512), id, 1)) << format_of(id).name;
    }
}

TEST(RandomBytes, of_a_tensor_larger_than_the_buffer_do_not_repeat) {
    const ModelTensor tensor = matrix("big", 4500, 2048);  // 36 MiB of F32, pieces of 1 MiB
    const auto bytes = random_bytes(tensor, FormatId::kF32, 1, 2);
    ASSERT_EQ(bytes.size(), size_t{4500} * 2048 * 4);
    constexpr size_t kPiece = size_t{1} << 20;
    std::set<std::string> starts;
    for (size_t at = 0; at < bytes.size(); at += kPiece) {
        starts.insert(std::string(reinterpret_cast<const char*>(bytes.data() + at), 64));
    }
    EXPECT_EQ(starts.size(), (bytes.size() + kPiece - 1) / kPiece);
}

TEST(RandomBytes, keep_the_size_of_what_passes_through_a_matrix) {
    const auto deviation = [](const std::vector<float>& values) {
        double sum = 0;
        for (const float value : values) {
            sum += static_cast<double>(value) * value;
        }
        return std::sqrt(sum / static_cast<double>(values.size()));
    };
    const auto of = [&](int64_t cols, TensorRole role) {
        return deviation(floats_of(random_bytes(matrix("m", 64, cols, role), FormatId::kF32, 1)));
    };
    EXPECT_NEAR(of(1024, TensorRole::kAttention), 1.0 / 32, 0.01 / 32);
    EXPECT_NEAR(of(256, TensorRole::kDenseFfn), 1.0 / 16, 0.02 / 16);
    EXPECT_NEAR(of(256, TensorRole::kEmbedding), 1.0, 0.02);
}

TEST(RandomBytes, of_norms_are_ones_and_of_biases_small) {
    ModelTensor norm = matrix("model.norm.weight", 1, 100, TensorRole::kVector);
    EXPECT_EQ(floats_of(random_bytes(norm, FormatId::kF32, 1)), std::vector<float>(100, 1.0F));
    ModelTensor bias = matrix("q_proj.bias", 1, 100, TensorRole::kVector);
    const auto values = floats_of(random_bytes(bias, FormatId::kF32, 1));
    for (const float value : values) {
        EXPECT_LE(std::fabs(value), 0.0175F);
    }
    EXPECT_NE(values, std::vector<float>(100, values[0]));
}

TEST(RandomBytes, the_writers_error_is_the_result) {
    ThreadPool pool(1);
    const Status status = RandomBytes(pool, 1).write(
        matrix("a", 4, 4), FormatId::kF32,
        [](std::span<const std::byte>) -> Status { return make_error(ErrorCode::kIo, "full"); });
    ASSERT_FALSE(status.ok());
    EXPECT_EQ(status.error().message, "full");
}

TEST(RandomBytes, fp8_scales_are_one_a_block_begun) {
    ThreadPool pool(1);
    std::vector<std::byte> bytes;
    ASSERT_TRUE(RandomBytes(pool, 1)
                    .write_fp8_scales(matrix("w", 130, 257),
                                      [&](std::span<const std::byte> more) {
                                          bytes.insert(bytes.end(), more.begin(), more.end());
                                          return Status();
                                      })
                    .ok());
    const auto scales = floats_of(bytes);
    ASSERT_EQ(scales.size(), 6U);
    for (const float scale : scales) {
        EXPECT_EQ(scale, scales[0]);
        EXPECT_GT(scale, 0.0F);
    }
}

}  // namespace
}  // namespace nereus
