#include "terminal/layout/inline_style.h"

#include <algorithm>
#include <cctype>

namespace nereus {
namespace {

constexpr std::string_view kSpecial = "*_`\\";
constexpr std::string_view kEscapable = "*_`#\\";

bool is_word(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0; }
bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n'; }

size_t run_length(std::string_view text, size_t begin) {
    const size_t end = text.find_first_not_of(text[begin], begin);
    return (end == std::string_view::npos ? text.size() : end) - begin;
}

}  // namespace

void InlineStyler::begin_line() {
    if (!styles_.empty()) {
        out_.write_style(sgr::kReset);
    }
    styles_.clear();
    before_ = '\n';
}

void InlineStyler::push_style(std::string_view style) {
    styles_.push_back(style);
    out_.write_style(style);
}

void InlineStyler::pop_style() {
    styles_.pop_back();
    out_.write_style(sgr::kReset);
    for (const std::string_view style : styles_) {
        out_.write_style(style);
    }
}

void InlineStyler::write_text(std::string_view text) {
    if (!text.empty()) {
        out_.write(text);
        before_ = text.back();
    }
}

size_t InlineStyler::write(std::string_view text, bool line_complete) {
    size_t done = 0;
    while (done < text.size()) {
        const std::string_view rest = text.substr(done);
        const size_t n_plain = std::min(rest.find_first_of(kSpecial), rest.size());
        if (n_plain > 0) {
            write_text(rest.substr(0, n_plain));
            done += n_plain;
            continue;
        }
        const Span span = match(rest, line_complete);
        if (span.kind == Span::Kind::kNeedsMore) {
            break;
        }
        if (span.kind == Span::Kind::kSpan) {
            write_span(rest, span);
            done += 2 * span.n_marker + span.n_inner;
        } else if (rest[0] == '\\' && span.n_marker == 2) {
            write_text(rest.substr(1, 1));
            done += 2;
        } else {
            write_text(rest.substr(0, span.n_marker));
            done += span.n_marker;
        }
    }
    return done;
}

void InlineStyler::write_span(std::string_view text, const Span& span) {
    const std::string_view inner = text.substr(span.n_marker, span.n_inner);
    if (text[0] == '`') {
        push_style(sgr::kCyan);
        write_text(inner);
        pop_style();
    } else {
        const size_t n_styles = span.n_marker == 3 ? 2 : 1;
        push_style(span.n_marker == 1 ? sgr::kItalic : sgr::kBold);
        if (n_styles == 2) {
            push_style(sgr::kItalic);
        }
        before_ = text[0];
        write(inner, true);
        for (size_t i = 0; i < n_styles; ++i) {
            pop_style();
        }
    }
    before_ = text[0];
}

InlineStyler::Span InlineStyler::match(std::string_view text, bool complete) const {
    if (text[0] == '\\') {
        if (text.size() < 2) {
            return {complete ? Span::Kind::kText : Span::Kind::kNeedsMore, 1, 0};
        }
        return {Span::Kind::kText, kEscapable.find(text[1]) != std::string_view::npos ? 2U : 1U, 0};
    }
    return text[0] == '`' ? match_code(text, complete) : match_emphasis(text, complete);
}

InlineStyler::Span InlineStyler::match_code(std::string_view text, bool complete) const {
    const std::string_view window = text.substr(0, kSpanBytesMax);
    const bool whole = complete || window.size() == kSpanBytesMax;
    const size_t n = run_length(window, 0);
    for (size_t at = n; at < window.size();) {
        if (window[at] != '`') {
            ++at;
            continue;
        }
        const size_t run = run_length(window, at);
        const bool certain = at + run < window.size() || (complete && window.size() == text.size());
        if (run == n && certain) {
            return {Span::Kind::kSpan, n, at - n};
        }
        at += run;
    }
    return {whole ? Span::Kind::kText : Span::Kind::kNeedsMore, n, 0};
}

/// A simplification of CommonMark's flanking rules that never loses a marker: an opener is followed
/// by no space, and preceded by no ASCII letter or digit (so 2*3*4 and snake_case stay as they
/// are); its closer is the next run of the same length that is preceded by no space and, for "_",
/// followed by no letter or digit.
InlineStyler::Span InlineStyler::match_emphasis(std::string_view text, bool complete) const {
    const std::string_view window = text.substr(0, kSpanBytesMax);
    const bool whole = complete || window.size() == kSpanBytesMax;
    const size_t n = run_length(window, 0);
    if (n == window.size() && !whole) {
        return {Span::Kind::kNeedsMore, n, 0};
    }
    if (n > 3 || n == window.size() || is_space(window[n]) || is_word(before_)) {
        return {Span::Kind::kText, n, 0};
    }
    for (size_t at = n; at < window.size();) {
        if (window[at] != window[0]) {
            ++at;
            continue;
        }
        const size_t run = run_length(window, at);
        const size_t end = at + run;
        const bool at_border = end == window.size();
        const bool certain = !at_border || (complete && window.size() == text.size());
        const bool closes = run == n && !is_space(window[at - 1]) && certain &&
                            (window[0] == '*' || at_border || !is_word(window[end]));
        if (closes) {
            return {Span::Kind::kSpan, n, at - n};
        }
        at = end;
    }
    return {whole ? Span::Kind::kText : Span::Kind::kNeedsMore, n, 0};
}

}  // namespace nereus
