// What Model promises beside its numbers: errors that change nothing, what it observes, how much it
// reads, and that broken weights neither crash nor hang it.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "model/count.h"
#include "tests/support/tiny_model.h"

namespace nereus::test {
namespace {

using testing::HasSubstr;

Json small_v3() {
    return parse_json(R"({"model_type": "deepseek_v3", "vocab_size": 17, "hidden_size": 24,
        "intermediate_size": 40, "num_hidden_layers": 3, "num_attention_heads": 2,
        "q_lora_rank": 9, "kv_lora_rank": 11, "qk_nope_head_dim": 6, "qk_rope_head_dim": 4,
        "v_head_dim": 5, "n_routed_experts": 8, "n_group": 4, "topk_group": 2,
        "num_experts_per_tok": 3, "n_shared_experts": 1, "moe_intermediate_size": 7,
        "first_k_dense_replace": 1, "norm_topk_prob": true, "routed_scaling_factor": 2.5,
        "scoring_func": "sigmoid", "topk_method": "noaux_tc"})",
                      "small_v3")
        .value();
}

Json small_qwen2() {
    return parse_json(R"({"model_type": "qwen2", "vocab_size": 17, "hidden_size": 24,
        "intermediate_size": 40, "num_hidden_layers": 2, "num_attention_heads": 4,
        "num_key_value_heads": 2})",
                      "small_qwen2")
        .value();
}

/// Tokens of two sequences, the first slot's first.
Batch two_sequences(int32_t a, int32_t n_a, int32_t b, int32_t n_b, const KvCache& cache) {
    Batch batch;
    for (const auto& [slot, n] : {std::pair{a, n_a}, std::pair{b, n_b}}) {
        for (int32_t i = 0; i < n; ++i) {
            batch.tokens.push_back(i % 17);
            batch.positions.push_back(static_cast<int32_t>(cache.length(slot)) + i);
            batch.slots.push_back(slot);
        }
    }
    return batch;
}

TEST(Forward, when_the_second_sequence_does_not_fit_the_first_is_unchanged_too) {
    const TinyModel tiny(small_v3(), 1);
    Loaded loaded = tiny.open(1, 128);  // two pages of 64
    const int32_t a = must(loaded.cache->add_sequence());
    const int32_t b = must(loaded.cache->add_sequence());
    ASSERT_TRUE(
        loaded.model->forward(two_sequences(a, 10, b, 10, *loaded.cache), *loaded.cache).ok());
    const int64_t bytes = loaded.cache->n_bytes();
    for (const auto& [n_a, n_b] : {std::pair{5, 60}, std::pair{60, 5}, std::pair{60, 60}}) {
        const auto refused =
            loaded.model->forward(two_sequences(a, n_a, b, n_b, *loaded.cache), *loaded.cache);
        ASSERT_FALSE(refused.ok());
        EXPECT_EQ(refused.error().code, ErrorCode::kOutOfMemory);
        EXPECT_EQ(loaded.cache->length(a), 10);
        EXPECT_EQ(loaded.cache->length(b), 10);
        EXPECT_EQ(loaded.cache->n_bytes(), bytes);
    }
    EXPECT_TRUE(
        loaded.model->forward(two_sequences(a, 54, b, 54, *loaded.cache), *loaded.cache).ok());
}

TEST(Forward, a_refused_batch_leaves_no_trace_in_later_logits) {
    const TinyModel tiny(small_v3(), 2);
    Loaded clean = tiny.open();
    const std::vector<float> expected = run_fresh(clean, {1, 2, 3, 4, 5, 6}, 3);
    Loaded loaded = tiny.open();
    const int32_t slot = must(loaded.cache->add_sequence());
    std::vector<float> logits = run_tokens(loaded, slot, {1, 2, 3}, 3);
    EXPECT_FALSE(loaded.model->forward({{9, 17}, {3, 4}, {slot, slot}, {}}, *loaded.cache).ok());
    EXPECT_FALSE(loaded.model->forward({{9, 9}, {3, 3}, {slot, slot}, {}}, *loaded.cache).ok());
    const std::vector<float> rest = run_tokens(loaded, slot, {4, 5, 6}, 2);
    logits.insert(logits.end(), rest.begin(), rest.end());
    EXPECT_EQ(logits, expected);
}

