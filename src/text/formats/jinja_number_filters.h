#pragma once
// The filters that make numbers: int, float, abs, round. Rows of the table in jinja_filters.cpp.

#include "text/formats/jinja_filters.h"

namespace nereus::jinja {

Result<Value> filter_int(const Value& input, const Arguments& arguments, Budget& budget);
Result<Value> filter_float(const Value& input, const Arguments& arguments, Budget& budget);
Result<Value> filter_abs(const Value& input, const Arguments& arguments, Budget& budget);
Result<Value> filter_round(const Value& input, const Arguments& arguments, Budget& budget);

}  // namespace nereus::jinja
