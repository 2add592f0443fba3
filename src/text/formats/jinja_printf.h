#pragma once
// Python's two ways to fill a text: "%s is %05.2f" % (a, b) and "{} is {1:>8}".format(a, b).

#include "text/formats/jinja_arguments.h"

namespace nereus::jinja {

/// The bytes of the format and of the values keep their marks. values: a tuple, a dict for
/// %(name)s, or the one value. errors: invalid_argument (types, number of values), unsupported,
/// overloaded
Result<Text> format_percent(const Text& format, const Value& values, Budget& budget);

/// The same for str.format; attributes and items of a field ({0.name}) are not supported.
Result<Text> format_braces(const Text& format, const Arguments& arguments, Budget& budget);

}  // namespace nereus::jinja
