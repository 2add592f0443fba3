// Every key of config.json that a family reads: the range, the type, whether it may be missing and
// what it then is. An error names the file and the key.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <optional>

#include "base/json.h"
#include "model/config.h"

namespace nereus {
namespace {

using ::testing::HasSubstr;

Json parsed(const char* text) { return parse_json(text, "case").value(); }

Json v3() {
    return parsed(R"({"model_type": "deepseek_v3", "vocab_size": 100, "hidden_size": 32,
        "intermediate_size": 64, "num_hidden_layers": 4, "num_attention_heads": 2,
        "q_lora_rank": 16, "kv_lora_rank": 8, "qk_nope_head_dim": 8, "qk_rope_head_dim": 4,
        "v_head_dim": 8, "n_routed_experts": 8, "n_shared_experts": 1, "num_experts_per_tok": 2,
        "moe_intermediate_size": 16, "n_group": 4, "topk_group": 2, "first_k_dense_replace": 1,
        "moe_layer_freq": 1, "norm_topk_prob": true, "routed_scaling_factor": 2.5,
        "topk_method": "noaux_tc", "scoring_func": "sigmoid", "num_nextn_predict_layers": 1,
        "max_position_embeddings": 512, "rms_norm_eps": 1e-6, "rope_theta": 10000,
        "tie_word_embeddings": false, "attention_bias": false, "hidden_act": "silu",
        "rope_scaling": {"type": "yarn", "factor": 40, "original_max_position_embeddings": 4096,
        "beta_fast": 32, "beta_slow": 1, "mscale": 1, "mscale_all_dim": 1}})");
}

Json qwen2() {
    return parsed(R"({"model_type": "qwen2", "vocab_size": 100, "hidden_size": 32,
        "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
        "num_key_value_heads": 2, "use_sliding_window": false})");
}

Json llama() {
    Json json = qwen2();
    json["model_type"] = "llama";
    json["head_dim"] = 16;
    json["mlp_bias"] = false;
    json["rope_scaling"] = parsed(R"({"rope_type": "llama3", "factor": 8, "low_freq_factor": 1,
        "high_freq_factor": 4, "original_max_position_embeddings": 8192})");
    return json;
}

enum class Kind { kInteger, kNumber, kBoolean, kText };

/// A key with the values just inside and just outside its range.
struct Key {
    Json (*base)();
    const char* name;
    Kind kind;
    bool required;
    double low, high;  ///< accepted, both
};

constexpr double kDimension = 67108864;  // 2^26

const Key kKeys[] = {
    {v3, "vocab_size", Kind::kInteger, true, 1, kDimension},
    {v3, "hidden_size", Kind::kInteger, true, 1, kDimension},
    {v3, "intermediate_size", Kind::kInteger, true, 1, kDimension},
    {v3, "num_hidden_layers", Kind::kInteger, true, 1, 4096},
    {v3, "num_attention_heads", Kind::kInteger, true, 1, 65536},
    {v3, "q_lora_rank", Kind::kInteger, false, 0, kDimension},
    {v3, "kv_lora_rank", Kind::kInteger, true, 1, kDimension},
    {v3, "qk_nope_head_dim", Kind::kInteger, true, 1, 65536},
    {v3, "qk_rope_head_dim", Kind::kInteger, true, 2, 65536},
    {v3, "v_head_dim", Kind::kInteger, true, 1, 65536},
    {v3, "n_shared_experts", Kind::kInteger, false, 0, 1024},
    {v3, "num_experts_per_tok", Kind::kInteger, true, 1, 4},  // two groups of two may be chosen
    {v3, "moe_intermediate_size", Kind::kInteger, true, 1, kDimension},
    {v3, "topk_group", Kind::kInteger, false, 1, 4},
    {v3, "first_k_dense_replace", Kind::kInteger, false, 0, 4},
    {v3, "moe_layer_freq", Kind::kInteger, false, 1, kDimension},
    {v3, "num_nextn_predict_layers", Kind::kInteger, false, 0, 64},
    {v3, "max_position_embeddings", Kind::kInteger, false, 1, kDimension},
    {v3, "rms_norm_eps", Kind::kNumber, false, 0, 1},
    {v3, "rope_theta", Kind::kNumber, false, 1.01, 1e15},
    {v3, "routed_scaling_factor", Kind::kNumber, false, -1e6, 1e6},
    {v3, "norm_topk_prob", Kind::kBoolean, false, 0, 0},
    {v3, "tie_word_embeddings", Kind::kBoolean, false, 0, 0},
    {v3, "attention_bias", Kind::kBoolean, false, 0, 0},
    {v3, "topk_method", Kind::kText, false, 0, 0},
    {v3, "scoring_func", Kind::kText, false, 0, 0},
    {v3, "hidden_act", Kind::kText, false, 0, 0},
    {v3, "model_type", Kind::kText, true, 0, 0},
    {qwen2, "num_key_value_heads", Kind::kInteger, false, 1, 4},
    {qwen2, "use_sliding_window", Kind::kBoolean, false, 0, 0},
    {llama, "head_dim", Kind::kInteger, false, 2, 65536},
    {llama, "mlp_bias", Kind::kBoolean, false, 0, 0},
};