TEST(Forward, errors_name_the_token_its_index_and_the_position_expected) {
    const TinyModel tiny(small_qwen2(), 3);
    Loaded loaded = tiny.open();
    const int32_t slot = must(loaded.cache->add_sequence());
    const auto message = [&](const Batch& batch) {
        const auto result = loaded.model->forward(batch, *loaded.cache);
        EXPECT_FALSE(result.ok());
        EXPECT_EQ(result.error().code, ErrorCode::kInvalidArgument);
        return result.error().message;
    };
    EXPECT_THAT(message({{3, 17}, {0, 1}, {slot, slot}, {}}),
                HasSubstr("token id 17 at index 1 is outside the vocabulary of 17"));
    EXPECT_THAT(message({{-1}, {0}, {slot}, {}}), HasSubstr("token id -1 at index 0"));
    EXPECT_THAT(message({{3, 3}, {0, 2}, {slot, slot}, {}}),
                HasSubstr("position 2, its sequence continues at 1"));
}

TEST(Forward, sequences_of_one_batch_do_not_see_each_other) {
    for (const Json& config : {small_v3(), small_qwen2()}) {
        const TinyModel tiny(config, 4);
        Loaded loaded = tiny.open();
        const std::vector<float> alone = run_fresh(loaded, {0, 1, 2, 3}, 4);
        const int32_t a = must(loaded.cache->add_sequence());
        const int32_t b = must(loaded.cache->add_sequence());
        Batch batch = two_sequences(a, 7, b, 4, *loaded.cache);
        batch.logit_rows = {7, 8, 9, 10};
        const ConstRows out = must(loaded.model->forward(batch, *loaded.cache));
        EXPECT_EQ(std::vector<float>(out.data, out.data + alone.size()), alone);
    }
}

TEST(Forward, tokens_of_two_sequences_may_alternate_within_a_batch) {
    const TinyModel tiny(small_v3(), 5);
    Loaded loaded = tiny.open();
    const std::vector<float> one = run_fresh(loaded, {5, 6, 7}, 3);
    const std::vector<float> two = run_fresh(loaded, {9, 8, 7}, 3);
    const int32_t a = must(loaded.cache->add_sequence());
    const int32_t b = must(loaded.cache->add_sequence());
    const Batch batch{
        {5, 9, 6, 8, 7, 7}, {0, 0, 1, 1, 2, 2}, {a, b, a, b, a, b}, {0, 1, 2, 3, 4, 5}};
    const ConstRows out = must(loaded.model->forward(batch, *loaded.cache));
    for (int64_t i = 0; i < 6; ++i) {
        const std::vector<float>& expected = i % 2 == 0 ? one : two;
        for (int64_t v = 0; v < 17; ++v) {
            ASSERT_EQ(out.row(i)[v], expected[static_cast<size_t>(i / 2 * 17 + v)]) << i;
        }
    }
}

TEST(Forward, the_observer_sees_the_embedding_every_layer_and_the_final_norm_once) {
    const TinyModel tiny(small_v3(), 6);
    Loaded loaded = tiny.open();
    std::vector<int64_t> layers;
    std::vector<float> first;
    loaded.model->observe_hidden([&](int64_t layer, ConstRows hidden) {
        layers.push_back(layer);
        EXPECT_EQ(hidden.n_rows, 2);
        EXPECT_EQ(hidden.n_cols, 24);
        if (layer == 0) {
            first.assign(hidden.row(1), hidden.row(1) + 24);
        }
    });
    const std::vector<float> observed = run_fresh(loaded, {3, 11}, 2);
    EXPECT_EQ(layers, (std::vector<int64_t>{0, 1, 2, 3}));
    const auto& table = tiny.tensors.at("model.embed_tokens.weight").values;
    EXPECT_EQ(first, std::vector<float>(table.begin() + 11 * 24, table.begin() + 12 * 24));
    loaded.model->observe_hidden(nullptr);
    EXPECT_EQ(run_fresh(loaded, {3, 11}, 2), observed) << "observing changed the logits";
    EXPECT_EQ(layers.size(), 4U);
}

