// A chat on a pseudo-terminal, key by key: typing ahead, sudden ends, suspension, small and plain
// terminals.

#include <gmock/gmock.h>
#include <sys/stat.h>

#include "tests/e2e/run_process.h"

namespace nereus {
namespace {

using testing::HasSubstr;
using testing::Not;

/// About 1000 tokens that never mention what the tests type.
const std::string kEndless = "Once upon a time";

/// In the middle of a long answer.
void start_long_answer(TerminalProgram& chat) {
    ASSERT_TRUE(chat.wait_for(">>> "));
    chat.type(kEndless + "\r");
    ASSERT_TRUE(chat.wait_for("assembly"));
}

TEST(TypeAhead, text_and_enter_typed_during_an_answer_are_the_next_line) {
    TerminalProgram chat({"run", "--greedy", "--raw", "-n", "200"});
    start_long_answer(chat);
    chat.type("/set top_k 17\r/set seed");
    ASSERT_TRUE(chat.wait_for(">>> "));
    ASSERT_TRUE(chat.wait_for("top_k = 17"));
    ASSERT_TRUE(chat.wait_for("/set seed"));
    chat.type(" 5\r");
    ASSERT_TRUE(chat.wait_for("seed = 5"));
    const std::string& screen = chat.screen();
    EXPECT_GT(screen.find("/set top_k"), screen.find("assembly"));
    EXPECT_LT(screen.find(">>> ", screen.find("assembly")), screen.find("/set top_k"));
    chat.type("/bye\r");
    EXPECT_EQ(chat.exit_code(), 0);
}

TEST(TypeAhead, control_d_typed_during_an_answer_leaves_after_it) {
    TerminalProgram chat({"run", "--greedy", "--raw", "-n", "120"});
    start_long_answer(chat);
    chat.type("\x04");
    ASSERT_TRUE(chat.wait_for("[the limit of tokens"));
    EXPECT_EQ(chat.exit_code(), 0);
    EXPECT_TRUE(chat.echoes_lines());
}

TEST(TypeAhead, a_paste_of_several_lines_during_an_answer_is_one_text) {
    TerminalProgram chat({"run", "--greedy", "--raw", "-n", "120"});
    start_long_answer(chat);
    chat.type("\x1b[200~/system first\rsecond\r\x1b[201~");
    ASSERT_TRUE(chat.wait_for("second"));
    EXPECT_THAT(chat.screen(), Not(HasSubstr("The system text")));
    chat.type("\x7f\r");  // without the last newline
    ASSERT_TRUE(chat.wait_for("The system text is set."));
    chat.type("/system\r");
    ASSERT_TRUE(chat.wait_for("first\r\nsecond"));
}

TEST(TypeAhead, more_than_the_terminals_buffer_holds_is_kept_and_control_c_still_stops) {
    TerminalProgram chat({"run", "--greedy", "--raw"});
    start_long_answer(chat);
    const std::string many(9000, 'x');
    for (size_t at = 0; at < many.size(); at += 1000) {
        chat.type(many.substr(at, 1000));
    }
    chat.type("\x15/set seed 77\r");  // Ctrl+U: only a command if every x arrived before it
    ::usleep(200'000);                // the answer loop collects every 50 ms
    chat.type("\x03");
    ASSERT_TRUE(chat.wait_for("[stopped"));
    ASSERT_TRUE(chat.wait_for("seed = 77"));
}

TEST(TypeAhead, control_c_twice_during_an_answer_leaves) {
    TerminalProgram chat({"run", "--greedy", "--raw"});
    start_long_answer(chat);
    chat.type("\x03");
    ::usleep(30'000);  // two signals at once are one
    chat.type("\x03");
    EXPECT_EQ(chat.exit_code(), 130);
    EXPECT_TRUE(chat.echoes_lines());
}

TEST(SuddenEnd, every_signal_leaves_the_terminal_as_it_was) {
    for (const int signal : {SIGTERM, SIGHUP, SIGQUIT, SIGABRT, SIGSEGV}) {
        SCOPED_TRACE(testing::Message() << "signal " << signal);
        for (const bool streaming : {false, true}) {
            TerminalProgram chat({"run", "--greedy", "--raw"});
            ASSERT_TRUE(chat.echoes_lines());
            if (streaming) {
                start_long_answer(chat);
                EXPECT_EQ(chat.local_flags() & (ECHO | ICANON | ISIG), tcflag_t{ISIG});
            } else {
                ASSERT_TRUE(chat.wait_for("A text to continue"));
                EXPECT_EQ(chat.local_flags() & (ECHO | ICANON | ISIG), 0U);
            }
            chat.send(signal);
            EXPECT_EQ(chat.exit_code(), 128 + signal);
            EXPECT_TRUE(chat.echoes_lines());
            EXPECT_THAT(chat.screen(), HasSubstr("\x1b[0m\x1b[?2004l"));
        }
    }
}

TEST(SuddenEnd, a_signal_during_a_single_answer_switches_styles_off) {
    TerminalProgram once({"run", "--greedy", "--raw", kEndless});
    ASSERT_TRUE(once.wait_for("assembly"));
    EXPECT_EQ(once.local_flags() & ECHO, 0U);
    once.send(SIGTERM);
    EXPECT_EQ(once.exit_code(), 128 + SIGTERM);
    EXPECT_TRUE(once.echoes_lines());
    EXPECT_THAT(once.screen(), HasSubstr("\x1b[0m"));
}

TEST(Suspension, control_z_during_an_answer_gives_the_shell_its_terminal_and_fg_goes_on) {
    TerminalProgram bash({"--norc", "--noprofile", "-i"}, {.program = "/bin/bash"});
    bash.type("PS1='sh''ell> '\r");
    ASSERT_TRUE(bash.wait_for("shell> "));
    bash.type(NEREUS_BINARY " run --greedy --raw -n 300\r");
    start_long_answer(bash);
    bash.type("\x1a");
    ASSERT_TRUE(bash.wait_for("Stopped"));
    ASSERT_TRUE(bash.wait_for("shell> "));
    bash.type("stty -a | grep -o ' .\\?icanon\\| .\\?echo '\r");
    ASSERT_TRUE(bash.wait_for(" icanon"));
    ASSERT_TRUE(bash.wait_for(" echo "));
    bash.type("fg\r");
    ASSERT_TRUE(bash.wait_for("[the limit of tokens"));
    ASSERT_TRUE(bash.wait_for(">>> "));
    bash.type("/stats\r");
    ASSERT_TRUE(bash.wait_for("answer 300 tokens"));
    bash.type("\x1a");  // and at the prompt
    ASSERT_TRUE(bash.wait_for("shell> "));
    bash.type("fg\r");
    ASSERT_TRUE(bash.wait_for(">>> "));
    bash.type("/set seed 3\r");
    ASSERT_TRUE(bash.wait_for("seed = 3"));
    bash.type("/bye\r");
    ASSERT_TRUE(bash.wait_for("shell> "));
    bash.type("exit\r");
    EXPECT_EQ(bash.exit_code(), 0);
}

TEST(Suspension, a_job_in_the_background_is_not_stopped_by_its_terminal) {
    const std::string out = scratch_folder() / "background.txt";
    TerminalProgram bash({"--norc", "--noprofile", "-i"}, {.program = "/bin/bash"});
    bash.type(NEREUS_BINARY " run --greedy --think hide 'What is 47 + 85?' > " + out +
              " & wait; echo do''ne\r");
    ASSERT_TRUE(bash.wait_for("done"));
    EXPECT_EQ(file_text(out), "47 + 85 = 132\n");
    bash.type("exit\r");
    bash.exit_code();
}

}  // namespace
}  // namespace nereus
