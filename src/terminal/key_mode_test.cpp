// Holds of the terminal on a pseudo-terminal: what every mode lets through, nesting, and child
// processes that end in every way.

#include "terminal/key_mode.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <functional>
#include <string>

#include "terminal/line_editor.h"

namespace nereus {
namespace {

/// Both ends of a pseudo-terminal that is not this process's own.
class Pty {
  public:
    Pty() {
        const winsize size = {.ws_row = 24, .ws_col = 80, .ws_xpixel = 0, .ws_ypixel = 0};
        EXPECT_EQ(::openpty(&master_, &slave_, nullptr, nullptr, &size), 0);
    }
    ~Pty() {
        ::close(master_);
        ::close(slave_);
    }
    Pty(const Pty&) = delete;
    Pty& operator=(const Pty&) = delete;

    int slave() const { return slave_; }
    termios mode() const {
        termios mode = {};
        ::tcgetattr(slave_, &mode);
        return mode;
    }
    void type(const std::string& keys) const {
        ASSERT_EQ(::write(master_, keys.data(), keys.size()), static_cast<ssize_t>(keys.size()));
    }
    /// What a reader of the slave gets, what the screen shows; whatever is there soon.
    std::string read_input() const { return read_from(slave_); }
    std::string screen() const { return read_from(master_); }

  private:
    static std::string read_from(int fd) {
        std::string text;
        pollfd waiting = {.fd = fd, .events = POLLIN, .revents = 0};
        while (::poll(&waiting, 1, 50) > 0 && (waiting.revents & POLLIN) != 0) {
            char bytes[4096];
            const ssize_t got = ::read(fd, bytes, sizeof bytes);
            if (got <= 0) {
                break;
            }
            text.append(bytes, static_cast<size_t>(got));
        }
        return text;
    }

