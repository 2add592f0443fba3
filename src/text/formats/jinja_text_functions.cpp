#include "text/formats/jinja_text_functions.h"

#include <algorithm>

#include "base/unicode.h"

namespace nereus::jinja {
namespace {

constexpr auto kNone = std::string_view::npos;

/// Letters whose capital is more than one letter: Unicode's SpecialCasing, the unconditional rows
/// that living text has. The title form capitalises the first letter only.
struct SpecialCapital {
    char32_t letter;
    std::string_view upper;
    std::string_view title;
};
constexpr SpecialCapital kSpecialCapitals[] = {
    {U'ß', "SS", "Ss"},
    {U'ŉ', "ʼN", "ʼN"},
    {U'ǰ', "J̌", "J̌"},
    {U'\ufb00', "FF", "Ff"},
    {U'\ufb01', "FI", "Fi"},
    {U'\ufb02', "FL", "Fl"},
    {U'\ufb03', "FFI", "Ffi"},
    {U'\ufb04', "FFL", "Ffl"},
    {U'\ufb05', "ST", "St"},
    {U'\ufb06', "ST", "St"},
    {U'\u01c4', "\u01c4", "\u01c5"},
    {U'\u01c6', "\u01c4", "\u01c5"},
    {U'\u01c7', "\u01c7", "\u01c8"},
    {U'\u01c9', "\u01c7", "\u01c8"},
    {U'\u01ca', "\u01ca", "\u01cb"},
    {U'\u01cc', "\u01ca", "\u01cb"},
};

const SpecialCapital* special_capital(char32_t c) {
    const auto* row = std::find_if(std::begin(kSpecialCapitals), std::end(kSpecialCapitals),
                                   [c](const SpecialCapital& one) { return one.letter == c; });
    return row == std::end(kSpecialCapitals) ? nullptr : row;
}

/// A letter that has a case.
bool is_letter(char32_t c) {
    return to_upper(c) != c || to_lower(c) != c || special_capital(c) != nullptr;
}

}  // namespace

Text strip_text(const Text& text, const std::optional<Text>& characters, bool left, bool right) {
    if (!characters) {
        const Span span = strip_spaces(text.view(), left, right);
        return text.slice(span.begin, span.end);
    }
    const std::vector<size_t> offsets = code_point_offsets(text.view());
    const auto is_outer = [&](size_t i) {
        const auto c = text.view().substr(offsets[i], offsets[i + 1] - offsets[i]);
        return characters->bytes().find(c) != std::string::npos;
    };
    size_t begin = 0;
    size_t end = offsets.size() - 1;
    while (left && begin < end && is_outer(begin)) {
        ++begin;
    }
    while (right && begin < end && is_outer(end - 1)) {
        --end;
    }
    return text.slice(offsets[begin], offsets[end]);
}

namespace {

/// 'ab'.replace('', '-') is '-a-b-'.
Result<Text> replace_between(const Text& text, const Text& fresh, int64_t count_max,
                             Budget& budget) {
    NEREUS_TRY(budget.spend_text(text.size()));
    const std::vector<size_t> offsets = code_point_offsets(text.view());
    const size_t n_places = offsets.size();
    const size_t n = count_max < 0 ? n_places : std::min(static_cast<size_t>(count_max), n_places);
    NEREUS_TRY(budget.spend(static_cast<int64_t>(n)));
    NEREUS_TRY(budget.spend_text(text.size() + n * std::min(fresh.size(), kOutputBytesMax)));
    Text out;
    for (size_t i = 0; i < n; ++i) {
        out.append(fresh);
        out.append(text.slice(offsets[i], offsets[std::min(i + 1, n_places - 1)]));
    }
    out.append(text.slice(offsets[std::min(n, n_places - 1)], text.size()));
    return out;
}

}  // namespace

Result<Text> replace_text(const Text& text, const Text& old, const Text& fresh, int64_t count_max,
                          Budget& budget) {
    if (old.empty()) {
        return replace_between(text, fresh, count_max, budget);
    }
    NEREUS_TRY(budget.spend_text(text.size()));
    Text out;
    size_t at = 0;
    for (int64_t n = 0; count_max < 0 || n < count_max; ++n) {
        const size_t hit = find_bytes(text.view(), old.view(), at);
        if (hit == kNone) {
            break;
        }
        NEREUS_TRY(budget.spend());
        NEREUS_TRY(budget.spend(static_cast<int64_t>(fresh.size() / kBytesPerStep)));
        out.append(text.slice(at, hit));
        out.append(fresh);
        if (out.size() > kOutputBytesMax) {
            return budget.spend_text(out.size()).error();
        }
        at = hit + old.size();
    }
    out.append(text.slice(at, text.size()));
    return out;
}

namespace {

Result<std::vector<Value>> split_at_spaces(const Text& text, int64_t max_splits, Budget& budget) {
    std::vector<Value> parts;
    size_t at = strip_spaces(text.view(), true, false).begin;
    while (at < text.size()) {
        NEREUS_TRY(budget.spend());
        size_t end = at;
        while (end < text.size()) {
            const CodePoint next = next_code_point(text.view().substr(end));
            if (is_python_space(next.value)) {
                break;
            }
            end += static_cast<size_t>(next.n_bytes);
        }
        if (max_splits >= 0 && static_cast<int64_t>(parts.size()) == max_splits) {
            parts.emplace_back(text.slice(at, text.size()));  // the rest, blanks included
            break;
        }
        parts.emplace_back(text.slice(at, end));
        at = end + strip_spaces(text.view().substr(end), true, false).begin;
    }
    return parts;
}

}  // namespace

Result<std::vector<Value>> split_text(const Text& text, const std::optional<Text>& separator,
                                      int64_t max_splits, Budget& budget) {
    NEREUS_TRY(budget.spend_text(text.size()));
    if (!separator) {
        return split_at_spaces(text, max_splits, budget);
    }
    if (separator->empty()) {
        return make_error(ErrorCode::kInvalidArgument, "split at an empty separator");
    }
    std::vector<Value> parts;
    size_t at = 0;
    for (int64_t n = 0; max_splits < 0 || n < max_splits; ++n) {
        const size_t hit = find_bytes(text.view(), separator->view(), at);
        if (hit == kNone) {
            break;
        }
        NEREUS_TRY(budget.spend());
        parts.emplace_back(text.slice(at, hit));
        at = hit + separator->size();
    }
    parts.emplace_back(text.slice(at, text.size()));
    return parts;
}

namespace {

/// The same at runs of whitespace, from the right.
Result<std::vector<Value>> split_at_spaces_right(const Text& text, int64_t max_splits,
                                                 Budget& budget) {
    const std::vector<Value> words = NEREUS_TRY(split_at_spaces(text, -1, budget));
    const auto n_words = static_cast<int64_t>(words.size());
    if (max_splits < 0 || n_words <= max_splits) {
        return words;
    }
    // Everything before the last max_splits words is one part, with the blanks inside it.
    size_t end = strip_spaces(text.view(), false, true).end;
    for (int64_t i = n_words; i-- > n_words - max_splits;) {
        end -= words[static_cast<size_t>(i)].text()->size();
        end = strip_spaces(text.view().substr(0, end), false, true).end;
    }
    std::vector<Value> parts{Value(text.slice(0, end))};
    parts.insert(parts.end(), words.end() - static_cast<std::ptrdiff_t>(max_splits), words.end());
    return parts;
}

}  // namespace

Result<std::vector<Value>> split_text_right(const Text& text, const std::optional<Text>& separator,
                                            int64_t max_splits, Budget& budget) {
    NEREUS_TRY(budget.spend_text(text.size()));
    if (!separator) {
        return split_at_spaces_right(text, max_splits, budget);
    }
    if (separator->empty()) {
        return make_error(ErrorCode::kInvalidArgument, "split at an empty separator");
    }
    // std::string::rfind compares at every place; a step a place keeps long separators honest.
    NEREUS_TRY(budget.spend(static_cast<int64_t>(
        text.size() * std::min<size_t>(separator->size(), kBytesPerStep) / kBytesPerStep)));
    std::vector<Value> parts;
    size_t end = text.size();
    for (int64_t n = 0; (max_splits < 0 || n < max_splits) && end >= separator->size(); ++n) {
        const size_t hit = text.view().rfind(separator->view(), end - separator->size());
        if (hit == kNone) {
            break;
        }
        NEREUS_TRY(budget.spend());
        parts.emplace_back(text.slice(hit + separator->size(), end));
        end = hit;
    }
    parts.emplace_back(text.slice(0, end));
    std::reverse(parts.begin(), parts.end());
    return parts;
}

Result<std::vector<Value>> split_lines(const Text& text, bool keep_ends, Budget& budget) {
    static constexpr std::u32string_view kLineEnds = U"\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029";
    NEREUS_TRY(budget.spend_text(text.size()));
    std::vector<Value> lines;
    size_t begin = 0;
    for (size_t at = 0; at < text.size();) {
        const CodePoint c = next_code_point(text.view().substr(at));
        const size_t end = at;
        at += static_cast<size_t>(c.n_bytes);
        if (!c.valid || kLineEnds.find(c.value) == std::u32string_view::npos) {
            continue;
        }
        at += c.value == '\r' && at < text.size() && text.bytes()[at] == '\n' ? 1 : 0;
        NEREUS_TRY(budget.spend());
        lines.emplace_back(text.slice(begin, keep_ends ? at : end));
        begin = at;
    }
    if (begin < text.size()) {
        lines.emplace_back(text.slice(begin, text.size()));
    }
    return lines;
}

namespace {

void append_upper(std::string& out, char32_t c, bool title) {
    if (const SpecialCapital* special = special_capital(c)) {
        out += title ? special->title : special->upper;
    } else {
        append_utf8(out, to_upper(c));
    }
}

/// A sigma at the end of a word is written ς: behind a letter and before none.
bool is_final_sigma(std::string_view before, std::string_view after) {
    size_t start = before.size();
    while (start > 0 && (static_cast<unsigned char>(before[--start]) & 0xc0) == 0x80) {
    }
    return !before.empty() && is_letter(next_code_point(before.substr(start)).value) &&
           (after.empty() || !is_letter(next_code_point(after).value));
}

void append_lower(std::string& out, std::string_view text, size_t at, CodePoint c) {
    if (c.value == U'İ') {
        out += "i̇";
    } else if (c.value == U'Σ' &&
               is_final_sigma(text.substr(0, at),
                              text.substr(at + static_cast<size_t>(c.n_bytes)))) {
        out += "ς";
    } else {
        append_utf8(out, to_lower(c.value));
    }
}

/// Whether the next letter begins a word.
bool starts_word(Letters letters, char32_t previous) {
    static constexpr std::u32string_view kBeforeWords = U"-({[<";
    if (letters == Letters::kTitle) {
        return !is_letter(previous);
    }
    return letters == Letters::kTitleWords &&
           (is_python_space(previous) || kBeforeWords.find(previous) != std::u32string_view::npos);
}

}  // namespace

Text change_letters(const Text& text, Letters letters) {
    Text out;
    size_t at = 0;
    bool at_start = true;  // of the text, for kCapitalized; of a word, for the titles
    for (const Text::Run& run : text.runs()) {
        std::string changed;
        while (at < run.end) {
            const CodePoint c = next_code_point(text.view().substr(at, run.end - at));
            const bool swaps = letters == Letters::kSwapped && to_lower(c.value) == c.value;
            const bool starts =
                at_start && letters != Letters::kLower && letters != Letters::kSwapped;
            if (!c.valid) {
                changed += text.view().substr(at, static_cast<size_t>(c.n_bytes));
            } else if (letters == Letters::kUpper || swaps || starts) {
                const bool title = letters == Letters::kTitle || letters == Letters::kCapitalized;
                append_upper(changed, c.value, title);
            } else {
                append_lower(changed, text.view(), at, c);
            }
            at_start = starts_word(letters, c.value);
            at += static_cast<size_t>(c.n_bytes);
        }
        out.append(changed, run.trusted);
    }
    return out;
}

Result<Text> pad_text(const Text& text, int64_t width, Side side, const Text& fill,
                      Budget& budget) {
    if (count_code_points(fill.view()) != 1) {
        return make_error(ErrorCode::kInvalidArgument, "the fill is one character");
    }
    const auto length = static_cast<int64_t>(count_code_points(text.view()));
    const int64_t missing = std::max<int64_t>(width - length, 0);
    NEREUS_TRY(budget.spend_text(text.size() + fill.size() * static_cast<size_t>(std::min<int64_t>(
                                                                 missing, kOutputBytesMax + 1))));
    NEREUS_TRY(budget.spend(missing / 16));
    // Python's center puts the odd blank on the left when the width is odd.
    const int64_t left = side == Side::kLeft    ? 0
                         : side == Side::kRight ? missing
                                                : missing / 2 + (missing & width & 1);
    Text out;
    for (int64_t i = 0; i < left; ++i) {
        out.append(fill);
    }
    out.append(text);
    for (int64_t i = left; i < missing; ++i) {
        out.append(fill);
    }
    return out;
}

Result<Text> join_texts(const std::vector<Text>& parts, const Text& separator, Budget& budget) {
    Text out;
    for (size_t i = 0; i < parts.size(); ++i) {
        NEREUS_TRY(budget.spend(
            static_cast<int64_t>((parts[i].size() + separator.size()) / kBytesPerStep) + 1));
        if (i > 0) {
            out.append(separator);
        }
        out.append(parts[i]);
        if (out.size() > kOutputBytesMax) {
            return budget.spend_text(out.size()).error();
        }
    }
    return out;
}

}  // namespace nereus::jinja
