// The golden models as GGUF, in every layout converters have written: the same logits.

#include "tests/support/golden.h"

namespace nereus::test {
namespace {

struct GgufCase {
    const char* file;
    const char* golden;
};

constexpr GgufCase kCases[] = {
    {"v2_lite-legacy.gguf", "v2_lite"},
    {"v2_lite-mla.gguf", "v2_lite"},
    {"v3-legacy.gguf", "v3"},
    {"v3-mla.gguf", "v3"},
    {"qwen2.gguf", "qwen2"},
    {"qwen2-split-00001-of-00002.gguf", "qwen2"},
    {"llama3.gguf", "llama3"},
};

class GoldenGguf : public testing::TestWithParam<GgufCase> {};

TEST_P(GoldenGguf, logits_and_greedy_continuation_equal_the_references) {
    const Golden golden(GetParam().golden);
    Loaded loaded = load(std::string("tests/data/gguf/") + GetParam().file, 2);
    EXPECT_LE(max_difference(run_fresh(loaded, golden.tokens, 64), golden.logits),
              2e-4 * golden.logits_std);
    EXPECT_EQ(run_greedy(loaded, golden.tokens, golden.greedy.size()), golden.greedy);
}

INSTANTIATE_TEST_SUITE_P(layouts, GoldenGguf, testing::ValuesIn(kCases), [](const auto& row) {
    std::string name = row.param.file;
    std::replace_if(name.begin(), name.end(), [](char c) { return std::isalnum(c) == 0; }, '_');
    return name;
});

class SeedGguf : public testing::TestWithParam<ActivationsChoice> {};

TEST_P(SeedGguf, the_q8_0_file_answers_a_question_as_the_bf16_weights_do) {
    const std::string path = source_path("tests/data/reference-bf16.json");
    const Json items = must(parse_json(must(read_file(path, 1 << 24)), path)).at("items");
    Loaded loaded = load("tests/data/seed-q8_0.gguf", 2, "", AttentionForm::kAbsorbed, GetParam());
    size_t n_equal = 0;
    constexpr size_t kQuestions = 20;
    for (size_t i = 0; i < kQuestions; ++i) {
        const auto prompt = items[i].at("prompt_ids").get<std::vector<int32_t>>();
        const auto wanted = items[i].at("output_ids").get<std::vector<int32_t>>();
        n_equal += run_greedy(loaded, prompt, wanted.size()) == wanted ? 1 : 0;
    }
    EXPECT_GE(n_equal, kQuestions - 3);  // 8-bit rounding may turn a close call
}

INSTANTIATE_TEST_SUITE_P(activations, SeedGguf,
                         testing::Values(ActivationsChoice::kOfFormat, ActivationsChoice::kF32),
                         [](const auto& row) {
                             return row.param == ActivationsChoice::kF32 ? "f32" : "of_format";
                         });

TEST(SeedGgufActivations, are_rounded_unless_f32_is_asked_for) {
    const std::vector<int32_t> tokens = {1, 5, 9, 13, 21, 34};
    Loaded rounded = load("tests/data/seed-q8_0.gguf", 2);
    Loaded exact =
        load("tests/data/seed-q8_0.gguf", 2, "", AttentionForm::kAbsorbed, ActivationsChoice::kF32);
    const double gap = max_difference(run_fresh(rounded, tokens, 64), run_fresh(exact, tokens, 64));
    EXPECT_GT(gap, 1e-3);
    EXPECT_LT(gap, 2.0);
}

}  // namespace
}  // namespace nereus::test