TEST(Forward, weights_that_are_nan_or_infinite_neither_crash_nor_spread_to_the_cache_book) {
    for (const char* name :
         {"model.layers.1.mlp.gate.weight", "model.layers.1.mlp.gate.e_score_correction_bias",
          "model.layers.0.self_attn.q_a_proj.weight", "model.embed_tokens.weight",
          "model.layers.2.self_attn.kv_b_proj.weight"}) {
        for (const float bad : {NAN, INFINITY, -INFINITY}) {
            TinyModel tiny(small_v3(), 7);
            for (float& value : tiny.tensors.at(name).values) {
                value = bad;
            }
            Loaded loaded = tiny.open(2);
            const int32_t slot = must(loaded.cache->add_sequence());
            EXPECT_EQ(run_tokens(loaded, slot, {1, 2, 3, 4}, 2).size(), 4U * 17) << name;
            EXPECT_EQ(loaded.cache->length(slot), 4);
        }
    }
}

TEST(Load, a_missing_tensor_of_any_name_is_not_found_by_that_name) {
    const TinyModel whole(small_v3(), 8);
    for (const auto& [name, tensor] : whole.tensors) {
        TinyModel tiny(small_v3(), 8);
        tiny.tensors.erase(name);
        const Error error = tiny.load_error();
        EXPECT_EQ(error.code, ErrorCode::kNotFound) << name << ": " << error.message;
        EXPECT_THAT(error.message, HasSubstr(name));
    }
}

TEST(Load, a_tensor_one_row_too_long_is_corrupt_with_both_shapes) {
    const TinyModel whole(small_qwen2(), 9);
    for (const auto& [name, tensor] : whole.tensors) {
        TinyModel tiny(small_qwen2(), 9);
        TinyTensor& changed = tiny.tensors.at(name);
        const int64_t expected = changed.shape[0];
        const size_t row = changed.values.size() / static_cast<size_t>(expected);
        changed.shape[0] += 1;
        changed.values.resize(changed.values.size() + row);
        const Error error = tiny.load_error();
        EXPECT_EQ(error.code, ErrorCode::kCorrupt) << name << ": " << error.message;
        EXPECT_THAT(error.message, HasSubstr(name));
        EXPECT_THAT(error.message, HasSubstr(fmt::format("{}", expected)));
        EXPECT_THAT(error.message, HasSubstr(fmt::format("{}", expected + 1)));
    }
}

TEST(Load, a_matrix_transposed_by_mistake_is_refused) {
    TinyModel tiny(small_qwen2(), 10);
    std::swap(tiny.tensors.at("model.layers.1.mlp.down_proj.weight").shape[0],
              tiny.tensors.at("model.layers.1.mlp.down_proj.weight").shape[1]);
    EXPECT_THAT(tiny.load_error().message, HasSubstr("expected shape [24, 40], found [40, 24]"));
}

TEST(Load, progress_rises_to_one) {
    const TinyModel tiny(small_v3(), 11);
    Loaded loaded = tiny.open();
    std::vector<double> seen;
    LoadOptions options;
    options.progress = [&](double fraction) { seen.push_back(fraction); };
    ASSERT_TRUE(load_model(*loaded.checkpoint, *loaded.backend, options).ok());
    ASSERT_EQ(seen.size(), 3U);
    EXPECT_TRUE(std::is_sorted(seen.begin(), seen.end()));
    EXPECT_EQ(seen.back(), 1.0);
}

TEST(Load, bytes_per_token_are_the_active_parameters_without_norms_and_embedding) {
    for (const Json& config : {small_v3(), small_qwen2()}) {
        const TinyModel tiny(config, 12);
        const ModelConfig& c = tiny.config();
        const PartCounts counts = count_parameters(c);
        int64_t numbers =
            active_parameters(c) - counts[ModelPart::kNorms] - counts[ModelPart::kEmbedding];
        // biases are vectors and not counted as weights read
        for (const auto& [name, tensor] : tiny.tensors) {
            const bool is_bias = name.find("bias") != std::string::npos;
            numbers -= is_bias ? tensor.shape[0] : 0;
        }
        EXPECT_EQ(tiny.open().model->bytes_per_token(), numbers * 4);
    }
}

TEST(Load, a_cached_token_takes_the_floats_that_the_configuration_counts) {
    for (const Json& config : {small_v3(), small_qwen2()}) {
        const TinyModel tiny(config, 13);
        EXPECT_EQ(tiny.open().model->kv_spec(10).bytes_per_token(),
                  kv_values_per_token(tiny.config()) * 4);
    }
}

}  // namespace
}  // namespace nereus::test
