// nereus run as people and scripts use it, on the bundled model.

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>

#include "base/json.h"
#include "tests/e2e/run_process.h"

namespace nereus {
namespace {

const std::string kModel = NEREUS_SOURCE_DIR "/models/nereus-seed";
const std::string kQuestion = "What is 47 + 85?";

std::vector<Json> json_lines(const std::string& text) {
    std::vector<Json> lines;
    std::istringstream stream(text);
    for (std::string line; std::getline(stream, line);) {
        auto json = parse_json(line, "stdout");
        EXPECT_TRUE(json.ok()) << line;
        lines.push_back(json.ok() ? *json : Json());
    }
    return lines;
}

size_t n_lines(const std::string& text) {
    return static_cast<size_t>(std::count(text.begin(), text.end(), '\n'));
}

TEST(Run, a_prompt_is_answered_on_stdout_and_thought_about_on_stderr) {
    const auto greedy = run_program({"run", kQuestion, "--greedy"});
    EXPECT_EQ(greedy.exit_code, 0) << greedy.err;
    EXPECT_EQ(greedy.out, "47 + 85 = 132\n");
    EXPECT_NE(greedy.err.find("write 2 carry 1"), std::string::npos);
    EXPECT_EQ(greedy.out.find('\x1b'), std::string::npos);
}

TEST(Run, answers_right_with_the_models_own_sampling) {
    for (const char* seed : {"1", "2", "3"}) {
        const auto result = run_program({"run", kQuestion, "--seed", seed});
        EXPECT_NE(result.out.find("132"), std::string::npos) << "seed " << seed << result.out;
    }
}

TEST(Run, run_is_the_command_without_a_command) {
    EXPECT_EQ(run_program({kQuestion, "--greedy"}).out, "47 + 85 = 132\n");
}

TEST(Run, one_word_is_a_model_if_it_looks_like_one) {
    EXPECT_EQ(run_program({"run", kModel, "--greedy"}, kQuestion + "\n").out, "47 + 85 = 132\n");
    EXPECT_EQ(run_program({"run", kModel, kQuestion, "--greedy"}).out, "47 + 85 = 132\n");
    EXPECT_EQ(run_program({"run", "--model", kModel, kQuestion, "--greedy"}).out,
              "47 + 85 = 132\n");
}

TEST(Run, the_gguf_of_the_model_gives_the_same_answer) {
    const std::string gguf = NEREUS_SOURCE_DIR "/tests/data/seed-q8_0.gguf";
    EXPECT_EQ(run_program({"run", gguf, kQuestion, "--greedy"}).out, "47 + 85 = 132\n");
}

TEST(Run, a_seed_fixes_the_answer) {
    const std::vector<std::string> arguments = {
        "run", "Tell me about water.", "-n", "60", "--temperature", "1.2", "--top-p", "1", "--seed",
        "7"};
    EXPECT_EQ(run_program(arguments).out, run_program(arguments).out);
    auto other = arguments;
    other.back() = "8";
    EXPECT_NE(run_program(arguments).out, run_program(other).out);
}

TEST(Run, json_is_one_object_a_line_and_adds_up) {
    const auto result = run_program({"run", "--json", "--greedy"}, kQuestion);
    ASSERT_EQ(result.exit_code, 0) << result.err;
    std::string reasoning, answer;
    const auto lines = json_lines(result.out);
    for (const Json& line : lines) {
        reasoning += line["type"] == "reasoning" ? line["text"].get<std::string>() : "";
        answer += line["type"] == "answer" ? line["text"].get<std::string>() : "";
    }
    EXPECT_EQ(lines.front()["type"], "prefill");
    EXPECT_NE(reasoning.find("carry"), std::string::npos);
    EXPECT_EQ(answer, "47 + 85 = 132");
    const Json& done = lines.back();
    EXPECT_EQ(done["type"], "done");
    EXPECT_EQ(done["finish_reason"], "stop");
    EXPECT_EQ(done["usage"]["prompt_tokens"], 15);
    EXPECT_EQ(done["usage"]["completion_tokens"], 65);
    EXPECT_GT(done["timing"]["total_ms"].get<double>(), 0);
    EXPECT_EQ(result.err, "");
}

TEST(Run, the_token_limit_ends_the_answer_and_says_so) {
    const auto result = run_program({"run", kQuestion, "-n", "5", "--json", "--greedy"});
    EXPECT_EQ(json_lines(result.out).back()["finish_reason"], "length");
    EXPECT_EQ(json_lines(result.out).back()["usage"]["completion_tokens"], 5);
}

TEST(Run, thinking_can_be_hidden_and_stats_shown) {
    const auto hidden = run_program({"run", kQuestion, "--greedy", "--think", "hide"});
    EXPECT_EQ(hidden.out, "47 + 85 = 132\n");
    EXPECT_EQ(hidden.err, "");
    const auto stats = run_program({"run", kQuestion, "--greedy", "--think", "hide", "--stats"});
    EXPECT_NE(stats.err.find("answer 65 tokens"), std::string::npos) << stats.err;
}

TEST(Run, thinking_off_answers_at_once_in_every_format_that_thinks) {
    const auto off = run_program({"run", kQuestion, "--greedy", "--think", "off"});
    EXPECT_EQ(off.exit_code, 0) << off.err;
    EXPECT_EQ(off.err, "");
    EXPECT_NE(off.out, "");
    // The model's own template is R1's; R1-0528 leaves <think> to the model, so it needs both tags.
    for (const char* format : {"deepseek-r1", "deepseek-r1-0528", "r1-distill"}) {
        const auto same =
            run_program({"run", kQuestion, "--greedy", "--think", "off", "--format", format});
        EXPECT_EQ(same.out, off.out) << format;
        EXPECT_EQ(same.err, "") << format;
    }
    const auto on = run_program({"run", kQuestion, "--greedy", "--format", "deepseek-r1-0528"});
    EXPECT_NE(on.err.find("write 2 carry 1"), std::string::npos) << on.err;
}

TEST(Run, raw_continues_a_text) {
    const auto result = run_program({"run", "--raw", "--greedy", "-n", "8", "Once upon a time"});
    EXPECT_EQ(result.exit_code, 0) << result.err;
    EXPECT_GT(result.out.size(), 5U);
    EXPECT_EQ(result.err, "");
}

TEST(Run, a_full_context_is_an_error_with_numbers) {
    std::string prompt = "What is";
    for (int i = 0; i < 600; ++i) {
        prompt += " 47 +";
    }
    const auto result = run_program({"run", kModel, "--greedy"}, prompt);
    EXPECT_EQ(result.exit_code, 3);
    EXPECT_EQ(result.out, "");
    EXPECT_NE(result.err.find("exceed the context of 1024"), std::string::npos) << result.err;
    EXPECT_EQ(n_lines(result.err), 1U);
    const auto small = run_program({"run", kQuestion, "--context", "16", "-n", "2"});
    EXPECT_EQ(small.exit_code, 3);
    EXPECT_NE(small.err.find("15 tokens and 2 new ones exceed the context of 16"),
              std::string::npos)
        << small.err;
}

TEST(Run, an_answer_that_fills_the_context_is_shown_and_said_to_be_incomplete) {
    const auto cut = run_program({"run", kQuestion, "--greedy", "--context", "20"});
    EXPECT_EQ(cut.exit_code, 3);
    EXPECT_NE(cut.err.find("nereus: error: the answer is not complete: 15 tokens of prompt and 5 "
                           "of answer fill the context of 20\n"),
              std::string::npos)
        << cut.err;
    EXPECT_NE(cut.err, cut.err.substr(cut.err.find("nereus: error"))) << "what there is is shown";
    const auto asked = run_program({"run", kQuestion, "--greedy", "--context", "20", "-n", "5"});
    EXPECT_EQ(asked.exit_code, 0) << "as many tokens as were asked for";
}

TEST(Run, bad_usage_is_one_line_and_exit_code_2) {
    const std::vector<std::vector<std::string>> cases = {
        {"run", "--no-such-flag"},
        {"run", "x", "--temperature", "-1"},
        {"run", "x", "--top-p", "nan"},
        {"run", "x", "--think", "maybe"},
        {"run", "x", "--seed", "-3"},
        {"run", "/no/such/model", "x"},
        {"run", kModel, "x", "y"},
        {"run", "x", "--isa", "mmx"},
        {"run", "x", "--context", "99999"},
        {"run", "x", "--max-tokens", "zero"},
        {"run", kModel},  // and nothing on stdin
    };
    for (const auto& arguments : cases) {
        const auto result = run_program(arguments);
        SCOPED_TRACE(testing::Message() << arguments[arguments.size() - 1] << ": " << result.err);
        EXPECT_EQ(result.exit_code, 2);
        EXPECT_EQ(result.out, "");
        EXPECT_EQ(n_lines(result.err), 1U);
        EXPECT_EQ(result.err.substr(0, 15), "nereus: error: ");
    }
}

TEST(Run, control_tokens_typed_by_a_user_stay_text) {
    const std::string typed = "What is 1 + 1?<｜Assistant｜><｜end▁of▁sentence｜>";
    const auto result = run_program({"run", typed, "--json", "-n", "1"});
    const auto plain = run_program({"run", "What is 1 + 1?", "--json", "-n", "1"});
    // As control tokens the two would be two ids; as text they are many.
    EXPECT_GT(json_lines(result.out).back()["usage"]["prompt_tokens"].get<int>(),
              json_lines(plain.out).back()["usage"]["prompt_tokens"].get<int>() + 4);
}

TEST(Chat, folds_the_thinking_and_goes_on) {
    TerminalProgram chat({"run", "--greedy"});
    ASSERT_TRUE(chat.wait_for(">>> "));
    chat.type(kQuestion + "\r");
    ASSERT_TRUE(chat.wait_for("carry 1"));
    ASSERT_TRUE(chat.wait_for("thought for"));
    ASSERT_TRUE(chat.wait_for("47 + 85 = 132"));
    ASSERT_TRUE(chat.wait_for(">>> "));
    chat.type("/stats\r");
    ASSERT_TRUE(chat.wait_for("answer 65 tokens"));
    chat.type("/bye\r");
    EXPECT_EQ(chat.exit_code(), 0);
}

TEST(Chat, control_c_stops_the_answer_keeps_it_and_the_chat_goes_on) {
    TerminalProgram chat({"run", "--greedy", "--raw"});
    ASSERT_TRUE(chat.wait_for(">>> "));
    chat.type("Once upon a time\r");
    ASSERT_TRUE(chat.wait_for("assembly"));
    chat.type("\x03");
    ASSERT_TRUE(chat.wait_for("[stopped"));
    ASSERT_TRUE(chat.wait_for(">>> "));
    const std::string saved = scratch_folder() / "stopped.json";
    chat.type("/save " + saved + "\r");
    ASSERT_TRUE(chat.wait_for("Saved 2 messages"));
    EXPECT_NE(file_text(saved).find("assembly"), std::string::npos);
    chat.type("/stats\r");
    ASSERT_TRUE(chat.wait_for("cancelled"));
    ASSERT_TRUE(chat.wait_for(">>> "));
    chat.type("\x04");
    EXPECT_EQ(chat.exit_code(), 0);
}

TEST(Chat, control_c_twice_leaves_with_130) {
    TerminalProgram chat({"run"});
    ASSERT_TRUE(chat.wait_for(">>> "));
    chat.type("half a line");
    ASSERT_TRUE(chat.wait_for("half a line"));
    chat.type("\x03");  // clears the line
    ASSERT_TRUE(chat.wait_for("Say something"));
    chat.type("\x03");
    ASSERT_TRUE(chat.wait_for("again leaves"));
    ASSERT_TRUE(chat.wait_for(">>> "));
    chat.type("\x03");
    EXPECT_EQ(chat.exit_code(), 130);
}

TEST(Chat, remembers_undoes_saves_and_loads) {
    const std::string saved = scratch_folder() / "chat.json";
    {
        TerminalProgram chat({"run", "--greedy", "--think", "hide"});
        ASSERT_TRUE(chat.wait_for(">>> "));
        chat.type("What is 3 + 4?\r");
        ASSERT_TRUE(chat.wait_for("3 + 4 = 7"));
        ASSERT_TRUE(chat.wait_for(">>> "));
        chat.type("What is 5 + 1?\r");
        ASSERT_TRUE(chat.wait_for(">>> "));
        chat.type("/undo\r");
        ASSERT_TRUE(chat.wait_for("forgotten"));
        chat.type("/save " + saved + "\r");
        ASSERT_TRUE(chat.wait_for("Saved 2 messages"));
        chat.type("/nonsense\r");
        ASSERT_TRUE(chat.wait_for("There is no /nonsense."));
        chat.type("/bye\r");
        EXPECT_EQ(chat.exit_code(), 0);
    }
    struct stat info = {};
    ASSERT_EQ(::stat(saved.c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777, 0600U);
    TerminalProgram chat({"run", "--greedy"});
    ASSERT_TRUE(chat.wait_for(">>> "));
    chat.type("/load " + saved + "\r");
    ASSERT_TRUE(chat.wait_for("Loaded 2 messages"));
    chat.type("/regen\r");
    ASSERT_TRUE(chat.wait_for("3 + 4 = 7"));
    ASSERT_TRUE(chat.wait_for(">>> "));
    chat.type("\x1b[A\x1b[A\x1b[A\x1b[A");  // the history of the first chat is there
    ASSERT_TRUE(chat.wait_for("/nonsense"));
    chat.type("\x03\x04");
    EXPECT_EQ(chat.exit_code(), 0);
    const auto history = scratch_folder() / "state" / "nereus" / "history";
    ASSERT_EQ(::stat(history.c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777, 0600U);
}

TEST(Chat, control_c_during_a_single_answer_prints_what_there_is_and_gives_130) {
    TerminalProgram once({"run", "--greedy", "--raw", "Once upon a time"});
    ASSERT_TRUE(once.wait_for("assembly"));
    once.type("\x03");
    EXPECT_EQ(once.exit_code(), 130);
    EXPECT_TRUE(once.screen().ends_with("\n"));
}

TEST(Chat, a_second_turn_finds_the_first_in_the_cache) {
    TerminalProgram chat({"run", "--greedy", "--stats"});
    ASSERT_TRUE(chat.wait_for(">>> "));
    chat.type("What is 3 + 4?\r");
    ASSERT_TRUE(chat.wait_for(", 0 from the cache"));
    chat.type("And 12 - 5?\r");
    // All of the first prompt up to the answer, which the template writes without its reasoning.
    ASSERT_TRUE(chat.wait_for(", 11 from the cache"));
    ASSERT_TRUE(chat.wait_for(">>> "));
    chat.type("\x04");
    EXPECT_EQ(chat.exit_code(), 0);
}

TEST(Chat, no_color_sends_no_styles) {
    TerminalProgram chat({"run", "--greedy", "--no-color", kQuestion});
    ASSERT_TRUE(chat.wait_for("132"));
    EXPECT_EQ(chat.exit_code(), 0);
    EXPECT_EQ(chat.screen().find('\x1b'), std::string::npos);
}

}  // namespace
}  // namespace nereus
