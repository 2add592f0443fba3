// Configuration from a GGUF header: both generations of keys, what is derived, what is refused.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <variant>

#include "base/json.h"
#include "model/config.h"

namespace nereus {
namespace {

using ::testing::HasSubstr;

/// A header held in memory.
class FakeHeader final : public GgufMetadata {
  public:
    using Value = std::variant<int64_t, double, std::string>;
    std::map<std::string, Value, std::less<>> values;
    std::vector<std::string_view> tokens;

    bool contains(std::string_view key) const override { return values.find(key) != values.end(); }
    std::optional<int64_t> integer(std::string_view key) const override {
        return get<int64_t>(key);
    }
    std::optional<double> number(std::string_view key) const override {
        const auto whole = get<int64_t>(key);
        return whole ? static_cast<double>(*whole) : get<double>(key);
    }
    std::optional<std::string_view> string(std::string_view key) const override {
        const auto found = values.find(key);
        return found == values.end()
                   ? std::nullopt
                   : std::optional<std::string_view>(std::get<std::string>(found->second));
    }
    std::vector<std::string_view> strings(std::string_view key) const override {
        return key == "tokenizer.ggml.tokens" ? tokens : std::vector<std::string_view>();
    }
    std::vector<double> numbers(std::string_view) const override { return {}; }
    std::string as_file() const override { return {}; }

  private:
    template <typename T>
    std::optional<T> get(std::string_view key) const {
        const auto found = values.find(key);
        if (found == values.end() || !std::holds_alternative<T>(found->second)) {
            return std::nullopt;
        }
        return std::get<T>(found->second);
    }
};

class FakeGguf final : public Checkpoint {
  public:
    FakeHeader header;
    bool has_head = true;

    CheckpointKind kind() const override { return CheckpointKind::kGguf; }
    const std::filesystem::path& path() const override { return path_; }
    std::span<const StoredTensor> tensors() const override { return {}; }
    const StoredTensor* find(std::string_view name) const override {
        return has_head && name == "output.weight" ? &head_ : nullptr;
    }
    const Json& config() const override { return json_; }
    const Json& generation_config() const override { return json_; }
    const GgufMetadata* gguf() const override { return &header; }
    uint64_t n_file_bytes() const override { return 0; }

