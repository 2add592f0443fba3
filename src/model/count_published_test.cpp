// Parameters of published models from their published configuration values: worked out here in a
// few lines of arithmetic, and compared with the numbers on the model cards.

#include <gtest/gtest.h>

#include "base/json.h"
#include "model/count.h"

namespace nereus {
namespace {

/// A latent-attention model with experts, as its card and report describe it.
struct Latent {
    const char* name;
    const char* model_type;
    int64_t vocab, hidden, inter, moe_inter, layers, heads, q_rank, experts, shared, chosen, dense;
    bool router_bias;
    double total_billions, active_billions;  ///< published, to the digits given
    double total_within, active_within;
};

// V2-Lite's card says 2.4B active without embedding and head, V2's 21B, V3's 37B.
constexpr Latent kLatent[] = {
    {"V2-Lite", "deepseek_v2", 102400, 2048, 10944, 1408, 27, 16, 0, 64, 2, 6, 1, false, 15.7, 2.66,
     0.05, 0.01},
    {"V2", "deepseek_v2", 102400, 5120, 12288, 1536, 60, 128, 1536, 160, 2, 6, 1, false, 236, 21.4,
     0.5, 0.05},
    {"V3", "deepseek_v3", 129280, 7168, 18432, 2048, 61, 128, 1536, 256, 1, 8, 3, true, 671, 37.6,
     0.5, 0.05},
};

Json config_of(const Latent& m) {
    Json json = {{"model_type", m.model_type},
                 {"vocab_size", m.vocab},
                 {"hidden_size", m.hidden},
                 {"intermediate_size", m.inter},
                 {"moe_intermediate_size", m.moe_inter},
                 {"num_hidden_layers", m.layers},
                 {"num_attention_heads", m.heads},
                 {"kv_lora_rank", 512},
                 {"qk_nope_head_dim", 128},
                 {"qk_rope_head_dim", 64},
                 {"v_head_dim", 128},
                 {"n_routed_experts", m.experts},
                 {"n_shared_experts", m.shared},
                 {"num_experts_per_tok", m.chosen},
                 {"first_k_dense_replace", m.dense}};
    json["q_lora_rank"] = m.q_rank == 0 ? Json(nullptr) : Json(m.q_rank);
    return json;
}

/// One layer's attention with its two or one inner norms.
int64_t attention_of(const Latent& m) {
    const int64_t q = m.q_rank == 0 ? m.hidden * m.heads * 192
                                    : m.hidden * m.q_rank + m.q_rank + m.q_rank * m.heads * 192;
    return q + m.hidden * 576 + 512 + 512 * m.heads * 256 + m.heads * 128 * m.hidden;
}

/// All parameters when `n` of the routed experts count.
int64_t parameters_with(const Latent& m, int64_t n) {
    const int64_t expert = 3 * m.hidden * m.moe_inter;
    const int64_t router = m.experts * (m.hidden + (m.router_bias ? 1 : 0));
    const int64_t layers = m.layers * (attention_of(m) + 2 * m.hidden);
    const int64_t dense = m.dense * 3 * m.hidden * m.inter;
    const int64_t sparse = (m.layers - m.dense) * ((n + m.shared) * expert + router);
    return 2 * m.vocab * m.hidden + m.hidden + layers + dense + sparse;
}

TEST(CountPublished, deepseek_models_have_the_parameters_of_their_cards) {
    for (const Latent& m : kLatent) {
        SCOPED_TRACE(m.name);
        const ModelConfig config = config_from_json(config_of(m), "x").value();
        EXPECT_EQ(count_parameters(config).total(), parameters_with(m, m.experts));
        EXPECT_EQ(active_parameters(config), parameters_with(m, m.chosen));
        EXPECT_NEAR(static_cast<double>(count_parameters(config).total()) / 1e9, m.total_billions,
                    m.total_within);
        EXPECT_NEAR(static_cast<double>(active_parameters(config)) / 1e9, m.active_billions,
                    m.active_within);
    }
}

/// The counts that loaders print to the last digit (models.md 0): 15.706 and 235.741 billion.
TEST(CountPublished, totals_equal_the_counts_that_loaders_print) {
    const std::pair<size_t, double> printed[] = {{0, 15.706}, {1, 235.741}, {2, 671.026}};
    for (const auto& [i, billions] : printed) {
        const ModelConfig config = config_from_json(config_of(kLatent[i]), "x").value();
        EXPECT_NEAR(static_cast<double>(count_parameters(config).total()) / 1e9, billions, 0.0005)
            << kLatent[i].name;
    }
}

TEST(CountPublished, v2_lite_has_2_4_billion_active_without_embedding_and_head) {
    const ModelConfig config = config_from_json(config_of(kLatent[0]), "x").value();
    const PartCounts counts = count_parameters(config);
    const int64_t inner =
        active_parameters(config) - counts[ModelPart::kEmbedding] - counts[ModelPart::kHead];
    EXPECT_NEAR(static_cast<double>(inner) / 1e9, 2.24, 0.01);
    EXPECT_NEAR(static_cast<double>(inner + counts[ModelPart::kHead]) / 1e9, 2.45, 0.01);
}

TEST(CountPublished, v3_1_and_r1_count_as_v3_and_mtp_is_beside_the_total) {
    Json json = config_of(kLatent[2]);
    const int64_t v3 = count_parameters(config_from_json(json, "x").value()).total();
    json["quantization_config"] = {{"quant_method", "fp8"}, {"scale_fmt", "ue8m0"}};
    json["num_nextn_predict_layers"] = 1;
    const PartCounts r1 = count_parameters(config_from_json(json, "x").value());
    EXPECT_EQ(r1.total(), v3);
    // README_WEIGHTS: 11.5B unique; a layer of experts, enorm, hnorm, eh_proj, shared_head.norm.
    const Latent& m = kLatent[2];
    const int64_t layer =
        attention_of(m) + 2 * m.hidden + 257 * 3 * m.hidden * m.moe_inter + 256 * (m.hidden + 1);
    EXPECT_EQ(r1[ModelPart::kMtp], layer + 3 * m.hidden + 2 * m.hidden * m.hidden);
    EXPECT_NEAR(static_cast<double>(r1[ModelPart::kMtp]) / 1e9, 11.6, 0.05);
}

struct Distill {
    const char* name;
    const char* model_type;
    int64_t vocab, hidden, inter, layers, heads, kv_heads;
    double billions;
};

// DeepSeek-R1's README: base models Qwen2.5 and Llama 3; sizes as on the cards.
constexpr Distill kDistills[] = {
    {"Qwen-1.5B", "qwen2", 151936, 1536, 8960, 28, 12, 2, 1.78},
    {"Qwen-7B", "qwen2", 152064, 3584, 18944, 28, 28, 4, 7.62},
    {"Qwen-14B", "qwen2", 152064, 5120, 13824, 48, 40, 8, 14.8},
    {"Qwen-32B", "qwen2", 152064, 5120, 27648, 64, 40, 8, 32.8},
    {"Llama-8B", "llama", 128256, 4096, 14336, 32, 32, 8, 8.03},
    {"Llama-70B", "llama", 128256, 8192, 28672, 80, 64, 8, 70.6},
};

TEST(CountPublished, the_distills_have_the_parameters_of_their_cards) {
    for (const Distill& m : kDistills) {
        SCOPED_TRACE(m.name);
        const Json json = {{"model_type", m.model_type},       {"vocab_size", m.vocab},
                           {"hidden_size", m.hidden},          {"intermediate_size", m.inter},
                           {"num_hidden_layers", m.layers},    {"num_attention_heads", m.heads},
                           {"num_key_value_heads", m.kv_heads}};
        const ModelConfig config = config_from_json(json, "x").value();
        const int64_t kv = m.hidden / m.heads * m.kv_heads;
        const int64_t biases = std::string_view(m.model_type) == "qwen2" ? m.hidden + 2 * kv : 0;
        const int64_t layer = 2 * m.hidden * m.hidden + 2 * m.hidden * kv + biases +
                              3 * m.hidden * m.inter + 2 * m.hidden;
        const int64_t expected = 2 * m.vocab * m.hidden + m.layers * layer + m.hidden;
        EXPECT_EQ(count_parameters(config).total(), expected);
        EXPECT_EQ(active_parameters(config), expected) << "a dense model uses all of itself";
        EXPECT_NEAR(static_cast<double>(expected) / 1e9, m.billions, m.billions * 0.004);
        EXPECT_EQ(kv_values_per_token(config), m.layers * 2 * kv);
    }
}

TEST(CountPublished, tying_takes_away_the_head_and_nothing_else) {
    Json json = {{"model_type", "qwen2"},    {"vocab_size", 151936},
                 {"hidden_size", 896},       {"intermediate_size", 4864},
                 {"num_hidden_layers", 24},  {"num_attention_heads", 14},
                 {"num_key_value_heads", 2}, {"tie_word_embeddings", true}};
    const int64_t tied = count_parameters(config_from_json(json, "x").value()).total();
    EXPECT_NEAR(static_cast<double>(tied) / 1e9, 0.494, 0.001);  // Qwen2.5-0.5B: 0.49B
    json["tie_word_embeddings"] = false;
    const int64_t untied = count_parameters(config_from_json(json, "x").value()).total();
    EXPECT_EQ(untied - tied, 151936 * 896);
}

TEST(CountPublished, a_router_without_selection_bias_has_none_whatever_its_scoring) {
    // e_score_correction_bias is a tensor of topk_method noaux_tc, not of the sigmoid.
    Json json = config_of(kLatent[2]);
    const int64_t with_bias =
        count_parameters(config_from_json(json, "x").value())[ModelPart::kRouter];
    json["topk_method"] = "greedy";
    const int64_t without =
        count_parameters(config_from_json(json, "x").value())[ModelPart::kRouter];
    EXPECT_EQ(with_bias - without, 58 * 256);
}

TEST(CountPublished, every_other_layer_of_experts_when_the_frequency_is_two) {
    Json json = config_of(kLatent[0]);
    json["moe_layer_freq"] = 2;
    json["first_k_dense_replace"] = 3;
    const ModelConfig config = config_from_json(json, "x").value();
    for (int64_t i = 0; i < 27; ++i) {
        const bool experts = i >= 3 && i % 2 == 0;
        EXPECT_EQ(config.layers[static_cast<size_t>(i)].ffn == FfnKind::kExperts, experts) << i;
    }
    EXPECT_EQ(count_parameters(config)[ModelPart::kDenseFfn], 15 * 3 * 2048 * 10944);
    EXPECT_EQ(count_parameters(config)[ModelPart::kRoutedExperts], 12 * 64 * 3 * 2048 * 1408LL);
}

TEST(CountPublished, cached_values_a_token_are_576_a_layer_for_latent_attention) {
    for (const Latent& m : kLatent) {
        const ModelConfig config = config_from_json(config_of(m), "x").value();
        EXPECT_EQ(kv_values_per_token(config), m.layers * 576) << m.name;
    }
}

}  // namespace
}  // namespace nereus