class ConfigKey : public ::testing::TestWithParam<Key> {
  protected:
    static Result<ModelConfig> with(const Json& value) {
        Json json = GetParam().base();
        json[GetParam().name] = value;
        return config_from_json(json, "folder/config.json");
    }
    static void expect_refused(const Json& value) {
        const auto config = with(value);
        ASSERT_FALSE(config.ok()) << dump_json(value) << " was taken";
        EXPECT_THAT(config.error().message, HasSubstr("folder/config.json"));
        EXPECT_THAT(config.error().message, HasSubstr(GetParam().name));
    }
    static Json number(double value) {
        return GetParam().kind == Kind::kInteger ? Json(static_cast<int64_t>(value)) : Json(value);
    }
};

TEST_P(ConfigKey, may_be_missing_or_null_only_when_it_has_a_default) {
    Json json = GetParam().base();
    ASSERT_TRUE(config_from_json(json, "x").ok());
    json.erase(GetParam().name);
    EXPECT_EQ(config_from_json(json, "x").ok(), !GetParam().required);
    EXPECT_EQ(with(nullptr).ok(), !GetParam().required);
    if (GetParam().required) {
        expect_refused(nullptr);
    }
}

TEST_P(ConfigKey, values_of_another_type_are_refused_by_name) {
    const bool numeric = GetParam().kind == Kind::kInteger || GetParam().kind == Kind::kNumber;
    const std::pair<bool, Json> values[] = {{numeric, 1},
                                            {GetParam().kind == Kind::kBoolean, true},
                                            {GetParam().kind == Kind::kText, "text"},
                                            {false, Json::array({1})},
                                            {false, Json::object()},
                                            {false, "1"}};
    for (const auto& [own, value] : values) {
        if (!own && !(GetParam().kind == Kind::kText && value.is_string())) {
            expect_refused(value);
        }
    }
    if (GetParam().kind == Kind::kInteger) {
        expect_refused(2.5);
        expect_refused(uint64_t{18446744073709551615U});
        expect_refused(1e300);
    }
}

TEST_P(ConfigKey, the_range_is_taken_up_to_its_ends_and_no_further) {
    const Key& key = GetParam();
    if (key.kind != Kind::kInteger && key.kind != Kind::kNumber) {
        return;
    }
    for (const double end : {key.low, key.high}) {
        const auto config = with(number(end));
        // A neighbouring key may now be out of step (heads, layers); the value itself is not.
        EXPECT_TRUE(config.ok() || config.error().message.find(" expected ") == std::string::npos ||
                    config.error().message.find(key.name) == std::string::npos)
            << config.error().message;
    }
    // Just outside: one for integers, a thousandth of the end for numbers.
    const auto step = [&](double end) {
        return key.kind == Kind::kInteger ? 1.0 : std::abs(end) * 1e-3 + (end == 0 ? 1e-3 : 0);
    };
    expect_refused(number(key.high + step(key.high)));
    expect_refused(number(key.low - step(key.low)));
    expect_refused(number(-1e9));
}

