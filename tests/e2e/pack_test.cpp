// pack and synth, and every command that takes a model, given a pack.

#include <gmock/gmock.h>

#include "tests/e2e/run_process.h"

namespace nereus {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

std::string source(const char* relative) { return std::string(NEREUS_SOURCE_DIR) + "/" + relative; }

/// A folder below the scratch folder that nothing is in.
std::string fresh(const std::string& name) {
    const fs::path path = scratch_folder() / ("pack-" + name);
    fs::remove_all(path);
    return path.string();
}

std::string packed(const char* model, const std::string& format) {
    const std::string folder = fresh(fs::path(model).filename().string() + "-" + format);
    const ProcessResult result =
        run_program({"pack", source(model), "--format", format, "--out", folder, "--verify"});
    EXPECT_EQ(result.exit_code, 0) << result.err;
    EXPECT_THAT(result.out, AllOf(StartsWith(folder), HasSubstr("bits a weight")));
    return folder;
}

class PackedSeed : public testing::TestWithParam<const char*> {};

TEST_P(PackedSeed, every_command_takes_the_pack_where_it_takes_the_model) {
    const std::string pack = packed(GetParam(), "q8");
    const ProcessResult inspected = run_program({"inspect", pack});
    EXPECT_EQ(inspected.exit_code, 0) << inspected.err;
    EXPECT_THAT(inspected.out, AllOf(HasSubstr("format           q8"), HasSubstr("routed_experts"),
                                     HasSubstr("deepseek_v3")));
    const fs::path text = scratch_folder() / "text.txt";
    std::ofstream(text) << "Hello there, how are you?";
    EXPECT_EQ(run_program({"tokenize", pack, "--file", text}).out,
              run_program({"tokenize", source(GetParam()), "--file", text}).out);
    const fs::path request = scratch_folder() / "request.json";
    std::ofstream(request) << R"({"messages": [{"role": "user", "content": "Hi"}],
                                  "add_generation_prompt": true})";
    const ProcessResult prompt = run_program({"template", pack, "--request", request});
    EXPECT_EQ(prompt.exit_code, 0) << prompt.err;
    EXPECT_EQ(prompt.out, run_program({"template", source(GetParam()), "--request", request}).out);
    const fs::path tokens = scratch_folder() / "tokens.json";
    std::ofstream(tokens) << "[5, 6, 7, 8, 9, 10, 11, 12]";
    EXPECT_EQ(run_program({"detokenize", pack, "--file", tokens}).out,
              run_program({"detokenize", source(GetParam()), "--file", tokens}).out);
    const std::string logits = scratch_folder() / "logits.f32";
    const ProcessResult written =
        run_program({"eval", "logits", pack, "--tokens", tokens, "--out", logits});
    EXPECT_EQ(written.exit_code, 0) << written.err;
    for (const std::vector<std::string>& arguments : std::vector<std::vector<std::string>>{
             {"eval", "greedy", pack, "--tokens", tokens, "-n", "3"},
             {"eval", "ppl", pack, text, "--context", "4"},
             {"eval", "kl", pack, "--tokens", tokens, "--reference", logits},
             {"bench", pack, "--prompt", "4", "--generate", "2", "--repeat", "1"},
             {"run", pack, "Hi", "--greedy", "--max-tokens", "8"}}) {
        const ProcessResult result = run_program(arguments);
        EXPECT_EQ(result.exit_code, 0) << arguments[0] << ": " << result.err;
        EXPECT_FALSE(result.out.empty()) << arguments[0];
    }
}

INSTANTIATE_TEST_SUITE_P(sources, PackedSeed,
                         testing::Values("models/nereus-seed", "tests/data/seed-q8_0.gguf"),
                         [](const auto& row) {
                             return std::string(row.param).ends_with("gguf") ? "gguf" : "folder";
                         });

