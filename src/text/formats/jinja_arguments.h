#pragma once
// What filters, tests, methods and functions get called with, and how they say that it does not
// fit.

#include <string>
#include <string_view>
#include <vector>

#include "text/formats/jinja_value.h"

namespace nereus::jinja {

struct Arguments {
    std::vector<Value> positional;
    std::vector<std::pair<std::string, Value>> named;

    /// The argument at `index` or called `name`; null when it was not given.
    const Value* find(size_t index, std::string_view name) const;
    /// The same, null for none too.
    const Value* find_given(size_t index, std::string_view name) const;
    bool truthy(size_t index, std::string_view name, bool fallback) const;
    /// errors: invalid_argument for another type; the fallback when not given or none
    Result<Text> text(size_t index, std::string_view name, std::string_view fallback) const;
    Result<int64_t> integer(size_t index, std::string_view name, int64_t fallback) const;
    /// errors: invalid_argument when it is missing
    Result<Value> required(size_t index, std::string_view name) const;
};

/// Checks a call against a row's parameters, as Python words them in short: "old new count?" are
/// two needed and one optional one, "/" at the end takes none by name, "*" takes any more by place
/// and "**" any by name. errors: invalid_argument
Status check_arguments(std::string_view callee, std::string_view parameters,
                       const Arguments& arguments);

}  // namespace nereus::jinja
