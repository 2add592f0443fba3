#include "base/unicode.h"

#include <utf8proc.h>

#include <algorithm>
#include <utility>
#include <vector>

namespace nereus {
namespace {

/// Bytes announced by a leading byte; 0 when it cannot start a character.
int announced_length(uint8_t lead) {
    return lead < 0x80   ? 1
           : lead < 0xc2 ? 0
           : lead < 0xe0 ? 2
           : lead < 0xf0 ? 3
           : lead < 0xf5 ? 4
                         : 0;
}

/// Whether `second` may follow `lead` (excludes overlong forms, surrogates, above U+10FFFF).
bool second_byte_fits(uint8_t lead, uint8_t second) {
    const uint8_t low = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
    const uint8_t high = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
    return second >= low && second <= high;
}

/// Length of the longest prefix (at most `length`) that still can become a character.
int valid_prefix(std::string_view text, int length) {
    int n = 1;
    while (n < length && static_cast<size_t>(n) < text.size()) {
        const auto byte = static_cast<uint8_t>(text[static_cast<size_t>(n)]);
        const bool fits = n == 1 ? second_byte_fits(static_cast<uint8_t>(text[0]), byte)
                                 : (byte & 0xc0U) == 0x80U;
        if (!fits) {
            break;
        }
        ++n;
    }
    return n;
}

}  // namespace

CodePoint next_code_point(std::string_view text) {
    const auto lead = static_cast<uint8_t>(text[0]);
    const int length = announced_length(lead);
    if (length == 1) {
        return {lead, 1, true};
    }
    if (length == 0 || valid_prefix(text, length) != length) {
        return {};
    }
    char32_t value = lead & (0x7fU >> length);
    for (int i = 1; i < length; ++i) {
        value = (value << 6) | (static_cast<uint8_t>(text[static_cast<size_t>(i)]) & 0x3fU);
    }
    return {value, length, true};
}

void append_utf8(std::string& out, char32_t code_point) {
    utf8proc_uint8_t bytes[4];
    const auto n = utf8proc_encode_char(static_cast<utf8proc_int32_t>(code_point), bytes);
    out.append(reinterpret_cast<const char*>(bytes), static_cast<size_t>(n));
}

bool is_valid_utf8(std::string_view text) {
    while (!text.empty()) {
        const CodePoint point = next_code_point(text);
        if (!point.valid) {
            return false;
        }
        text.remove_prefix(static_cast<size_t>(point.n_bytes));
    }
    return true;
}

std::string replace_invalid_utf8(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    while (!text.empty()) {
        const CodePoint point = next_code_point(text);
        if (point.valid) {
            out.append(text.substr(0, static_cast<size_t>(point.n_bytes)));
        } else {
            append_utf8(out, kReplacement);
        }
        text.remove_prefix(static_cast<size_t>(point.n_bytes));
    }
    return out;
}

size_t incomplete_utf8_suffix(std::string_view text) {
    const size_t longest = std::min<size_t>(3, text.size());
    for (size_t n = 1; n <= longest; ++n) {
        const std::string_view tail = text.substr(text.size() - n);
        const int length = announced_length(static_cast<uint8_t>(tail[0]));
        if (length > static_cast<int>(n)) {
            return valid_prefix(tail, length) == static_cast<int>(n) ? n : 0;
        }
    }
    return 0;
}

namespace {

/// Sorts every run of combining marks by class, keeping the order within one. utf8proc_map does it
/// by swapping neighbours, which takes half a minute for 200 kB of two marks in turn. Not
/// std::stable_sort: clang warns of what libstdc++ 12 does inside it.
void order_marks(std::vector<utf8proc_int32_t>& points) {
    struct Mark {
        int combining_class;
        size_t place;
        utf8proc_int32_t point;
    };
    std::vector<Mark> marks;
    const auto write_back = [&](size_t end) {
        std::sort(marks.begin(), marks.end(), [](const Mark& a, const Mark& b) {
            return std::pair(a.combining_class, a.place) < std::pair(b.combining_class, b.place);
        });
        for (size_t i = 0; i < marks.size(); ++i) {
            points[end - marks.size() + i] = marks[i].point;
        }
        marks.clear();
    };
    for (size_t i = 0; i < points.size(); ++i) {
        const int combining_class = utf8proc_get_property(points[i])->combining_class;
        if (combining_class == 0) {
            write_back(i);
        } else {
            marks.push_back({combining_class, i, points[i]});
        }
    }
    write_back(points.size());
}

Error cannot_normalise(utf8proc_ssize_t code) {
    return make_error(ErrorCode::kInvalidArgument, "cannot normalise text: {}",
                      utf8proc_errmsg(code));
}

}  // namespace

Result<std::string> to_nfc(std::string_view text) {
    constexpr auto kDecompose =
        static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_DECOMPOSE);
    constexpr auto kCompose = static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE);
    constexpr utf8proc_ssize_t kPartsMax = 16;  // canonical decompositions have at most 4
    std::vector<utf8proc_int32_t> points;
    points.reserve(text.size() + kPartsMax);
    while (!text.empty()) {
        const CodePoint point = next_code_point(text);
        if (!point.valid) {
            return cannot_normalise(UTF8PROC_ERROR_INVALIDUTF8);
        }
        text.remove_prefix(static_cast<size_t>(point.n_bytes));
        utf8proc_int32_t parts[kPartsMax];
        int boundary = 0;
        const auto n = utf8proc_decompose_char(static_cast<utf8proc_int32_t>(point.value), parts,
                                               kPartsMax, kDecompose, &boundary);
        if (n < 0 || n > kPartsMax) {
            return cannot_normalise(n);
        }
        points.insert(points.end(), parts, parts + n);
    }
    order_marks(points);
    const auto n = utf8proc_normalize_utf32(points.data(),
                                            static_cast<utf8proc_ssize_t>(points.size()), kCompose);
    if (n < 0) {
        return cannot_normalise(n);
    }
    std::string out;
    for (utf8proc_ssize_t i = 0; i < n; ++i) {
        append_utf8(out, static_cast<char32_t>(points[static_cast<size_t>(i)]));
    }
    return out;
}

