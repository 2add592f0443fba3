// The chat as a person meets it: every command, every window, every kind of terminal.

#include <gmock/gmock.h>
#include <sys/stat.h>

#include "base/json.h"
#include "base/unicode.h"
#include "terminal/style.h"
#include "tests/e2e/run_process.h"

namespace nereus {
namespace {

using testing::HasSubstr;
using testing::Not;

/// A chat whose prompt is there.
struct Chat : TerminalProgram {
    explicit Chat(const std::vector<std::string>& flags = {}, const Surroundings& around = {})
        : TerminalProgram(arguments(flags), around) {
        EXPECT_TRUE(wait_for(">>> "));
    }
    static std::vector<std::string> arguments(const std::vector<std::string>& flags) {
        std::vector<std::string> all = {"run", "--greedy", "--think", "hide"};
        all.insert(all.end(), flags.begin(), flags.end());
        return all;
    }
    /// Types a line and waits for what answers it, and for the next prompt.
    bool says(const std::string& line, const std::string& reply) {
        type(line + "\r");
        return wait_for(reply) && wait_for(">>> ");
    }
    void leave() {
        type("/bye\r");
        EXPECT_EQ(exit_code(), 0);
        EXPECT_TRUE(echoes_lines());
    }
};

/// The screen without escape sequences and carriage returns.
std::string plain(const std::string& screen) {
    std::string text;
    for (size_t i = 0; i < screen.size(); ++i) {
        if (screen[i] == '\x1b' && i + 1 < screen.size() && screen[i + 1] == '[') {
            i = screen.find_first_of("ABCDHJKhlm", i + 2);
            continue;
        }
        text += screen[i] == '\r' ? "" : std::string(1, screen[i]);
    }
    return text;
}

TEST(ChatUser, every_command_answers_and_the_chat_goes_on) {
    Chat chat;
    EXPECT_TRUE(chat.says("/help", "twice leaves"));
    EXPECT_TRUE(chat.says("/stats", "nothing was generated yet"));
    EXPECT_TRUE(chat.says("/undo", "There is nothing to undo."));
    EXPECT_TRUE(chat.says("/regen", "There is no answer to write again."));
    EXPECT_TRUE(chat.says("What is 3 + 4?", "3 + 4 = 7"));
    EXPECT_TRUE(chat.says("/stats", "context "));
    EXPECT_TRUE(chat.says("/regen", "3 + 4 = 7"));
    EXPECT_TRUE(chat.says("/system You are brief.", "The system text is set."));
    EXPECT_TRUE(chat.says("/system", "You are brief."));
    EXPECT_TRUE(chat.says("/system none", "The system text is gone."));
    EXPECT_TRUE(chat.says("/think off", "think off"));
    EXPECT_TRUE(chat.says("/think on", "think on"));
    EXPECT_TRUE(chat.says("/think", "think on"));
    EXPECT_TRUE(chat.says("/think loud", "expected on, off or hide, found \"loud\""));
    EXPECT_TRUE(chat.says("/set", "frequency_penalty"));
    EXPECT_TRUE(chat.says("/set top_p 7", "top_p: expected >= 0 and <= 1, found 7"));
    EXPECT_TRUE(chat.says("/save /no/such/folder/x", "/no/such/folder/x: cannot create"));
    EXPECT_TRUE(chat.says("/load /no/such/file", "/no/such/file: cannot open"));
    EXPECT_TRUE(chat.says("/undo", "forgotten"));
    EXPECT_TRUE(chat.says("/clear", "The conversation is empty."));
    EXPECT_TRUE(chat.says("/quit", "There is no /quit."));
    chat.leave();
}

TEST(ChatUser, regen_draws_another_answer_and_undo_forgets_it) {
    const std::string saved = scratch_folder() / "regen.json";
    TerminalProgram chat({"run", "--temperature", "1.5", "--top-p", "1", "--seed", "3", "-n", "12",
                          "--think", "off"});
    ASSERT_TRUE(chat.wait_for(">>> "));
    std::vector<std::string> answers;
    for (const char* line : {"Tell me about water.\r", "/regen\r"}) {
        chat.type(line);
        ASSERT_TRUE(chat.wait_for("[the limit of tokens"));
        ASSERT_TRUE(chat.wait_for(">>> "));
        chat.type("/save " + saved + "\r");
        ASSERT_TRUE(chat.wait_for("Saved 2 messages"));
        ASSERT_TRUE(chat.wait_for(">>> "));
        const auto json = parse_json(file_text(saved), saved);
        ASSERT_TRUE(json.ok());
        answers.push_back((*json)["messages"][1]["content"]);
    }
    EXPECT_NE(answers[0], answers[1]);
    chat.type("/undo\r");
    ASSERT_TRUE(chat.wait_for("forgotten"));
    chat.type("/save " + saved + "\r");
    ASSERT_TRUE(chat.wait_for("Saved 0 messages"));
}

TEST(ChatUser, several_lines_are_one_question_however_they_are_typed) {
    const std::string saved = scratch_folder() / "lines.json";
    const std::string kWays[] = {"What is\x1b\r3 + 4?\r", "What is\\\r3 + 4?\r",
                                 "\"\"\"\rWhat is\r3 + 4?\r\"\"\"\r",
                                 "\x1b[200~What is\r\n3 + 4?\x1b[201~\r"};
    for (const std::string& way : kWays) {
        Chat chat({"-n", "2"});
        chat.type(way);
        ASSERT_TRUE(chat.wait_for("[the limit of tokens"));
        ASSERT_TRUE(chat.wait_for(">>> "));
        ASSERT_TRUE(chat.says("/save " + saved, "Saved 2 messages"));
        const auto json = parse_json(file_text(saved), saved);
        ASSERT_TRUE(json.ok());
        EXPECT_EQ((*json)["messages"][0]["content"], "What is\n3 + 4?");
    }
}

TEST(ChatUser, tab_completes_commands_and_their_arguments) {
    Chat chat;
    chat.type("/cl\t\r");
    ASSERT_TRUE(chat.wait_for("The conversation is empty."));
    ASSERT_TRUE(chat.wait_for(">>> "));
    chat.type("/s\t");
    ASSERT_TRUE(chat.wait_for("/system  /set  /stats  /save"));
    chat.type("et rep\t1.25\r");
    ASSERT_TRUE(chat.wait_for("repetition_penalty = 1.25"));
    chat.type("/think h\t\r");
    ASSERT_TRUE(chat.wait_for("think hide"));
}

TEST(ChatUser, wide_characters_emoji_and_marks_are_edited_and_sent_whole) {
    const std::string saved = scratch_folder() / "wide.json";
    Chat chat({"-n", "1"}, {.columns = 20});
    chat.type("中文🙂e\u0301x");
    chat.type("\x1b[D\x7f");  // Left over x, Backspace takes e with its accent
    chat.type("\x1b[D\x1b[D字\x05!\r");
    ASSERT_TRUE(chat.wait_for("[the limit"));
    ASSERT_TRUE(chat.wait_for(">>> "));
    ASSERT_TRUE(chat.says("/save " + saved, "messages"));
    const auto json = parse_json(file_text(saved), saved);
    ASSERT_TRUE(json.ok());
    EXPECT_EQ((*json)["messages"][0]["content"], "中字文🙂x!");
}

TEST(ChatUser, a_resized_window_is_drawn_at_its_new_width) {
    Chat chat({}, {.columns = 60});
    chat.type("one two three four five six seven eight");
    ASSERT_TRUE(chat.wait_for("eight"));
    const size_t before = chat.screen().size();
    chat.resize(24, 24);
    ASSERT_TRUE(chat.wait_for("eight"));
    std::istringstream rows(plain(chat.screen().substr(before)));
    for (std::string row; std::getline(rows, row);) {
        EXPECT_LT(text_columns(row), 24) << row;
    }
    chat.type("\x03");
    ASSERT_TRUE(chat.wait_for(">>> "));
    chat.leave();
}

TEST(ChatUser, no_row_of_a_chat_is_wider_than_a_window_of_forty_columns) {
    Chat chat({"--stats"}, {.columns = 40});
    EXPECT_TRUE(chat.says("/help", "history."));
    EXPECT_TRUE(chat.says("/set heat 1", "max_tokens"));
    EXPECT_TRUE(chat.says("What is 47 + 85?", "; stop"));
    chat.leave();
    std::istringstream rows(plain(chat.screen()));
    for (std::string row; std::getline(rows, row);) {
        const size_t last_drawing = row.rfind(">>> ");  // the line editor draws over itself
        EXPECT_LT(text_columns(row.substr(last_drawing == row.npos ? 0 : last_drawing)), 40) << row;
    }
}

TEST(ChatUser, no_color_moves_the_cursor_at_the_prompt_and_styles_nothing) {
    Chat chat({}, {.no_color = "1"});
    EXPECT_TRUE(chat.says("What is 47 + 85?", "47 + 85 = 132"));
    EXPECT_TRUE(chat.says("/nonsense", "There is no"));
    chat.leave();
    const std::string& screen = chat.screen();
    for (size_t at = screen.find("\x1b["); at != screen.npos; at = screen.find("\x1b[", at + 1)) {
        EXPECT_NE(screen[screen.find_first_not_of("0123456789;?", at + 2)], 'm') << at;
    }
}

TEST(ChatUser, a_terminal_that_can_only_print_gets_no_escape_at_all) {
    Chat chat({}, {.term = "dumb"});
    EXPECT_TRUE(chat.says("What is 47 + 85?", "47 + 85 = 132"));
    EXPECT_TRUE(chat.says("/stats", "answer "));
    chat.type("\x04");
    EXPECT_EQ(chat.exit_code(), 0);
    EXPECT_THAT(chat.screen(), Not(HasSubstr("\x1b")));
}

TEST(ChatUser, a_question_beyond_the_context_is_an_error_and_forgotten) {
    Chat chat({"--context", "40"});
    EXPECT_TRUE(chat.says("What is 1 + 2 + 3 + 4 + 5 + 6 + 7 + 8 + 9 + 10 + 11 + 12 + 13 + 14?",
                          "exceed the context of 40"));
    const std::string saved = scratch_folder() / "beyond.json";
    EXPECT_TRUE(chat.says("/save " + saved, "Saved 0 messages"));
    chat.leave();
}

TEST(ChatUser, the_history_is_private_and_an_unusable_one_only_a_note) {
    const auto state = scratch_folder() / "state" / "nereus";
    std::filesystem::remove_all(state);
    {
        Chat chat;
        EXPECT_TRUE(chat.says("/stats", "nothing"));
        chat.leave();
    }
    struct stat info = {};
    ASSERT_EQ(::stat((state / "history").c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777, 0600U);
    std::filesystem::remove_all(state);
    std::filesystem::create_directories(state / "history");  // a folder where the file should be
    Chat chat;
    EXPECT_TRUE(chat.says("/stats", "The history is not kept"));
    chat.leave();
    std::filesystem::remove_all(state);
}

TEST(ChatUser, control_l_clears_the_screen_and_keeps_the_text) {
    Chat chat;
    chat.type("/sta\x0c");
    ASSERT_TRUE(chat.wait_for("\x1b[H\x1b[2J"));
    ASSERT_TRUE(chat.wait_for("/sta"));
    chat.type("ts\r");
    ASSERT_TRUE(chat.wait_for("nothing was generated yet"));
}

TEST(ChatUser, thinking_can_be_watched_folded_or_hidden) {
    TerminalProgram watched({"run", "--greedy", "What is 47 + 85?"});
    EXPECT_EQ(watched.exit_code(), 0);
    EXPECT_THAT(watched.screen(), HasSubstr("carry 1"));
    EXPECT_THAT(watched.screen(), HasSubstr("thought for "));
    EXPECT_THAT(watched.screen(), HasSubstr("\x1b[J"));
    TerminalProgram hidden({"run", "--greedy", "--think", "hide", "What is 47 + 85?"});
    EXPECT_EQ(hidden.exit_code(), 0);
    EXPECT_THAT(hidden.screen(), Not(HasSubstr("carry 1")));
    EXPECT_THAT(hidden.screen(), HasSubstr("132"));
}

TEST(Pipes, no_control_codes_reach_a_pipe_whatever_the_environment_says) {
    for (const std::vector<std::string>& flags :
         {std::vector<std::string>{}, {"--stats"}, {"--json"}, {"--think", "off", "-n", "20"}}) {
        std::vector<std::string> arguments = {"run", "--greedy"};
        arguments.insert(arguments.end(), flags.begin(), flags.end());
        const ProcessResult result = run_program(arguments, "What is 47 + 85?\n");
        EXPECT_EQ(result.exit_code, 0) << result.err;
        for (const char c : result.out + result.err) {
            ASSERT_TRUE(c == '\n' || static_cast<unsigned char>(c) >= 0x20);
        }
    }
}

/// Long enough for a bar with the slowest table.
TEST(Progress, a_long_prompt_shows_a_bar_on_a_terminal_and_nothing_in_a_pipe) {
    std::string prompt = "What is 1";
    for (int i = 0; i < 150; ++i) {
        prompt += " + 1";
    }
    const std::vector<std::string> arguments = {"run", "--greedy", "--isa", "portable", prompt};
    TerminalProgram seen(arguments);
    EXPECT_TRUE(seen.wait_for("Reading the prompt"));
    EXPECT_TRUE(seen.wait_for(" 0 %"));
    seen.type("\x03");
    EXPECT_EQ(seen.exit_code(), 130);
    EXPECT_TRUE(plain(seen.screen()).ends_with("\n"));
    std::string command = NEREUS_BINARY;
    for (const std::string& argument : arguments) {
        command += " '" + argument + "'";
    }
    TerminalProgram unseen({"-c", "timeout -s INT 1 " + command + " 2>&1 </dev/null | cat -v"},
                           {.program = "/bin/bash"});
    EXPECT_EQ(unseen.exit_code(), 0);
    EXPECT_THAT(unseen.screen(), Not(HasSubstr("Reading")));
    EXPECT_THAT(unseen.screen(), Not(HasSubstr("^[")));
}

TEST(Pipes, an_answer_that_cannot_be_written_is_exit_code_1) {
    const std::string command = NEREUS_BINARY " run --greedy 'What is 3 + 4?' > /dev/full";
    TerminalProgram shell({"-c", command + "; echo \"code $?\""}, {.program = "/bin/bash"});
    EXPECT_TRUE(shell.wait_for("standard output: write failed"));
    EXPECT_TRUE(shell.wait_for("code 1"));
}

TEST(Pipes, a_reader_that_leaves_ends_the_program) {
    const std::string command = NEREUS_BINARY
        " run --greedy --raw 'Once upon a time' | head -c 5; echo \" ${PIPESTATUS[0]}\"";
    TerminalProgram shell({"-c", command}, {.program = "/bin/bash"});
    EXPECT_TRUE(shell.wait_for(" 141"));
    EXPECT_EQ(shell.exit_code(), 0);
    EXPECT_TRUE(shell.echoes_lines());
}

}  // namespace
}  // namespace nereus
