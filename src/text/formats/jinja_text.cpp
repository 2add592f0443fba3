#include "text/formats/jinja_text.h"

#include <string.h>

#include <algorithm>

#include "base/unicode.h"

namespace nereus::jinja {

Text::Text(std::string bytes, bool trusted) : bytes_(std::move(bytes)) {
    if (!bytes_.empty()) {
        runs_.push_back({bytes_.size(), trusted});
    }
}

Text Text::marked_as_html() const {
    Text out = *this;
    out.is_markup_ = true;
    return out;
}

bool Text::trusted() const {
    return std::all_of(runs_.begin(), runs_.end(), [](const Run& run) { return run.trusted; });
}

void Text::append(std::string_view bytes, bool trusted) {
    if (bytes.empty()) {
        return;
    }
    bytes_.append(bytes);
    if (runs_.empty() || runs_.back().trusted != trusted) {
        runs_.push_back({bytes_.size(), trusted});
    } else {
        runs_.back().end = bytes_.size();
    }
}

void Text::append(const Text& other) {
    size_t begin = 0;
    for (const Run& run : other.runs_) {
        append(other.view().substr(begin, run.end - begin), run.trusted);
        begin = run.end;
    }
}

Text Text::slice(size_t begin, size_t end) const {
    Text out;
    auto run = std::upper_bound(runs_.begin(), runs_.end(), begin,
                                [](size_t at, const Run& r) { return at < r.end; });
    for (; run != runs_.end() && begin < end; ++run) {
        const size_t stop = std::min(end, run->end);
        out.append(view().substr(begin, stop - begin), run->trusted);
        begin = stop;
    }
    return out;
}

bool is_python_space(char32_t c) {
    return (c >= 0x09 && c <= 0x0d) || (c >= 0x1c && c <= 0x20) || c == 0x85 || c == 0xa0 ||
           c == 0x1680 || (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 ||
           c == 0x202f || c == 0x205f || c == 0x3000;
}

bool is_python_printable(char32_t c) {
    struct Range {
        char32_t first, last;
    };
    // General categories Cc, Cf, Cs, Co, Zl, Zp and Zs but for the blank.
    static constexpr Range kHidden[] = {
        {0x00, 0x1f},       {0x7f, 0xa0},       {0xad, 0xad},       {0x600, 0x605},
        {0x61c, 0x61c},     {0x6dd, 0x6dd},     {0x70f, 0x70f},     {0x890, 0x891},
        {0x8e2, 0x8e2},     {0x1680, 0x1680},   {0x180e, 0x180e},   {0x2000, 0x200f},
        {0x2028, 0x202f},   {0x205f, 0x206f},   {0x3000, 0x3000},   {0xd800, 0xf8ff},
        {0xfeff, 0xfeff},   {0xfff9, 0xfffb},   {0x110bd, 0x110bd}, {0x110cd, 0x110cd},
        {0x13430, 0x1343f}, {0x1bca0, 0x1bca3}, {0x1d173, 0x1d17a}, {0xe0001, 0xe007f},
        {0xf0000, 0x10ffff}};
    return std::none_of(std::begin(kHidden), std::end(kHidden),
                        [c](const Range& range) { return c >= range.first && c <= range.last; });
}

Span strip_spaces(std::string_view text, bool left, bool right) {
    Span span{0, text.size()};
    while (left && span.begin < span.end) {
        const CodePoint first = next_code_point(text.substr(span.begin));
        if (!is_python_space(first.value)) {
            break;
        }
        span.begin += static_cast<size_t>(first.n_bytes);
    }
    while (right && span.begin < span.end) {
        size_t start = span.end - 1;
        while (start > span.begin && (static_cast<unsigned char>(text[start]) & 0xc0) == 0x80) {
            --start;
        }
        const CodePoint last = next_code_point(text.substr(start, span.end - start));
        if (static_cast<size_t>(last.n_bytes) != span.end - start || !is_python_space(last.value)) {
            break;
        }
        span.end = start;
    }
    return span;
}

std::vector<size_t> code_point_offsets(std::string_view text) {
    std::vector<size_t> offsets;
    offsets.reserve(text.size() + 1);
    for (size_t at = 0; at < text.size();
         at += static_cast<size_t>(next_code_point(text.substr(at)).n_bytes)) {
        offsets.push_back(at);
    }
    offsets.push_back(text.size());
    return offsets;
}

size_t count_code_points(std::string_view text) {
    size_t n = 0;
    for (size_t at = 0; at < text.size(); ++n) {
        at += static_cast<size_t>(next_code_point(text.substr(at)).n_bytes);
    }
    return n;
}

size_t find_bytes(std::string_view text, std::string_view needle, size_t from) {
    if (from > text.size()) {
        return std::string_view::npos;
    }
    if (needle.empty()) {
        return from;
    }
    const void* hit = memmem(text.data() + from, text.size() - from, needle.data(), needle.size());
    return hit == nullptr ? std::string_view::npos
                          : static_cast<size_t>(static_cast<const char*>(hit) - text.data());
}

}  // namespace nereus::jinja
