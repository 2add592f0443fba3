#pragma once
// Bytes of a terminal to keys: UTF-8 text, control keys, escape sequences, bracketed paste.

#include <optional>
#include <string>
#include <string_view>

namespace nereus {

enum class Key {
    kText,
    kPaste,
    kEnter,
    kNewLine,
    kTab,
    kBackspace,
    kDelete,
    kLeft,
    kRight,
    kUp,
    kDown,
    kWordLeft,
    kWordRight,
    kHome,
    kEnd,
    kKillToEnd,
    kKillToStart,
    kKillWord,
    kYank,
    kClearScreen,
    kInterrupt,
    kEndOfInput,
    kSuspend,
    kUnknown
};

struct KeyPress {
    Key key = Key::kUnknown;
    std::string text = {};  ///< kText: one character; kPaste: everything pasted
};

/// Fed with bytes as they arrive; keys do not depend on how they were cut. threads: one.
class KeyParser {
  public:
    void feed(std::string_view bytes);
    /// The next complete key. nullopt: more bytes are needed, or nothing is left.
    std::optional<KeyPress> next();
    /// Nothing followed for a while: what is held was a lone Escape, which no key here needs.
    void give_up();
    bool waiting() const { return n_held() > 0; }
    /// Bytes that are no key yet.
    size_t n_held() const { return held_.size() - n_taken_; }

  private:
    std::string_view rest() const { return std::string_view(held_).substr(n_taken_); }
    std::optional<KeyPress> take(size_t n_bytes, KeyPress press);
    std::optional<KeyPress> next_escape();
    std::optional<KeyPress> next_paste();

    std::string held_;
    size_t n_taken_ = 0;  ///< bytes of held_ that were keys; erased when more are fed
    bool in_paste_ = false;
};

}  // namespace nereus
