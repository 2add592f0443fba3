#pragma once
// The edited text as rows of a terminal, and the bytes that bring the terminal from the last
// drawing to the next.

#include <string>
#include <string_view>
#include <vector>

#include "terminal/style.h"

namespace nereus {

/// What is to be seen.
struct EditView {
    std::string prompt;                 ///< before the first line, without control characters
    std::string continuation = "... ";  ///< before every further line
    std::string_view text;
    size_t cursor = 0;               ///< byte offset
    std::string_view placeholder;    ///< instead of an empty text
    std::vector<std::string> below;  ///< completion candidates
};

/// threads: one.
class EditScreen {
  public:
    /// Bytes that replace the last drawing by this one and leave the cursor where it belongs. When
    /// the window was narrowed meanwhile, the rows that the terminal re-flowed are counted in.
    std::string draw(const EditView& view, const TerminalTraits& traits);
    /// The cursor goes below the text, which stays.
    std::string leave();
    /// Nothing of ours is on the screen any more (after a clear).
    void forget();

  private:
    int rows_above_cursor(int columns) const;

    std::vector<int> row_columns_;  ///< widths of the drawn rows
    int cursor_row_ = 0, cursor_column_ = 0;
};

}  // namespace nereus
