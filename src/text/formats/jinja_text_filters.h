#pragma once
// The filters that make texts of values: tojson, replace, indent, truncate, format and their kin.
// Rows of the table in jinja_filters.cpp.

#include "text/formats/jinja_filters.h"

namespace nereus::jinja {

Result<Value> filter_tojson(const Value& input, const Arguments& arguments, Budget& budget);
Result<Value> filter_from_json(const Value& input, const Arguments& arguments, Budget& budget);
Result<Value> filter_string(const Value& input, const Arguments& arguments, Budget& budget);
Result<Value> filter_trim(const Value& input, const Arguments& arguments, Budget& budget);
Result<Value> filter_replace(const Value& input, const Arguments& arguments, Budget& budget);
Result<Value> filter_upper(const Value& input, const Arguments& arguments, Budget& budget);
Result<Value> filter_lower(const Value& input, const Arguments& arguments, Budget& budget);
Result<Value> filter_title(const Value& input, const Arguments& arguments, Budget& budget);
Result<Value> filter_capitalize(const Value& input, const Arguments& arguments, Budget& budget);
Result<Value> filter_indent(const Value& input, const Arguments& arguments, Budget& budget);
Result<Value> filter_center(const Value& input, const Arguments& arguments, Budget& budget);
Result<Value> filter_truncate(const Value& input, const Arguments& arguments, Budget& budget);
Result<Value> filter_wordcount(const Value& input, const Arguments& arguments, Budget& budget);
Result<Value> filter_format(const Value& input, const Arguments& arguments, Budget& budget);
Result<Value> filter_wordwrap(const Value& input, const Arguments& arguments, Budget& budget);
Result<Value> filter_escape(const Value& input, const Arguments& arguments, Budget& budget);
Result<Value> filter_forceescape(const Value& input, const Arguments& arguments, Budget& budget);
Result<Value> filter_safe(const Value& input, const Arguments& arguments, Budget& budget);

}  // namespace nereus::jinja