std::string key_name(const ::testing::TestParamInfo<Key>& key) { return key.param.name; }

INSTANTIATE_TEST_SUITE_P(json, ConfigKey, ::testing::ValuesIn(kKeys), key_name);

struct ScalingCase {
    Json (*base)();
    const char* key;
    const char* value;
};

TEST(ConfigScaling, every_key_of_rope_scaling_is_checked_in_both_spellings) {
    const ScalingCase cases[] = {
        {v3, "factor", "0"},
        {v3, "factor", "-40"},
        {v3, "factor", "\"40\""},
        {v3, "factor", "1e300"},
        {v3, "original_max_position_embeddings", "0"},
        {v3, "original_max_position_embeddings", "4096.5"},
        {v3, "original_max_position_embeddings", "-1"},
        {v3, "beta_fast", "0"},
        {v3, "beta_slow", "false"},
        {v3, "mscale", "-1"},
        {v3, "mscale_all_dim", "[1]"},
        {v3, "type", "7"},
        {llama, "low_freq_factor", "0"},
        {llama, "high_freq_factor", "-4"},
        {llama, "high_freq_factor", "{}"},
    };
    for (const ScalingCase& c : cases) {
        for (const char* spelling : {"rope_scaling", "rope_parameters"}) {
            Json json = c.base();
            Json scaling = json["rope_scaling"];
            scaling[c.key] = parsed(c.value);
            json.erase("rope_scaling");
            json[spelling] = scaling;
            const auto config = config_from_json(json, "folder/config.json");
            ASSERT_FALSE(config.ok()) << c.key << " = " << c.value;
            EXPECT_THAT(config.error().message, HasSubstr("folder/config.json"));
            EXPECT_THAT(config.error().message, HasSubstr("rope_scaling"));
            EXPECT_THAT(config.error().message, HasSubstr(c.key));
        }
    }
}

TEST(ConfigScaling, llama3_bands_that_do_not_lie_in_order_are_refused) {
    // transformers warns; the ramp between equal factors would divide by zero.
    Json json = llama();
    json["rope_scaling"]["low_freq_factor"] = 4;
    const auto equal = config_from_json(json, "folder/config.json");
    ASSERT_FALSE(equal.ok());
    EXPECT_EQ(equal.error().code, ErrorCode::kCorrupt);
    EXPECT_THAT(equal.error().message, HasSubstr("high_freq_factor"));
    json["rope_scaling"]["low_freq_factor"] = 5;
    EXPECT_FALSE(config_from_json(json, "x").ok());
    json["rope_scaling"]["low_freq_factor"] = 3.5;
    EXPECT_TRUE(config_from_json(json, "x").ok());
}

TEST(ConfigScaling, a_null_or_default_scaling_is_none) {
    for (const char* scaling : {"null", R"({"rope_type": "default"})", R"({"type": "default"})",
                                R"({"rope_type": "default", "rope_theta": 5000})", "{}"}) {
        Json json = qwen2();
        json["rope_scaling"] = parsed(scaling);
        const auto config = config_from_json(json, "x");
        ASSERT_TRUE(config.ok()) << scaling << config.error().message;
        EXPECT_EQ(config->rope_scaling.type, RopeScalingType::kNone) << scaling;
    }
}

TEST(ConfigScaling, theta_is_found_where_the_file_has_it) {
    Json json = qwen2();
    EXPECT_EQ(config_from_json(json, "x")->rope_theta, 10000);
    json["rope_parameters"] = parsed(R"({"rope_type": "default", "rope_theta": 1000000})");
    EXPECT_EQ(config_from_json(json, "x")->rope_theta, 1e6);
    json["rope_theta"] = nullptr;
    EXPECT_EQ(config_from_json(json, "x")->rope_theta, 1e6) << "null is as absent";
    json["rope_theta"] = 500000;
    EXPECT_EQ(config_from_json(json, "x")->rope_theta, 500000);
    json.erase("rope_theta");
    json["rope_parameters"]["rope_theta"] = "much";
    EXPECT_THAT(config_from_json(json, "x").error().message, HasSubstr("rope_theta"));
}

