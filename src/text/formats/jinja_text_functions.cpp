#include "text/formats/jinja_text_functions.h"

#include <algorithm>

#include "base/unicode.h"

namespace nereus::jinja {
namespace {

constexpr auto kNone = std::string_view::npos;

bool is_letter(char32_t c) { return to_upper(c) != c || to_lower(c) != c; }

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

Result<Text> replace_text(const Text& text, const Text& old, const Text& fresh, int64_t count_max,
                          Budget& budget) {
    if (old.empty()) {
        return make_error(ErrorCode::kUnsupported, "replacing the empty string");
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

Result<std::vector<Value>> split_text_right(const Text& text, const Text& separator,
                                            int64_t max_splits, Budget& budget) {
    NEREUS_TRY(budget.spend_text(text.size()));
    if (separator.empty()) {
        return make_error(ErrorCode::kInvalidArgument, "split at an empty separator");
    }
    // std::string::rfind compares at every place; a step a place keeps long separators honest.
    NEREUS_TRY(budget.spend(static_cast<int64_t>(
        text.size() * std::min<size_t>(separator.size(), kBytesPerStep) / kBytesPerStep)));
    std::vector<Value> parts;
    size_t end = text.size();
    for (int64_t n = 0; (max_splits < 0 || n < max_splits) && end >= separator.size(); ++n) {
        const size_t hit = text.view().rfind(separator.view(), end - separator.size());
        if (hit == kNone) {
            break;
        }
        NEREUS_TRY(budget.spend());
        parts.emplace_back(text.slice(hit + separator.size(), end));
        end = hit;
    }
    parts.emplace_back(text.slice(0, end));
    std::reverse(parts.begin(), parts.end());
    return parts;
}

Result<std::vector<Value>> split_lines(const Text& text, Budget& budget) {
    NEREUS_TRY(budget.spend_text(text.size()));
    std::vector<Value> lines;
    for (size_t at = 0; at < text.size();) {
        NEREUS_TRY(budget.spend());
        const size_t end = std::min(text.bytes().find_first_of("\n\r", at), text.size());
        lines.emplace_back(text.slice(at, end));
        const bool is_pair = text.bytes().compare(end, 2, "\r\n") == 0;
        at = end + (is_pair ? 2 : 1);
    }
    return lines;
}

Text change_letters(const Text& text, Letters letters) {
    Text out;
    size_t at = 0;
    bool at_start = true;  // of the text, for kCapitalized; of a word, for kTitle
    for (const Text::Run& run : text.runs()) {
        std::string changed;
        while (at < run.end) {
            const std::string_view rest = text.view().substr(at, run.end - at);
            const CodePoint c = next_code_point(rest);
            const bool upper =
                letters == Letters::kUpper || (letters != Letters::kLower && at_start);
            if (upper && c.value == U'ß') {
                changed += "SS";  // the one common letter whose capital is two
            } else if (c.valid) {
                append_utf8(changed, upper ? to_upper(c.value) : to_lower(c.value));
            } else {
                changed += rest.substr(0, static_cast<size_t>(c.n_bytes));
            }
            at_start = letters == Letters::kTitle && !is_letter(c.value);
            at += static_cast<size_t>(c.n_bytes);
        }
        out.append(changed, run.trusted);
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
