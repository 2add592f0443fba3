#pragma once
// Attributes, items, slices and methods of values: a fixed list, so that a template reaches nothing
// but its data.

#include <string_view>

#include "text/formats/jinja_arguments.h"

namespace nereus::jinja {

/// value.name; undefined when there is none. errors: invalid_argument for undefined.name
Result<Value> attribute_of(const Value& value, std::string_view name);
/// value[key]. errors: as attribute_of
Result<Value> item_of(const Value& value, const Value& key, Budget& budget);
/// value[start:stop:step] of a text, list or tuple; none or undefined where absent.
Result<Value> slice_of(const Value& value, const Value& start, const Value& stop, const Value& step,
                       Budget& budget);

struct Method {
    std::string_view name;
    Result<Value> (*call)(const Value& self, const Arguments& arguments, Budget& budget);
};
/// The method of a text, dict or loop; null when the value has none of that name.
const Method* find_method(const Value& value, std::string_view name);

}  // namespace nereus::jinja
