#pragma once
// Attributes, items, slices and methods of values: a fixed list, so that a template reaches nothing
// but its data.

#include <string_view>

#include "text/formats/jinja_markup.h"

namespace nereus::jinja {

/// value.name: a method, else an item of that name, else undefined.
/// errors: invalid_argument for undefined.name
Result<Value> attribute_of(const Value& value, std::string_view name);
/// value[key], else the attribute of that name. errors: as attribute_of
Result<Value> item_of(const Value& value, const Value& key, Budget& budget);
/// value[start:stop:step] of a text, list or tuple; none or undefined where absent.
Result<Value> slice_of(const Value& value, const Value& start, const Value& stop, const Value& step,
                       Budget& budget);

struct Method {
    std::string_view name;
    std::string_view parameters;  ///< what check_arguments reads
    Result<Value> (*run)(const Value& self, const Arguments& arguments, Budget& budget);
    MarkupRule markup = MarkupRule::kForgets;

    /// errors: invalid_argument for arguments it does not take, and the method's own
    Result<Value> call(const Value& self, const Arguments& arguments, Budget& budget) const {
        NEREUS_TRY(check_arguments(name, parameters, arguments));
        return run_on_markup(is_markup(self) ? markup : MarkupRule::kForgets, arguments, budget,
                             [&](const Arguments& given) { return run(self, given, budget); });
    }
};
/// The method of a text, list, dict, loop or cycler; null when the value has none of that name.
const Method* find_method(const Value& value, std::string_view name);
/// The same for texts alone.
const Method* find_text_method(std::string_view name);
/// The method as a value; nothing when there is none.
std::optional<Value> method_of(const Value& value, std::string_view name);

}  // namespace nereus::jinja
