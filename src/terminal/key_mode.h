#pragma once
// How the terminal treats what is typed, and the promise that it is found as it was before when
// the program ends or is suspended, whatever ends it.

#include <string_view>

namespace nereus {

enum class KeyMode {
    kLines,    ///< as it was found: lines with echo, edited by the kernel
    kUnseen,   ///< the same without echo: for output that nothing typed should disturb
    kWaiting,  ///< every key is kept, unseen, for a LineEditor; Ctrl+C, Ctrl+Z and Ctrl+\ are
               ///< signals
    kEditing   ///< every key is a byte for a LineEditor
};

/// Holds the terminal in one mode for as long as it lives. Holds nest: an inner one gives way to
/// the outer one's mode. While the outermost lives, signals that end or stop the process restore
/// the terminal first, and SIGCONT brings the mode back; a signal that somebody catches or ignores
/// is left to them. Without a terminal, or in the background, the modes do nothing. Process-wide:
/// one terminal at a time. threads: one, and only it.
class KeyModeHold {
  public:
    /// reset_fd: where a sudden end also switches styles and bracketed paste off; -1: nowhere.
    KeyModeHold(int input_fd, KeyMode mode, int reset_fd = -1);
    ~KeyModeHold();
    KeyModeHold(const KeyModeHold&) = delete;
    KeyModeHold& operator=(const KeyModeHold&) = delete;

  private:
    bool outermost_;
    KeyMode mode_before_;
    int reset_fd_before_;
};

/// What Ctrl+Z does where it is no signal: restores the terminal, stops the process group, and
/// returns with the mode brought back when it goes on.
void suspend_for_shell();

/// Style off, bracketed paste off: what a sudden end writes.
inline constexpr std::string_view kTerminalReset = "\x1b[0m\x1b[?2004l";

}  // namespace nereus
