#pragma once
// What a terminal can do, the few styles Nereus uses, and the rule that foreign text (a model's
// reply, a file name) never reaches a terminal with its control characters intact.

#include <functional>
#include <string>
#include <string_view>

namespace nereus {

/// Where a drawing component sends its bytes.
using TerminalSink = std::function<void(std::string_view)>;

/// One output of the process. Everything is false and 80 x 24 when it is not a terminal.
struct TerminalTraits {
    bool is_terminal = false;
    bool can_style = false;  ///< ANSI styles and cursor movement are understood and wanted
    int columns = 80;
    int rows = 24;
};

/// What the environment says; read by the application.
struct TerminalWishes {
    bool no_color = false;  ///< NO_COLOR is set and not empty, or --no-color
    std::string term;       ///< TERM; "dumb" and "" can neither style nor move
};

TerminalTraits traits_of(int fd, const TerminalWishes& wishes);

/// ANSI "select graphic rendition" sequences.
namespace sgr {
inline constexpr std::string_view kReset = "\x1b[0m";
inline constexpr std::string_view kBold = "\x1b[1m";
inline constexpr std::string_view kDim = "\x1b[2m";
inline constexpr std::string_view kItalic = "\x1b[3m";
inline constexpr std::string_view kUnderline = "\x1b[4m";
inline constexpr std::string_view kCyan = "\x1b[36m";
inline constexpr std::string_view kRed = "\x1b[31m";
}  // namespace sgr

/// `text` in `style`, or unchanged without can_style.
std::string styled(std::string_view text, std::string_view style, const TerminalTraits& traits);

/// Makes control characters harmless: C0 and DEL become their pictures (ESC -> U+241B), C1
/// controls, bidirectional overrides and invalid bytes U+FFFD; carriage returns vanish; newline and
/// tab stay. The result does not depend on how a text was cut, as long as characters are whole.
std::string neutralise(std::string_view text);

/// neutralise() for one line: newline and tab become pictures as well.
std::string neutralise_line(std::string_view text);

/// The text with rows broken at words, so that none is wider than the window; unchanged without a
/// terminal. Without styles and control characters but newline.
std::string wrapped(std::string_view text, const TerminalTraits& traits);

/// Columns a text takes; control characters take none.
int text_columns(std::string_view text);

}  // namespace nereus
