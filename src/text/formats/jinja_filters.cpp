#include "text/formats/jinja_filters.h"

#include <algorithm>

#include "text/formats/jinja_access.h"
#include "text/formats/jinja_list_filters.h"
#include "text/formats/jinja_number_filters.h"
#include "text/formats/jinja_text_filters.h"

namespace nereus::jinja {
namespace {

Result<Value> length(const Value& input, const Arguments&, Budget& budget) {
    if (const Text* text = input.text()) {
        NEREUS_TRY(budget.spend(input.extent().weight));
        return Value::integer(static_cast<int64_t>(count_code_points(text->view())));
    }
    if (const List* list = input.list(); list != nullptr && list->has_length()) {
        return Value::integer(static_cast<int64_t>(list->items.size()));
    }
    if (const Dict* dict = input.dict()) {
        return Value::integer(static_cast<int64_t>(dict->items.size()));
    }
    if (const Loop* loop = input.loop()) {
        return Value::integer(static_cast<int64_t>(loop->items->items.size()));
    }
    if (input.is_undefined()) {
        return Value::integer(0);
    }
    return make_error(ErrorCode::kInvalidArgument, "{} has no length", input.type_name());
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
        return make_list({}, ListKind::kIterator);
    }
    if (input.dict() == nullptr) {
        return make_error(ErrorCode::kInvalidArgument, "items of a dict, not of {}",
                          input.type_name());
    }
    NEREUS_TRY(budget.spend_list(static_cast<int64_t>(input.dict()->items.size())));
    std::vector<Value> pairs;
    for (const auto& [key, value] : input.dict()->items) {
        pairs.push_back(NEREUS_TRY(make_list({key, value}, ListKind::kTuple)));
    }
    return make_list(std::move(pairs), ListKind::kIterator);
}

/// `value | attr("name")` is the attribute and never the item.
Result<Value> attr(const Value& input, const Arguments& arguments, Budget&) {
    const Text name = NEREUS_TRY(arguments.text(0, "name", ""));
    if (input.dict() == nullptr) {
        return attribute_of(input, name.view());
    }
    return method_of(input, name.view()).value_or(Value::undefined(name.bytes()));
}

constexpr Filter kFilters[] = {
    {"tojson", "ensure_ascii? indent? separators? sort_keys?", filter_tojson},
    {"from_json", "", filter_from_json},
    {"trim", "chars?", filter_trim, MarkupRule::kKeeps},
    {"length", "", length},
    {"count", "", length},
    {"join", "d? attribute?", filter_join},
    {"replace", "old new count?", filter_replace},
    {"upper", "", filter_upper, MarkupRule::kKeeps},
    {"lower", "", filter_lower, MarkupRule::kKeeps},
    {"title", "", filter_title},
    {"capitalize", "", filter_capitalize, MarkupRule::kKeeps},
    {"default", "default_value? boolean?", fall_back},
    {"d", "default_value? boolean?", fall_back},
    {"items", "", items},
    {"attr", "name", attr},
    {"string", "", filter_string},
    {"int", "default? base?", filter_int},
    {"float", "default?", filter_float},
    {"abs", "", filter_abs},
    {"round", "precision? method?", filter_round},
    {"indent", "width? first? blank?", filter_indent, MarkupRule::kKeeps},
    {"center", "width?", filter_center, MarkupRule::kKeeps},
    {"truncate", "length? killwords? end? leeway?", filter_truncate, MarkupRule::kKeeps},
    {"wordcount", "", filter_wordcount},
    {"wordwrap", "width? break_long_words? wrapstring? break_on_hyphens?", filter_wordwrap},
    {"format", "* **", filter_format, MarkupRule::kEscapesPrinted},
    {"safe", "", filter_safe},
    {"escape", "", filter_escape},
    {"e", "", filter_escape},
    {"forceescape", "", filter_forceescape},
    {"list", "", filter_list},
    {"first", "", filter_first},
    {"last", "", filter_last, MarkupRule::kKeeps},
    {"reverse", "", filter_reverse},
    {"map", "* **", filter_map},
    {"select", "* **", filter_select},
    {"reject", "* **", filter_reject},
    {"selectattr", "* **", filter_selectattr},
    {"rejectattr", "* **", filter_rejectattr},
    {"sort", "reverse? case_sensitive? attribute?", filter_sort},
    {"dictsort", "case_sensitive? by? reverse?", filter_dictsort},
    {"groupby", "attribute default? case_sensitive?", filter_groupby},
    {"batch", "linecount fill_with?", filter_batch},
    {"slice", "slices fill_with?", filter_slice},
    {"unique", "case_sensitive? attribute?", filter_unique},
    {"sum", "attribute? start?", filter_sum},
    {"min", "case_sensitive? attribute?", filter_min},
    {"max", "case_sensitive? attribute?", filter_max},
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
