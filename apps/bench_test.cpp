// bench as a command: recorded routing in place of the router's choice, and its other options.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "base/floats.h"
#include "tests/support/golden.h"
#include "tests/support/in_process.h"
#include "tests/support/scratch.h"

namespace nereus::test {
namespace {

using testing::HasSubstr;

const std::string kModel = source_path("models/nereus-seed");

ModelConfig config() {
    const std::string path = kModel + "/config.json";
    return must(config_from_json(must(parse_json(file_text(path), path)), path));
}

/// A trace for the model: token t wants neighbouring experts from t * step on, in every layer.
std::string trace_file(uint32_t n_tokens, uint32_t step) {
    const ModelConfig c = config();
    const auto top_k = static_cast<uint32_t>(c.num_experts_per_tok);
    const auto n_experts = static_cast<uint32_t>(c.n_routed_experts);
    const auto first_layer = static_cast<uint32_t>(c.first_k_dense_replace);
    const uint32_t n_layers = static_cast<uint32_t>(c.num_hidden_layers) - first_layer;
    std::string bytes = "MOETRC01";
    const auto add = [&](const auto& value) {
        bytes.append(reinterpret_cast<const char*>(&value), sizeof(value));
    };
    for (const uint32_t field : {n_layers, n_experts, top_k, first_layer, 1U, n_tokens, n_tokens}) {
        add(field);
    }
    for (uint32_t i = 0; i < n_tokens * n_layers * top_k; ++i) {
        add(static_cast<uint8_t>((i / (n_layers * top_k) * step + i % top_k) % n_experts));
    }
    for (uint32_t i = 0; i < n_tokens * n_layers * top_k; ++i) {
        add(f32_to_f16(0.25F));
    }
    return scratch_file(fmt::format("routing{}.moetrc", step), bytes);
}

std::vector<std::string> bench(const std::vector<std::string>& flags) {
    std::vector<std::string> words = {"bench", kModel,     "--prompt", "6",     "--generate",
                                      "4",     "--repeat", "1",        "--json"};
    words.insert(words.end(), flags.begin(), flags.end());
    return words;
}

TEST(BenchRouting, is_named_in_the_result_and_may_be_shorter_than_the_run) {
    EXPECT_EQ(json_result(bench({}))["routing"], "of the model");
    const std::string trace = trace_file(2, 1);
    const Json result = json_result(bench({"--routing", trace}));
    EXPECT_EQ(result["routing"], trace);
    EXPECT_GT(result["decode"]["tokens_per_second"], 0.0);
}

TEST(BenchRouting, a_trace_of_another_model_is_refused_before_anything_is_timed) {
    expect_error({"bench", source_path("models/nereus-seed"), "--routing",
                  source_path("tests/data/traces/v2lite-intent-2.moetrc")},
                 "the trace has 26 mixture layers from 1 on, 6 of 64 experts a token");
    expect_error({"bench", source_path("models/nereus-seed"), "--routing",
                  source_path("models/nereus-seed/config.json")},
                 "expected a routing trace");
    expect_error({"bench", source_path("tests/golden/qwen2"), "--routing",
                  source_path("tests/data/traces/v2lite-intent-2.moetrc")},
                 "the model has 0");
}

TEST(BenchRouting, a_file_that_is_missing_cut_or_no_file_is_named) {
    expect_error(bench({"--routing", "/no/trace"}), "/no/trace");
    expect_error(bench({"--routing", kModel}), kModel);
    const std::string whole = file_text(trace_file(5, 0));
    const std::string cut = scratch_file("cut.moetrc", whole.substr(0, whole.size() - 1));
    expect_error(bench({"--routing", cut}), "cut.moetrc");
    expect_error(bench({"--routing", scratch_file("empty.moetrc", "")}), "empty.moetrc");
}

TEST(BenchOptions, chunks_and_caches_change_the_way_and_not_what_is_counted) {
    const Json plain = json_result(bench({}));
    const Json chunked = json_result(bench({"--chunk", "1"}));
    EXPECT_EQ(plain["weight_bytes_per_step"], chunked["weight_bytes_per_step"]);
    EXPECT_EQ(plain["cache_bytes_per_step"], chunked["cache_bytes_per_step"]);
    const Json half = json_result(bench({"--cache", "bf16"}));
    EXPECT_NEAR(half["cache_bytes_per_step"].get<double>() * 2,
                plain["cache_bytes_per_step"].get<double>(), 1);
}

TEST(BenchOptions, numbers_out_of_range_are_refused_by_name) {
    for (const char* flag : {"--context", "--sequences", "--chunk"}) {
        for (const char* value : {"-1", "x", "1.5", "99999999999"}) {
            expect_error(bench({flag, value}), flag);
        }
    }
    expect_error(bench({"--sequences", "0"}), "--sequences");
    expect_error(bench({"--chunk", "0"}), "--chunk");
}

}  // namespace
}  // namespace nereus::test
