#include "text/formats/jinja_tests.h"

#include <algorithm>

#include "text/formats/jinja_filters.h"
#include "text/formats/jinja_operators.h"
#include "text/formats/jinja_text_functions.h"

namespace nereus::jinja {
namespace {

using Kind = bool (*)(const Value& value);

template <Kind kKind>
Result<bool> is_kind(const Value& value, const Arguments&, Budget&) {
    return kKind(value);
}

bool defined(const Value& v) { return !v.is_undefined(); }
bool undefined(const Value& v) { return v.is_undefined(); }
bool none(const Value& v) { return v.is_none(); }
bool string(const Value& v) { return v.text() != nullptr; }
bool mapping(const Value& v) { return v.dict() != nullptr; }
bool iterable(const Value& v) {
    return v.text() != nullptr || v.list() != nullptr || v.dict() != nullptr || v.is_undefined() ||
           v.loop() != nullptr;
}
bool sequence(const Value& v) {
    return v.text() != nullptr || v.dict() != nullptr || v.is_undefined() ||
           (v.list() != nullptr && v.list()->has_items());
}
bool number(const Value& v) { return v.as_complex().has_value(); }
bool escaped(const Value& v) { return is_markup(v); }
bool boolean(const Value& v) { return v.get<bool>() != nullptr; }
bool integer(const Value& v) { return v.get<int64_t>() != nullptr; }
bool real(const Value& v) { return v.get<double>() != nullptr; }
bool is_true(const Value& v) { return boolean(v) && v.truthy(); }
bool is_false(const Value& v) { return boolean(v) && !v.truthy(); }
bool callable(const Value& v) {
    return v.get<const Function*>() != nullptr || v.get<Macro>() != nullptr ||
           v.method() != nullptr || v.loop() != nullptr || v.get<Joiner*>() != nullptr ||
           v.is_undefined();
}

constexpr const char kEqual[] = "==";
constexpr const char kNotEqual[] = "!=";
constexpr const char kLess[] = "<";
constexpr const char kLessEqual[] = "<=";
constexpr const char kGreater[] = ">";
constexpr const char kGreaterEqual[] = ">=";
constexpr const char kIn[] = "in";

template <const char* kOperation>
Result<bool> compares(const Value& value, const Arguments& arguments, Budget& budget) {
    const bool is_in = std::string_view(kOperation) == "in";
    const Value other = NEREUS_TRY(arguments.required(0, is_in ? "seq" : "other"));
    return apply_comparison(kOperation, value, other, budget);
}

template <int64_t kRest>
Result<bool> has_parity(const Value& value, const Arguments&, Budget& budget) {
    const Value rest = NEREUS_TRY(apply_arithmetic("%", value, Value::integer(2), budget));
    return equal(rest, Value::integer(kRest));
}

Result<bool> divisible_by(const Value& value, const Arguments& arguments, Budget& budget) {
    const Value divisor = NEREUS_TRY(arguments.required(0, "num"));
    const Value rest = NEREUS_TRY(apply_arithmetic("%", value, divisor, budget));
    return equal(rest, Value::integer(0));
}

/// Python's `is`: the same object; of texts and numbers equal ones are good enough.
Result<bool> same_as(const Value& value, const Arguments& arguments, Budget& budget) {
    const Value other = NEREUS_TRY(arguments.required(0, "other"));
    if (value.list() != nullptr || value.dict() != nullptr) {
        return value.list() == other.list() && value.dict() == other.dict();
    }
    return value.state().index() == other.state().index() &&
           NEREUS_TRY(apply_comparison("==", value, other, budget));
}

template <Letters kLetters>
Result<bool> has_letters(const Value& value, const Arguments&, Budget& budget) {
    const Text text = NEREUS_TRY(to_text(value, budget));
    return change_letters(text, kLetters).bytes() == text.bytes() &&
           change_letters(text, Letters::kUpper).bytes() !=
               change_letters(text, Letters::kLower).bytes();
}

Result<bool> names_a_filter(const Value& value, const Arguments&, Budget&) {
    return value.text() != nullptr && find_filter(value.text()->view()) != nullptr;
}
Result<bool> names_a_test(const Value& value, const Arguments&, Budget&) {
    return value.text() != nullptr && find_test(value.text()->view()) != nullptr;
}

constexpr Test kTests[] = {
    {"defined", "", is_kind<defined>},
    {"undefined", "", is_kind<undefined>},
    {"none", "", is_kind<none>},
    {"string", "", is_kind<string>},
    {"mapping", "", is_kind<mapping>},
    {"sequence", "", is_kind<sequence>},
    {"iterable", "", is_kind<iterable>},
    {"number", "", is_kind<number>},
    {"escaped", "", is_kind<escaped>},
    {"boolean", "", is_kind<boolean>},
    {"integer", "", is_kind<integer>},
    {"float", "", is_kind<real>},
    {"true", "", is_kind<is_true>},
    {"false", "", is_kind<is_false>},
    {"callable", "", is_kind<callable>},
    {"eq", "other /", compares<kEqual>},
    {"equalto", "other /", compares<kEqual>},
    {"ne", "other /", compares<kNotEqual>},
    {"lt", "other /", compares<kLess>},
    {"lessthan", "other /", compares<kLess>},
    {"le", "other /", compares<kLessEqual>},
    {"gt", "other /", compares<kGreater>},
    {"greaterthan", "other /", compares<kGreater>},
    {"ge", "other /", compares<kGreaterEqual>},
    {"in", "seq", compares<kIn>},
    {"odd", "", has_parity<1>},
    {"even", "", has_parity<0>},
    {"divisibleby", "num", divisible_by},
    {"sameas", "other", same_as},
    {"upper", "", has_letters<Letters::kUpper>},
    {"lower", "", has_letters<Letters::kLower>},
    {"filter", "", names_a_filter},
    {"test", "", names_a_test},
    // The spelling selectattr and friends also take.
    {"==", "other /", compares<kEqual>},
    {"!=", "other /", compares<kNotEqual>},
    {"<", "other /", compares<kLess>},
    {"<=", "other /", compares<kLessEqual>},
    {">", "other /", compares<kGreater>},
    {">=", "other /", compares<kGreaterEqual>},
};

}  // namespace

const Test* find_test(std::string_view name) {
    const auto* row = std::find_if(std::begin(kTests), std::end(kTests),
                                   [&](const Test& test) { return test.name == name; });
    return row == std::end(kTests) ? nullptr : row;
}

Result<bool> contains(const Value& container, const Value& item, Budget& budget) {
    if (const Text* text = container.text()) {
        if (item.text() == nullptr) {
            return make_error(ErrorCode::kInvalidArgument,
                              "'in' looks for a string in a string, not {}", item.type_name());
        }
        NEREUS_TRY(budget.spend(container.extent().weight));
        return find_bytes(text->view(), item.text()->view()) != std::string_view::npos;
    }
    if (const List* list = container.list()) {
        for (const Value& candidate : list->items) {
            NEREUS_TRY(
                budget.spend_weight(std::min(candidate.extent().weight, item.extent().weight)));
            if (equal(candidate, item)) {
                return true;
            }
        }
        return false;
    }
    if (const Dict* dict = container.dict()) {
        NEREUS_TRY(budget.spend(item.extent().weight));
        return dict->find(item) != nullptr;
    }
    if (container.is_undefined()) {
        return false;
    }
    return make_error(ErrorCode::kInvalidArgument, "'in' looks into a {}", container.type_name());
}

}  // namespace nereus::jinja
