#include "text/tokenizers/nfc.h"

#include <algorithm>
#include <iterator>

#include "base/check.h"
#include "base/unicode.h"

namespace nereus {
namespace {

struct PointRange {
    char32_t first;
    char32_t last;
};

/// Combining characters and compositions added after Unicode 9. The reference normalises by the
/// tables of Unicode 9, where these are unassigned and take part in nothing; utf8proc knows 15.
/// (Found by normalising U+0345 followed by every code point with both.) And U+11A7, which composes
/// with nothing, but which utf8proc 2.8 takes for the first of the trailing Hangul letters.
constexpr PointRange kUnknownToReference[] = {
    {0x7fd, 0x7fd},     {0x898, 0x89f},     {0x8ca, 0x8d3},     {0x9fe, 0x9fe},
    {0xc3c, 0xc3c},     {0xd3b, 0xd3c},     {0xeba, 0xeba},     {0x11a7, 0x11a7},
    {0x1715, 0x1715},   {0x1abf, 0x1ace},   {0x1df6, 0x1dfa},   {0xa82c, 0xa82c},
    {0x10d24, 0x10d27}, {0x10eab, 0x10eac}, {0x10efd, 0x10eff}, {0x10f46, 0x10f50},
    {0x10f82, 0x10f85}, {0x11070, 0x11070}, {0x1133b, 0x1133b}, {0x1145e, 0x1145e},
    {0x11839, 0x1183a}, {0x11930, 0x11930}, {0x11935, 0x11935}, {0x11938, 0x11938},
    {0x1193d, 0x1193e}, {0x11943, 0x11943}, {0x119e0, 0x119e0}, {0x11a34, 0x11a34},
    {0x11a47, 0x11a47}, {0x11a99, 0x11a99}, {0x11d42, 0x11d42}, {0x11d44, 0x11d45},
    {0x11d97, 0x11d97}, {0x11f41, 0x11f42}, {0x16ff0, 0x16ff1}, {0x1e08f, 0x1e08f},
    {0x1e130, 0x1e136}, {0x1e2ae, 0x1e2ae}, {0x1e2ec, 0x1e2ef}, {0x1e4ec, 0x1e4ef},
};

/// Code points that are in NFC whatever stands beside them in a run of only such: the bulk of
/// European, Chinese, Japanese and Korean text, for which nothing need be composed.
constexpr PointRange kStable[] = {
    {0x0, 0x2ff},     {0x400, 0x482},   {0x2010, 0x2027}, {0x3001, 0x3098},   {0x309b, 0x30ff},
    {0x4e00, 0x9fff}, {0xac00, 0xd7a3}, {0xff01, 0xff5e}, {0x1f300, 0x1faff},
};

template <size_t N>
bool in_table(const PointRange (&table)[N], char32_t point) {
    const auto* range =
        std::upper_bound(std::begin(table), std::end(table), point,
                         [](char32_t value, const PointRange& row) { return value < row.first; });
    return range != std::begin(table) && point <= std::prev(range)->last;
}

void append_composed(std::string& out, std::string_view text) {
    const Result<std::string> composed = to_nfc(text);
    NEREUS_CHECK(composed.ok());  // the text is valid UTF-8
    out += *composed;
}

/// A run that begins with a character nothing before it can combine with, and that no character
/// after it can combine with.
void append_run(std::string& out, std::string_view run) {
    bool stable = true;
    size_t done = 0;
    for (size_t at = 0; at < run.size();) {
        const CodePoint point = next_code_point(run.substr(at));
        const auto n = static_cast<size_t>(point.n_bytes);
        if (in_table(kUnknownToReference, point.value)) {
            append_composed(out, run.substr(done, at - done));
            out += run.substr(at, n);
            done = at + n;
        }
        stable = stable && in_table(kStable, point.value);
        at += n;
    }
    if (stable) {
        out += run;
    } else {
        append_composed(out, run.substr(done));
    }
}

bool is_ascii(char c) { return static_cast<uint8_t>(c) < 0x80; }

}  // namespace

std::string normalize_nfc(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    while (!text.empty()) {
        // ASCII composes with nothing before it: cut in front of the last ASCII character.
        const auto other = std::find_if_not(text.begin(), text.end(), is_ascii);
        auto n = static_cast<size_t>(other - text.begin());
        const bool at_end = other == text.end();
        n -= !at_end && n > 0 ? 1 : 0;
        out += text.substr(0, n);
        text.remove_prefix(n);
        if (text.empty()) {
            break;
        }
        const auto from = text.begin() + (is_ascii(text[0]) ? 1 : 0);
        n = static_cast<size_t>(std::find_if(from, text.end(), is_ascii) - text.begin());
        append_run(out, text.substr(0, n));
        text.remove_prefix(n);
    }
    return out;
}

}  // namespace nereus