TEST(ConfigDefaults, what_a_file_leaves_out_is_as_transformers_has_it) {
    Json json = v3();
    for (const char* key : {"rope_scaling", "rope_theta", "rms_norm_eps", "tie_word_embeddings",
                            "moe_layer_freq", "num_nextn_predict_layers", "topk_method",
                            "scoring_func", "attention_bias", "hidden_act", "q_lora_rank"}) {
        json.erase(key);
    }
    const ModelConfig config = config_from_json(json, "x").value();
    EXPECT_EQ(config.rope_theta, 10000);
    EXPECT_EQ(config.rms_norm_eps, 1e-6);
    EXPECT_EQ(config.q_lora_rank, 0);
    EXPECT_EQ(config.num_nextn_predict_layers, 0);
    EXPECT_EQ(config.router.group_score, GroupScore::kTopTwoSum);
    EXPECT_EQ(config.router.scoring, RouterScoring::kSigmoid);
    EXPECT_FALSE(config.tie_word_embeddings);
}

TEST(ConfigDefaults, v2_is_greedy_without_groups_and_group_limited_with_them) {
    Json json = v3();
    json["model_type"] = "deepseek_v2";
    json.erase("topk_method");
    json.erase("scoring_func");
    EXPECT_EQ(config_from_json(json, "x")->router.group_score, GroupScore::kMax);
    EXPECT_EQ(config_from_json(json, "x")->router.scoring, RouterScoring::kSoftmax);
    EXPECT_FALSE(config_from_json(json, "x")->router.scale_after_norm);
    json["n_group"] = json["topk_group"] = 1;
    EXPECT_EQ(config_from_json(json, "x")->router.group_score, GroupScore::kNone);
}

TEST(ConfigTokens, ids_may_be_a_number_or_a_list_and_must_be_ids) {
    Json json = qwen2();
    json["eos_token_id"] = 7;
    json["bos_token_id"] = 0;
    EXPECT_EQ(config_from_json(json, "x")->eos_token_ids, std::vector<int32_t>{7});
    EXPECT_EQ(config_from_json(json, "x")->bos_token_id, 0);
    json["eos_token_id"] = Json::array({7, 9});
    EXPECT_EQ(config_from_json(json, "x")->eos_token_ids, (std::vector<int32_t>{7, 9}));
    json["bos_token_id"] = nullptr;
    EXPECT_EQ(config_from_json(json, "x")->bos_token_id, -1);
    for (const char* bad :
         {"-1", "1.5", "[7, -1]", "[[7]]", "{}", "99999999999", "18446744073709551615", "true"}) {
        json["eos_token_id"] = parsed(bad);
        const auto config = config_from_json(json, "folder/config.json");
        ASSERT_FALSE(config.ok()) << bad;
        EXPECT_THAT(config.error().message, HasSubstr("folder/config.json: eos_token_id"));
    }
}

TEST(ConfigHeads, grouped_heads_must_divide) {
    Json json = qwen2();
    json["num_key_value_heads"] = 3;
    EXPECT_THAT(config_from_json(json, "x").error().message, HasSubstr("num_key_value_heads 3"));
    json["num_key_value_heads"] = 2;
    json["hidden_size"] = 34;
    EXPECT_THAT(config_from_json(json, "x").error().message, HasSubstr("hidden_size 34"));
    json["head_dim"] = 16;
    EXPECT_EQ(config_from_json(json, "x")->head_dim, 16) << "stated: need not divide";
    json["head_dim"] = 15;
    EXPECT_THAT(config_from_json(json, "x").error().message, HasSubstr("head_dim is 15"));
}

}  // namespace
}  // namespace nereus
