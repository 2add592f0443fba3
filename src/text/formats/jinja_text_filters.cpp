#include "text/formats/jinja_text_filters.h"

#include <algorithm>

#include "base/unicode.h"
#include "text/formats/jinja_printf.h"
#include "text/formats/jinja_text_functions.h"
#include "text/formats/jinja_wordwrap.h"
#include "text/formats/python_json.h"

namespace nereus::jinja {
namespace {

constexpr int64_t kJsonIndentMax = 64;

/// The `indent` of json.dumps: a number of blanks or a text. errors: invalid_argument, overloaded
Result<std::optional<std::string>> json_indent(const Value* given) {
    if (given == nullptr) {
        return std::optional<std::string>();
    }
    const auto width = given->as_integer();
    if (!width && given->text() == nullptr) {
        return make_error(ErrorCode::kInvalidArgument,
                          "'indent' of tojson must be an integer or a string, not {}",
                          given->type_name());
    }
    const int64_t size = width ? *width : static_cast<int64_t>(given->text()->size());
    if (size > kJsonIndentMax) {
        return make_error(ErrorCode::kOverloaded, "tojson with an indent of {}, at most {}", size,
                          kJsonIndentMax);
    }
    return std::optional(width ? std::string(static_cast<size_t>(std::max<int64_t>(size, 0)), ' ')
                               : given->text()->bytes());
}

Result<JsonStyle> json_style(const Arguments& arguments) {
    JsonStyle style;
    style.ensure_ascii = arguments.truthy(0, "ensure_ascii", false);
    style.indent = NEREUS_TRY(json_indent(arguments.find_given(1, "indent")));
    style.sort_keys = arguments.truthy(3, "sort_keys", false);
    if (style.indent) {
        style.item_separator = ",";
    }
    const Value* separators = arguments.find_given(2, "separators");
    if (separators == nullptr) {
        return style;
    }
    const List* pair = separators->list();
    if (pair == nullptr || pair->items.size() != 2 || pair->items[0].text() == nullptr ||
        pair->items[1].text() == nullptr) {
        return make_error(ErrorCode::kInvalidArgument, "'separators' of tojson are two strings");
    }
    style.item_separator = pair->items[0].text()->bytes();
    style.key_separator = pair->items[1].text()->bytes();
    return style;
}

/// str(argument), the fallback where it is not given.
Result<Text> printed(const Arguments& arguments, size_t index, std::string_view name,
                     std::string_view fallback, Budget& budget) {
    const Value* given = arguments.find(index, name);
    return given == nullptr ? Result<Text>(Text(std::string(fallback), true))
                            : to_text(*given, budget);
}

Result<Value> change(const Value& input, Letters letters, Budget& budget) {
    const Text text = NEREUS_TRY(to_text(input, budget));
    NEREUS_TRY(budget.spend_text(text.size()));
    return Value(change_letters(text, letters));
}

}  // namespace

Result<Value> filter_tojson(const Value& input, const Arguments& arguments, Budget& budget) {
    const JsonStyle style = NEREUS_TRY(json_style(arguments));
    const Json json = NEREUS_TRY(json_from_value(input, budget));
    // Escapes and the indent of every level can grow a value sixfold and more; pay before writing.
    const size_t separators = style.item_separator.size() + style.key_separator.size();
    const size_t indents = style.indent.value_or("").size() * static_cast<size_t>(kValueDepthMax);
    const int64_t growth = (style.indent ? 8 : 1) * (style.ensure_ascii ? 3 : 1) +
                           static_cast<int64_t>((separators + indents) / kBytesPerStep);
    NEREUS_TRY(budget.spend(std::min(input.extent().weight * growth, kStepsMax + 1)));
    std::string text = python_json(json, style);
    NEREUS_TRY(budget.spend_text(text.size()));
    const Value* separators_given = arguments.find_given(2, "separators");
    const Value* indent = arguments.find_given(1, "indent");
    const bool trusted = input.extent().trusted &&
                         (separators_given == nullptr || separators_given->extent().trusted) &&
                         (indent == nullptr || indent->extent().trusted);
    return Value(Text(std::move(text), trusted));
}

Result<Value> filter_from_json(const Value& input, const Arguments&, Budget& budget) {
    if (input.text() == nullptr) {
        return make_error(ErrorCode::kInvalidArgument, "from_json reads a string, not {}",
                          input.type_name());
    }
    // A byte of JSON can become a value of a hundred bytes.
    NEREUS_TRY(budget.spend(static_cast<int64_t>(input.text()->size() / 4)));
    const Json json = NEREUS_TRY(parse_json(input.text()->view(), "from_json"));
    return value_from_json(json, input.text()->trusted() ? Trust::kAll : Trust::kNone);
}

Result<Value> filter_string(const Value& input, const Arguments&, Budget& budget) {
    return input.text() != nullptr ? input : Value(NEREUS_TRY(to_text(input, budget)));
}

Result<Value> filter_trim(const Value& input, const Arguments& arguments, Budget& budget) {
    const Text text = NEREUS_TRY(to_text(input, budget));
    std::optional<Text> characters;
    if (arguments.find_given(0, "chars") != nullptr) {
        characters = NEREUS_TRY(arguments.text(0, "chars", ""));
        NEREUS_TRY(budget.spend(static_cast<int64_t>(
            text.size() * std::min(characters->size(), kOutputBytesMax) / 64)));
    }
    return Value(strip_text(text, characters, true, true));
}

Result<Value> filter_replace(const Value& input, const Arguments& arguments, Budget& budget) {
    const Text text = NEREUS_TRY(to_text(input, budget));
    const Text old = NEREUS_TRY(printed(arguments, 0, "old", "", budget));
    const Text fresh = NEREUS_TRY(printed(arguments, 1, "new", "", budget));
    const int64_t count = NEREUS_TRY(arguments.integer(2, "count", -1));
    return Value(NEREUS_TRY(replace_text(text, old, fresh, count, budget)));
}

Result<Value> filter_upper(const Value& input, const Arguments&, Budget& budget) {
    return change(input, Letters::kUpper, budget);
}
Result<Value> filter_lower(const Value& input, const Arguments&, Budget& budget) {
    return change(input, Letters::kLower, budget);
}
Result<Value> filter_title(const Value& input, const Arguments&, Budget& budget) {
    return change(input, Letters::kTitleWords, budget);
}
Result<Value> filter_capitalize(const Value& input, const Arguments&, Budget& budget) {
    return change(input, Letters::kCapitalized, budget);
}

Result<Value> filter_indent(const Value& input, const Arguments& arguments, Budget& budget) {
    if (input.text() == nullptr) {
        return make_error(ErrorCode::kInvalidArgument, "indent of {}", input.type_name());
    }
    const Value* width = arguments.find(0, "width");
    Text pad("    ", true);
    if (width != nullptr && width->text() != nullptr) {
        pad = *width->text();
    } else if (width != nullptr) {
        const int64_t n_blanks = NEREUS_TRY(arguments.integer(0, "width", 0));
        NEREUS_TRY(budget.spend_text(static_cast<size_t>(std::max<int64_t>(n_blanks, 0))));
        pad = Text(std::string(static_cast<size_t>(std::max<int64_t>(n_blanks, 0)), ' '), true);
    }
    const bool first = arguments.truthy(1, "first", false);
    const bool blank = arguments.truthy(2, "blank", false);
    Text text = *input.text();
    text.append("\n", true);  // as Jinja does before it cuts: an empty text is one line
    const auto lines = NEREUS_TRY(split_lines(text, false, budget));
    std::vector<Text> padded;
    for (size_t i = 0; i < lines.size(); ++i) {
        const Text& line = *lines[i].text();
        NEREUS_TRY(budget.spend(static_cast<int64_t>(pad.size() / kBytesPerStep) + 1));
        Text out;
        if (i == 0 ? first : blank || !line.empty()) {
            out.append(pad);
        }
        out.append(line);
        padded.push_back(std::move(out));
    }
    return Value(NEREUS_TRY(join_texts(padded, Text("\n", true), budget)));
}

Result<Value> filter_center(const Value& input, const Arguments& arguments, Budget& budget) {
    const Text text = NEREUS_TRY(to_text(input, budget));
    const int64_t width = NEREUS_TRY(arguments.integer(0, "width", 80));
    return Value(NEREUS_TRY(pad_text(text, width, Side::kCenter, Text(" ", true), budget)));
}

Result<Value> filter_truncate(const Value& input, const Arguments& arguments, Budget& budget) {
    if (input.is_undefined()) {
        return input;
    }
    if (input.text() == nullptr) {
        return make_error(ErrorCode::kInvalidArgument, "truncate of {}", input.type_name());
    }
    const Text& text = *input.text();
    const int64_t length = NEREUS_TRY(arguments.integer(0, "length", 255));
    const Text end = NEREUS_TRY(arguments.text(2, "end", "..."));
    const int64_t leeway = NEREUS_TRY(arguments.integer(3, "leeway", 5));
    const auto end_length = static_cast<int64_t>(count_code_points(end.view()));
    if (length < end_length || leeway < 0) {
        return make_error(ErrorCode::kInvalidArgument,
                          "truncate to {} characters with an ending of {} and a leeway of {}",
                          length, end_length, leeway);
    }
    NEREUS_TRY(budget.spend_text(text.size() + end.size()));
    const std::vector<size_t> offsets = code_point_offsets(text.view());
    if (static_cast<int64_t>(offsets.size()) - 1 - leeway <= length) {
        return input;
    }
    Text out = text.slice(0, offsets[static_cast<size_t>(length - end_length)]);
    if (!arguments.truthy(1, "killwords", false)) {
        out = out.slice(0, std::min(out.bytes().rfind(' '), out.size()));
    }
    out.append(is_markup(input) ? NEREUS_TRY(escape_html(end, budget)) : end);
    return Value(std::move(out));
}

Result<Value> filter_wordcount(const Value& input, const Arguments&, Budget& budget) {
    const Text text = NEREUS_TRY(to_text(input, budget));
    NEREUS_TRY(budget.spend_text(text.size()));
    int64_t n_words = 0;
    bool inside = false;
    for (size_t at = 0; at < text.size();) {
        const CodePoint c = next_code_point(text.view().substr(at));
        const bool is_word = c.valid && is_word_character(c.value);
        n_words += is_word && !inside ? 1 : 0;
        inside = is_word;
        at += static_cast<size_t>(c.n_bytes);
    }
    return Value::integer(n_words);
}

Result<Value> filter_format(const Value& input, const Arguments& arguments, Budget& budget) {
    if (!arguments.positional.empty() && !arguments.named.empty()) {
        return make_error(ErrorCode::kInvalidArgument,
                          "'format' takes values by place or by name, not both");
    }
    const Text format = NEREUS_TRY(to_text(input, budget));
    if (arguments.named.empty()) {
        const Value values = NEREUS_TRY(make_list(arguments.positional, ListKind::kTuple));
        return Value(NEREUS_TRY(format_percent(format, values, budget)));
    }
    Dict dict;
    for (const auto& [name, value] : arguments.named) {
        dict.insert(Value::trusted(name), value);
    }
    return Value(
        NEREUS_TRY(format_percent(format, NEREUS_TRY(make_dict(std::move(dict))), budget)));
}

Result<Value> filter_wordwrap(const Value& input, const Arguments& arguments, Budget& budget) {
    if (input.text() == nullptr) {
        return make_error(ErrorCode::kInvalidArgument, "wordwrap of {}", input.type_name());
    }
    WrapStyle style;
    style.width = NEREUS_TRY(arguments.integer(0, "width", style.width));
    style.break_long_words = arguments.truthy(1, "break_long_words", true);
    style.break_on_hyphens = arguments.truthy(3, "break_on_hyphens", true);
    const Text separator = NEREUS_TRY(arguments.text(2, "wrapstring", "\n"));
    std::vector<Text> lines;
    for (const Value& line : NEREUS_TRY(split_lines(*input.text(), false, budget))) {
        const auto wrapped = NEREUS_TRY(wrap_line(*line.text(), style, budget));
        lines.push_back(NEREUS_TRY(join_texts(wrapped, separator, budget)));
    }
    return Value(NEREUS_TRY(join_texts(lines, separator, budget)));
}

Result<Value> filter_escape(const Value& input, const Arguments&, Budget& budget) {
    return escape_value(input, budget);
}

Result<Value> filter_forceescape(const Value& input, const Arguments&, Budget& budget) {
    return escape_value(Value(NEREUS_TRY(to_text(input, budget))), budget);
}

Result<Value> filter_safe(const Value& input, const Arguments&, Budget& budget) {
    return Value(NEREUS_TRY(to_text(input, budget)).marked_as_html());
}

}  // namespace nereus::jinja
