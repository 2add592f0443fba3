#pragma once
// The filters that walk lists: select, map, sort, unique, join and their kin. Rows of the table in
// jinja_filters.cpp.

#include "text/formats/jinja_filters.h"

namespace nereus::jinja {

Result<Value> filter_join(const Value& input, const Arguments& arguments, Budget& budget);
Result<Value> filter_list(const Value& input, const Arguments& arguments, Budget& budget);
Result<Value> filter_first(const Value& input, const Arguments& arguments, Budget& budget);
Result<Value> filter_last(const Value& input, const Arguments& arguments, Budget& budget);
Result<Value> filter_reverse(const Value& input, const Arguments& arguments, Budget& budget);
Result<Value> filter_map(const Value& input, const Arguments& arguments, Budget& budget);
Result<Value> filter_select(const Value& input, const Arguments& arguments, Budget& budget);
Result<Value> filter_reject(const Value& input, const Arguments& arguments, Budget& budget);
Result<Value> filter_selectattr(const Value& input, const Arguments& arguments, Budget& budget);
Result<Value> filter_rejectattr(const Value& input, const Arguments& arguments, Budget& budget);
Result<Value> filter_sort(const Value& input, const Arguments& arguments, Budget& budget);
Result<Value> filter_dictsort(const Value& input, const Arguments& arguments, Budget& budget);
Result<Value> filter_groupby(const Value& input, const Arguments& arguments, Budget& budget);
Result<Value> filter_batch(const Value& input, const Arguments& arguments, Budget& budget);
Result<Value> filter_slice(const Value& input, const Arguments& arguments, Budget& budget);
Result<Value> filter_unique(const Value& input, const Arguments& arguments, Budget& budget);
Result<Value> filter_sum(const Value& input, const Arguments& arguments, Budget& budget);
Result<Value> filter_min(const Value& input, const Arguments& arguments, Budget& budget);
Result<Value> filter_max(const Value& input, const Arguments& arguments, Budget& budget);

}  // namespace nereus::jinja
