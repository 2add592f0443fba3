#pragma once
// Python's textwrap for the filter wordwrap: where lines of prose may be broken.

#include "text/formats/jinja_value.h"

namespace nereus::jinja {

struct WrapStyle {
    int64_t width = 79;
    bool break_long_words = true;
    bool break_on_hyphens = true;
};

/// The lines of one line of text, without the blanks at the breaks.
/// errors: invalid_argument for a width below 1, overloaded
Result<std::vector<Text>> wrap_line(const Text& line, const WrapStyle& style, Budget& budget);

}  // namespace nereus::jinja
