// The methods of lists, dicts, loops and cyclers: Python's, as far as chat templates use them. Only
// those of cyclers change their object.

#include <algorithm>

#include "text/formats/jinja_access.h"
#include "text/formats/jinja_interpreter.h"
#include "text/formats/jinja_operators.h"

namespace nereus::jinja {
namespace {

template <ListKind kKind>
Result<Value> dict_parts(const Value& self, const Arguments&, Budget& budget) {
    NEREUS_TRY(budget.spend_list(static_cast<int64_t>(self.dict()->items.size())));
    std::vector<Value> parts;
    for (const auto& [key, value] : self.dict()->items) {
        if (kKind == ListKind::kItems) {
            parts.push_back(NEREUS_TRY(make_list({key, value}, ListKind::kTuple)));
        } else {
            parts.push_back(kKind == ListKind::kKeys ? key : value);
        }
    }
    return make_list(std::move(parts), kKind);
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

/// True when the arguments are not those of the turn before.
Result<Value> changed(const Value& self, const Arguments& arguments, Budget& budget) {
    LoopState& state = *self.loop()->state;
    bool is_same = state.last_changed && state.last_changed->size() == arguments.positional.size();
    for (size_t i = 0; is_same && i < arguments.positional.size(); ++i) {
        is_same = NEREUS_TRY(
            apply_comparison("==", (*state.last_changed)[i], arguments.positional[i], budget));
    }
    state.last_changed = arguments.positional;
    return Value::boolean(!is_same);
}

Result<Value> list_index(const Value& self, const Arguments& arguments, Budget& budget) {
    const Value wanted = NEREUS_TRY(arguments.required(0, "value"));
    const auto& items = self.list()->items;
    for (size_t i = 0; i < items.size(); ++i) {
        if (NEREUS_TRY(apply_comparison("==", items[i], wanted, budget))) {
            return Value::integer(static_cast<int64_t>(i));
        }
    }
    return make_error(ErrorCode::kInvalidArgument, "the value is not in the list");
}

Result<Value> list_count(const Value& self, const Arguments& arguments, Budget& budget) {
    const Value wanted = NEREUS_TRY(arguments.required(0, "value"));
    int64_t n = 0;
    for (const Value& item : self.list()->items) {
        n += NEREUS_TRY(apply_comparison("==", item, wanted, budget)) ? 1 : 0;
    }
    return Value::integer(n);
}

/// The item it stood at; it stands at the next one now.
Result<Value> cycler_next(const Value& self, const Arguments&, Budget&) {
    Cycler& cycler = **self.get<Cycler*>();
    const size_t at = cycler.at;
    cycler.at = (at + 1) % cycler.items.size();
    return cycler.items[at];
}

Result<Value> cycler_reset(const Value& self, const Arguments&, Budget&) {
    (*self.get<Cycler*>())->at = 0;
    return Value::none();
}

/// Nothing changes, so a copy is the thing itself.
Result<Value> copy(const Value& self, const Arguments&, Budget&) { return self; }

constexpr Method kListMethods[] = {
    {"copy", "", copy},
    {"index", "value /", list_index},
    {"count", "value /", list_count},
};
constexpr Method kDictMethods[] = {
    {"copy", "", copy},
    {"items", "", dict_parts<ListKind::kItems>},
    {"keys", "", dict_parts<ListKind::kKeys>},
    {"values", "", dict_parts<ListKind::kValues>},
    {"get", "key default? /", get},
};
constexpr Method kLoopMethods[] = {
    {"cycle", "*", cycle},
    {"changed", "*", changed},
};

constexpr Method kCyclerMethods[] = {
    {"next", "", cycler_next},
    {"reset", "", cycler_reset},
};

template <size_t kSize>
const Method* find_row(const Method (&methods)[kSize], std::string_view name) {
    const auto* row = std::find_if(std::begin(methods), std::end(methods),
                                   [&](const Method& method) { return method.name == name; });
    return row == std::end(methods) ? nullptr : row;
}

}  // namespace

const Method* find_method(const Value& value, std::string_view name) {
    if (value.text() != nullptr) {
        return find_text_method(name);
    }
    if (value.list() != nullptr && value.list()->has_items()) {
        return find_row(kListMethods, name);
    }
    if (value.dict() != nullptr) {
        return find_row(kDictMethods, name);
    }
    if (value.get<Cycler*>() != nullptr) {
        return find_row(kCyclerMethods, name);
    }
    return value.loop() != nullptr ? find_row(kLoopMethods, name) : nullptr;
}

std::optional<Value> method_of(const Value& value, std::string_view name) {
    const Method* method = find_method(value, name);
    if (method == nullptr) {
        return std::nullopt;
    }
    return Value(Value::State(std::make_shared<const BoundMethod>(BoundMethod{value, method})));
}

}  // namespace nereus::jinja
