#include "model/config.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/file.h"
#include "base/json.h"
#include "model/blocks/rope_table.h"
#include "model/family.h"

namespace nereus {
namespace {

Json golden_config(const std::string& name) {
    const std::string path =
        std::string(NEREUS_SOURCE_DIR) + "/tests/golden/" + name + "/config.json";
    return parse_json(read_file(path, 1 << 20).value(), path).value();
}

TEST(Config, dimensions_and_router_of_v3_are_read_by_their_published_names) {
    const ModelConfig config = config_from_json(golden_config("v3_fp8"), "x").value();
    EXPECT_EQ(config.model_type, "deepseek_v3");
    EXPECT_EQ(config.kv_lora_rank, 130);
    EXPECT_EQ(config.head_dim, 48);
    EXPECT_EQ(config.router.group_score, GroupScore::kTopTwoSum);
    EXPECT_EQ(config.router.scoring, RouterScoring::kSigmoid);
    EXPECT_TRUE(config.router.scale_after_norm);
    EXPECT_EQ(config.layers[0].ffn, FfnKind::kDense);
    EXPECT_EQ(config.layers[1].ffn, FfnKind::kExperts);
    EXPECT_EQ(config.eos_token_ids, std::vector<int32_t>{1});
}

TEST(Config, the_newer_rope_parameters_spelling_means_the_same) {
    for (const char* name : {"v3_fp8", "llama3", "v2_lite", "qwen2"}) {
        Json config = golden_config(name);
        const ModelConfig old_spelling = config_from_json(config, "x").value();
        Json parameters = config.value("rope_scaling", Json::object());
        if (parameters.contains("type")) {
            parameters["rope_type"] = parameters["type"];
            parameters.erase("type");
        }
        if (parameters.empty()) {
            parameters["rope_type"] = "default";
        }
        parameters["rope_theta"] = config["rope_theta"];
        config.erase("rope_theta");
        config.erase("rope_scaling");
        config["rope_parameters"] = parameters;
        const ModelConfig new_spelling = config_from_json(config, "x").value();
        EXPECT_EQ(new_spelling.rope_theta, old_spelling.rope_theta) << name;
        EXPECT_EQ(rope_frequencies(new_spelling, 16), rope_frequencies(old_spelling, 16)) << name;
        EXPECT_EQ(new_spelling.softmax_scale(), old_spelling.softmax_scale()) << name;
    }
}

struct BadConfig {
    const char* key;
    const char* value;  ///< JSON; nullptr removes the key
    ErrorCode code;
    const char* says;
};

TEST(Config, every_absurd_value_is_named_with_what_was_expected) {
    const BadConfig cases[] = {
        {"model_type", "\"gpt9\"", ErrorCode::kUnsupported, "gpt9"},
        {"model_type", nullptr, ErrorCode::kCorrupt, "model_type"},
        {"model_type", "7", ErrorCode::kCorrupt, "model_type"},
        {"hidden_size", nullptr, ErrorCode::kCorrupt, "hidden_size is missing"},
        {"hidden_size", "-5", ErrorCode::kCorrupt, "hidden_size is -5"},
        {"hidden_size", "0", ErrorCode::kCorrupt, "hidden_size is 0"},
        {"hidden_size", "1e30", ErrorCode::kCorrupt, "hidden_size"},
        {"hidden_size", "18446744073709551615", ErrorCode::kCorrupt, "hidden_size"},
        {"hidden_size", "12.5", ErrorCode::kCorrupt, "an integer"},
        {"hidden_size", "\"64\"", ErrorCode::kCorrupt, "an integer"},
        {"hidden_size", "null", ErrorCode::kCorrupt, "missing"},
        {"num_hidden_layers", "100000000", ErrorCode::kCorrupt, "num_hidden_layers"},
        {"vocab_size", "[320]", ErrorCode::kCorrupt, "vocab_size"},
        {"rms_norm_eps", "-1", ErrorCode::kCorrupt, "rms_norm_eps"},
        {"rope_theta", "0", ErrorCode::kCorrupt, "rope_theta"},
        {"hidden_act", "\"gelu\"", ErrorCode::kUnsupported, "gelu"},
        {"scoring_func", "\"dice\"", ErrorCode::kUnsupported, "dice"},
        {"topk_method", "\"best\"", ErrorCode::kUnsupported, "best"},
        {"n_group", "3", ErrorCode::kCorrupt, "groups"},
        {"topk_group", "9", ErrorCode::kCorrupt, "topk_group"},
        {"num_experts_per_tok", "99", ErrorCode::kCorrupt, "num_experts_per_tok"},
        {"qk_rope_head_dim", "15", ErrorCode::kCorrupt, "even"},
        {"attention_bias", "true", ErrorCode::kUnsupported, "attention_bias"},
        {"eos_token_id", "\"x\"", ErrorCode::kCorrupt, "eos_token_id"},
        {"rope_scaling", "\"yarn\"", ErrorCode::kCorrupt, "rope_scaling"},
        {"rope_scaling", "{\"type\": \"spiral\"}", ErrorCode::kUnsupported, "spiral"},
        {"rope_scaling", "{\"type\": \"yarn\", \"factor\": 0}", ErrorCode::kCorrupt, "factor"},
    };
    for (const BadConfig& bad : cases) {
        Json config = golden_config("v3");
        if (bad.value == nullptr) {
            config.erase(bad.key);
        } else {
            config[bad.key] = parse_json(bad.value, "case").value();
        }
        const auto result = config_from_json(config, "folder/config.json");
        ASSERT_FALSE(result.ok()) << bad.key << " = " << (bad.value ? bad.value : "absent");
        EXPECT_EQ(result.error().code, bad.code) << result.error().message;
        EXPECT_NE(result.error().message.find(bad.says), std::string::npos)
            << result.error().message;
        EXPECT_NE(result.error().message.find("folder/config.json"), std::string::npos);
    }
    EXPECT_FALSE(config_from_json(Json::array(), "x").ok());
}

TEST(Config, softmax_scale_has_the_published_values) {
    ModelConfig config;
    config.head_dim = 192;
    EXPECT_NEAR(config.softmax_scale(), 0.0721687836, 1e-8);
    config.rope_scaling.type = RopeScalingType::kYarn;
    config.rope_scaling.factor = 40;
    config.rope_scaling.mscale_all_dim = 1.0;
    EXPECT_NEAR(config.softmax_scale(), 0.1352337788, 1e-8);
    config.rope_scaling.mscale_all_dim = 0.707;
    EXPECT_NEAR(config.softmax_scale(), 0.1147213868, 1e-8);
}

TEST(RopeTable, yarn_frequencies_have_the_published_values) {
    ModelConfig config;
    config.rope_theta = 10000;
    config.rope_scaling.type = RopeScalingType::kYarn;
    config.rope_scaling.factor = 40;
    config.rope_scaling.original_max_position_embeddings = 4096;
    const std::vector<float> f = rope_frequencies(config, 64);
    ASSERT_EQ(f.size(), 32U);
    EXPECT_EQ(f[0], 1.0F);
    const std::pair<size_t, double> expected[] = {
        {10, 0.0562341325},  {11, 0.0390069266},  {16, 0.0055},       {20, 7.90569415e-4},
        {22, 1.77827941e-4}, {23, 3.33380358e-5}, {31, 3.33380358e-6}};
    for (const auto& [i, value] : expected) {
        EXPECT_NEAR(f[i], value, value * 1e-5) << i;
    }
}

TEST(RopeTable, growing_keeps_the_rows_already_there) {
    ModelConfig config;
    RopeTable grown(config, 8);
    grown.ensure(3);
    RopeTable whole(config, 8);
    grown.ensure(1000);
    whole.ensure(1000);
    for (int64_t i = 0; i < 1000 * 4; ++i) {
        ASSERT_EQ(grown.cos()[i], whole.cos()[i]);
        ASSERT_EQ(grown.sin()[i], whole.sin()[i]);
    }
    EXPECT_EQ(grown.cos()[0], 1.0F);
    EXPECT_NEAR(grown.sin()[999 * 4], std::sin(999.0), 1e-4);
}

TEST(Family, every_row_of_the_table_is_found_by_its_name) {
    for (const Family* family : all_families()) {
        EXPECT_EQ(find_family(family->model_type), family);
    }
    EXPECT_EQ(find_family("deepseek"), nullptr);
}

}  // namespace
}  // namespace nereus
