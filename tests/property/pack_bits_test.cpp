// Packs of random shapes: a token's logits have the same bits alone and among eight sequences, in a
// prefill and in a decode step, with one thread and two, in every kernel table.

#include <gtest/gtest.h>

#include "tests/support/packing.h"

namespace nereus::test {
namespace {

constexpr size_t kSequences = 8;
constexpr int64_t kVocabulary = 50;

struct Shape {
    uint64_t seed = 0;
    int64_t next = 0;

    int64_t between(int64_t low, int64_t high) {
        const auto span = static_cast<uint64_t>(high - low + 1);
        return low +
               static_cast<int64_t>(random_bits(seed, 91, static_cast<uint64_t>(next++)) % span);
    }
};

/// Odd sizes, but whole panels of heads: what a pack of 4 bits keeps as panels.
Json random_config(uint64_t seed) {
    Shape shape{seed};
    const bool v3 = seed % 2 == 1;
    return {{"model_type", v3 ? "deepseek_v3" : "deepseek_v2"},
            {"vocab_size", kVocabulary},
            {"hidden_size", shape.between(33, 300)},
            {"intermediate_size", shape.between(17, 200)},
            {"num_hidden_layers", 3},
            {"num_attention_heads", shape.between(1, 3)},
            {"q_lora_rank", v3 ? Json(shape.between(33, 90)) : Json(nullptr)},
            {"kv_lora_rank", 16 * shape.between(2, 9)},
            {"qk_nope_head_dim", 16 * shape.between(2, 3)},
            {"qk_rope_head_dim", 2 * shape.between(1, 9)},
            {"v_head_dim", 16 * shape.between(2, 3)},
            {"n_routed_experts", 8},
            {"n_group", v3 ? 4 : 1},
            {"topk_group", v3 ? 2 : 1},
            {"num_experts_per_tok", shape.between(1, 4)},
            {"n_shared_experts", shape.between(0, 2)},
            {"moe_intermediate_size", shape.between(16, 150)},
            {"first_k_dense_replace", 1},
            {"norm_topk_prob", v3},
            {"routed_scaling_factor", 1.5},
            {"scoring_func", v3 ? "sigmoid" : "softmax"},
            {"topk_method", v3 ? "noaux_tc" : "greedy"}};
}

std::vector<int32_t> prompt_of(uint64_t seed, size_t sequence) {
    std::vector<int32_t> tokens;
    for (size_t i = 0; i < 3 + sequence * 5; ++i) {
        tokens.push_back(static_cast<int32_t>(random_bits(seed, sequence, i) % kVocabulary));
    }
    return tokens;
}

/// Logits of the last token of every sequence, each sequence alone and prefilled at once.
std::vector<std::vector<float>> alone(Loaded& loaded, uint64_t seed) {
    std::vector<std::vector<float>> logits;
    for (size_t s = 0; s < kSequences; ++s) {
        const std::vector<float> all = run_fresh(loaded, prompt_of(seed, s), 64);
        logits.emplace_back(all.end() - kVocabulary, all.end());
    }
    return logits;
}

/// The same logits, from one decode step of all sequences after their prefills in chunks.
std::vector<std::vector<float>> together(Loaded& loaded, uint64_t seed) {
    Batch batch;
    std::vector<int32_t> slots;
    for (size_t s = 0; s < kSequences; ++s) {
        std::vector<int32_t> tokens = prompt_of(seed, s);
        batch.tokens.push_back(tokens.back());
        batch.positions.push_back(static_cast<int32_t>(tokens.size()) - 1);
        batch.logit_rows.push_back(static_cast<int32_t>(s));
        tokens.pop_back();
        slots.push_back(must(loaded.cache->add_sequence()));
        run_tokens(loaded, slots.back(), tokens, 11);
    }
    batch.slots = slots;
    const ConstRows out = must(loaded.model->forward(batch, *loaded.cache));
    std::vector<std::vector<float>> logits;
    for (int64_t i = 0; i < out.n_rows; ++i) {
        logits.emplace_back(out.row(i), out.row(i) + out.n_cols);
    }
    for (const int32_t slot : slots) {
        loaded.cache->remove_sequence(slot);
    }
    return logits;
}

class PackBits : public testing::TestWithParam<const char*> {};

TEST_P(PackBits, alone_or_among_eight_prefill_or_decode_threads_and_tables) {
    for (const uint64_t seed : {1, 2, 3, 4}) {
        const TinyModel tiny(random_config(seed), seed);
        const Loaded source = tiny.open();
        const TemporaryFolder folder;
        pack_into(source.checkpoint->path(), GetParam(), folder.path() / "pack");
        Loaded first = load_folder(folder.path() / "pack", 1, "portable");
        const auto expected = alone(first, seed);
        for (const std::string& isa : available_isas()) {
            for (const int threads : {1, 2}) {
                Loaded loaded = load_folder(folder.path() / "pack", threads, isa);
                EXPECT_EQ(alone(loaded, seed), expected)
                    << isa << ", " << threads << " threads, seed " << seed;
                EXPECT_EQ(together(loaded, seed), expected)
                    << isa << ", " << threads << " threads, seed " << seed;
            }
        }
    }
}

INSTANTIATE_TEST_SUITE_P(recipes, PackBits, testing::Values("q8", "q4", "q2"),
                         [](const auto& recipe) { return std::string(recipe.param); });

}  // namespace
}  // namespace nereus::test
