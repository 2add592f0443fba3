// What attention and experts must not do, over every family: look ahead, depend on the number of a
// slot, on the order of sequences, or on the pages a sequence happens to lie in.

#include <gtest/gtest.h>

#include "tests/support/slow_reference.h"

namespace nereus::test {
namespace {

struct Case {
    const char* name;
    const char* config;
};

constexpr Case kCases[] = {
    {"v2_lite", R"({"model_type": "deepseek_v2", "vocab_size": 23, "hidden_size": 20,
        "intermediate_size": 30, "num_hidden_layers": 2, "num_attention_heads": 3,
        "kv_lora_rank": 10, "qk_nope_head_dim": 6, "qk_rope_head_dim": 4, "v_head_dim": 7,
        "n_routed_experts": 6, "num_experts_per_tok": 2, "n_shared_experts": 2,
        "moe_intermediate_size": 9, "first_k_dense_replace": 1})"},
    {"v3", R"({"model_type": "deepseek_v3", "vocab_size": 23, "hidden_size": 24,
        "intermediate_size": 40, "num_hidden_layers": 2, "num_attention_heads": 2,
        "q_lora_rank": 9, "kv_lora_rank": 11, "qk_nope_head_dim": 6, "qk_rope_head_dim": 4,
        "v_head_dim": 5, "n_routed_experts": 8, "n_group": 4, "topk_group": 2,
        "num_experts_per_tok": 3, "n_shared_experts": 1, "moe_intermediate_size": 7,
        "first_k_dense_replace": 1, "norm_topk_prob": true, "routed_scaling_factor": 2.5,
        "scoring_func": "sigmoid", "topk_method": "noaux_tc"})"},
    {"qwen2", R"({"model_type": "qwen2", "vocab_size": 23, "hidden_size": 24,
        "intermediate_size": 40, "num_hidden_layers": 2, "num_attention_heads": 4,
        "num_key_value_heads": 2})"},
    {"llama", R"({"model_type": "llama", "vocab_size": 23, "hidden_size": 24,
        "intermediate_size": 40, "num_hidden_layers": 2, "num_attention_heads": 4,
        "num_key_value_heads": 1, "rope_scaling": {"rope_type": "llama3", "factor": 8,
        "original_max_position_embeddings": 32}})"}};

class Attention : public testing::TestWithParam<Case> {
  protected:
    Attention() : tiny_(must(parse_json(GetParam().config, GetParam().name)), 5) {}

    static std::vector<int32_t> tokens_of(uint64_t seed, size_t n) {
        std::vector<int32_t> tokens;
        for (uint64_t i = 0; i < n; ++i) {
            tokens.push_back(static_cast<int32_t>(random_bits(seed, 8, i) % 23));
        }
        return tokens;
    }

    TinyModel tiny_;
};

TEST_P(Attention, changing_a_later_token_never_changes_a_bit_of_an_earlier_row) {
    Loaded loaded = tiny_.open(2);
    const std::vector<int32_t> tokens = tokens_of(1, 70);  // over a page boundary
    const std::vector<float> whole = run_fresh(loaded, tokens, 70);
    for (const size_t changed : {1, 7, 63, 64, 69}) {
        auto other = tokens;
        other[changed] = (other[changed] + 11) % 23;
        const std::vector<float> logits = run_fresh(loaded, other, 70);
        const auto same = std::mismatch(whole.begin(), whole.end(), logits.begin()).first;
        EXPECT_EQ(static_cast<size_t>(same - whole.begin()) / 23, changed)
            << "the first row that differs";
    }
}

TEST_P(Attention, every_earlier_token_has_an_effect_on_the_last_row) {
    Loaded loaded = tiny_.open();
    const std::vector<int32_t> tokens = tokens_of(2, 12);
    const std::vector<float> whole = run_fresh(loaded, tokens, 12);
    for (size_t changed = 0; changed < tokens.size(); ++changed) {
        auto other = tokens;
        other[changed] = (other[changed] + 1) % 23;
        const std::vector<float> logits = run_fresh(loaded, other, 12);
        EXPECT_FALSE(std::equal(whole.end() - 23, whole.end(), logits.end() - 23))
            << "token " << changed << " is not seen";
    }
}

TEST_P(Attention, order_matters_so_positions_reach_the_scores) {
    Loaded loaded = tiny_.open();
    const std::vector<float> one = run_fresh(loaded, {4, 9, 2, 7}, 4);
    const std::vector<float> two = run_fresh(loaded, {9, 4, 2, 7}, 4);
    EXPECT_FALSE(std::equal(one.end() - 23, one.end(), two.end() - 23));
}

/// The numbers of slots, which of them are in the batch and in what order are bookkeeping.
TEST_P(Attention, any_permutation_of_sequences_in_a_batch_gives_each_its_own_bits) {
    Loaded loaded = tiny_.open(2);
    std::vector<std::vector<int32_t>> prompts;
    std::vector<std::vector<float>> alone;
    for (uint64_t i = 0; i < 4; ++i) {
        prompts.push_back(tokens_of(10 + i, 3 + 5 * i));
        alone.push_back(run_fresh(loaded, prompts.back(), 100));
    }
    std::vector<size_t> order = {0, 1, 2, 3};
    do {
        // Slots are taken in one order and used in another.
        std::vector<int32_t> slots(4);
        for (const size_t i : order) {
            slots[i] = must(loaded.cache->add_sequence());
        }
        Batch batch;
        for (size_t rank = 4; rank-- > 0;) {
            const size_t i = order[rank];
            for (size_t p = 0; p < prompts[i].size(); ++p) {
                batch.tokens.push_back(prompts[i][p]);
                batch.positions.push_back(static_cast<int32_t>(p));
                batch.slots.push_back(slots[i]);
                batch.logit_rows.push_back(static_cast<int32_t>(batch.logit_rows.size()));
            }
        }
        const ConstRows out = must(loaded.model->forward(batch, *loaded.cache));
        int64_t row = 0;
        for (size_t rank = 4; rank-- > 0;) {
            const std::vector<float>& expected = alone[order[rank]];
            ASSERT_TRUE(std::equal(expected.begin(), expected.end(), out.row(row)));
            row += static_cast<int64_t>(prompts[order[rank]].size());
        }
        for (const int32_t slot : slots) {
            loaded.cache->remove_sequence(slot);
        }
    } while (std::next_permutation(order.begin(), order.end()));
}

