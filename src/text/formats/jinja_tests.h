#pragma once
// The tests of a template: `value is name(arguments)`.

#include <string_view>

#include "text/formats/jinja_arguments.h"

namespace nereus::jinja {

struct Test {
    std::string_view name;
    std::string_view parameters;  ///< what check_arguments reads
    Result<bool> (*holds)(const Value& input, const Arguments& arguments, Budget& budget);

    /// errors: invalid_argument for arguments it does not take, and the test's own
    Result<bool> check(const Value& input, const Arguments& arguments, Budget& budget) const {
        NEREUS_TRY(check_arguments(name, parameters, arguments));
        return holds(input, arguments, budget);
    }
};

/// Null when there is no test of that name.
const Test* find_test(std::string_view name);

/// `item in container`. errors: invalid_argument
Result<bool> contains(const Value& container, const Value& item, Budget& budget);

}  // namespace nereus::jinja
