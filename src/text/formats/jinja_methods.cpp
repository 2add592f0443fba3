// The methods of values: Python's, as far as chat templates use them. None changes its object.

#include <algorithm>

#include "text/formats/jinja_access.h"
#include "text/formats/jinja_filters.h"
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
    NEREUS_TRY(arguments.required(index, name));
    return arguments.text(index, name, "");
}

Result<Value> split(const Value& self, const Arguments& arguments, Budget& budget) {
    const auto separator = NEREUS_TRY(optional_text(arguments, 0, "sep"));
    const int64_t max_splits = NEREUS_TRY(arguments.integer(1, "maxsplit", -1));
    return make_list(NEREUS_TRY(split_text(*self.text(), separator, max_splits, budget)));
}

Result<Value> rsplit(const Value& self, const Arguments& arguments, Budget& budget) {
    const Text separator = NEREUS_TRY(needed_text(arguments, 0, "sep"));
    const int64_t max_splits = NEREUS_TRY(arguments.integer(1, "maxsplit", -1));
    return make_list(NEREUS_TRY(split_text_right(*self.text(), separator, max_splits, budget)));
}

Result<Value> splitlines(const Value& self, const Arguments&, Budget& budget) {
    return make_list(NEREUS_TRY(split_lines(*self.text(), budget)));
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

template <bool kAtStart>
Result<Value> has_affix(const Value& self, const Arguments& arguments, Budget& budget) {
    const Value wanted = NEREUS_TRY(arguments.required(0, "prefix"));
    const auto matches = [&](const Value& value) -> Result<bool> {
        if (value.text() == nullptr) {
            return make_error(ErrorCode::kInvalidArgument,
                              "startswith and endswith take strings, not {}", value.type_name());
        }
        NEREUS_TRY(budget.spend(value.extent().weight));
        return kAtStart ? self.text()->view().starts_with(value.text()->view())
                        : self.text()->view().ends_with(value.text()->view());
    };
    if (wanted.list() == nullptr) {
        return Value::boolean(NEREUS_TRY(matches(wanted)));
    }
    for (const Value& item : wanted.list()->items) {
        if (NEREUS_TRY(matches(item))) {
            return Value::boolean(true);
        }
    }
    return Value::boolean(false);
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

Result<Value> find(const Value& self, const Arguments& arguments, Budget& budget) {
    const Text wanted = NEREUS_TRY(needed_text(arguments, 0, "sub"));
    NEREUS_TRY(budget.spend_text(self.text()->size()));
    const size_t hit = find_bytes(self.text()->view(), wanted.view());
    return Value::integer(hit == std::string_view::npos ? -1
                                                        : static_cast<int64_t>(count_code_points(
                                                              self.text()->view().substr(0, hit))));
}

Result<Value> count(const Value& self, const Arguments& arguments, Budget& budget) {
    const Text wanted = NEREUS_TRY(needed_text(arguments, 0, "sub"));
    if (wanted.empty()) {
        return make_error(ErrorCode::kUnsupported, "counting the empty string");
    }
    const auto parts = NEREUS_TRY(split_text(*self.text(), wanted, -1, budget));
    return Value::integer(static_cast<int64_t>(parts.size()) - 1);
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

template <bool kKeys, bool kValues>
Result<Value> dict_parts(const Value& self, const Arguments&, Budget& budget) {
    NEREUS_TRY(budget.spend_list(static_cast<int64_t>(self.dict()->items.size())));
    std::vector<Value> parts;
    for (const auto& [key, value] : self.dict()->items) {
        if (kKeys && kValues) {
            parts.push_back(NEREUS_TRY(make_list({key, value}, true)));
        } else {
            parts.push_back(kKeys ? key : value);
        }
    }
    return make_list(std::move(parts));
}

Result<Value> get(const Value& self, const Arguments& arguments, Budget& budget) {
    const Value key = NEREUS_TRY(arguments.required(0, "key"));
    NEREUS_TRY(budget.spend(key.extent().weight));
    const Value* found = self.dict()->find(key);
    const Value* fallback = arguments.find(1, "default");
    return found != nullptr ? *found : fallback != nullptr ? *fallback : Value::none();
}

Result<Value> cycle(const Value& self, const Arguments& arguments, Budget&) {
    if (arguments.positional.empty()) {
        return make_error(ErrorCode::kInvalidArgument, "loop.cycle without arguments");
    }
    const auto at = static_cast<size_t>(self.loop()->index0) % arguments.positional.size();
    return arguments.positional[at];
}

constexpr Method kTextMethods[] = {
    {"split", split},
    {"rsplit", rsplit},
    {"splitlines", splitlines},
    {"strip", strip<true, true>},
    {"lstrip", strip<true, false>},
    {"rstrip", strip<false, true>},
    {"startswith", has_affix<true>},
    {"endswith", has_affix<false>},
    {"removeprefix", remove_affix<true>},
    {"removesuffix", remove_affix<false>},
    {"replace", replace},
    {"upper", letters<Letters::kUpper>},
    {"lower", letters<Letters::kLower>},
    {"title", letters<Letters::kTitle>},
    {"capitalize", letters<Letters::kCapitalized>},
    {"find", find},
    {"count", count},
    {"join", join},
    {"isdigit", is_digits},
};
constexpr Method kDictMethods[] = {
    {"items", dict_parts<true, true>},
    {"keys", dict_parts<true, false>},
    {"values", dict_parts<false, true>},
    {"get", get},
};
constexpr Method kLoopMethods[] = {{"cycle", cycle}};

template <size_t kSize>
const Method* find_row(const Method (&methods)[kSize], std::string_view name) {
    const auto* row = std::find_if(std::begin(methods), std::end(methods),
                                   [&](const Method& method) { return method.name == name; });
    return row == std::end(methods) ? nullptr : row;
}

}  // namespace

const Method* find_method(const Value& value, std::string_view name) {
    if (value.text() != nullptr) {
        return find_row(kTextMethods, name);
    }
    if (value.dict() != nullptr) {
        return find_row(kDictMethods, name);
    }
    return value.loop() != nullptr ? find_row(kLoopMethods, name) : nullptr;
}

}  // namespace nereus::jinja