TEST(PackCommand, wrong_flags_end_in_one_line_that_names_the_formats) {
    const std::string seed = source("models/nereus-seed");
    const ProcessResult format =
        run_program({"pack", seed, "--format", "q5", "--out", fresh("q5")});
    EXPECT_EQ(format.exit_code, 2);
    EXPECT_THAT(format.err, HasSubstr("q8, q4, q4-mixed, q2, bf16, f32"));
    const ProcessResult nothing = run_program({"pack", seed});
    EXPECT_EQ(nothing.exit_code, 2);
    EXPECT_THAT(nothing.err, HasSubstr("--format and --out"));
    EXPECT_THAT(run_program({"pack", "--help"}).out, HasSubstr("q4-mixed"));
}

/// A text of some hundred tokens of the seed's vocabulary.
std::string long_text() {
    const fs::path path = scratch_folder() / "long.txt";
    std::ofstream text(path);
    for (int i = 0; i < 150; ++i) {
        text << "The river number " << i << " runs to the sea, and the sea is not full. ";
    }
    return path;
}

TEST(PackCommand, importance_weighs_the_rounding_and_is_part_of_what_a_pack_is) {
    const std::string seed = source("models/nereus-seed");
    const std::string folder = fresh("weighed");
    const std::vector<std::string> words = {"pack", seed,           "--format",  "q4",      "--out",
                                            folder, "--importance", long_text(), "--verify"};
    const ProcessResult first = run_program(words);
    ASSERT_EQ(first.exit_code, 0) << first.err;
    const std::string bytes = file_text(fs::path(folder) / "dense.bin");
    EXPECT_EQ(run_program(words).exit_code, 0);
    EXPECT_TRUE(file_text(fs::path(folder) / "dense.bin") == bytes);
    EXPECT_FALSE(file_text(fs::path(packed("models/nereus-seed", "q4")) / "dense.bin") == bytes);
    const ProcessResult even = run_program({"pack", seed, "--format", "q4", "--out", folder});
    EXPECT_EQ(even.exit_code, 2);
    EXPECT_THAT(even.err, HasSubstr("another pack"));
}

TEST(PackCommand, experts_that_saw_no_token_of_the_text_are_counted_once) {
    const std::string folder = fresh("unseen");
    const fs::path text = scratch_folder() / "same.txt";
    std::ofstream words(text);
    for (int i = 0; i < 4000; ++i) {
        words << "a";
    }
    words.close();
    const ProcessResult result =
        run_program({"pack", source("models/nereus-seed"), "--format", "q4", "--out", folder,
                     "--importance", text, "--windows", "1"});
    EXPECT_EQ(result.exit_code, 0) << result.err;
    EXPECT_THAT(result.err, HasSubstr("routed experts saw no token of"));
    EXPECT_EQ(result.err.find("saw no token"), result.err.rfind("saw no token"));
}

TEST(PackCommand, importance_of_what_cannot_be_read_ends_in_one_line_and_leaves_nothing) {
    const std::string folder = fresh("short");
    const fs::path text = scratch_folder() / "short.txt";
    std::ofstream(text) << "Too short.";
    const ProcessResult brief = run_program({"pack", source("models/nereus-seed"), "--format", "q4",
                                             "--out", folder, "--importance", text});
    EXPECT_EQ(brief.exit_code, 2);
    EXPECT_THAT(brief.err, HasSubstr("one window needs 512"));
    const ProcessResult mute = run_program({"pack", source("tests/golden/qwen2"), "--format", "q4",
                                            "--out", folder, "--importance", long_text()});
    EXPECT_EQ(mute.exit_code, 2);
    EXPECT_THAT(mute.err, HasSubstr("tokenizer"));
    EXPECT_FALSE(fs::exists(folder));
}