    int master_ = -1, slave_ = -1;
};

bool same_mode(const termios& a, const termios& b) {
    return a.c_lflag == b.c_lflag && a.c_iflag == b.c_iflag && a.c_oflag == b.c_oflag &&
           a.c_cc[VMIN] == b.c_cc[VMIN] && a.c_cc[VTIME] == b.c_cc[VTIME];
}

TEST(KeyMode, waiting_keeps_every_key_as_it_was_typed_and_shows_none) {
    const Pty pty;
    const KeyModeHold hold(pty.slave(), KeyMode::kWaiting);
    pty.type("a\r\x04\x7f\x16\x17\n\xe4\xb8\xad");
    EXPECT_EQ(pty.screen(), "");
    EXPECT_EQ(pty.read_input(), "a\r\x04\x7f\x16\x17\n\xe4\xb8\xad");
}

TEST(KeyMode, editing_keeps_the_signal_keys_and_flow_control_too) {
    const Pty pty;
    const KeyModeHold hold(pty.slave(), KeyMode::kEditing);
    pty.type("\x03\x1a\x1c\x13\x11\r");
    EXPECT_EQ(pty.read_input(), "\x03\x1a\x1c\x13\x11\r");
    EXPECT_EQ(pty.screen(), "");
}

TEST(KeyMode, unseen_hands_out_whole_lines_and_shows_nothing) {
    const Pty pty;
    const KeyModeHold hold(pty.slave(), KeyMode::kUnseen);
    pty.type("hel\x7flp\rhalf");
    EXPECT_EQ(pty.screen(), "");
    EXPECT_EQ(pty.read_input(), "help\n");
}

TEST(KeyMode, typed_ahead_keys_survive_every_change_of_mode) {
    const Pty pty;
    {
        const KeyModeHold waiting(pty.slave(), KeyMode::kWaiting);
        pty.type("one\r");
        {
            const KeyModeHold editing(pty.slave(), KeyMode::kEditing);
            pty.type("two\x04");
        }
        pty.type("three");
        const KeyModeHold editing(pty.slave(), KeyMode::kEditing);
        EXPECT_EQ(pty.read_input(), "one\rtwo\x04three");
    }
}

TEST(KeyMode, holds_nest_and_the_last_leaves_the_terminal_as_it_was) {
    const Pty pty;
    const termios before = pty.mode();
    {
        const KeyModeHold unseen(pty.slave(), KeyMode::kUnseen);
        const termios first = pty.mode();
        EXPECT_EQ(first.c_lflag & (ECHO | ICANON | ISIG), tcflag_t{ICANON | ISIG});
        {
            const KeyModeHold waiting(pty.slave(), KeyMode::kWaiting);
            EXPECT_EQ(pty.mode().c_lflag & (ECHO | ICANON | ISIG), tcflag_t{ISIG});
            {
                const KeyModeHold editing(pty.slave(), KeyMode::kEditing);
                EXPECT_EQ(pty.mode().c_lflag & (ECHO | ICANON | ISIG), 0U);
            }
            EXPECT_EQ(pty.mode().c_lflag & (ECHO | ICANON | ISIG), tcflag_t{ISIG});
            const KeyModeHold lines(pty.slave(), KeyMode::kLines);
            EXPECT_TRUE(same_mode(pty.mode(), before));
        }
        EXPECT_TRUE(same_mode(pty.mode(), first));
    }
    EXPECT_TRUE(same_mode(pty.mode(), before));
}

TEST(KeyMode, an_unusual_terminal_comes_back_as_unusual_as_it_was) {
    const Pty pty;
    termios odd = pty.mode();
    odd.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    odd.c_iflag &= ~static_cast<tcflag_t>(ICRNL);
    odd.c_cc[VMIN] = 3;
    ::tcsetattr(pty.slave(), TCSANOW, &odd);
    {
        const KeyModeHold hold(pty.slave(), KeyMode::kEditing);
    }
    EXPECT_TRUE(same_mode(pty.mode(), odd));
}

TEST(KeyMode, output_is_left_alone) {
    const Pty pty;
    for (const KeyMode mode : {KeyMode::kUnseen, KeyMode::kWaiting, KeyMode::kEditing}) {
        const KeyModeHold hold(pty.slave(), mode);
        ASSERT_EQ(::write(pty.slave(), "a\nb", 3), 3);
        EXPECT_EQ(pty.screen(), "a\r\nb");
    }
}

TEST(KeyMode, a_pipe_or_a_closed_input_is_no_terminal_and_no_problem) {
    int ends[2];
    ASSERT_EQ(::pipe(ends), 0);
    {
        const KeyModeHold pipe(ends[0], KeyMode::kEditing);
        const KeyModeHold inner(ends[0], KeyMode::kWaiting);
    }
    ::close(ends[0]);
    ::close(ends[1]);
    const KeyModeHold closed(ends[0], KeyMode::kWaiting);
    suspend_for_shell();  // nothing to suspend for: returns
}

TEST(KeyMode, signals_belong_to_others_again_when_the_last_hold_ends) {
    const Pty pty;
    const auto handler_of = [](int signal) {
        struct sigaction action = {};
        ::sigaction(signal, nullptr, &action);
        return action.sa_handler;
    };
    ASSERT_EQ(handler_of(SIGTERM), SIG_DFL);
    {
        const KeyModeHold outer(pty.slave(), KeyMode::kWaiting);
        EXPECT_NE(handler_of(SIGTERM), SIG_DFL);
        {
            const KeyModeHold inner(pty.slave(), KeyMode::kEditing);
        }
        EXPECT_NE(handler_of(SIGTERM), SIG_DFL);
    }
    for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGCONT, SIGPIPE}) {
        EXPECT_EQ(handler_of(signal), SIG_DFL) << signal;
    }
}

TEST(KeyMode, a_signal_that_is_ignored_stays_ignored) {
    const Pty pty;
    const auto before = ::signal(SIGHUP, SIG_IGN);  // as under nohup
    {
        const KeyModeHold hold(pty.slave(), KeyMode::kWaiting);
        ::raise(SIGHUP);  // would end this test
    }
    ::signal(SIGHUP, before);
}

/// Runs `body` in a child that holds the terminal; how the child ended.
int status_of_child(const std::function<void()>& body) {
    const pid_t child = ::fork();
    if (child == 0) {
        body();
        ::raise(SIGKILL);  // the body did not end it
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    return status;
}

TEST(KeyMode, whatever_signal_ends_the_process_it_restores_the_terminal_and_still_ends_it) {
    for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE, SIGXCPU}) {
        SCOPED_TRACE(signal);
        const Pty pty;
        const termios before = pty.mode();
        const int status = status_of_child([&] {
            const KeyModeHold outer(pty.slave(), KeyMode::kWaiting, pty.slave());
            const KeyModeHold inner(pty.slave(), KeyMode::kEditing);
            ::raise(signal);
        });
        EXPECT_TRUE(WIFSIGNALED(status));
        EXPECT_EQ(WTERMSIG(status), signal);
        EXPECT_TRUE(same_mode(pty.mode(), before));
        EXPECT_EQ(pty.screen(), kTerminalReset);
    }
}

