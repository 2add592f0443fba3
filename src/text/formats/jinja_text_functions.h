#pragma once
// What filters and methods do to texts, keeping the marks of trust byte by byte.

#include <optional>

#include "text/formats/jinja_value.h"

namespace nereus::jinja {

/// Without the outer whitespace, or without the outer characters that stand in `characters`.
Text strip_text(const Text& text, const std::optional<Text>& characters, bool left, bool right);

/// An empty `old` stands between all characters and at both ends. errors: overloaded
Result<Text> replace_text(const Text& text, const Text& old, const Text& fresh, int64_t count_max,
                          Budget& budget);

/// At most max_splits cuts (-1: all). Without a separator at runs of whitespace, as Python does.
/// errors: invalid_argument for an empty separator, overloaded
Result<std::vector<Value>> split_text(const Text& text, const std::optional<Text>& separator,
                                      int64_t max_splits, Budget& budget);
/// The same, cutting from the right.
Result<std::vector<Value>> split_text_right(const Text& text, const std::optional<Text>& separator,
                                            int64_t max_splits, Budget& budget);
/// At everything that Python takes for the end of a line, which stays where `keep_ends`.
Result<std::vector<Value>> split_lines(const Text& text, bool keep_ends, Budget& budget);

enum class Letters {
    kUpper,
    kLower,
    kTitle,        ///< str.title(): a capital after everything that is no letter
    kCapitalized,  ///< str.capitalize()
    kTitleWords,   ///< the filter title: a capital after blanks, "-" and opening brackets
    kSwapped,
};
Text change_letters(const Text& text, Letters letters);

/// Blanks on both sides up to `width` characters, as str.center, ljust and rjust put them.
enum class Side { kLeft, kCenter, kRight };
Result<Text> pad_text(const Text& text, int64_t width, Side side, const Text& fill, Budget& budget);

/// errors: overloaded
Result<Text> join_texts(const std::vector<Text>& parts, const Text& separator, Budget& budget);

}  // namespace nereus::jinja
