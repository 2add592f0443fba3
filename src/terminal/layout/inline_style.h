#pragma once
// Emphasis and code spans within one line of Markdown.

#include <string>
#include <string_view>
#include <vector>

#include "terminal/layout/wrap_writer.h"

namespace nereus {

/// Longest emphasis or code span that is recognised; an opener whose closer is farther away is
/// ordinary text. Bounds what is held back while streaming.
inline constexpr size_t kSpanBytesMax = 2048;

/// Styles the line piece by piece. threads: one.
class InlineStyler {
  public:
    explicit InlineStyler(WrapWriter& out) : out_(out) {}

    /// Writes the part of `text` (within one line) whose form is certain and returns how many bytes
    /// that was. line_complete: nothing follows in this line, so everything is certain.
    size_t write(std::string_view text, bool line_complete);
    /// A style for the whole line (headings), until begin_line.
    void push_style(std::string_view style);
    /// Forgets the styles and what stood before.
    void begin_line();

  private:
    /// What can be said about the marker at the start of a text.
    struct Span {
        enum class Kind { kText, kNeedsMore, kSpan } kind = Kind::kText;
        size_t n_marker = 1;  ///< bytes of the marker; kText: to be written as they are
        size_t n_inner = 0;
    };
    Span match(std::string_view text, bool complete) const;
    Span match_code(std::string_view text, bool complete) const;
    Span match_emphasis(std::string_view text, bool complete) const;
    void write_span(std::string_view text, const Span& span);
    void write_text(std::string_view text);
    void pop_style();

    WrapWriter& out_;
    std::vector<std::string_view> styles_;
    char before_ = '\n';  ///< the byte before the text
};

}  // namespace nereus