TEST(KeyMode, without_a_place_for_it_no_reset_is_written) {
    const Pty pty;
    const int status = status_of_child([&] {
        const KeyModeHold hold(pty.slave(), KeyMode::kUnseen);
        ::raise(SIGTERM);
    });
    EXPECT_EQ(WTERMSIG(status), SIGTERM);
    EXPECT_EQ(pty.screen(), "");
}

TEST(KeyMode, going_on_after_a_stop_brings_the_mode_back) {
    const Pty pty;
    const termios before = pty.mode();
    const KeyModeHold hold(pty.slave(), KeyMode::kEditing);
    const termios editing = pty.mode();
    ::tcsetattr(pty.slave(), TCSANOW, &before);  // as a shell does while the job is stopped
    ::raise(SIGCONT);
    EXPECT_TRUE(same_mode(pty.mode(), editing));
}

/// An editor on a pseudo-terminal.
struct Desk {
    Pty pty;
    std::unique_ptr<LineEditor> editor;

    explicit Desk(const std::string& term = "xterm") {
        LineEditorOptions options;
        options.input_fd = options.output_fd = pty.slave();
        options.wishes.term = term;
        editor = LineEditor::create(options);
    }
    std::string line() const {
        const auto read = editor->read("> ");
        EXPECT_TRUE(read.ok());
        return read->outcome == LineOutcome::kLine        ? read->text
               : read->outcome == LineOutcome::kInterrupt ? "<interrupt>"
                                                          : "<end>";
    }
};

TEST(TypedAhead, lines_come_one_a_read_and_the_rest_stays) {
    const Desk desk;
    desk.pty.type("one\rtwo\rthr");
    desk.editor->collect();
    EXPECT_EQ(desk.line(), "one");
    EXPECT_EQ(desk.line(), "two");
    desk.pty.type("ee\r");
    EXPECT_EQ(desk.line(), "three");
}

TEST(TypedAhead, keys_edit_and_end_as_they_do_at_the_prompt) {
    const Desk desk;
    desk.pty.type("helo\x1b[Dl\r\x04");
    desk.editor->collect();
    EXPECT_EQ(desk.line(), "hello");
    EXPECT_EQ(desk.line(), "<end>");
}

TEST(TypedAhead, a_key_cut_between_two_collections_is_one_key) {
    const Desk desk;
    for (const char* part : {"ab\x1b", "[", "D", "\xe4", "\xb8", "\xad", "\r"}) {
        desk.pty.type(part);
        desk.editor->collect();
    }
    EXPECT_EQ(desk.line(),
              "a\xe4\xb8\xad"
              "b");
}

TEST(TypedAhead, nothing_typed_is_shown_before_the_prompt) {
    const Desk desk;
    desk.pty.type("secret\r");
    desk.editor->collect();
    EXPECT_EQ(desk.pty.screen(), "");
    EXPECT_EQ(desk.line(), "secret");
    EXPECT_NE(desk.pty.screen().find("secret"), std::string::npos);
}

TEST(TypedAhead, what_is_over_the_limit_stays_in_the_terminal) {
    const Desk desk;
    const std::string block(1000, 'x');
    size_t n_typed = 0;
    while (n_typed <= kLineBytesMax + 2000) {
        desk.pty.type(block);
        n_typed += block.size();
        desk.editor->collect();
        if (n_typed > kLineBytesMax) {
            break;
        }
    }
    desk.pty.type("\x15ok\r");
    desk.editor->collect();
    EXPECT_EQ(desk.line(), "ok");
}

TEST(TypedAhead, collecting_never_waits) {
    for (const char* term : {"xterm", "dumb"}) {
        const Desk desk(term);
        desk.editor->collect();
        desk.pty.type("x\r");
        desk.editor->collect();
        EXPECT_EQ(desk.line(), "x");
    }
}

TEST(TypedAhead, a_terminal_that_can_only_print_keeps_lines_too) {
    const Desk desk("dumb");
    desk.pty.type("one\rtwo\r\x04");
    desk.editor->collect();
    EXPECT_EQ(desk.pty.screen(), "");
    EXPECT_EQ(desk.line(), "one");
    EXPECT_EQ(desk.line(), "two");
    EXPECT_EQ(desk.line(), "<end>");
}

TEST(TypedAhead, control_z_without_a_shell_does_nothing) {
    const Desk desk;
    desk.pty.type(
        "a\x1a"
        "b\r");
    EXPECT_EQ(desk.line(), "ab");
}

}  // namespace
}  // namespace nereus
