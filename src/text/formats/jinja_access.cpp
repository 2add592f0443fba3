#include "text/formats/jinja_access.h"

#include <algorithm>

#include "text/formats/jinja_markup.h"

namespace nereus::jinja {
namespace {

Error undefined_error(const Undefined& undefined) {
    return make_error(ErrorCode::kInvalidArgument, "'{}' is undefined", undefined.name);
}

Value neighbour(const Loop& loop, int64_t index) {
    const auto& items = loop.items->items;
    return index < 0 || index >= static_cast<int64_t>(items.size())
               ? Value::undefined("the neighbour of an item at the end of a loop")
               : items[static_cast<size_t>(index)];
}

Value loop_attribute(const Loop& loop, std::string_view name) {
    const auto length = static_cast<int64_t>(loop.items->items.size());
    const std::pair<std::string_view, int64_t> numbers[] = {{"index", loop.index0 + 1},
                                                            {"index0", loop.index0},
                                                            {"revindex", length - loop.index0},
                                                            {"revindex0", length - loop.index0 - 1},
                                                            {"length", length},
                                                            {"depth", loop.depth0 + 1},
                                                            {"depth0", loop.depth0}};
    for (const auto& [number_name, number] : numbers) {
        if (name == number_name) {
            return Value::integer(number);
        }
    }
    if (name == "first" || name == "last") {
        return Value::boolean(loop.index0 == (name == "first" ? 0 : length - 1));
    }
    if (name == "previtem" || name == "nextitem") {
        return neighbour(loop, loop.index0 + (name == "previtem" ? -1 : 1));
    }
    return Value::undefined("loop." + std::string(name));
}

/// Python's slice(start, stop, step).indices(length).
struct Range {
    int64_t start = 0, stop = 0, step = 1;
};

bool is_bound(const Value& value) { return value.is_none() || value.as_integer(); }

/// The bounds are integers or none. errors: invalid_argument for step 0
Result<Range> slice_range(const Value& start, const Value& stop, const Value& step,
                          int64_t length) {
    Range range;
    range.step = step.as_integer().value_or(1);
    if (range.step == 0) {
        return make_error(ErrorCode::kInvalidArgument, "a slice with step 0");
    }
    const int64_t low = range.step < 0 ? -1 : 0;
    const int64_t high = range.step < 0 ? length - 1 : length;
    const auto clamp = [&](std::optional<int64_t> bound, int64_t fallback) {
        if (!bound) {
            return fallback;
        }
        return std::clamp(*bound < 0 ? std::max(*bound, -length - 1) + length : *bound, low, high);
    };
    range.start = clamp(start.as_integer(), range.step < 0 ? high : low);
    range.stop = clamp(stop.as_integer(), range.step < 0 ? low : high);
    range.step = std::clamp(range.step, -length - 1, length + 1);
    return range;
}

Value slice_text(const Text& text, const std::vector<size_t>& offsets, const Range& range) {
    Text out;
    if (range.step == 1) {
        const auto begin = static_cast<size_t>(range.start);
        const auto end = static_cast<size_t>(std::max(range.start, range.stop));
        return text.slice(offsets[begin], offsets[end]);
    }
    for (int64_t i = range.start; range.step > 0 ? i < range.stop : i > range.stop;
         i += range.step) {
        const auto at = static_cast<size_t>(i);
        out.append(text.slice(offsets[at], offsets[at + 1]));
    }
    return out;
}

Result<Value> item_of_text(const Text& text, const Value& key, Budget& budget) {
    if (!key.as_integer()) {
        return Value::undefined("an item of a string");
    }
    NEREUS_TRY(budget.spend_text(text.size()));
    const std::vector<size_t> offsets = code_point_offsets(text.view());
    const auto length = static_cast<int64_t>(offsets.size()) - 1;
    const int64_t index = *key.as_integer() < 0 ? *key.as_integer() + length : *key.as_integer();
    if (index < 0 || index >= length) {
        return Value::undefined("a character of a string");
    }
    const auto at = static_cast<size_t>(index);
    return Value(text.slice(offsets[at], offsets[at + 1]));
}

/// A cut of a text that is marked as HTML is marked, too.
Result<Value> marked_like(const Text& text, const Value& cut) {
    return text.is_markup() ? mark_html(cut) : Result<Value>(cut);
}

}  // namespace

Result<Value> attribute_of(const Value& value, std::string_view name) {
    if (const Undefined* undefined = value.get<Undefined>()) {
        return undefined_error(*undefined);
    }
    if (const auto method = method_of(value, name)) {
        return *method;
    }
    if (const Dict* dict = value.dict()) {
        const Value* found = dict->find(name);
        return found != nullptr ? *found : Value::undefined(std::string(name));
    }
    if (value.list() != nullptr && value.list()->kind == ListKind::kGroup &&
        (name == "grouper" || name == "list")) {
        return value.list()->items[name == "grouper" ? 0 : 1];
    }
    if (const auto* space = value.get<Namespace*>()) {
        const auto found = (*space)->fields.find(std::string(name));
        return found != (*space)->fields.end() ? found->second
                                               : Value::undefined(std::string(name));
    }
    if (const Loop* loop = value.loop()) {
        return loop_attribute(*loop, name);
    }
    if (const auto* cycler = value.get<Cycler*>(); cycler != nullptr && name == "current") {
        return (*cycler)->items[(*cycler)->at];
    }
    return Value::undefined(std::string(name));
}

Result<Value> item_of(const Value& value, const Value& key, Budget& budget) {
    NEREUS_TRY(budget.spend_weight(key.extent().weight));
    if (const Dict* dict = value.dict()) {
        const Value* found = dict->find(key);
        const Text* name = key.text();
        if (found != nullptr || name == nullptr) {
            return found != nullptr ? *found : Value::undefined("an item");
        }
        return method_of(value, name->view()).value_or(Value::undefined(name->bytes()));
    }
    const Text* name = key.text();
    const List* list = value.list();
    if (list != nullptr && list->has_items() && name == nullptr) {
        const auto length = static_cast<int64_t>(list->items.size());
        const int64_t given = key.as_integer().value_or(length);
        const int64_t index = given < 0 ? given + length : given;
        return index < 0 || index >= length ? Value::undefined("an item of a list")
                                            : list->items[static_cast<size_t>(index)];
    }
    if (const Text* text = value.text(); text != nullptr && name == nullptr) {
        return marked_like(*text, NEREUS_TRY(item_of_text(*text, key, budget)));
    }
    return attribute_of(value, name != nullptr ? name->view() : "an item");
}

Result<Value> slice_of(const Value& value, const Value& start, const Value& stop, const Value& step,
                       Budget& budget) {
    if (const Undefined* undefined = value.get<Undefined>()) {
        return undefined_error(*undefined);
    }
    if (!is_bound(start) || !is_bound(stop) || !is_bound(step)) {
        return make_error(ErrorCode::kInvalidArgument, "a slice takes integers");
    }
    if (const Text* text = value.text()) {
        NEREUS_TRY(budget.spend_text(text->size()));
        const std::vector<size_t> offsets = code_point_offsets(text->view());
        const auto length = static_cast<int64_t>(offsets.size()) - 1;
        return marked_like(
            *text, slice_text(*text, offsets, NEREUS_TRY(slice_range(start, stop, step, length))));
    }
    if (const List* list = value.list(); list != nullptr && list->has_items()) {
        const auto length = static_cast<int64_t>(list->items.size());
        const Range range = NEREUS_TRY(slice_range(start, stop, step, length));
        NEREUS_TRY(budget.spend_list(length));
        std::vector<Value> items;
        for (int64_t i = range.start; range.step > 0 ? i < range.stop : i > range.stop;
             i += range.step) {
            items.push_back(list->items[static_cast<size_t>(i)]);
        }
        const ListKind kind = list->kind == ListKind::kGroup ? ListKind::kTuple : list->kind;
        return make_list(std::move(items), kind);
    }
    return make_error(ErrorCode::kInvalidArgument, "a {} cannot be sliced", value.type_name());
}

}  // namespace nereus::jinja
