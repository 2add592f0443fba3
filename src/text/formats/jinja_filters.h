#pragma once
// The filters of a template: `value | name(arguments)`.

#include <string_view>

#include "text/formats/jinja_arguments.h"

namespace nereus::jinja {

struct Filter {
    std::string_view name;
    Result<Value> (*apply)(const Value& input, const Arguments& arguments, Budget& budget);
};

/// Null when there is no filter of that name.
const Filter* find_filter(std::string_view name);

/// The items a `for` or a filter walks: of a list, the keys of a dict, the characters of a text;
/// none for undefined. errors: invalid_argument for what cannot be walked, overloaded
Result<std::shared_ptr<const List>> iterate(const Value& value, Budget& budget);

}  // namespace nereus::jinja
