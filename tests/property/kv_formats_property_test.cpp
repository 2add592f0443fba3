// A model's promises hold for every format of its cache: bits do not depend on chunks, decode steps,
// forks or truncation, and logits stay near those of an f32 cache.

#include <gtest/gtest.h>

#include "tests/support/tiny_model.h"

namespace nereus::test {
namespace {

constexpr const char* kLatent = R"({"model_type": "deepseek_v3", "vocab_size": 23,
    "hidden_size": 24, "intermediate_size": 40, "num_hidden_layers": 2, "num_attention_heads": 3,
    "q_lora_rank": 9, "kv_lora_rank": 70, "qk_nope_head_dim": 6, "qk_rope_head_dim": 4,
    "v_head_dim": 5, "n_routed_experts": 8, "n_group": 4, "topk_group": 2,
    "num_experts_per_tok": 3, "n_shared_experts": 1, "moe_intermediate_size": 7,
    "first_k_dense_replace": 2, "norm_topk_prob": true, "routed_scaling_factor": 2.5,
    "scoring_func": "sigmoid", "topk_method": "noaux_tc"})";
constexpr const char* kGrouped = R"({"model_type": "qwen2", "vocab_size": 23, "hidden_size": 24,
    "intermediate_size": 40, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2})";

struct Case {
    const char* name;
    const char* config;
    KvFormat format;
    double error_max;  ///< root of the mean square, in deviations of the logits
};
constexpr Case kCases[] = {{"latent_bf16", kLatent, KvFormat::kBf16, 0.01},
                           {"latent_int8", kLatent, KvFormat::kInt8, 0.02},
                           {"grouped_bf16", kGrouped, KvFormat::kBf16, 0.01}};

std::vector<int32_t> tokens_of(uint64_t seed, size_t n) {
    std::vector<int32_t> tokens;
    for (uint64_t i = 0; i < n; ++i) {
        tokens.push_back(static_cast<int32_t>(random_bits(seed, 8, i) % 23));
    }
    return tokens;
}

class CacheFormat : public testing::TestWithParam<Case> {
  protected:
    Loaded open(int n_threads = 2) {
        return tiny_.open(n_threads, 4096, AttentionForm::kAbsorbed, GetParam().format);
    }
    TinyModel tiny_{must(parse_json(GetParam().config, GetParam().name)), 5};
};

TEST_P(CacheFormat, prefill_in_any_chunks_and_decode_give_the_same_bits) {
    Loaded loaded = open();
    const std::vector<int32_t> tokens = tokens_of(1, 270);  // over two pages of 128
    const std::vector<float> whole = run_fresh(loaded, tokens, 270);
    for (const int64_t chunk : {1, 7, 64, 100, 129, 256}) {
        EXPECT_EQ(run_fresh(loaded, tokens, chunk), whole) << "chunks of " << chunk;
    }
    Loaded single = open(1);
    EXPECT_EQ(run_fresh(single, tokens, 33), whole) << "one thread";
}

/// Beyond a span of rows: decode splits it over threads, prefill walks it.
TEST_P(CacheFormat, past_1024_tokens_a_step_equals_the_row_of_a_prefill) {
    Loaded loaded = open(3);
    const std::vector<int32_t> tokens = tokens_of(2, 1030);
    const std::vector<float> whole = run_fresh(loaded, tokens, 500);
    const int32_t slot = must(loaded.cache->add_sequence());
    const std::vector<int32_t> stem(tokens.begin(), tokens.begin() + 1022);
    run_tokens(loaded, slot, stem, 256);
    for (size_t i = 1022; i < tokens.size(); ++i) {
        const std::vector<float> row = run_tokens(loaded, slot, {tokens[i]}, 1);
        ASSERT_TRUE(std::equal(row.begin(), row.end(), whole.begin() + static_cast<int64_t>(i) * 23))
            << i;
    }
}

