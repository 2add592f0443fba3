#pragma once
// Streamed Markdown as ANSI text. Covers what chat models write: emphasis, code spans, fences,
// headings, lists, quotes, rules and tables; everything else stays as it was typed.

#include <memory>
#include <string_view>

#include "terminal/style.h"

namespace nereus {

/// Draws one reply. Text appears as soon as its form is certain: a word when it ends, emphasis and
/// code spans when they close, a table when it ends; markers that never close stay visible. The
/// output does not depend on how the text was cut into writes. Control characters are neutralised.
/// Without can_style the text itself is written, on a terminal still neutralised.
/// threads: one.
class MarkdownWriter {
  public:
    MarkdownWriter(TerminalSink sink, const TerminalTraits& traits);
    ~MarkdownWriter();

    void write(std::string_view text);
    /// Ends the reply: everything held is written, and every style is off.
    void finish();
    /// The window has a new width; rows written later use it.
    void set_columns(int columns);

  private:
    class Machine;
    std::unique_ptr<Machine> machine_;
};

}  // namespace nereus
