#pragma once
// The text being edited and what each key does to it. Knows neither bytes nor screens.

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "terminal/editor/keys.h"
#include "terminal/line_editor.h"

namespace nereus {

enum class EditResult { kContinue, kSubmit, kInterrupt, kEnd, kClearScreen, kCleared, kSuspend };

using Completer = std::function<std::vector<std::string>(std::string_view word)>;

/// threads: one.
class EditMachine {
  public:
    /// entries: oldest first; must outlive the machine.
    EditMachine(const std::vector<std::string>& entries, Completer completer);

    EditResult apply(const KeyPress& press);

    const std::string& text() const { return text_; }
    size_t cursor() const { return cursor_; }
    /// What the last Tab could have meant, when it was more than one word; shown below the text.
    const std::vector<std::string>& candidates() const { return candidates_; }
    /// The text as it is submitted: """ around a block removed.
    std::string submission() const;
    /// For a fresh line.
    void clear();

  private:
    EditResult enter();
    void insert(std::string_view text);
    void erase(size_t begin, size_t end);
    void kill(size_t begin, size_t end);
    void move_rows(int direction);
    void recall(int direction);
    void complete();
    size_t line_start() const;
    size_t line_end() const;
    size_t previous_character(size_t at) const;
    size_t next_character(size_t at) const;
    size_t previous_word() const;
    size_t next_word() const;

    const std::vector<std::string>& entries_;
    Completer completer_;
    std::string text_;
    size_t cursor_ = 0;  ///< a byte offset at a character border
    std::string killed_;
    size_t entry_ = 0;   ///< index of the shown history entry; entries_.size(): the draft
    std::string draft_;  ///< what was typed before walking into the history
    std::vector<std::string> candidates_;
};

}  // namespace nereus