TEST(PackCommand, packing_again_says_the_same_and_another_format_does_not_overwrite) {
    const std::string pack = packed("tests/golden/qwen2", "q4");
    const ProcessResult again =
        run_program({"pack", source("tests/golden/qwen2"), "--format", "q4", "--out", pack});
    EXPECT_EQ(again.exit_code, 0) << again.err;
    const ProcessResult other =
        run_program({"pack", source("tests/golden/qwen2"), "--format", "q8", "--out", pack});
    EXPECT_EQ(other.exit_code, 2);
    EXPECT_THAT(other.err, HasSubstr("another pack"));
}

class Synthetic : public testing::TestWithParam<const char*> {};

TEST_P(Synthetic, every_kind_of_file_of_every_family_can_be_run) {
    for (const char* config :
         {"tests/data/pack/config.json", "tests/golden/v3_fp8/config.json",
          "tests/golden/qwen2/config.json", "tests/golden/llama3/config.json"}) {
        const std::string out = fresh(std::string("synth-") + GetParam());
        const ProcessResult made = run_program({"synth", source(config), "--format", GetParam(),
                                                "--out", out, "--seed", "3", "--layers", "2"});
        ASSERT_EQ(made.exit_code, 0) << made.err;
        EXPECT_THAT(made.out, HasSubstr("2 layers"));
        const fs::path tokens = scratch_folder() / "few.json";
        std::ofstream(tokens) << "[5, 6, 7]";
        const ProcessResult run =
            run_program({"eval", "greedy", out, "--tokens", tokens, "-n", "4"});
        EXPECT_EQ(run.exit_code, 0) << config << ": " << run.err;
        fs::remove_all(out);
    }
}

INSTANTIATE_TEST_SUITE_P(formats, Synthetic,
                         testing::Values("q8", "q4", "q4-mixed", "q2", "bf16", "fp8",
                                         "gguf-q4_k_m"),
                         [](const auto& row) {
                             std::string name = row.param;
                             std::replace(name.begin(), name.end(), '-', '_');
                             return name;
                         });

TEST(SynthCommand, the_seed_decides_the_bytes_and_threads_do_not) {
    const std::string config = source("tests/data/pack/config.json");
    std::vector<std::string> bytes;
    for (const auto& [seed, threads] : {std::pair{"1", "1"}, {"1", "2"}, {"2", "1"}}) {
        const std::string out = fresh("seed");
        const ProcessResult made = run_program({"synth", config, "--format", "q4", "--out", out,
                                                "--seed", seed, "--threads", threads});
        ASSERT_EQ(made.exit_code, 0) << made.err;
        bytes.push_back(file_text(fs::path(out) / "dense.bin") +
                        file_text(fs::path(out) / "pack.json"));
    }
    EXPECT_TRUE(bytes[0] == bytes[1]);
    EXPECT_FALSE(bytes[0] == bytes[2]);
}

TEST(SynthCommand, too_many_layers_and_unknown_formats_are_refused) {
    const std::string config = source("tests/data/pack/config.json");
    const ProcessResult layers =
        run_program({"synth", config, "--format", "q4", "--out", fresh("x"), "--layers", "3"});
    EXPECT_EQ(layers.exit_code, 2);
    EXPECT_THAT(layers.err, HasSubstr("has 2 layers"));
    const ProcessResult format =
        run_program({"synth", config, "--format", "q5", "--out", fresh("x")});
    EXPECT_EQ(format.exit_code, 2);
    EXPECT_THAT(format.err, HasSubstr("gguf-q4_k_m"));
    for (const char* seed : {"-1", "1.5", "99999999999999999999"}) {
        const std::string out = fresh("seed");
        const ProcessResult made =
            run_program({"synth", config, "--format", "q4", "--out", out, "--seed", seed});
        EXPECT_EQ(made.exit_code, 2) << seed;
        EXPECT_THAT(made.err, HasSubstr("--seed")) << seed;
        EXPECT_FALSE(fs::exists(out)) << seed;
    }
}

}  // namespace
}  // namespace nereus
