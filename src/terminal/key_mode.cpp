#include "terminal/key_mode.h"

#include <signal.h>
#include <termios.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <iterator>

#include "base/check.h"

namespace nereus {
namespace {

/// Everything that ends a process and can be caught; the last two stop it and let it go on.
constexpr int kSignals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE, SIGABRT, SIGSEGV,
                            SIGBUS, SIGILL,  SIGFPE, SIGXCPU, SIGTSTP, SIGCONT};
constexpr int kModes = 4;

/// Written while no handler is installed, apart from the atomics and from modes, which are written
/// once, before `touched`: signal handlers of any thread read it.
struct Terminal {
    int fd = -1;
    termios modes[kModes] = {};  ///< by KeyMode; kLines: as found
    struct sigaction actions[std::size(kSignals)] = {};
    bool ours[std::size(kSignals)] = {};
    std::atomic<int> mode{0};
    std::atomic<int> reset_fd{-1};
    std::atomic<bool> touched{false};  ///< modes are known
};

Terminal terminal;
bool held = false;

void clear_flags(tcflag_t& flags, unsigned mask) { flags &= ~static_cast<tcflag_t>(mask); }

termios changed(termios mode, KeyMode to) {
    if (to == KeyMode::kLines) {
        return mode;
    }
    clear_flags(mode.c_lflag, ECHO);
    mode.c_lflag |= NOFLSH;  // Ctrl+C stops an answer; it does not eat what was typed, nor output
    if (to == KeyMode::kUnseen) {
        return mode;
    }
    clear_flags(mode.c_lflag, ICANON | IEXTEN);
    clear_flags(mode.c_iflag, BRKINT | ICRNL | INPCK | ISTRIP);
    mode.c_cc[VMIN] = 1;
    mode.c_cc[VTIME] = 0;
    if (to == KeyMode::kEditing) {
        clear_flags(mode.c_lflag, ISIG);
        clear_flags(mode.c_iflag, IXON);
    } else {
        mode.c_lflag |= ISIG;
    }
    return mode;
}

bool find_modes() {
    termios found = {};
    if (::tcgetattr(terminal.fd, &found) != 0) {
        return false;
    }
    for (int mode = 0; mode < kModes; ++mode) {
        terminal.modes[mode] = changed(found, static_cast<KeyMode>(mode));
    }
    return true;
}

void apply(KeyMode mode) {
    // The terminal of another job: a change would stop this process.
    const pid_t owner = terminal.fd < 0 ? 0 : ::tcgetpgrp(terminal.fd);
    if (terminal.fd < 0 || (owner > 0 && owner != ::getpgrp())) {
        return;
    }
    // Started in the background, the first sight of the terminal was that of the shell's own mode.
    if (terminal.touched || find_modes()) {
        terminal.touched = true;
        ::tcsetattr(terminal.fd, TCSANOW, &terminal.modes[static_cast<int>(mode)]);
    }
}

void restore_for_others() {
    const int fd = terminal.reset_fd;
    if (fd >= 0) {
        const ssize_t ignored = ::write(fd, kTerminalReset.data(), kTerminalReset.size());
        static_cast<void>(ignored);
    }
    apply(KeyMode::kLines);
}

/// Lets the default action of a stop signal happen here and now.
void stop_here() {
    struct sigaction standard = {}, ours = {};
    standard.sa_handler = SIG_DFL;
    ::sigaction(SIGTSTP, &standard, &ours);
    sigset_t stop, before;
    ::sigemptyset(&stop);
    ::sigaddset(&stop, SIGTSTP);
    ::pthread_sigmask(SIG_UNBLOCK, &stop, &before);
    ::raise(SIGTSTP);
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
    ::sigaction(SIGTSTP, &ours, nullptr);
}

void on_signal(int signal) {
    const int saved_errno = errno;
    if (signal == SIGTSTP) {
        restore_for_others();
        stop_here();
    }
    if (signal == SIGTSTP || signal == SIGCONT) {
        apply(static_cast<KeyMode>(terminal.mode.load()));
        errno = saved_errno;
        return;
    }
    restore_for_others();
    for (size_t i = 0; i < std::size(kSignals); ++i) {
        if (kSignals[i] == signal) {
            ::sigaction(signal, &terminal.actions[i], nullptr);
        }
    }
    // Delivered when this handler returns, to whoever had it before: as a rule the end.
    ::raise(signal);
    errno = saved_errno;
}

void catch_signals() {
    struct sigaction action = {};
    action.sa_handler = on_signal;
    action.sa_flags = SA_RESTART;
    ::sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < std::size(kSignals); ++i) {
        struct sigaction& before = terminal.actions[i];
        ::sigaction(kSignals[i], nullptr, &before);
        terminal.ours[i] = (before.sa_flags & SA_SIGINFO) == 0 && before.sa_handler == SIG_DFL;
        if (terminal.ours[i]) {
            ::sigaction(kSignals[i], &action, nullptr);
        }
    }
}

void release_signals() {
    for (size_t i = 0; i < std::size(kSignals); ++i) {
        if (terminal.ours[i]) {
            ::sigaction(kSignals[i], &terminal.actions[i], nullptr);
        }
    }
}

void take_terminal(int fd) {
    terminal.fd = ::isatty(fd) == 1 ? fd : -1;
    terminal.touched = false;
    terminal.mode = static_cast<int>(KeyMode::kLines);
    terminal.reset_fd = -1;
}

}  // namespace

KeyModeHold::KeyModeHold(int input_fd, KeyMode mode, int reset_fd) : outermost_(!held) {
    if (outermost_) {
        take_terminal(input_fd);
        held = true;
        catch_signals();
    }
    NEREUS_CHECK(terminal.fd < 0 || terminal.fd == input_fd);
    mode_before_ = static_cast<KeyMode>(terminal.mode.exchange(static_cast<int>(mode)));
    reset_fd_before_ =
        terminal.reset_fd.exchange(reset_fd >= 0 ? reset_fd : terminal.reset_fd.load());
    apply(mode);
}

KeyModeHold::~KeyModeHold() {
    terminal.mode = static_cast<int>(mode_before_);
    terminal.reset_fd = reset_fd_before_;
    apply(mode_before_);
    if (outermost_) {
        release_signals();
        held = false;
    }
}

void suspend_for_shell() {
    if (terminal.fd < 0 || ::tcgetpgrp(terminal.fd) != ::getpgrp()) {
        return;  // no shell to come back from
    }
    restore_for_others();
    struct sigaction standard = {}, before = {};
    standard.sa_handler = SIG_DFL;
    ::sigaction(SIGTSTP, &standard, &before);
    ::kill(0, SIGTSTP);  // everybody of this job, as the key does
    ::sigaction(SIGTSTP, &before, nullptr);
    apply(static_cast<KeyMode>(terminal.mode.load()));
}

}  // namespace nereus