TEST_P(CacheFormat, forks_truncated_and_continued_equal_sequences_from_scratch) {
    Loaded loaded = open();
    const std::vector<int32_t> stem = tokens_of(3, 131);
    const int32_t root = must(loaded.cache->add_sequence());
    run_tokens(loaded, root, stem, 50);
    for (const int64_t keep : {131, 129, 128, 127, 63, 1}) {
        const int32_t fork = must(loaded.cache->fork(root));
        loaded.cache->truncate(fork, keep);
        std::vector<int32_t> all(stem.begin(), stem.begin() + keep);
        const std::vector<int32_t> tail = tokens_of(static_cast<uint64_t>(50 + keep), 9);
        const std::vector<float> logits = run_tokens(loaded, fork, tail, 4);
        all.insert(all.end(), tail.begin(), tail.end());
        const std::vector<float> fresh = run_fresh(loaded, all, 70);
        EXPECT_TRUE(std::equal(logits.rbegin(), logits.rend(), fresh.rbegin())) << keep;
        loaded.cache->remove_sequence(fork);
    }
    // The root is as it was: others wrote into copies of its last page.
    const std::vector<float> next = run_tokens(loaded, root, {7}, 1);
    std::vector<int32_t> all = stem;
    all.push_back(7);
    const std::vector<float> fresh = run_fresh(loaded, all, 70);
    EXPECT_TRUE(std::equal(next.rbegin(), next.rend(), fresh.rbegin()));
}

TEST_P(CacheFormat, a_batch_of_sequences_gives_each_its_own_bits) {
    Loaded loaded = open(3);
    Batch batch;
    std::vector<std::vector<float>> alone;
    for (uint64_t i = 0; i < 4; ++i) {
        const std::vector<int32_t> tokens = tokens_of(10 + i, 40 * i + 1);
        alone.push_back(run_fresh(loaded, tokens, 64));
        const int32_t slot = must(loaded.cache->add_sequence());
        for (size_t p = 0; p < tokens.size(); ++p) {
            batch.logit_rows.push_back(static_cast<int32_t>(batch.tokens.size()));
            batch.tokens.push_back(tokens[p]);
            batch.positions.push_back(static_cast<int32_t>(p));
            batch.slots.push_back(slot);
        }
    }
    const ConstRows out = must(loaded.model->forward(batch, *loaded.cache));
    int64_t row = 0;
    for (const std::vector<float>& expected : alone) {
        EXPECT_TRUE(std::equal(expected.begin(), expected.end(), out.row(row)));
        row += static_cast<int64_t>(expected.size()) / 23;
    }
}

TEST_P(CacheFormat, logits_stay_near_those_of_an_f32_cache_and_are_not_them) {
    Loaded exact = tiny_.open(2);
    Loaded rounded = open();
    const std::vector<int32_t> tokens = tokens_of(4, 200);
    const std::vector<float> a = run_fresh(exact, tokens, 64);
    const std::vector<float> b = run_fresh(rounded, tokens, 64);
    double squares = 0;
    double errors = 0;
    for (size_t i = 0; i < a.size(); ++i) {
        const double d = double{a[i]} - double{b[i]};
        errors += d * d;
        squares += double{a[i]} * double{a[i]};
    }
    EXPECT_LT(std::sqrt(errors / squares), GetParam().error_max);
    EXPECT_GT(errors, 0);
}

INSTANTIATE_TEST_SUITE_P(formats, CacheFormat, testing::ValuesIn(kCases),
                         [](const auto& param) { return std::string(param.param.name); });

TEST(CacheChoice, int8_for_grouped_attention_is_refused_with_what_there_is) {
    const TinyModel tiny(must(parse_json(kGrouped, "qwen2")), 1);
    const Error error = tiny.load_error(KvFormat::kInt8);
    EXPECT_EQ(error.code, ErrorCode::kUnsupported);
    for (const char* part : {"--cache int8", "qwen2", "f32", "bf16"}) {
        EXPECT_NE(error.message.find(part), std::string::npos) << error.message;
    }
}

TEST(CacheChoice, without_a_word_published_weights_get_f32_rows) {
    const TinyModel tiny(must(parse_json(kLatent, "v3")), 1);
    const Loaded loaded = tiny.open();
    EXPECT_EQ(loaded.model->kv_spec(10).format, KvFormat::kF32);
    EXPECT_EQ(loaded.model->kv_spec(10).bytes_per_token(), 2 * 74 * 4);
    const Loaded int8 = tiny.open(1, 64, AttentionForm::kAbsorbed, KvFormat::kInt8);
    EXPECT_EQ(int8.model->kv_spec(10).page_tokens, 128);
    EXPECT_EQ(int8.model->kv_spec(10).bytes_per_token(), 2 * (128 + 2 * 64 + 3 * 4));
}

}  // namespace
}  // namespace nereus::test
