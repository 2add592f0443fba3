#pragma once
// The tests of a template: `value is name(arguments)`.

#include <string_view>

#include "text/formats/jinja_arguments.h"

namespace nereus::jinja {

struct Test {
    std::string_view name;
    Result<bool> (*holds)(const Value& input, const Arguments& arguments, Budget& budget);
};

/// Null when there is no test of that name.
const Test* find_test(std::string_view name);

/// `item in container`. errors: invalid_argument
Result<bool> contains(const Value& container, const Value& item, Budget& budget);

}  // namespace nereus::jinja
