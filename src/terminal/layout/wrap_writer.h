#pragma once
// Breaks styled text into terminal rows at word borders while it streams in, and counts the rows.

#include <string>
#include <string_view>

#include "terminal/style.h"

namespace nereus {

/// Writes to a sink. A word is held until it ends, so that the rows do not depend on how the text
/// was cut; words longer than a row are broken. Wide (CJK) characters may break anywhere. In a row
/// that was wrapped, the next begins with `indent` spaces. threads: one.
class WrapWriter {
  public:
    /// columns < 1: never breaks rows.
    WrapWriter(TerminalSink sink, int columns);

    /// Whole characters without control characters but newline; tabs become spaces.
    void write(std::string_view text);
    /// A style sequence; takes no columns and stays with the text after it.
    void write_style(std::string_view sequence);
    /// Text that must not be broken or held (code, tables): passed through, rows counted.
    void write_verbatim(std::string_view text);
    /// Ends the held word.
    void flush();

    void set_columns(int columns) { columns_ = columns; }
    void set_indent(int indent) { indent_ = indent; }
    int column() const { return column_ + word_columns_; }
    /// Rows completed so far.
    int n_rows() const { return n_rows_; }

  private:
    void put(std::string_view text) { sink_(text); }
    void end_word();
    void new_row(bool wrapped);

    TerminalSink sink_;
    int columns_;
    int indent_ = 0;
    int column_ = 0;  ///< of the cursor
    int n_rows_ = 0;
    std::string spaces_;  ///< between the last word and the held one; dropped at a break
    std::string word_;    ///< with its styles
    int word_columns_ = 0;
};

}  // namespace nereus
