// The flags of every command are refused by every command in the same way, before any file is
// looked at, whether or not the command has a use for them.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "compute/backend.h"
#include "tests/support/golden.h"
#include "tests/support/in_process.h"
#include "tests/support/scratch.h"

namespace nereus::test {
namespace {

using testing::HasSubstr;

/// Complete lines of all commands whose files are not there.
const std::vector<std::vector<std::string>>& all_commands() {
    static const std::vector<std::vector<std::string>> kCommands = {
        {"run", "/no/model", "hello"},
        {"inspect", "/no/model"},
        {"tokenize", "/no/model", "--file", "/no/file"},
        {"detokenize", "/no/model", "--file", "/no/file"},
        {"template", "/no/model", "--request", "/no/file"},
        {"eval", "logits", "/no/model", "--tokens", "/no/file", "--out", "/no/folder/out"},
        {"eval", "greedy", "/no/model", "--tokens", "/no/file", "-n", "1"},
        {"eval", "ppl", "/no/model", "/no/file"},
        {"eval", "kl", "/no/model", "--tokens", "/no/file", "--reference", "/no/file"},
        {"bench", "/no/model"},
        {"pack", "/no/model", "--format", "q4", "--out", "/no/folder/out"},
        {"synth", "/no/config.json", "--format", "q4", "--out", "/no/folder/out"},
        {"doctor", "/no/folder"},
        {"plan", "/no/model"}};
    return kCommands;
}

/// The line on stderr of a refusal.
std::string refusal(std::vector<std::string> arguments, const std::vector<std::string>& flag,
                    bool before) {
    arguments.insert(before ? arguments.begin() : arguments.end(), flag.begin(), flag.end());
    const CommandResult result = run_command(arguments);
    EXPECT_EQ(result.exit_code, kExitBadInput) << arguments[0] << ": " << result.out;
    EXPECT_EQ(result.out, "");
    EXPECT_EQ(std::count(result.err.begin(), result.err.end(), '\n'), 1) << result.err;
    return result.err;
}

struct BadFlag {
    std::vector<std::string> words;
    std::string names;  ///< that the line has
};

TEST(CommonFlags, a_wrong_value_gets_the_same_line_from_every_command_before_and_after_its_name) {
    std::string isas;
    for (const std::string& isa : available_isas()) {
        isas += (isas.empty() ? "" : ", ") + isa;
    }
    const BadFlag flags[] = {
        {{"--isa", "nonsense"}, "--isa: this CPU cannot run \"nonsense\"; available: " + isas},
        {{"--isa", "AVX2"}, "available: " + isas},
        {{"--cache", "q8"}, "auto,f32,bf16,int8"},
        {{"--activations", "int4"}, "auto,int8,f32"},
        {{"--threads", "0"}, "not in range 1 to 1024"},
        {{"--threads", "1025"}, "Value 1025 not in range 1 to 1024"},
        {{"--threads", "two"}, "two"}};
    for (const BadFlag& flag : flags) {
        const std::string expected = refusal(all_commands()[0], flag.words, false);
        EXPECT_THAT(expected, HasSubstr(flag.names));
        EXPECT_THAT(expected, HasSubstr(flag.words[0]));
        for (const auto& command : all_commands()) {
            EXPECT_EQ(refusal(command, flag.words, false), expected) << command[0];
            EXPECT_EQ(refusal(command, flag.words, true), expected) << command[0];
        }
    }
}

TEST(CommonFlags, every_table_of_this_cpu_is_accepted_and_so_is_none) {
    std::vector<std::string> names = available_isas();
    names.emplace_back();
    for (const std::string& name : names) {
        const CommandResult result =
            run_command({"inspect", source_path("tests/golden/v3/config.json"), "--isa", name});
        EXPECT_EQ(result.exit_code, kExitOk) << name << result.err;
    }
}

TEST(CommonFlags, every_flag_is_shown_by_every_commands_help) {
    for (const auto& command : all_commands()) {
        const std::vector<std::string> words = command[0] == "eval"
                                                   ? std::vector<std::string>{"eval", "--help"}
                                                   : std::vector<std::string>{command[0], "--help"};
        const CommandResult help = run_command(words);
        EXPECT_EQ(help.exit_code, kExitOk) << help.err;
        EXPECT_THAT(help.out, HasSubstr(command[0]));
    }
    const CommandResult help = run_command({"--help"});
    for (const char* flag :
         {"--threads", "--isa", "--format", "--activations", "--memory", "--cache"}) {
        EXPECT_THAT(help.out, HasSubstr(flag));
    }
}

/// Loads the model that comes with Nereus.
std::vector<std::string> greedy_with(const std::vector<std::string>& flags,
                                     const std::string& model = "models/nereus-seed") {
    const std::string tokens = scratch_file("three.json", "[5, 6, 7]");
    std::vector<std::string> words = {"eval", "greedy", source_path(model), "--tokens", tokens,
                                      "-n",   "2"};
    words.insert(words.end(), flags.begin(), flags.end());
    return words;
}

TEST(MemoryFlag, what_is_no_number_of_bytes_is_refused_with_an_example) {
    for (const char* text : {"lots", "-1G", "12Q", "1e99", "0x10", "G", "99999999999999999999G"}) {
        expect_error(greedy_with({"--memory", text}), "12G");
    }
}

TEST(MemoryFlag, too_little_is_a_limit_that_names_what_would_do_and_that_does) {
    const CommandResult little = run_command(greedy_with({"--memory", "1M"}));
    EXPECT_EQ(little.exit_code, kExitLimit) << little.err;
    EXPECT_EQ(little.out, "");
    EXPECT_THAT(little.err, HasSubstr("nereus: error: "));
    EXPECT_EQ(std::count(little.err.begin(), little.err.end(), '\n'), 1);
    EXPECT_EQ(run_command(greedy_with({"--memory", "4G"})).exit_code, kExitOk);
}

TEST(CacheFlag, a_format_that_a_model_cannot_have_is_refused_with_those_it_can) {
    expect_error(greedy_with({"--cache", "int8"}, "tests/golden/qwen2"), "there are f32 and bf16");
    for (const char* format : {"auto", "f32", "bf16", "int8"}) {
        const CommandResult result = run_command(greedy_with({"--cache", format}));
        EXPECT_EQ(result.exit_code, kExitOk) << format << ": " << result.err;
    }
}

TEST(CacheFlag, inspect_counts_the_bytes_of_the_format_that_was_asked_for) {
    const auto bytes = [](const std::string& format) {
        return json_result({"inspect", source_path("models/configs/v2-lite.json"), "--cache",
                            format, "--json"})["kv_bytes_per_token"]
            .get<int64_t>();
    };
    EXPECT_EQ(bytes("auto"), bytes("f32")) << "published weights";
    EXPECT_EQ(2 * bytes("bf16"), bytes("f32"));
    EXPECT_LT(bytes("int8"), bytes("f32") / 3) << "664 bytes a row, for 2304";
}

}  // namespace
}  // namespace nereus::test
