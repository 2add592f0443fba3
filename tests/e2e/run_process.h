#pragma once
// Runs the real program for tests: through pipes, or on a pseudo-terminal as a person would.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <pty.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

#include "tests/support/scratch.h"

namespace nereus {

struct ProcessResult {
    int exit_code = -1;
    std::string out, err;
};

inline int exit_code_of_status(int status) {
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/// What surrounds a program under test.
struct Surroundings {
    std::string term = "xterm";
    std::string no_color = {};  ///< "": not set
    int columns = 80, rows = 24;
    std::string program = NEREUS_BINARY;
};

/// Becomes the program, with a private state folder.
[[noreturn]] inline void become_program(std::vector<std::string> arguments,
                                        const Surroundings& around = {}) {
    arguments.insert(arguments.begin(), around.program);
    std::vector<char*> pointers;
    for (std::string& argument : arguments) {
        pointers.push_back(argument.data());
    }
    pointers.push_back(nullptr);
    ::setenv("XDG_STATE_HOME", (scratch_folder() / "state").c_str(), 1);
    ::setenv("TERM", around.term.c_str(), 1);
    ::unsetenv("NO_COLOR");
    if (!around.no_color.empty()) {
        ::setenv("NO_COLOR", around.no_color.c_str(), 1);
    }
    ::execv(around.program.c_str(), pointers.data());
    ::_exit(127);
}

/// Runs to the end with `input` on stdin.
inline ProcessResult run_program(const std::vector<std::string>& arguments,
                                 const std::string& input = "") {
    const auto folder = scratch_folder();
    std::ofstream(folder / "in") << input;
    const pid_t child = ::fork();
    if (child == 0) {
        const int in = ::open((folder / "in").c_str(), O_RDONLY);
        const int out = ::open((folder / "out").c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
        const int err = ::open((folder / "err").c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
        ::dup2(in, 0);
        ::dup2(out, 1);
        ::dup2(err, 2);
        become_program(arguments);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    return {exit_code_of_status(status), file_text(folder / "out"), file_text(folder / "err")};
}

/// The program on a pseudo-terminal.
class TerminalProgram {
  public:
    explicit TerminalProgram(const std::vector<std::string>& arguments,
                             const Surroundings& around = {}) {
        const winsize size = window(around.columns, around.rows);
        child_ = ::forkpty(&master_, nullptr, nullptr, &size);
        if (child_ == 0) {
            become_program(arguments, around);
        }
        // The slave stays open, so that its mode can be read when the program has ended.
        slave_ = ::open(::ptsname(master_), O_RDWR | O_NOCTTY);
    }
    ~TerminalProgram() {
        if (child_ > 0) {
            ::kill(child_, SIGKILL);
            ::waitpid(child_, nullptr, 0);
        }
        ::close(slave_);
        ::close(master_);
    }
    TerminalProgram(const TerminalProgram&) = delete;
    TerminalProgram& operator=(const TerminalProgram&) = delete;

    void type(const std::string& keys) {
        EXPECT_EQ(::write(master_, keys.data(), keys.size()), static_cast<ssize_t>(keys.size()));
    }

    void resize(int columns, int rows) {
        const winsize size = window(columns, rows);
        EXPECT_EQ(::ioctl(master_, TIOCSWINSZ, &size), 0);
    }
    void send(int signal) const { EXPECT_EQ(::kill(child_, signal), 0); }
    /// How the terminal treats keys now.
    tcflag_t local_flags() const {
        termios mode = {};
        EXPECT_EQ(::tcgetattr(slave_, &mode), 0);
        return mode.c_lflag;
    }
    bool echoes_lines() const { return (local_flags() & (ECHO | ICANON)) == (ECHO | ICANON); }

    /// Reads until `text` appears after everything found before. False after a generous minute:
    /// the machine may be busy.
    bool wait_for(const std::string& text) {
        const auto deadline = std::chrono::steady_clock::now() + std::chrono::minutes(1);
        while (true) {
            const size_t at = screen_.find(text, seen_);
            if (at != std::string::npos) {
                seen_ = at + text.size();
                return true;
            }
            const bool ended = !read_some(100) && !is_running();
            if (std::chrono::steady_clock::now() > deadline || ended) {
                ADD_FAILURE() << "waited for \"" << text << "\", got:\n" << screen_.substr(seen_);
                return false;
            }
        }
    }

    int exit_code() {
        int status = 0;
        if (!exits_within(std::chrono::seconds(60))) {
            ADD_FAILURE() << "still running a minute after its last output:\n" << screen_;
            ::kill(child_, SIGKILL);
        }
        ::waitpid(child_, &status, 0);
        child_ = -1;
        return exit_code_of_status(status);
    }

    /// Everything the program wrote so far.
    const std::string& screen() const { return screen_; }

  private:
    static winsize window(int columns, int rows) {
        return {.ws_row = static_cast<unsigned short>(rows),
                .ws_col = static_cast<unsigned short>(columns),
                .ws_xpixel = 0,
                .ws_ypixel = 0};
    }

    bool is_running() const {
        siginfo_t info = {};
        return ::waitid(P_PID, static_cast<id_t>(child_), &info, WEXITED | WNOHANG | WNOWAIT) ==
                   0 &&
               info.si_pid == 0;
    }

    /// Whether the program ends in time; it stays to be waited for.
    bool exits_within(std::chrono::seconds limit) {
        const auto deadline = std::chrono::steady_clock::now() + limit;
        while (std::chrono::steady_clock::now() < deadline) {
            while (read_some(0)) {
            }
            if (!is_running()) {
                while (read_some(0)) {
                }
                return true;
            }
            ::usleep(10'000);
        }
        return false;
    }

    bool read_some(int wait_ms) {
        pollfd waiting = {.fd = master_, .events = POLLIN, .revents = 0};
        if (::poll(&waiting, 1, wait_ms) <= 0) {
            return false;
        }
        char bytes[4096];
        const ssize_t got = ::read(master_, bytes, sizeof(bytes));
        screen_.append(bytes, got > 0 ? static_cast<size_t>(got) : 0);
        return got > 0;
    }

    pid_t child_ = -1;
    int master_ = -1, slave_ = -1;
    std::string screen_;
    size_t seen_ = 0;
};

}  // namespace nereus
