#pragma once
// The filters of a template: `value | name(arguments)`.

#include <string_view>

#include "text/formats/jinja_markup.h"

namespace nereus::jinja {

struct Filter {
    std::string_view name;
    std::string_view parameters;  ///< what check_arguments reads
    Result<Value> (*run)(const Value& input, const Arguments& arguments, Budget& budget);
    MarkupRule markup = MarkupRule::kForgets;

    /// errors: invalid_argument for arguments it does not take, and the filter's own
    Result<Value> apply(const Value& input, const Arguments& arguments, Budget& budget) const {
        NEREUS_TRY(check_arguments(name, parameters, arguments));
        return run_on_markup(is_markup(input) ? markup : MarkupRule::kForgets, arguments, budget,
                             [&](const Arguments& given) { return run(input, given, budget); });
    }
};

/// Null when there is no filter of that name.
const Filter* find_filter(std::string_view name);

/// The items a `for` or a filter walks: of a list, the keys of a dict, the characters of a text;
/// none for undefined. errors: invalid_argument for what cannot be walked, overloaded
Result<std::shared_ptr<const List>> iterate(const Value& value, Budget& budget);

}  // namespace nereus::jinja
