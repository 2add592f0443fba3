// The methods of texts: Python's str, as far as chat templates use it.

#include <algorithm>

#include "base/unicode.h"
#include "text/formats/jinja_access.h"
#include "text/formats/jinja_filters.h"
#include "text/formats/jinja_printf.h"
#include "text/formats/jinja_text_functions.h"

namespace nereus::jinja {
namespace {

/// An optional text argument: absent and none are the same.
Result<std::optional<Text>> optional_text(const Arguments& arguments, size_t index,
                                          std::string_view name) {
    const Value* value = arguments.find(index, name);
    if (value == nullptr || value->is_none()) {
        return std::optional<Text>();
    }
    return std::optional<Text>(NEREUS_TRY(arguments.text(index, name, "")));
}

Result<Text> needed_text(const Arguments& arguments, size_t index, std::string_view name) {
    const Value given = NEREUS_TRY(arguments.required(index, name));
    if (given.is_none()) {
        return make_error(ErrorCode::kInvalidArgument, "'{}' must be a string, not NoneType", name);
    }
    return arguments.text(index, name, "");
}

Result<Value> split(const Value& self, const Arguments& arguments, Budget& budget) {
    const auto separator = NEREUS_TRY(optional_text(arguments, 0, "sep"));
    const int64_t max_splits = NEREUS_TRY(arguments.integer(1, "maxsplit", -1));
    return make_list(NEREUS_TRY(split_text(*self.text(), separator, max_splits, budget)));
}

Result<Value> rsplit(const Value& self, const Arguments& arguments, Budget& budget) {
    const auto separator = NEREUS_TRY(optional_text(arguments, 0, "sep"));
    const int64_t max_splits = NEREUS_TRY(arguments.integer(1, "maxsplit", -1));
    return make_list(NEREUS_TRY(split_text_right(*self.text(), separator, max_splits, budget)));
}

Result<Value> splitlines(const Value& self, const Arguments& arguments, Budget& budget) {
    const bool keep_ends = arguments.truthy(0, "keepends", false);
    return make_list(NEREUS_TRY(split_lines(*self.text(), keep_ends, budget)));
}

template <bool kLeft, bool kRight>
Result<Value> strip(const Value& self, const Arguments& arguments, Budget& budget) {
    NEREUS_TRY(budget.spend_text(self.text()->size()));
    const auto characters = NEREUS_TRY(optional_text(arguments, 0, "chars"));
    if (characters) {
        NEREUS_TRY(budget.spend(static_cast<int64_t>(
            self.text()->size() * std::min(characters->size(), kOutputBytesMax) / 64)));
    }
    return Value(strip_text(*self.text(), characters, kLeft, kRight));
}

/// The part of a text that the arguments "start" and "end" at `index` choose, as a slice would.
struct Window {
    size_t begin = 0;      ///< in bytes
    size_t end = 0;        ///< in bytes; before begin where start lies behind the text
    int64_t n_before = 0;  ///< characters before begin
};
Result<Window> window_of(const Value& self, const Arguments& arguments, size_t index,
                         Budget& budget) {
    const Text& text = *self.text();
    NEREUS_TRY(budget.spend_text(text.size()));
    if (arguments.positional.size() <= index) {
        return Window{0, text.size(), 0};
    }
    const std::vector<size_t> offsets = code_point_offsets(text.view());
    const auto length = static_cast<int64_t>(offsets.size()) - 1;
    const auto place = [&](int64_t at) {
        return std::clamp<int64_t>(at < 0 ? std::max(at, -length) + length : at, 0, length + 1);
    };
    const int64_t start = place(NEREUS_TRY(arguments.integer(index, "start", 0)));
    const int64_t end =
        std::min(place(NEREUS_TRY(arguments.integer(index + 1, "end", length))), length);
    if (start > end) {
        return Window{1, 0, start};
    }
    return Window{offsets[static_cast<size_t>(start)], offsets[static_cast<size_t>(end)], start};
}

template <bool kAtStart>
Result<Value> has_affix(const Value& self, const Arguments& arguments, Budget& budget) {
    const Value wanted = NEREUS_TRY(arguments.required(0, "prefix"));
    const Window window = NEREUS_TRY(window_of(self, arguments, 1, budget));
    const bool is_empty = window.begin > window.end;
    const std::string_view text =
        is_empty ? "" : self.text()->view().substr(window.begin, window.end - window.begin);
    const auto matches = [&](const Value& value) -> Result<bool> {
        if (value.text() == nullptr) {
            return make_error(ErrorCode::kInvalidArgument,
                              "startswith and endswith take strings, not {}", value.type_name());
        }
        NEREUS_TRY(budget.spend(value.extent().weight));
        const std::string_view affix = value.text()->view();
        return !is_empty && (kAtStart ? text.starts_with(affix) : text.ends_with(affix));
    };
    if (wanted.list() == nullptr || !wanted.list()->is_tuple()) {
        return Value::boolean(NEREUS_TRY(matches(wanted)));
    }
    bool any = false;
    for (const Value& item : wanted.list()->items) {
        any = any || NEREUS_TRY(matches(item));
    }
    return Value::boolean(any);
}

template <bool kAtStart>
Result<Value> remove_affix(const Value& self, const Arguments& arguments, Budget& budget) {
    const Text affix = NEREUS_TRY(needed_text(arguments, 0, "prefix"));
    const Text& text = *self.text();
    NEREUS_TRY(budget.spend_text(text.size()));
    if (kAtStart ? !text.view().starts_with(affix.view()) : !text.view().ends_with(affix.view())) {
        return self;
    }
    return Value(kAtStart ? text.slice(affix.size(), text.size())
                          : text.slice(0, text.size() - affix.size()));
}

Result<Value> replace(const Value& self, const Arguments& arguments, Budget& budget) {
    const Text old = NEREUS_TRY(needed_text(arguments, 0, "old"));
    const Text fresh = NEREUS_TRY(needed_text(arguments, 1, "new"));
    const int64_t count = NEREUS_TRY(arguments.integer(2, "count", -1));
    return Value(NEREUS_TRY(replace_text(*self.text(), old, fresh, count, budget)));
}

template <Letters kLetters>
Result<Value> letters(const Value& self, const Arguments&, Budget& budget) {
    NEREUS_TRY(budget.spend_text(self.text()->size()));
    return Value(change_letters(*self.text(), kLetters));
}

/// Where a text stands, in characters; -1 or, for index and rindex, an error where it does not.
template <bool kFromLeft, bool kNeeded>
Result<Value> find(const Value& self, const Arguments& arguments, Budget& budget) {
    const Text wanted = NEREUS_TRY(needed_text(arguments, 0, "sub"));
    const Window window = NEREUS_TRY(window_of(self, arguments, 1, budget));
    size_t hit = std::string_view::npos;
    if (window.begin <= window.end) {
        const auto text = self.text()->view().substr(window.begin, window.end - window.begin);
        // rfind compares at every place; what it may cost is paid before.
        const size_t work = text.size() * std::min(wanted.size(), kBytesPerStep) / kBytesPerStep;
        NEREUS_TRY(budget.spend(static_cast<int64_t>(kFromLeft ? 0 : work)));
        hit = kFromLeft ? find_bytes(text, wanted.view()) : text.rfind(wanted.view());
        if (hit != std::string_view::npos) {
            const auto n = static_cast<int64_t>(count_code_points(text.substr(0, hit)));
            return Value::integer(window.n_before + n);
        }
    }
    return kNeeded ? Result<Value>(make_error(ErrorCode::kInvalidArgument,
                                              "'{}' is not found in the string", wanted.bytes()))
                   : Value::integer(-1);
}

Result<Value> count(const Value& self, const Arguments& arguments, Budget& budget) {
    const Text wanted = NEREUS_TRY(needed_text(arguments, 0, "sub"));
    const Window window = NEREUS_TRY(window_of(self, arguments, 1, budget));
    if (window.begin > window.end) {
        return Value::integer(0);
    }
    const auto text = self.text()->view().substr(window.begin, window.end - window.begin);
    if (wanted.empty()) {
        return Value::integer(static_cast<int64_t>(count_code_points(text)) + 1);
    }
    int64_t n = 0;
    for (size_t at = find_bytes(text, wanted.view()); at != std::string_view::npos;
         at = find_bytes(text, wanted.view(), at + wanted.size())) {
        ++n;
    }
    return Value::integer(n);
}

/// (before, separator, after) of its first or last place.
template <bool kFromLeft>
Result<Value> partition(const Value& self, const Arguments& arguments, Budget& budget) {
    const Text separator = NEREUS_TRY(needed_text(arguments, 0, "sep"));
    const auto parts = NEREUS_TRY(kFromLeft ? split_text(*self.text(), separator, 1, budget)
                                            : split_text_right(*self.text(), separator, 1, budget));
    if (parts.size() == 2) {
        return make_list({parts[0], Value(separator), parts[1]}, ListKind::kTuple);
    }
    const Value empty = Value::trusted("");
    return kFromLeft ? make_list({self, empty, empty}, ListKind::kTuple)
                     : make_list({empty, empty, self}, ListKind::kTuple);
}

template <Side kSide>
Result<Value> pad(const Value& self, const Arguments& arguments, Budget& budget) {
    NEREUS_TRY(arguments.required(0, "width"));
    const int64_t width = NEREUS_TRY(arguments.integer(0, "width", 0));
    const Text fill = NEREUS_TRY(arguments.text(1, "fillchar", " "));
    return Value(NEREUS_TRY(pad_text(*self.text(), width, kSide, fill, budget)));
}

Result<Value> zfill(const Value& self, const Arguments& arguments, Budget& budget) {
    const int64_t width = NEREUS_TRY(arguments.integer(0, "width", 0));
    const Text& text = *self.text();
    const bool is_signed = !text.empty() && (text.bytes()[0] == '-' || text.bytes()[0] == '+');
    const Text rest = text.slice(is_signed ? 1 : 0, text.size());
    const int64_t rest_width = std::max<int64_t>(width, 0) - (is_signed ? 1 : 0);
    Text out = text.slice(0, is_signed ? 1 : 0);
    out.append(NEREUS_TRY(pad_text(rest, rest_width, Side::kRight, Text("0", true), budget)));
    return Value(std::move(out));
}

Result<Value> format(const Value& self, const Arguments& arguments, Budget& budget) {
    return Value(NEREUS_TRY(format_braces(*self.text(), arguments, budget)));
}

Result<Value> join(const Value& self, const Arguments& arguments, Budget& budget) {
    const Value iterable = NEREUS_TRY(arguments.required(0, "iterable"));
    const auto items = NEREUS_TRY(iterate(iterable, budget));
    std::vector<Text> parts;
    for (const Value& item : items->items) {
        if (item.text() == nullptr) {
            return make_error(ErrorCode::kInvalidArgument, "join takes strings, not {}",
                              item.type_name());
        }
        parts.push_back(*item.text());
    }
    return Value(NEREUS_TRY(join_texts(parts, *self.text(), budget)));
}

Result<Value> is_digits(const Value& self, const Arguments&, Budget& budget) {
    NEREUS_TRY(budget.spend(self.extent().weight));
    const std::string& bytes = self.text()->bytes();
    const bool all =
        std::all_of(bytes.begin(), bytes.end(), [](char c) { return c >= '0' && c <= '9'; });
    return Value::boolean(!bytes.empty() && all);
}

Result<Value> is_space(const Value& self, const Arguments&, Budget& budget) {
    NEREUS_TRY(budget.spend(self.extent().weight));
    const Text& text = *self.text();
    return Value::boolean(!text.empty() &&
                          strip_spaces(text.view(), true, false).begin == text.size());
}

/// There are letters, and all have this case.
template <Letters kLetters>
Result<Value> has_letters(const Value& self, const Arguments&, Budget& budget) {
    NEREUS_TRY(budget.spend_text(self.text()->size()));
    const std::string& bytes = self.text()->bytes();
    return Value::boolean(change_letters(*self.text(), kLetters).bytes() == bytes &&
                          change_letters(*self.text(), Letters::kSwapped).bytes() != bytes);
}

constexpr Method kTextMethods[] = {
    {"split", "sep? maxsplit?", split, MarkupRule::kKeeps},
    {"rsplit", "sep? maxsplit?", rsplit, MarkupRule::kKeeps},
    {"splitlines", "keepends?", splitlines, MarkupRule::kKeeps},
    {"strip", "chars? /", strip<true, true>, MarkupRule::kKeeps},
    {"lstrip", "chars? /", strip<true, false>, MarkupRule::kKeeps},
    {"rstrip", "chars? /", strip<false, true>, MarkupRule::kKeeps},
    {"startswith", "prefix start? end? /", has_affix<true>},
    {"endswith", "suffix start? end? /", has_affix<false>},
    {"removeprefix", "prefix /", remove_affix<true>, MarkupRule::kKeeps},
    {"removesuffix", "suffix /", remove_affix<false>, MarkupRule::kKeeps},
    {"replace", "old new count? /", replace, MarkupRule::kEscapesLater},
    {"upper", "", letters<Letters::kUpper>, MarkupRule::kKeeps},
    {"lower", "", letters<Letters::kLower>, MarkupRule::kKeeps},
    {"title", "", letters<Letters::kTitle>, MarkupRule::kKeeps},
    {"capitalize", "", letters<Letters::kCapitalized>, MarkupRule::kKeeps},
    {"swapcase", "", letters<Letters::kSwapped>, MarkupRule::kKeeps},
    {"find", "sub start? end? /", find<true, false>},
    {"rfind", "sub start? end? /", find<false, false>},
    {"index", "sub start? end? /", find<true, true>},
    {"rindex", "sub start? end? /", find<false, true>},
    {"count", "sub start? end? /", count},
    {"join", "iterable /", join, MarkupRule::kEscapesItems},
    {"partition", "sep /", partition<true>, MarkupRule::kKeeps},
    {"rpartition", "sep /", partition<false>, MarkupRule::kKeeps},
    {"center", "width fillchar? /", pad<Side::kCenter>, MarkupRule::kEscapesLater},
    {"ljust", "width fillchar? /", pad<Side::kLeft>, MarkupRule::kEscapesLater},
    {"rjust", "width fillchar? /", pad<Side::kRight>, MarkupRule::kEscapesLater},
    {"zfill", "width /", zfill, MarkupRule::kKeeps},
    {"format", "* **", format, MarkupRule::kEscapesPrinted},
    {"isdigit", "", is_digits},
    {"isspace", "", is_space},
    {"isupper", "", has_letters<Letters::kUpper>},
    {"islower", "", has_letters<Letters::kLower>},
};

}  // namespace

const Method* find_text_method(std::string_view name) {
    const auto* row = std::find_if(std::begin(kTextMethods), std::end(kTextMethods),
                                   [&](const Method& method) { return method.name == name; });
    return row == std::end(kTextMethods) ? nullptr : row;
}

}  // namespace nereus::jinja
