// The program as a table: help, versions, exit codes, mistyped commands, and the flags of every
// subcommand that are wrong before any model is opened.

#include <gmock/gmock.h>

#include "tests/support/golden.h"
#include "tests/support/in_process.h"
#include "tests/support/scratch.h"

namespace nereus {
namespace {

using test::expect_error;
using test::run_command;
using test::source_path;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

const std::string kV3 = source_path("tests/golden/v3");

TEST(Program, help_is_a_result_and_names_every_command_and_exit_code) {
    const auto help = run_command({"--help"});
    EXPECT_EQ(help.exit_code, kExitOk);
    EXPECT_EQ(help.err, "");
    for (const char* name :
         {"run", "inspect", "tokenize", "detokenize", "template", "eval", "bench"}) {
        EXPECT_THAT(help.out, HasSubstr(std::string("\n  ") + name + " ")) << name;
    }
    for (const ExitCodeRow& row : exit_codes()) {
        EXPECT_THAT(help.out, HasSubstr(fmt::format("  {:<4} {}\n", static_cast<int>(row.code),
                                                    row.meaning)));
    }
    for (const char* flag : {"--threads", "--isa", "--format", "--version"}) {
        EXPECT_THAT(help.out, HasSubstr(flag));
    }
}

TEST(Program, every_command_has_its_own_help) {
    const std::pair<const char*, const char*> kFlags[] = {
        {"run", "--greedy"},      {"inspect", "--json"},     {"tokenize", "--special"},
        {"detokenize", "--file"}, {"template", "--request"}, {"bench", "--repeat"},
        {"eval", "greedy"}};
    for (const auto& [name, flag] : kFlags) {
        const auto help = run_command({name, "--help"});
        EXPECT_EQ(help.exit_code, kExitOk) << name;
        EXPECT_THAT(help.out, HasSubstr(flag)) << name;
        EXPECT_THAT(help.out, HasSubstr("EXIT CODES")) << name;
    }
    EXPECT_THAT(run_command({"eval", "logits", "--help"}).out, HasSubstr("--chunk"));
}

TEST(Program, the_version_is_one_line) {
    const auto version = run_command({"--version"});
    EXPECT_EQ(version.exit_code, kExitOk);
    EXPECT_THAT(version.out, StartsWith("nereus "));
    EXPECT_EQ(std::count(version.out.begin(), version.out.end(), '\n'), 1);
}

TEST(Program, exit_codes_follow_the_kind_of_error) {
    const auto code = [](ErrorCode error) { return exit_code_of({error, ""}); };
    EXPECT_EQ(code(ErrorCode::kOutOfMemory), 3);
    EXPECT_EQ(code(ErrorCode::kOverloaded), 3);
    EXPECT_EQ(code(ErrorCode::kCancelled), 130);
    for (const ErrorCode error : {ErrorCode::kInvalidArgument, ErrorCode::kNotFound,
                                  ErrorCode::kCorrupt, ErrorCode::kUnsupported, ErrorCode::kIo}) {
        EXPECT_EQ(code(error), 2);
    }
}

TEST(Program, an_error_is_one_line_whatever_it_says) {
    testing::internal::CaptureStderr();
    print_error({ErrorCode::kIo, "first\nsecond\r\nthird\n"});
    const std::string line = testing::internal::GetCapturedStderr();
    EXPECT_THAT(line, StartsWith("nereus: error: first second"));
    EXPECT_EQ(std::count(line.begin(), line.end(), '\n'), 1);
    EXPECT_EQ(line.find('\r'), std::string::npos);
}

TEST(Program, a_mistyped_command_is_answered_with_the_right_one) {
    const std::pair<const char*, const char*> kWords[] = {
        {"rnu", "run"},           {"inspct", "inspect"},   {"insepct", "inspect"},
        {"tokenise", "tokenize"}, {"tokenze", "tokenize"}, {"detokenise", "detokenize"},
        {"templete", "template"}, {"evl", "eval"},         {"bnech", "bench"},
        {"benhc", "bench"}};
    for (const auto& [word, meant] : kWords) {
        expect_error({word, "x"}, std::string("did you mean ") + meant + "?");
        expect_error({"--threads", "2", word}, std::string("no command \"") + word + "\"");
    }
}

TEST(Program, what_exists_or_is_no_near_miss_is_a_model_or_a_prompt) {
    constexpr std::string_view kNames[] = {"run", "inspect", "bench", "eval"};
    for (const char* word :
         {"hello", "ru", "r", "", "inspection of", "42", "bunch of", "evaluate"}) {
        const std::string_view found = nearest(word, kNames);
        EXPECT_TRUE(found.empty() || found == "run") << word << " " << found;
    }
    EXPECT_EQ(nearest("ru", kNames), "run");
    EXPECT_EQ(nearest("run", kNames), "run");
    EXPECT_EQ(nearest("urn", kNames), "run");  // a swap is one edit
    EXPECT_EQ(nearest("nur", kNames), "");     // two edits in a short name are too many
    EXPECT_EQ(nearest("ispct", kNames), "inspect");
    EXPECT_EQ(nearest("spct", kNames), "");
    // A model folder called "runs" is a model.
    const auto folder = scratch_folder() / "runs";
    std::filesystem::create_directories(folder);
    const auto here = std::filesystem::current_path();
    std::filesystem::current_path(scratch_folder());
    const auto result = run_command({"runs", "hello"});
    std::filesystem::current_path(here);
    EXPECT_THAT(result.err, Not(HasSubstr("did you mean")));
    EXPECT_EQ(result.exit_code, kExitBadInput);  // an empty folder, but a folder
}

struct WrongFlag {
    std::vector<std::string> arguments;
    std::string words;
};

TEST(RunFlags, wrong_values_are_refused_with_the_flag_and_the_range) {
    const WrongFlag kCases[] = {
        {{"--temperature", "-0.1"}, "temperature: expected >= 0 and <= 100, found -0.1"},
        {{"--temperature", "hot"}, "--temperature"},
        {{"--temperature", "nan"}, "temperature"},
        {{"--temperature", "101"}, "100"},
        {{"--top-k", "-1"}, "top_k: expected >= 0"},
        {{"--top-k", "1.5"}, "--top-k"},
        {{"--top-p", "1.01"}, "top_p: expected >= 0 and <= 1, found 1.01"},
        {{"--top-p", "-0.5"}, "top_p"},
        {{"--min-p", "2"}, "min_p: expected >= 0 and <= 1, found 2"},
        {{"--repetition-penalty", "0"}, "repetition_penalty: expected > 0"},
        {{"--presence-penalty", "2.5"}, "presence_penalty: expected >= -2 and <= 2, found 2.5"},
        {{"--frequency-penalty", "-3"}, "frequency_penalty"},
        {{"--seed", "-1"}, "--seed"},
        {{"--seed", "9007199254740993"}, "--seed"},
        {{"--seed", "1.5"}, "--seed"},
        {{"--think", "perhaps"}, "--think"},
        {{"--max-tokens", "0"}, "--max-tokens"},
        {{"-n", "-4"}, "--max-tokens"},
        {{"--context", "0"}, "--context"},
        {{"--context", "1025"}, "1024"},
        {{"--threads", "0"}, "--threads"},
        {{"--threads", "1025"}, "1 to 1024"},
        {{"--isa", "mmx"}, "portable"},
        {{"--format", "chatml"}, "deepseek-v3"},
        {{"--model", "/no/such"}, "/no/such"},
        {{"--no-such-flag"}, "--no-such-flag"},
        {{"--temperature"}, "--temperature"},
    };
    for (const WrongFlag& wrong : kCases) {
        std::vector<std::string> arguments = {"run", "a prompt"};
        arguments.insert(arguments.end(), wrong.arguments.begin(), wrong.arguments.end());
        expect_error(arguments, wrong.words);
    }
}

TEST(RunFlags, too_many_words_and_an_empty_prompt_are_refused) {
    expect_error({"run", kV3, "one", "two"}, "found \"two\" as well");
    expect_error({"run", "--model", kV3, "one", "two"}, "found \"two\" as well");
    expect_error({"run", ""}, "the prompt is empty");
}

TEST(RunFlags, a_word_that_looks_like_a_path_is_a_model_even_if_it_is_missing) {
    expect_error({"run", "models/none"}, "models/none");
    expect_error({"run", "none.gguf", "hello"}, "none.gguf");
    expect_error({"run", "missing", "hello"}, "missing: cannot open");
}

TEST(RunFlags, a_model_without_a_tokenizer_or_template_says_what_is_missing) {
    expect_error({"run", kV3, "hello"}, "no tokenizer (tokenizer.json)");
}

TEST(RunOnce, answers_on_stdout_with_flags_before_and_after_the_prompt) {
    const std::string question = "What is 47 + 85?";
    EXPECT_EQ(run_command({"run", "--greedy", question}).out, "47 + 85 = 132\n");
    EXPECT_EQ(run_command({"run", question, "--greedy", "--threads", "1"}).out, "47 + 85 = 132\n");
    EXPECT_EQ(run_command({"--threads", "2", "run", question, "--greedy"}).out, "47 + 85 = 132\n");
    EXPECT_EQ(run_command({"--threads=1", question, "--temperature", "0"}).out, "47 + 85 = 132\n");
}

TEST(RunOnce, nothing_but_text_reaches_pipes) {
    for (const std::string think : {"on", "off", "hide"}) {
        const auto result = run_command(
            {"run", "What is 3 + 4?", "--greedy", "--think", think, "--stats", "-n", "60"});
        for (const std::string& text : {result.out, result.err}) {
            for (const char c : text) {
                EXPECT_TRUE(c == '\n' || static_cast<unsigned char>(c) >= 0x20) << think;
            }
        }
        EXPECT_EQ(result.out.empty(), false) << think;
        EXPECT_EQ(result.err.find("thought for"), std::string::npos);
    }
}

TEST(RunOnce, thinking_off_spends_no_tokens_on_reasoning) {
    const auto result =
        run_command({"run", "What is 3 + 4?", "--greedy", "--think", "off", "--json", "-n", "20"});
    const size_t last = result.out.rfind("{\"type\":\"done\"");
    ASSERT_NE(last, std::string::npos);
    const auto done = parse_json(result.out.substr(last), "done");
    ASSERT_TRUE(done.ok());
    EXPECT_EQ((*done)["usage"]["reasoning_tokens"], 0);
    EXPECT_EQ(result.out.find("\"reasoning\""), std::string::npos);
}

TEST(RunOnce, a_context_too_small_for_prompt_and_answer_is_a_limit_with_the_numbers) {
    expect_error({"run", "What is 47 + 85?", "--context", "10"},
                 "the prompt of 15 tokens and 1 new ones exceed the context of 10", kExitLimit);
    expect_error({"run", "What is 47 + 85?", "-n", "1010"},
                 "15 tokens and 1010 new ones exceed the context of 1024", kExitLimit);
    EXPECT_EQ(run_command({"run", "What is 47 + 85?", "-n", "1009", "--greedy"}).exit_code,
              kExitOk);
}

TEST(RunOnce, invalid_utf8_in_a_prompt_is_replaced_and_answered) {
    const auto result = run_command({"run", "bad \xff\xfe bytes", "--greedy", "-n", "3"});
    EXPECT_EQ(result.exit_code, kExitOk) << result.err;
}

/// The objects of --json in order.
std::vector<Json> events_of(const std::vector<std::string>& arguments) {
    const auto result = run_command(arguments);
    EXPECT_EQ(result.exit_code, kExitOk);
    EXPECT_EQ(result.err, "");
    std::vector<Json> events;
    std::istringstream lines(result.out);
    for (std::string line; std::getline(lines, line);) {
        const auto json = parse_json(line, "line");
        EXPECT_TRUE(json.ok()) << line;
        events.push_back(json.ok() ? *json : Json());
    }
    return events;
}

TEST(RunJson, every_line_is_one_of_four_kinds_with_exactly_its_fields) {
    const auto keys = [](const Json& json) {
        std::string text;
        for (const auto& [key, value] : json.items()) {
            text += key + " ";
        }
        return text;
    };
    const auto events = events_of({"run", "What is 47 + 85?", "--json", "--greedy"});
    ASSERT_GT(events.size(), 3U);
    for (size_t i = 0; i < events.size(); ++i) {
        const std::string type = events[i]["type"];
        if (type == "prefill") {
            EXPECT_EQ(keys(events[i]), "type done total ");
        } else if (type == "reasoning" || type == "answer") {
            EXPECT_EQ(keys(events[i]), "type text ");
        } else {
            EXPECT_EQ(type, "done");
            EXPECT_EQ(i, events.size() - 1);
            EXPECT_EQ(keys(events[i]), "type finish_reason usage timing ");
            EXPECT_EQ(keys(events[i]["usage"]),
                      "prompt_tokens cached_tokens completion_tokens reasoning_tokens ");
            EXPECT_EQ(keys(events[i]["timing"]),
                      "prefill_ms first_token_ms decode_ms total_ms decode_tokens_per_s ");
        }
    }
}

TEST(RunJson, prefill_rises_to_the_whole_prompt_and_reasoning_comes_before_the_answer) {
    const auto events = events_of({"run", "What is 47 + 85?", "--json", "--greedy"});
    int64_t done = -1, total = 0;
    bool answered = false;
    for (const Json& event : events) {
        if (event["type"] == "prefill") {
            EXPECT_GE(event["done"].get<int64_t>(), done);
            done = event["done"];
            total = event["total"];
        }
        answered = answered || event["type"] == "answer";
        EXPECT_FALSE(answered && event["type"] == "reasoning");
    }
    EXPECT_EQ(done, total);
    EXPECT_EQ(events.back()["usage"]["prompt_tokens"], total);
    const Json& usage = events.back()["usage"];
    EXPECT_GT(usage["reasoning_tokens"].get<int>(), 0);
    EXPECT_LT(usage["reasoning_tokens"], usage["completion_tokens"]);
}

TEST(RunJson, the_text_is_that_of_the_plain_answer) {
    std::string answer;
    for (const Json& event : events_of({"run", "Who are you?", "--json", "--greedy"})) {
        answer += event["type"] == "answer" ? event["text"].get<std::string>() : "";
    }
    EXPECT_EQ(run_command({"run", "Who are you?", "--greedy"}).out, answer + "\n");
}

TEST(RunJson, an_error_is_still_a_line_on_stderr_and_stdout_stays_empty) {
    expect_error({"run", "What is 47 + 85?", "--json", "--context", "10"}, "context of 10",
                 kExitLimit);
}

}  // namespace
}  // namespace nereus
