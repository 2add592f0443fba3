#pragma once
// Python's arithmetic and comparison on values.

#include <string_view>

#include "text/formats/jinja_value.h"

namespace nereus::jinja {

/// + - * / // % ** ~. errors: invalid_argument (types, division by zero, beyond 64 bits),
/// overloaded, unsupported (a complex number, an odd conversion of '%')
Result<Value> apply_arithmetic(std::string_view operation, const Value& a, const Value& b,
                               Budget& budget);

/// == != < <= > >= in "not in". errors: invalid_argument, overloaded
Result<bool> apply_comparison(std::string_view operation, const Value& a, const Value& b,
                              Budget& budget);

/// -value and +value.
Result<Value> apply_sign(bool negative, const Value& value);

}  // namespace nereus::jinja
