#pragma once
// Reads what a person types: a small editor for one or many lines, with history, completion and
// bracketed paste. Without a terminal it reads plain lines.

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "terminal/style.h"

namespace nereus {

struct LineEditorOptions {
    int input_fd = 0;
    int output_fd = 1;
    TerminalWishes wishes = {};
    std::string history_path = {};  ///< "": nothing is remembered between runs
    size_t history_entries_max = 1000;
    /// Whole words that the word before the cursor may become.
    std::function<std::vector<std::string>(std::string_view word)> complete = {};
    std::string placeholder = {};  ///< shown dim while nothing is typed
};

/// What ended a read.
enum class LineOutcome {
    kLine,       ///< text was submitted
    kInterrupt,  ///< Ctrl+C with nothing typed
    kEnd         ///< Ctrl+D with nothing typed, or the end of the input
};

struct LineRead {
    LineOutcome outcome = LineOutcome::kLine;
    std::string text;  ///< valid UTF-8; lines joined by \n; without the """ around a block
};

/// Keys: arrows, Home, End, Alt/Ctrl+arrows by words, Ctrl+A E B F K U W Y L D, Tab completes,
/// Up and Down walk the lines and then the history, Alt+Enter or "\" before Enter begins a new
/// line, and a text that begins with """ goes on until the next """. Ctrl+C clears what is typed,
/// Ctrl+Z suspends. A text is bounded at kLineBytesMax; the history at history_entries_max, in a
/// file of mode 0600.
///
/// Holds the terminal for as long as it lives (key_mode.h): between reads nothing typed appears,
/// and all of it, Enter and Ctrl+D too, is taken by the next read. threads: one.
class LineEditor {
  public:
    /// Never fails: a history that cannot be read or written is reported once by warning().
    static std::unique_ptr<LineEditor> create(LineEditorOptions options);
    /// False for a terminal that can only print: lines are then read as the kernel edits them.
    static bool can_edit(const TerminalWishes& wishes);
    virtual ~LineEditor() = default;

    /// Draws `prompt` and waits for an outcome. errors: io (the terminal is gone)
    virtual Result<LineRead> read(std::string_view prompt) = 0;
    /// To be called now and then while something else than read() goes on for long: takes what was
    /// typed meanwhile out of the terminal, whose own buffer is small and, when full, deaf to
    /// Ctrl+C. Never waits. What is over kLineBytesMax stays in the terminal.
    virtual void collect() = 0;
    /// What went wrong with the history file since the last call; "" if nothing.
    virtual std::string take_warning() = 0;
};

inline constexpr size_t kLineBytesMax = 1 << 20;

}  // namespace nereus
