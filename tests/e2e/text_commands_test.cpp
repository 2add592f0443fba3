// tokenize, detokenize and template as scripts use them: what they refuse, and with which words.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "base/json.h"
#include "tests/e2e/run_process.h"
#include "tests/support/golden.h"

namespace nereus {
namespace {

using test::source_path;
using testing::HasSubstr;
using testing::StartsWith;

const std::string kSeed = source_path("models/nereus-seed");

std::string input_file(std::string_view text) {
    const auto path = scratch_folder() / "text-input.json";
    std::ofstream(path, std::ios::binary) << text;
    return path.string();
}

struct Refused {
    std::vector<const char*> command;  ///< its name, then flags behind the file
    std::string_view input;
    const char* words;
};

const Refused kRefused[] = {
    {{"tokenize"}, "", "not valid JSON"},
    {{"tokenize"}, R"(["a")", "byte 5"},
    {{"tokenize"}, "[\"\xff\"]", "not valid JSON"},
    {{"tokenize"}, R"("a")", "expected a JSON array of strings, found string"},
    {{"tokenize"}, R"(["a", 5])", "element 1 is number, expected a string"},
    {{"tokenize"}, R"([["a"]])", "element 0 is array, expected a string"},
    {{"detokenize"}, R"([1])", "element 0: expected an array of ids, found number"},
    {{"detokenize"}, R"([[1], [-1]])", "element 1: id 0 is -1, expected an integer in [0, 4096)"},
    {{"detokenize"}, R"([[1, 4096]])", "element 0: id 1 is 4096"},
    {{"detokenize"}, R"([[4294967297]])", "4294967297"},
    {{"detokenize"}, R"([[18446744073709551615]])", "18446744073709551615"},
    {{"detokenize"}, R"([[1.0]])", "id 0 is 1.0"},
    {{"template"}, R"([])", "the request is array, expected an object"},
    {{"template"}, R"({"messages": 5})", "messages is number, expected an array"},
    {{"template"}, R"({"messages": [5]})", "messages[0] is not an object"},
    {{"template"}, R"({"messages": [], "thinking": "on"})", "thinking is string"},
    {{"template"}, R"({"messages": [], "add_generation_prompt": 1})", "is number"},
    {{"template"}, R"({"messages": [], "tools": {}})", "tools is object, expected an array"},
    {{"template"}, R"({"messages": [], "messages": []})", "messages"},
    {{"template", "--format", "deepseek-v3"}, R"({"messages": []})", "not an empty one"},
    {{"template", "--format", "deepseek-v3"},
     R"({"messages": [{"role": "judge", "content": "x"}]})",
     "messages[0].role is \"judge\""},
    {{"template", "--format", "deepseek-v2"},
     R"({"messages": [{"role": "tool", "content": "x"}]})",
     "no tool calls"},
    {{"template", "--format", "deepseek-v3.1"},
     R"({"messages": [{"role": "user", "content": "x"}], "tools": [{}]})",
     "tools[0].function"},
};

TEST(TextCommands, refuse_bad_input_in_one_line_with_its_place_and_exit_code_2) {
    for (const Refused& one : kRefused) {
        const std::string name = one.command[0];
        const std::string file = input_file(one.input);
        std::vector<std::string> arguments = {name, kSeed,
                                              name == "template" ? "--request" : "--file", file};
        arguments.insert(arguments.end(), one.command.begin() + 1, one.command.end());
        const ProcessResult result = run_program(arguments);
        EXPECT_EQ(result.exit_code, 2) << one.input;
        EXPECT_EQ(result.out, "") << one.input;
        EXPECT_THAT(result.err, StartsWith("nereus: error: ")) << one.input;
        EXPECT_THAT(result.err, HasSubstr(one.words)) << one.input;
        EXPECT_EQ(std::count(result.err.begin(), result.err.end(), '\n'), 1) << result.err;
    }
}

TEST(TextCommands, an_empty_list_is_an_empty_list) {
    EXPECT_EQ(run_program({"tokenize", kSeed, "--file", input_file("[]")}).out, "[]\n");
    EXPECT_EQ(run_program({"detokenize", kSeed, "--file", input_file("[[]]")}).out, "[\"\"]\n");
}

TEST(TextCommands, standard_input_is_a_file_called_dash) {
    const std::string strings = R"(["Hello", "a\u0000b"])";
    const std::string ids = run_program({"tokenize", kSeed, "--file", input_file(strings)}).out;
    EXPECT_EQ(run_program({"tokenize", kSeed, "--file", "-"}, strings).out, ids);
    EXPECT_EQ(run_program({"detokenize", kSeed, "--file", "-"}, ids).out,
              "[\"Hello\",\"a\\u0000b\"]\n");
    EXPECT_EQ(run_program({"template", kSeed, "--format", "deepseek-v3", "--request", "-"},
                          R"({"messages": [{"role": "user", "content": "Hi"}]})")
                  .out,
              "<｜begin▁of▁sentence｜><｜User｜>Hi");
}

struct FormatCase {
    const char* format;
    const char* ending;
};
constexpr FormatCase kFormats[] = {
    {"deepseek-v2", "User: Hi\n\nAssistant:"},
    {"deepseek-v2.5", "<｜User｜>Hi<｜Assistant｜>"},
    {"deepseek-v3", "<｜User｜>Hi<｜Assistant｜>"},
    {"deepseek-r1", "<｜User｜>Hi<｜Assistant｜><think>\n"},
    {"deepseek-r1-0528", "<｜User｜>Hi<｜Assistant｜>"},
    {"deepseek-v3.1", "<｜User｜>Hi<｜Assistant｜></think>"},
    {"r1-distill", "<｜User｜>Hi<｜Assistant｜><think>\n"},
};

TEST(TextCommands, template_prints_every_native_format_as_published_thinking_off_or_not) {
    // "thinking" changes what the published format changes; an empty thought is the chat's affair.
    const std::string file = input_file(R"({"add_generation_prompt": true, "thinking": false,
        "messages": [{"role": "user", "content": "Hi"}]})");
    for (const FormatCase& one : kFormats) {
        const ProcessResult result =
            run_program({"template", kSeed, "--format", one.format, "--request", file});
        EXPECT_EQ(result.out, std::string("<｜begin▁of▁sentence｜>") + one.ending) << result.err;
    }
}

TEST(TextCommands, a_template_that_fails_says_where) {
    const std::string request = input_file(R"({"messages": [{"role": "user", "content": "x"}]})");
    const std::pair<const char*, const char*> templates[] = {
        {"a\n{% if %}", ":2"},
        {"{{ raise_exception('no system') }}", "no system"},
        {"{{ messages[0].content + 1 }}", ":1"},
        {"{% for i in range(100000000) %}x{% endfor %}", "chat.jinja"}};
    for (const auto& [source, words] : templates) {
        const auto path = scratch_folder() / "chat.jinja";
        std::ofstream(path) << source;
        const ProcessResult result = run_program({"template", path.string(), "--request", request});
        EXPECT_NE(result.exit_code, 0) << source;
        EXPECT_EQ(result.out, "") << source;
        EXPECT_THAT(result.err, HasSubstr(words)) << source;
        EXPECT_EQ(std::count(result.err.begin(), result.err.end(), '\n'), 1) << result.err;
    }
}

}  // namespace
}  // namespace nereus
