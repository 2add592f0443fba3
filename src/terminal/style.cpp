#include "terminal/style.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include "base/unicode.h"
#include "terminal/layout/wrap_writer.h"

namespace nereus {
namespace {

constexpr char32_t kControlPictures = 0x2400;  ///< the picture of control c is U+2400 + c
constexpr char32_t kDeletePicture = 0x2421;

/// Embeddings, overrides and isolates can show a text in another order than it has.
bool reorders_text(char32_t c) {
    return (c >= 0x202a && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069);
}

char32_t harmless(const CodePoint& point) {
    const char32_t c = point.value;
    if (!point.valid || (c >= 0x80 && c < 0xa0) || reorders_text(c)) {
        return kReplacement;
    }
    if (c < 0x20) {
        return kControlPictures + c;
    }
    return c == 0x7f ? kDeletePicture : c;
}

std::string neutralised(std::string_view text, std::string_view keep, std::string_view remove) {
    std::string out;
    out.reserve(text.size());
    while (!text.empty()) {
        const CodePoint point = next_code_point(text);
        const std::string_view bytes = text.substr(0, static_cast<size_t>(point.n_bytes));
        text.remove_prefix(bytes.size());
        if (keep.find(bytes) != std::string_view::npos) {
            out += bytes;
        } else if (remove.find(bytes) == std::string_view::npos) {
            append_utf8(out, harmless(point));
        }
    }
    return out;
}

}  // namespace

TerminalTraits traits_of(int fd, const TerminalWishes& wishes) {
    TerminalTraits traits;
    traits.is_terminal = ::isatty(fd) == 1;
    if (!traits.is_terminal) {
        return traits;
    }
    traits.can_style = !wishes.no_color && wishes.term != "dumb" && !wishes.term.empty();
    winsize size = {};
    if (::ioctl(fd, TIOCGWINSZ, &size) == 0) {
        traits.columns = size.ws_col > 0 ? size.ws_col : traits.columns;
        traits.rows = size.ws_row > 0 ? size.ws_row : traits.rows;
    }
    return traits;
}

std::string styled(std::string_view text, std::string_view style, const TerminalTraits& traits) {
    if (!traits.can_style) {
        return std::string(text);
    }
    return std::string(style) + std::string(text) + std::string(sgr::kReset);
}

std::string neutralise(std::string_view text) { return neutralised(text, "\n\t", "\r"); }

std::string neutralise_line(std::string_view text) { return neutralised(text, "", ""); }

std::string wrapped(std::string_view text, const TerminalTraits& traits) {
    if (!traits.is_terminal) {
        return std::string(text);
    }
    std::string out;
    WrapWriter wrap([&](std::string_view bytes) { out += bytes; }, traits.columns - 1);
    wrap.write(text);
    wrap.flush();
    return out;
}

int text_columns(std::string_view text) {
    int columns = 0;
    while (!text.empty()) {
        const CodePoint point = next_code_point(text);
        columns += column_width(point.value);
        text.remove_prefix(static_cast<size_t>(point.n_bytes));
    }
    return columns;
}

}  // namespace nereus
