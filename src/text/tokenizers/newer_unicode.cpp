#include "text/tokenizers/newer_unicode.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <iterator>

#include "base/check.h"
#include "base/unicode.h"

namespace nereus {
namespace {

enum NewerCategory : uint8_t { kLetter, kMark, kDigit, kNumber, kPunctuation, kSymbol };

struct NewerRange {
    uint32_t first;
    uint32_t last;
    NewerCategory category;
};

/// Assigned in Unicode 15.0, 15.1 or 16.0 (UnicodeData.txt of 16.0 against 14.0), sorted. All of
/// them take three or four bytes.
constexpr NewerRange kNewer[] = {
    {0x00897, 0x00897, kMark},        {0x00cf3, 0x00cf3, kMark},        {0x00ece, 0x00ece, kMark},
    {0x01b4e, 0x01b4f, kPunctuation}, {0x01b7f, 0x01b7f, kPunctuation}, {0x01c89, 0x01c8a, kLetter},
    {0x02427, 0x02429, kSymbol},      {0x02ffc, 0x02fff, kSymbol},      {0x031e4, 0x031e5, kSymbol},
    {0x031ef, 0x031ef, kSymbol},      {0x0a7cb, 0x0a7cd, kLetter},      {0x0a7da, 0x0a7dc, kLetter},
    {0x105c0, 0x105f3, kLetter},      {0x10d40, 0x10d49, kDigit},       {0x10d4a, 0x10d65, kLetter},
    {0x10d69, 0x10d6d, kMark},        {0x10d6e, 0x10d6e, kPunctuation}, {0x10d6f, 0x10d85, kLetter},
    {0x10d8e, 0x10d8f, kSymbol},      {0x10ec2, 0x10ec4, kLetter},      {0x10efc, 0x10eff, kMark},
    {0x1123f, 0x11240, kLetter},      {0x11241, 0x11241, kMark},        {0x11380, 0x11389, kLetter},
    {0x1138b, 0x1138b, kLetter},      {0x1138e, 0x1138e, kLetter},      {0x11390, 0x113b5, kLetter},
    {0x113b7, 0x113b7, kLetter},      {0x113b8, 0x113c0, kMark},        {0x113c2, 0x113c2, kMark},
    {0x113c5, 0x113c5, kMark},        {0x113c7, 0x113ca, kMark},        {0x113cc, 0x113d0, kMark},
    {0x113d1, 0x113d1, kLetter},      {0x113d2, 0x113d2, kMark},        {0x113d3, 0x113d3, kLetter},
    {0x113d4, 0x113d5, kPunctuation}, {0x113d7, 0x113d8, kPunctuation}, {0x113e1, 0x113e2, kMark},
    {0x116d0, 0x116e3, kDigit},       {0x11b00, 0x11b09, kPunctuation}, {0x11bc0, 0x11be0, kLetter},
    {0x11be1, 0x11be1, kPunctuation}, {0x11bf0, 0x11bf9, kDigit},       {0x11f00, 0x11f01, kMark},
    {0x11f02, 0x11f02, kLetter},      {0x11f03, 0x11f03, kMark},        {0x11f04, 0x11f10, kLetter},
    {0x11f12, 0x11f33, kLetter},      {0x11f34, 0x11f3a, kMark},        {0x11f3e, 0x11f42, kMark},
    {0x11f43, 0x11f4f, kPunctuation}, {0x11f50, 0x11f59, kDigit},       {0x11f5a, 0x11f5a, kMark},
    {0x1342f, 0x1342f, kLetter},      {0x13440, 0x13440, kMark},        {0x13441, 0x13446, kLetter},
    {0x13447, 0x13455, kMark},        {0x13460, 0x143fa, kLetter},      {0x16100, 0x1611d, kLetter},
    {0x1611e, 0x1612f, kMark},        {0x16130, 0x16139, kDigit},       {0x16d40, 0x16d6c, kLetter},
    {0x16d6d, 0x16d6f, kPunctuation}, {0x16d70, 0x16d79, kDigit},       {0x18cff, 0x18cff, kLetter},
    {0x1b132, 0x1b132, kLetter},      {0x1b155, 0x1b155, kLetter},      {0x1cc00, 0x1ccef, kSymbol},
    {0x1ccf0, 0x1ccf9, kDigit},       {0x1cd00, 0x1ceb3, kSymbol},      {0x1d2c0, 0x1d2d3, kNumber},
    {0x1df25, 0x1df2a, kLetter},      {0x1e030, 0x1e06d, kLetter},      {0x1e08f, 0x1e08f, kMark},
    {0x1e4d0, 0x1e4eb, kLetter},      {0x1e4ec, 0x1e4ef, kMark},        {0x1e4f0, 0x1e4f9, kDigit},
    {0x1e5d0, 0x1e5ed, kLetter},      {0x1e5ee, 0x1e5ef, kMark},        {0x1e5f0, 0x1e5f0, kLetter},
    {0x1e5f1, 0x1e5fa, kDigit},       {0x1e5ff, 0x1e5ff, kPunctuation}, {0x1f6dc, 0x1f6dc, kSymbol},
    {0x1f774, 0x1f776, kSymbol},      {0x1f77b, 0x1f77f, kSymbol},      {0x1f7d9, 0x1f7d9, kSymbol},
    {0x1f8b2, 0x1f8bb, kSymbol},      {0x1f8c0, 0x1f8c1, kSymbol},      {0x1fa75, 0x1fa77, kSymbol},
    {0x1fa87, 0x1fa89, kSymbol},      {0x1fa8f, 0x1fa8f, kSymbol},      {0x1faad, 0x1faaf, kSymbol},
    {0x1fabb, 0x1fabf, kSymbol},      {0x1fac6, 0x1fac6, kSymbol},      {0x1face, 0x1facf, kSymbol},
    {0x1fada, 0x1fadc, kSymbol},      {0x1fadf, 0x1fadf, kSymbol},      {0x1fae8, 0x1fae9, kSymbol},
    {0x1faf7, 0x1faf8, kSymbol},      {0x1fbcb, 0x1fbef, kSymbol},      {0x2b739, 0x2b739, kLetter},
    {0x2ebf0, 0x2ee5d, kLetter},      {0x31350, 0x323af, kLetter},
};

/// Older characters of each category, by kNewer's order of categories: one from U+0800..4DFF, one
/// from U+4E00..FFFF and one of four bytes, so that ranges written out in split patterns
/// (DeepSeek-LLM has U+0800-4E00) hold the stand-in exactly when they hold the newer character.
constexpr std::array<std::array<char32_t, 6>, 3> kStandIns = {{
    {0x0e01, 0x0e31, 0x0e50, 0x0f2a, 0x0e4f, 0x0e3f},
    {0xa7ca, 0xa8c4, 0xa8d0, 0xa830, 0xa8ce, 0xa836},
    {0x10000, 0x101fd, 0x104a0, 0x10107, 0x10100, 0x1f600},
}};

char32_t stand_in(char32_t point) {
    const auto* range = std::upper_bound(
        std::begin(kNewer), std::end(kNewer), point,
        [](char32_t value, const NewerRange& candidate) { return value < candidate.first; });
    if (range == std::begin(kNewer) || point > std::prev(range)->last) {
        return point;
    }
    const size_t plane = point < 0x4e00 ? 0 : point < 0x10000 ? 1 : 2;
    return kStandIns[plane][std::prev(range)->category];
}

}  // namespace

bool stand_in_for_newer(std::string_view text, std::string& shadow) {
    bool found = false;
    for (size_t at = 0; at < text.size();) {
        const auto lead = static_cast<uint8_t>(text[at]);
        if (lead < 0xe0) {  // one or two bytes: none of the newer characters
            at += lead < 0x80 ? 1 : 2;
            continue;
        }
        const CodePoint point = next_code_point(text.substr(at));
        const char32_t replacement = stand_in(point.value);
        if (replacement != point.value) {
            if (!found) {
                shadow.assign(text);
                found = true;
            }
            std::string bytes;
            append_utf8(bytes, replacement);
            NEREUS_CHECK(bytes.size() == static_cast<size_t>(point.n_bytes));
            shadow.replace(at, bytes.size(), bytes);
        }
        at += static_cast<size_t>(point.n_bytes);
    }
    return found;
}

}  // namespace nereus
