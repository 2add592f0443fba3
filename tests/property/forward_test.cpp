// The Model against an independent slow reference over random configurations: odd sizes, groups,
// shared experts, every layer plan and RoPE scaling.

#include <gtest/gtest.h>

#include "tests/support/slow_reference.h"

namespace nereus::test {
namespace {

/// Random choices of one case, in order.
class Dice {
  public:
    explicit Dice(uint64_t seed) : seed_(seed) {}
    int64_t between(int64_t low, int64_t high) {
        const auto span = static_cast<uint64_t>(high - low + 1);
        return low + static_cast<int64_t>(random_bits(seed_, 77, next_++) % span);
    }
    bool coin() { return between(0, 1) == 1; }
    double real(double low, double high) {
        return low + (high - low) * random_unit(seed_, 78, next_++);
    }

  private:
    uint64_t seed_;
    uint64_t next_ = 0;
};

Json common(Dice& dice, const std::string& type) {
    return {{"model_type", type},
            {"vocab_size", dice.between(2, 40)},
            {"hidden_size", dice.between(3, 50)},
            {"intermediate_size", dice.between(1, 60)},
            {"num_hidden_layers", dice.between(1, 4)},
            {"num_attention_heads", dice.between(1, 5)},
            {"rms_norm_eps", 1e-6},
            {"rope_theta", dice.coin() ? 10000.0 : 500.5},
            {"max_position_embeddings", 512},
            {"tie_word_embeddings", dice.coin()}};
}

Json yarn(Dice& dice) {
    return {{"type", "yarn"},
            {"factor", dice.real(1.0, 40.0)},
            {"original_max_position_embeddings", dice.between(16, 256)},
            {"beta_fast", 32},
            {"beta_slow", 1},
            {"mscale", dice.real(0.5, 1.0)},
            {"mscale_all_dim", dice.coin() ? 0.0 : 0.707}};
}

Json deepseek(Dice& dice, bool v3) {
    Json config = common(dice, v3 ? "deepseek_v3" : "deepseek_v2");
    config["q_lora_rank"] = dice.coin() ? Json(dice.between(3, 50)) : Json(nullptr);
    config["kv_lora_rank"] = dice.between(3, 50);
    config["qk_nope_head_dim"] = dice.between(1, 19);
    config["qk_rope_head_dim"] = 2 * dice.between(1, 9);
    config["v_head_dim"] = dice.between(1, 21);
    if (dice.coin()) {
        config["rope_scaling"] = yarn(dice);
    }
    const int64_t n_group = dice.between(1, 4);
    const int64_t size = dice.between(v3 ? 2 : 1, 4);
    const int64_t topk_group = dice.between(1, n_group);
    config["n_routed_experts"] = n_group * size;
    config["n_group"] = n_group;
    config["topk_group"] = topk_group;
    config["num_experts_per_tok"] = dice.between(1, topk_group * size);
    config["n_shared_experts"] = dice.between(0, 2);
    config["moe_intermediate_size"] = dice.between(1, 33);
    config["first_k_dense_replace"] = dice.between(0, config["num_hidden_layers"].get<int64_t>());
    config["moe_layer_freq"] = dice.between(1, 2);
    config["norm_topk_prob"] = dice.coin();
    config["routed_scaling_factor"] = dice.real(0.5, 3.0);
    config["scoring_func"] = v3 ? "sigmoid" : "softmax";
    config["topk_method"] = v3 ? "noaux_tc" : n_group > 1 ? "group_limited_greedy" : "greedy";
    return config;
}

Json grouped(Dice& dice, bool llama) {
    Json config = common(dice, llama ? "llama" : "qwen2");
    const int64_t n_kv = dice.between(1, 3);
    config["num_key_value_heads"] = n_kv;
    config["num_attention_heads"] = n_kv * dice.between(1, 3);
    config["head_dim"] = 2 * dice.between(1, 12);
    config["attention_bias"] = dice.coin();
    if (llama && dice.coin()) {
        config["rope_scaling"] = {{"rope_type", "llama3"},
                                  {"factor", dice.real(1, 10)},
                                  {"low_freq_factor", 1},
                                  {"high_freq_factor", 4},
                                  {"original_max_position_embeddings", dice.between(16, 128)}};
    }
    return config;
}

Json random_config(uint64_t seed) {
    Dice dice(seed);
    const int64_t family = dice.between(0, 3);
    return family < 2 ? deepseek(dice, family == 1) : grouped(dice, family == 3);
}

std::vector<int32_t> random_tokens(const ModelConfig& config, uint64_t seed, size_t n) {
    std::vector<int32_t> tokens;
    for (uint64_t i = 0; i < n; ++i) {
        tokens.push_back(static_cast<int32_t>(random_bits(seed, 5, i) %
                                              static_cast<uint64_t>(config.vocab_size)));
    }
    return tokens;
}

class RandomModel : public testing::TestWithParam<uint64_t> {};

TEST_P(RandomModel, logits_equal_the_slow_double_precision_reference) {
    for (uint64_t seed = GetParam() * 10; seed < GetParam() * 10 + 10; ++seed) {
        const Json config = random_config(seed);
        const TinyModel tiny(config, seed);
        Loaded loaded = tiny.open();
        const std::vector<int32_t> tokens = random_tokens(tiny.config(), seed, 13);
        const std::vector<float> logits = run_fresh(loaded, tokens, 5);
        const auto expected = SlowReference(tiny).run(tokens);
        size_t at = 0;
        for (const auto& row : expected) {
            for (const double value : row) {
                ASSERT_NEAR(static_cast<double>(logits[at++]), value, 2e-4)
                    << "seed " << seed << " logit " << at << ": " << dump_json(config);
            }
        }
        ASSERT_EQ(at, logits.size());
    }
}

TEST_P(RandomModel, the_expanded_form_of_latent_attention_gives_the_same_logits) {
    for (uint64_t seed = GetParam() * 3; seed < GetParam() * 3 + 3; ++seed) {
        Dice dice(seed);
        const TinyModel tiny(deepseek(dice, dice.coin()), seed);
        const std::vector<int32_t> tokens = random_tokens(tiny.config(), seed, 9);
        Loaded absorbed = tiny.open();
        Loaded expanded = tiny.open(1, 4096, AttentionForm::kExpanded);
        EXPECT_LE(max_difference(run_fresh(absorbed, tokens, 4), run_fresh(expanded, tokens, 9)),
                  2e-4)
            << "seed " << seed;
    }
}

TEST_P(RandomModel, any_chunking_and_thread_count_gives_the_same_bits) {
    const uint64_t seed = GetParam();
    const TinyModel tiny(random_config(seed), seed);
    const std::vector<int32_t> tokens = random_tokens(tiny.config(), seed, 70);
    Loaded one = tiny.open(1);
    const std::vector<float> whole = run_fresh(one, tokens, 70);
    for (const int n_threads : {1, 3}) {
        Loaded loaded = tiny.open(n_threads);
        for (const int64_t chunk : {1, 2, 33, 64}) {
            EXPECT_EQ(run_fresh(loaded, tokens, chunk), whole) << n_threads << " / " << chunk;
        }
    }
}

TEST_P(RandomModel, a_subset_of_logit_rows_has_the_bits_of_all_rows) {
    const uint64_t seed = GetParam() + 100;
    const TinyModel tiny(random_config(seed), seed);
    Loaded loaded = tiny.open();
    const std::vector<int32_t> tokens = random_tokens(tiny.config(), seed, 11);
    const std::vector<float> all = run_fresh(loaded, tokens, 11);
    const auto vocab = tiny.config().vocab_size;
    for (const std::vector<int32_t>& rows :
         {std::vector<int32_t>{}, {0}, {10}, {2, 3, 9}, {0, 10}}) {
        const int32_t slot = must(loaded.cache->add_sequence());
        Batch batch{tokens, {}, std::vector<int32_t>(tokens.size(), slot), rows};
        for (int32_t i = 0; i < 11; ++i) {
            batch.positions.push_back(i);
        }
        const ConstRows out = must(loaded.model->forward(batch, *loaded.cache));
        ASSERT_EQ(out.n_rows, static_cast<int64_t>(rows.size()));
        for (size_t i = 0; i < rows.size(); ++i) {
            for (int64_t v = 0; v < vocab; ++v) {
                ASSERT_EQ(out.row(static_cast<int64_t>(i))[v],
                          all[static_cast<size_t>(rows[i] * vocab + v)]);
            }
        }
        loaded.cache->remove_sequence(slot);
    }
}

INSTANTIATE_TEST_SUITE_P(seeds, RandomModel, testing::Range<uint64_t>(0, 12));

}  // namespace
}  // namespace nereus::test
