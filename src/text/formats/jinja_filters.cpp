#include "text/formats/jinja_filters.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "text/formats/jinja_list_filters.h"
#include "text/formats/jinja_text_functions.h"
#include "text/formats/python_json.h"

namespace nereus::jinja {
namespace {

Result<Value> tojson(const Value& input, const Arguments& arguments, Budget& budget) {
    if (arguments.find(SIZE_MAX, "separators") != nullptr ||
        arguments.truthy(SIZE_MAX, "sort_keys", false)) {
        return make_error(ErrorCode::kUnsupported, "tojson with separators or sort_keys");
    }
    const Value* given = arguments.find(0, "indent");
    std::optional<int> indent;
    if (given != nullptr && !given->is_none()) {
        const int64_t wanted = NEREUS_TRY(arguments.integer(0, "indent", 0));
        indent = static_cast<int>(std::clamp<int64_t>(wanted, 0, 16));
    }
    const Json json = NEREUS_TRY(json_from_value(input, budget));
    // Escapes and 16 blanks a level can grow a value sixfold and more; pay before writing.
    NEREUS_TRY(budget.spend(input.extent().weight * (indent ? 8 : 1)));
    std::string text = python_json(json, indent);
    NEREUS_TRY(budget.spend_text(text.size()));
    return Value(Text(std::move(text), input.extent().trusted));
}

Result<Value> from_json(const Value& input, const Arguments&, Budget& budget) {
    if (input.text() == nullptr) {
        return make_error(ErrorCode::kInvalidArgument, "from_json reads a string, not {}",
                          input.type_name());
    }
    // A byte of JSON can become a value of a hundred bytes.
    NEREUS_TRY(budget.spend(static_cast<int64_t>(input.text()->size() / 4)));
    const Json json = NEREUS_TRY(parse_json(input.text()->view(), "from_json"));
    return value_from_json(json, input.text()->trusted() ? Trust::kAll : Trust::kNone);
}

Result<Value> trim(const Value& input, const Arguments& arguments, Budget& budget) {
    const Text text = NEREUS_TRY(to_text(input, budget));
    std::optional<Text> characters;
    if (const Value* given = arguments.find(0, "chars"); given != nullptr && !given->is_none()) {
        characters = NEREUS_TRY(arguments.text(0, "chars", ""));
        NEREUS_TRY(budget.spend(static_cast<int64_t>(
            text.size() * std::min(characters->size(), kOutputBytesMax) / 64)));
    }
    return Value(strip_text(text, characters, true, true));
}

Result<Value> length(const Value& input, const Arguments&, Budget& budget) {
    if (const Text* text = input.text()) {
        NEREUS_TRY(budget.spend(input.extent().weight));
        return Value::integer(static_cast<int64_t>(count_code_points(text->view())));
    }
    if (const List* list = input.list()) {
        return Value::integer(static_cast<int64_t>(list->items.size()));
    }
    if (const Dict* dict = input.dict()) {
        return Value::integer(static_cast<int64_t>(dict->items.size()));
    }
    if (input.is_undefined()) {
        return Value::integer(0);
    }
    return make_error(ErrorCode::kInvalidArgument, "{} has no length", input.type_name());
}

Result<Value> replace(const Value& input, const Arguments& arguments, Budget& budget) {
    const Text text = NEREUS_TRY(to_text(input, budget));
    const Text old = NEREUS_TRY(arguments.text(0, "old", ""));
    const Text fresh = NEREUS_TRY(arguments.text(1, "new", ""));
    const int64_t count = NEREUS_TRY(arguments.integer(2, "count", -1));
    return Value(NEREUS_TRY(replace_text(text, old, fresh, count, budget)));
}

template <Letters kLetters>
Result<Value> letters(const Value& input, const Arguments&, Budget& budget) {
    return Value(change_letters(NEREUS_TRY(to_text(input, budget)), kLetters));
}

Result<Value> fall_back(const Value& input, const Arguments& arguments, Budget&) {
    const Value* fallback = arguments.find(0, "default_value");
    const bool also_false = arguments.truthy(1, "boolean", false);
    if (!input.is_undefined() && (!also_false || input.truthy())) {
        return input;
    }
    return fallback != nullptr ? *fallback : Value::trusted("");
}

Result<Value> items(const Value& input, const Arguments&, Budget& budget) {
    if (input.is_undefined()) {
        return make_list({});
    }
    if (input.dict() == nullptr) {
        return make_error(ErrorCode::kInvalidArgument, "items of a dict, not of {}",
                          input.type_name());
    }
    NEREUS_TRY(budget.spend_list(static_cast<int64_t>(input.dict()->items.size())));
    std::vector<Value> pairs;
    for (const auto& [key, value] : input.dict()->items) {
        pairs.push_back(NEREUS_TRY(make_list({key, value}, true)));
    }
    return make_list(std::move(pairs));
}

Result<Value> string(const Value& input, const Arguments&, Budget& budget) {
    return input.text() != nullptr ? input : Value(NEREUS_TRY(to_text(input, budget)));
}

/// The number a text spells, the whole of it but for outer blanks.
std::optional<double> parse_number(const Text& text) {
    const Span span = strip_spaces(text.view(), true, true);
    const char* begin = text.bytes().data() + span.begin;
    const char* end = text.bytes().data() + span.end;
    begin += begin != end && *begin == '+' ? 1 : 0;
    double number = 0;
    const auto parsed = std::from_chars(begin, end, number);
    return parsed.ec == std::errc() && parsed.ptr == end ? std::optional(number) : std::nullopt;
}

Result<Value> to_integer(const Value& input, const Arguments& arguments, Budget&) {
    if (input.as_integer()) {
        return Value::integer(*input.as_integer());
    }
    const std::optional<double> number =
        input.text() != nullptr ? parse_number(*input.text()) : input.as_number();
    if (number && std::abs(*number) < 0x1p63) {
        return Value::integer(static_cast<int64_t>(*number));
    }
    const Value* fallback = arguments.find(0, "default");
    return fallback != nullptr ? *fallback : Value::integer(0);
}

Result<Value> to_float(const Value& input, const Arguments& arguments, Budget&) {
    const std::optional<double> number =
        input.text() != nullptr ? parse_number(*input.text()) : input.as_number();
    if (number) {
        return Value::real(*number);
    }
    const Value* fallback = arguments.find(0, "default");
    return fallback != nullptr ? *fallback : Value::real(0);
}

Result<Value> absolute(const Value& input, const Arguments&, Budget&) {
    if (const auto integer = input.as_integer(); integer && *integer != INT64_MIN) {
        return Value::integer(std::abs(*integer));
    }
    if (const double* real = input.get<double>()) {
        return Value::real(std::abs(*real));
    }
    return make_error(ErrorCode::kInvalidArgument, "abs of {}", input.type_name());
}

Result<Value> round(const Value& input, const Arguments& arguments, Budget&) {
    const int64_t digits = NEREUS_TRY(arguments.integer(0, "precision", 0));
    const Text method = NEREUS_TRY(arguments.text(1, "method", "common"));
    if (!input.as_number()) {
        return make_error(ErrorCode::kInvalidArgument, "round of {}", input.type_name());
    }
    const double scale = std::pow(10.0, static_cast<double>(std::clamp<int64_t>(digits, -18, 18)));
    const double scaled = *input.as_number() * scale;
    const double rounded = method.bytes() == "ceil"    ? std::ceil(scaled)
                           : method.bytes() == "floor" ? std::floor(scaled)
                                                       : std::nearbyint(scaled);
    return Value::real(rounded / scale);
}

Result<Value> indent(const Value& input, const Arguments& arguments, Budget& budget) {
    const Text text = NEREUS_TRY(to_text(input, budget));
    const int64_t width = NEREUS_TRY(arguments.integer(0, "width", 4));
    const bool first = arguments.truthy(1, "first", false);
    const bool blank = arguments.truthy(2, "blank", false);
    const Text pad(std::string(static_cast<size_t>(std::clamp<int64_t>(width, 0, 256)), ' '), true);
    const auto lines = NEREUS_TRY(split_text(text, Text("\n", true), -1, budget));
    std::vector<Text> padded;
    for (size_t i = 0; i < lines.size(); ++i) {
        NEREUS_TRY(budget.spend());
        const Text& line = *lines[i].text();
        Text out;
        if ((i > 0 || first) && (blank || !line.empty() || (i == 0 && first))) {
            out.append(pad);
        }
        out.append(line);
        padded.push_back(std::move(out));
    }
    return Value(NEREUS_TRY(join_texts(padded, Text("\n", true), budget)));
}

Result<Value> escape(const Value& input, const Arguments&, Budget& budget) {
    static constexpr std::pair<std::string_view, std::string_view> kEntities[] = {
        {"&", "&amp;"}, {"<", "&lt;"}, {">", "&gt;"}, {"'", "&#39;"}, {"\"", "&#34;"}};
    Text text = NEREUS_TRY(to_text(input, budget));
    for (const auto& [plain, entity] : kEntities) {
        const Text fresh(std::string(entity), text.trusted());
        text = NEREUS_TRY(replace_text(text, Text(std::string(plain), true), fresh, -1, budget));
    }
    return Value(std::move(text));
}

Result<Value> same(const Value& input, const Arguments&, Budget&) { return input; }

constexpr Filter kFilters[] = {
    {"tojson", tojson},
    {"from_json", from_json},
    {"trim", trim},
    {"length", length},
    {"count", length},
    {"join", filter_join},
    {"replace", replace},
    {"upper", letters<Letters::kUpper>},
    {"lower", letters<Letters::kLower>},
    {"title", letters<Letters::kTitle>},
    {"capitalize", letters<Letters::kCapitalized>},
    {"default", fall_back},
    {"d", fall_back},
    {"items", items},
    {"string", string},
    {"int", to_integer},
    {"float", to_float},
    {"abs", absolute},
    {"round", round},
    {"indent", indent},
    {"safe", same},
    {"escape", escape},
    {"e", escape},
    {"list", filter_list},
    {"first", filter_first},
    {"last", filter_last},
    {"reverse", filter_reverse},
    {"map", filter_map},
    {"select", filter_select},
    {"reject", filter_reject},
    {"selectattr", filter_selectattr},
    {"rejectattr", filter_rejectattr},
    {"sort", filter_sort},
    {"dictsort", filter_dictsort},
    {"unique", filter_unique},
    {"sum", filter_sum},
    {"min", filter_min},
    {"max", filter_max},
};

}  // namespace

const Filter* find_filter(std::string_view name) {
    const auto* row = std::find_if(std::begin(kFilters), std::end(kFilters),
                                   [&](const Filter& filter) { return filter.name == name; });
    return row == std::end(kFilters) ? nullptr : row;
}

Result<std::shared_ptr<const List>> iterate(const Value& value, Budget& budget) {
    if (const auto* list = value.get<std::shared_ptr<const List>>()) {
        return *list;
    }
    auto walked = std::make_shared<List>();
    if (const Dict* dict = value.dict()) {
        NEREUS_TRY(budget.spend_list(static_cast<int64_t>(dict->items.size())));
        for (const auto& [key, item] : dict->items) {
            walked->items.push_back(key);
        }
    } else if (const Text* text = value.text()) {
        const std::vector<size_t> offsets = code_point_offsets(text->view());
        NEREUS_TRY(budget.spend_list(static_cast<int64_t>(offsets.size())));
        for (size_t i = 0; i + 1 < offsets.size(); ++i) {
            walked->items.emplace_back(text->slice(offsets[i], offsets[i + 1]));
        }
    } else if (!value.is_undefined()) {
        return make_error(ErrorCode::kInvalidArgument, "{} cannot be walked", value.type_name());
    }
    return std::shared_ptr<const List>(std::move(walked));
}

}  // namespace nereus::jinja