TEST_P(Attention, pages_used_before_by_others_leave_no_trace) {
    Loaded loaded = tiny_.open(1, 256);
    const std::vector<float> fresh = run_fresh(loaded, tokens_of(3, 90), 90);
    for (uint64_t round = 0; round < 6; ++round) {
        const int32_t a = must(loaded.cache->add_sequence());
        const int32_t b = must(loaded.cache->add_sequence());
        run_tokens(loaded, a, tokens_of(100 + round, 30 + 10 * round), 64);
        run_tokens(loaded, b, tokens_of(200 + round, 40), 64);
        loaded.cache->remove_sequence(round % 2 == 0 ? a : b);
        EXPECT_EQ(run_fresh(loaded, tokens_of(3, 90), 33), fresh) << "round " << round;
        loaded.cache->remove_sequence(round % 2 == 0 ? b : a);
    }
}

TEST_P(Attention, forks_that_go_different_ways_equal_sequences_from_scratch) {
    Loaded loaded = tiny_.open();
    const std::vector<int32_t> stem = tokens_of(4, 67);
    const int32_t root = must(loaded.cache->add_sequence());
    run_tokens(loaded, root, stem, 50);
    for (uint64_t branch = 0; branch < 4; ++branch) {
        const int64_t keep = 67 - static_cast<int64_t>(branch) * 2;  // 61 .. 67: both pages
        const int32_t fork = must(loaded.cache->fork(root));
        loaded.cache->truncate(fork, keep);
        const std::vector<int32_t> tail = tokens_of(50 + branch, 9);
        const std::vector<float> logits = run_tokens(loaded, fork, tail, 4);
        std::vector<int32_t> all(stem.begin(), stem.begin() + keep);
        all.insert(all.end(), tail.begin(), tail.end());
        const std::vector<float> whole = run_fresh(loaded, all, 70);
        EXPECT_TRUE(std::equal(logits.rbegin(), logits.rend(), whole.rbegin())) << keep;
        loaded.cache->remove_sequence(fork);
    }
}

INSTANTIATE_TEST_SUITE_P(families, Attention, testing::ValuesIn(kCases),
                         [](const auto& param) { return std::string(param.param.name); });

Json expert_config(int64_t n_experts, int64_t top_k) {
    Json config = must(parse_json(kCases[1].config, "v3"));
    config["n_routed_experts"] = n_experts;
    config["num_experts_per_tok"] = top_k;
    config["n_group"] = 1;
    config["topk_group"] = 1;
    return config;
}

/// Only the expert with the great bias is ever chosen: all others have no row to compute.
TEST(Experts, a_batch_that_uses_one_expert_of_many_equals_the_reference) {
    for (const char* chosen : {"first", "last"}) {
        TinyModel tiny(expert_config(16, 1), 6);
        auto& bias = tiny.tensors.at("model.layers.1.mlp.gate.e_score_correction_bias").values;
        bias.at(chosen[0] == 'f' ? 0 : 15) = 100;
        Loaded loaded = tiny.open(2);
        const std::vector<int32_t> tokens = {1, 5, 9, 22, 0, 3};
        const std::vector<float> logits = run_fresh(loaded, tokens, 6);
        size_t at = 0;
        for (const auto& row : SlowReference(tiny).run(tokens)) {
            for (const double value : row) {
                ASSERT_NEAR(static_cast<double>(logits[at++]), value, 2e-4) << chosen;
            }
        }
    }
}

TEST(Experts, choosing_all_experts_equals_the_reference) {
    const TinyModel tiny(expert_config(5, 5), 7);
    Loaded loaded = tiny.open();
    const std::vector<int32_t> tokens = {2, 4, 6};
    const std::vector<float> logits = run_fresh(loaded, tokens, 3);
    size_t at = 0;
    for (const auto& row : SlowReference(tiny).run(tokens)) {
        for (const double value : row) {
            ASSERT_NEAR(static_cast<double>(logits[at++]), value, 2e-4);
        }
    }
}

/// Biases only choose: when all experts are chosen they have nothing left to decide but the order.
TEST(Experts, a_bias_that_changes_no_choice_changes_no_logit_beyond_rounding) {
    TinyModel tiny(expert_config(5, 5), 8);
    Loaded before = tiny.open();
    const std::vector<float> logits = run_fresh(before, {1, 2, 3}, 3);
    for (float& value : tiny.tensors.at("model.layers.1.mlp.gate.e_score_correction_bias").values) {
        value = value * 3 - 7;
    }
    Loaded after = tiny.open();
    EXPECT_LT(max_difference(run_fresh(after, {1, 2, 3}, 3), logits), 1e-5);
}

}  // namespace
}  // namespace nereus::test