  private:
    std::filesystem::path path_ = "model.gguf";
    StoredTensor head_;
    Json json_;
};

/// R1 as a new converter writes it: 256 experts, MLA keys, no group keys.
FakeGguf r1() {
    FakeGguf file;
    const std::pair<const char*, int64_t> integers[] = {
        {"block_count", 61},
        {"context_length", 163840},
        {"embedding_length", 7168},
        {"feed_forward_length", 18432},
        {"attention.head_count", 128},
        {"attention.head_count_kv", 1},
        {"attention.q_lora_rank", 1536},
        {"attention.kv_lora_rank", 512},
        {"attention.key_length", 576},
        {"attention.value_length", 512},
        {"attention.key_length_mla", 192},
        {"attention.value_length_mla", 128},
        {"leading_dense_block_count", 3},
        {"vocab_size", 129280},
        {"expert_count", 256},
        {"expert_used_count", 8},
        {"expert_shared_count", 1},
        {"expert_feed_forward_length", 2048},
        {"expert_weights_norm", 1},
        {"expert_gating_func", 2},
        {"rope.dimension_count", 64},
        {"rope.scaling.original_context_length", 4096}};
    for (const auto& [key, value] : integers) {
        file.header.values[std::string("deepseek2.") + key] = value;
    }
    file.header.values["general.architecture"] = std::string("deepseek2");
    file.header.values["deepseek2.expert_weights_scale"] = 2.5;
    file.header.values["deepseek2.rope.freq_base"] = 10000.0;
    file.header.values["deepseek2.rope.scaling.type"] = std::string("yarn");
    file.header.values["deepseek2.rope.scaling.factor"] = 40.0;
    file.header.values["deepseek2.rope.scaling.yarn_log_multiplier"] = 0.1;
    return file;
}

ModelConfig read(const FakeGguf& file) {
    const auto config = config_from_gguf(file);
    EXPECT_TRUE(config.ok()) << config.error().message;
    return config.ok() ? *config : ModelConfig();
}

TEST(GgufConfig, r1_is_a_deepseek_v3_with_its_published_numbers) {
    const ModelConfig config = read(r1());
    EXPECT_EQ(config.model_type, "deepseek_v3");
    EXPECT_EQ(config.qk_nope_head_dim, 128);
    EXPECT_EQ(config.qk_rope_head_dim, 64);
    EXPECT_EQ(config.v_head_dim, 128);
    EXPECT_EQ(config.num_key_value_heads, 128);
    EXPECT_EQ(config.first_k_dense_replace, 3);
    EXPECT_EQ(config.router.scoring, RouterScoring::kSigmoid);
    EXPECT_EQ(config.router.group_score, GroupScore::kTopTwoSum);
    EXPECT_TRUE(config.router.norm_topk_prob);
    EXPECT_FLOAT_EQ(config.router.routed_scaling_factor, 2.5F);
    EXPECT_NEAR(config.softmax_scale(), 0.1352337788, 1e-8);  // models.md 3.6
    EXPECT_FALSE(config.tie_word_embeddings);
}

TEST(GgufConfig, legacy_key_lengths_mean_the_same_heads) {
    FakeGguf file = r1();
    file.header.values.erase("deepseek2.attention.key_length_mla");
    file.header.values.erase("deepseek2.attention.value_length_mla");
    file.header.values["deepseek2.attention.key_length"] = int64_t{192};
    file.header.values["deepseek2.attention.value_length"] = int64_t{128};
    file.header.values["deepseek2.attention.head_count_kv"] = int64_t{128};
    const ModelConfig config = read(file);
    EXPECT_EQ(config.qk_nope_head_dim, 128);
    EXPECT_EQ(config.v_head_dim, 128);
    EXPECT_EQ(config.head_dim, 192);
}

TEST(GgufConfig, files_without_group_keys_get_the_groups_their_model_was_trained_with) {
    struct Case {
        int64_t experts, gating, n_group, topk_group;
    };
    for (const Case& c :
         {Case{256, 2, 8, 4}, Case{160, 1, 8, 3}, Case{64, 1, 1, 1}, Case{384, 2, 1, 1}}) {
        FakeGguf file = r1();
        file.header.values["deepseek2.expert_count"] = c.experts;
        file.header.values["deepseek2.expert_gating_func"] = c.gating;
        const ModelConfig config = read(file);
        EXPECT_EQ(config.router.n_group, c.n_group) << c.experts;
        EXPECT_EQ(config.router.topk_group, c.topk_group) << c.experts;
    }
    FakeGguf stated = r1();
    stated.header.values["deepseek2.expert_group_count"] = int64_t{4};
    stated.header.values["deepseek2.expert_group_used_count"] = int64_t{2};
    EXPECT_EQ(read(stated).router.n_group, 4) << "what the file states wins";
    EXPECT_EQ(read(stated).router.topk_group, 2);
}

TEST(GgufConfig, a_missing_gating_function_means_the_softmax_of_v2) {
    FakeGguf file = r1();
    file.header.values.erase("deepseek2.expert_gating_func");
    file.header.values["deepseek2.expert_count"] = int64_t{160};
    const ModelConfig config = read(file);
    EXPECT_EQ(config.model_type, "deepseek_v2");
    EXPECT_EQ(config.router.scoring, RouterScoring::kSoftmax);
    EXPECT_EQ(config.router.group_score, GroupScore::kMax);
    file.header.values["deepseek2.expert_count"] = int64_t{64};
    EXPECT_EQ(read(file).router.group_score, GroupScore::kNone);
}

TEST(GgufConfig, the_vocabulary_is_counted_when_it_is_not_stated) {
    FakeGguf file = r1();
    file.header.values.erase("deepseek2.vocab_size");
    EXPECT_THAT(config_from_gguf(file).error().message, HasSubstr("vocab_size is missing"));
    file.header.tokens.assign(77, "t");
    EXPECT_EQ(read(file).vocab_size, 77);
}

TEST(GgufConfig, a_file_without_a_head_uses_its_embedding) {
    FakeGguf file = r1();
    file.has_head = false;
    EXPECT_TRUE(read(file).tie_word_embeddings);
}

TEST(GgufConfig, stop_tokens_outside_the_vocabulary_are_left_out) {
    FakeGguf file = r1();
    file.header.values["tokenizer.ggml.eos_token_id"] = int64_t{1};
    file.header.values["tokenizer.ggml.eot_token_id"] = int64_t{129280};
    file.header.values["tokenizer.ggml.bos_token_id"] = int64_t{129280};
    EXPECT_EQ(read(file).eos_token_ids, std::vector<int32_t>{1});
    EXPECT_EQ(read(file).bos_token_id, -1);
    for (const int64_t bad : {int64_t{-1}, int64_t{-2}, INT64_MIN, INT64_MIN + 7, INT64_MAX}) {
        file.header.values["tokenizer.ggml.bos_token_id"] = bad;
        EXPECT_EQ(read(file).bos_token_id, -1) << bad;
    }
}

TEST(GgufConfig, numbers_that_are_not_finite_or_absurd_are_corrupt_by_key) {
    const std::pair<const char*, FakeHeader::Value> cases[] = {
        {"rope.freq_base", static_cast<double>(NAN)},
        {"rope.freq_base", static_cast<double>(INFINITY)},
        {"attention.layer_norm_rms_epsilon", static_cast<double>(NAN)},
        {"expert_weights_scale", -static_cast<double>(INFINITY)},
        {"rope.scaling.factor", static_cast<double>(NAN)},
        {"rope.scaling.factor", 0.0},
        {"rope.scaling.factor", -3.0},
        {"rope.scaling.yarn_log_multiplier", static_cast<double>(INFINITY)},
        {"rope.scaling.original_context_length", int64_t{0}},
        {"block_count", int64_t{0}},
        {"block_count", int64_t{1} << 40},
        {"embedding_length", int64_t{-1}},
        {"rope.dimension_count", int64_t{192}},  // leaves no part without positions
        {"rope.dimension_count", int64_t{63}},
        {"expert_used_count", int64_t{257}},
        {"leading_dense_block_count", int64_t{62}},
    };
    for (const auto& [key, value] : cases) {
        FakeGguf file = r1();
        file.header.values[std::string("deepseek2.") + key] = value;
        const auto config = config_from_gguf(file);
        ASSERT_FALSE(config.ok()) << key;
        EXPECT_EQ(config.error().code, ErrorCode::kCorrupt) << key << config.error().message;
        EXPECT_THAT(config.error().message, HasSubstr("model.gguf"));
    }
}

TEST(GgufConfig, unknown_architectures_and_scalings_are_named) {
    FakeGguf file = r1();
    file.header.values["general.architecture"] = std::string("mamba");
    EXPECT_EQ(config_from_gguf(file).error().code, ErrorCode::kUnsupported);
    EXPECT_THAT(config_from_gguf(file).error().message, HasSubstr("mamba"));
    file = r1();
    file.header.values.erase("general.architecture");
    EXPECT_EQ(config_from_gguf(file).error().code, ErrorCode::kCorrupt);
    file = r1();
    file.header.values["deepseek2.rope.scaling.type"] = std::string("longrope");
    EXPECT_THAT(config_from_gguf(file).error().message, HasSubstr("longrope"));
}

}  // namespace
}  // namespace nereus