char32_t to_upper(char32_t code_point) {
    return static_cast<char32_t>(utf8proc_toupper(static_cast<utf8proc_int32_t>(code_point)));
}

char32_t to_lower(char32_t code_point) {
    return static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(code_point)));
}

bool is_white_space(char32_t code_point) {
    return (code_point >= 0x09 && code_point <= 0x0d) || code_point == 0x20 || code_point == 0x85 ||
           code_point == 0xa0 || code_point == 0x1680 ||
           (code_point >= 0x2000 && code_point <= 0x200a) || code_point == 0x2028 ||
           code_point == 0x2029 || code_point == 0x202f || code_point == 0x205f ||
           code_point == 0x3000;
}

bool is_word_character(char32_t code_point) {
    const utf8proc_category_t category =
        utf8proc_category(static_cast<utf8proc_int32_t>(code_point));
    return (category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_NL) ||
           category == UTF8PROC_CATEGORY_PC || code_point == 0x200c || code_point == 0x200d;
}

std::optional<int> decimal_digit(char32_t code_point) {
    const auto is_digit = [](char32_t c) {
        return utf8proc_category(static_cast<utf8proc_int32_t>(c)) == UTF8PROC_CATEGORY_ND;
    };
    if (!is_digit(code_point)) {
        return std::nullopt;
    }
    // Every script's ten stand in a row; where two scripts are neighbours, so do twenty.
    char32_t first = code_point;
    while (first > 0 && is_digit(first - 1)) {
        --first;
    }
    return static_cast<int>((code_point - first) % 10);
}

int column_width(char32_t code_point) {
    return utf8proc_charwidth(static_cast<utf8proc_int32_t>(code_point));
}

}  // namespace nereus
