#pragma once
// Text that is marked as HTML (`| safe`, `| escape`): what is added to it, formatted into it or
// given to its methods is escaped on the way, and the result is marked again. Marks say nothing
// about trust.

#include "text/formats/jinja_arguments.h"

namespace nereus::jinja {

/// What a filter or method of marked text does.
enum class MarkupRule {
    kForgets,         ///< gives plain text, or no text
    kKeeps,           ///< gives marked text
    kEscapesLater,    ///< the same, and escapes its arguments but for the first
    kEscapesItems,    ///< the same, and escapes the items of its arguments
    kEscapesPrinted,  ///< the same, and escapes its arguments as they are printed
};

/// & < > ' " as entities. errors: overloaded
Result<Text> escape_html(const Text& text, Budget& budget);

/// str(value) escaped and marked; what is marked already stays. errors: overloaded
Result<Value> escape_value(const Value& value, Budget& budget);

/// Texts, and texts in lists, as marked ones.
Result<Value> mark_html(const Value& value);

/// The arguments of a call as the rule asks. errors: overloaded
Result<Arguments> escape_arguments(const Arguments& arguments, MarkupRule rule, Budget& budget);

inline bool is_markup(const Value& value) {
    return value.text() != nullptr && value.text()->is_markup();
}

/// run(arguments) for marked text, as the rule asks. errors: overloaded, those of run
template <typename Run>
Result<Value> run_on_markup(MarkupRule rule, const Arguments& arguments, Budget& budget,
                            const Run& run) {
    if (rule == MarkupRule::kForgets) {
        return run(arguments);
    }
    if (rule == MarkupRule::kKeeps) {
        return mark_html(NEREUS_TRY(run(arguments)));
    }
    return mark_html(NEREUS_TRY(run(NEREUS_TRY(escape_arguments(arguments, rule, budget)))));
}

}  // namespace nereus::jinja
