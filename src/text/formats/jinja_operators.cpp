#include "text/formats/jinja_operators.h"

#include <algorithm>
#include <cmath>

#include "text/formats/jinja_markup.h"
#include "text/formats/jinja_printf.h"
#include "text/formats/jinja_tests.h"

namespace nereus::jinja {
namespace {

Error beyond_64_bits() {
    return make_error(ErrorCode::kInvalidArgument, "an integer grows beyond 64 bits");
}
Error division_by_zero() { return make_error(ErrorCode::kInvalidArgument, "division by zero"); }
Error wrong_types(std::string_view operation, const Value& a, const Value& b) {
    const auto name = [](const Value& value) {
        const Undefined* undefined = value.get<Undefined>();
        return undefined == nullptr ? std::string(value.type_name())
                                    : fmt::format("the undefined '{}'", undefined->name);
    };
    return make_error(ErrorCode::kInvalidArgument, "'{}' does not work on {} and {}", operation,
                      name(a), name(b));
}

Result<Value> checked(bool overflow, int64_t value) {
    return overflow ? Result<Value>(beyond_64_bits()) : Value::integer(value);
}

using IntegerOperation = Result<Value> (*)(int64_t a, int64_t b);
using RealOperation = Result<Value> (*)(double a, double b);

Result<Value> add_integers(int64_t a, int64_t b) {
    int64_t out = 0;
    const bool overflow = __builtin_add_overflow(a, b, &out);
    return checked(overflow, out);
}
Result<Value> subtract_integers(int64_t a, int64_t b) {
    int64_t out = 0;
    const bool overflow = __builtin_sub_overflow(a, b, &out);
    return checked(overflow, out);
}
Result<Value> multiply_integers(int64_t a, int64_t b) {
    int64_t out = 0;
    const bool overflow = __builtin_mul_overflow(a, b, &out);
    return checked(overflow, out);
}
Result<Value> divide_integers(int64_t a, int64_t b) {
    if (b == 0) {
        return division_by_zero();
    }
    return Value::real(static_cast<double>(a) / static_cast<double>(b));
}
Result<Value> floor_divide_integers(int64_t a, int64_t b) {
    if (b == 0) {
        return division_by_zero();
    }
    if (b == -1) {
        return subtract_integers(0, a);  // INT64_MIN / -1 does not fit
    }
    return Value::integer(a / b - (a % b != 0 && (a < 0) != (b < 0) ? 1 : 0));
}
Result<Value> modulo_integers(int64_t a, int64_t b) {
    if (b == 0) {
        return division_by_zero();
    }
    if (b == -1) {
        return Value::integer(0);
    }
    const int64_t rest = a % b;
    return Value::integer(rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest);
}
Result<Value> power_reals(double a, double b) {
    if (a == 0 && b < 0) {
        return division_by_zero();
    }
    if (a < 0 && std::isfinite(a) && std::isfinite(b) && std::floor(b) != b) {
        return Value(Value::State(NEREUS_TRY(apply_complex("**", a, b))));
    }
    const double power = std::pow(a, b);
    if (std::isinf(power) && std::isfinite(a) && std::isfinite(b)) {
        return make_error(ErrorCode::kInvalidArgument, "a power beyond the largest number");
    }
    return Value::real(power);
}
Result<Value> power_integers(int64_t a, int64_t b) {
    if (b < 0) {
        return power_reals(static_cast<double>(a), static_cast<double>(b));
    }
    int64_t out = 1;
    for (bool overflow = false; b > 0; b >>= 1) {
        overflow = (b & 1) != 0 && __builtin_mul_overflow(out, a, &out);
        overflow = (b > 1 && __builtin_mul_overflow(a, a, &a)) || overflow;
        if (overflow) {
            return beyond_64_bits();
        }
    }
    return Value::integer(out);
}
Result<Value> add_reals(double a, double b) { return Value::real(a + b); }
Result<Value> subtract_reals(double a, double b) { return Value::real(a - b); }
Result<Value> multiply_reals(double a, double b) { return Value::real(a * b); }
Result<Value> divide_reals(double a, double b) {
    return b == 0 ? Result<Value>(division_by_zero()) : Value::real(a / b);
}
/// Python's rest has the sign of the divisor, even when it is zero.
double rest_of(double a, double b) {
    const double rest = std::fmod(a, b);
    return rest == 0 ? std::copysign(0.0, b) : (rest < 0) != (b < 0) ? rest + b : rest;
}
/// As CPython's float_floor_div: through the rest, so that 1 // 0.1 is 9.
Result<Value> floor_divide_reals(double a, double b) {
    if (b == 0) {
        return division_by_zero();
    }
    const double rest = std::fmod(a, b);
    const double borrow = rest != 0 && (rest < 0) != (b < 0) ? 1 : 0;
    const double quotient = (a - rest) / b - borrow;
    const double floor = std::floor(quotient);
    return Value::real(quotient == 0 ? std::copysign(0.0, a / b)
                                     : floor + (quotient - floor > 0.5 ? 1 : 0));
}
Result<Value> modulo_reals(double a, double b) {
    return b == 0 ? Result<Value>(division_by_zero()) : Value::real(rest_of(a, b));
}

struct Arithmetic {
    std::string_view operation;
    IntegerOperation integers;
    RealOperation reals;
};
constexpr Arithmetic kArithmetic[] = {
    {"+", add_integers, add_reals},
    {"-", subtract_integers, subtract_reals},
    {"*", multiply_integers, multiply_reals},
    {"/", divide_integers, divide_reals},
    {"//", floor_divide_integers, floor_divide_reals},
    {"%", modulo_integers, modulo_reals},
    {"**", power_integers, power_reals},
};

Result<Value> join_texts(const Text& a, const Text& b, Budget& budget) {
    NEREUS_TRY(budget.spend_text(a.size() + b.size()));
    Text out;
    out.append(a);
    out.append(b);
    return Value(std::move(out));
}

/// Where one of them is marked as HTML, the other is escaped.
Result<Value> add_texts(const Value& a, const Value& b, Budget& budget) {
    if (!is_markup(a) && !is_markup(b)) {
        return join_texts(*a.text(), *b.text(), budget);
    }
    const Value left = NEREUS_TRY(escape_value(a, budget));
    const Value right = NEREUS_TRY(escape_value(b, budget));
    return mark_html(NEREUS_TRY(join_texts(*left.text(), *right.text(), budget)));
}

Result<Value> format_text(const Value& format, const Value& values, Budget& budget) {
    const auto run = [&](const Arguments& given) -> Result<Value> {
        return Value(NEREUS_TRY(format_percent(*format.text(), given.positional[0], budget)));
    };
    if (!is_markup(format)) {
        return run({{values}, {}});
    }
    // The values of a tuple or a dict one by one, as they are printed.
    if (const Dict* dict = values.dict()) {
        Dict escaped;
        for (const auto& [key, value] : dict->items) {
            const Arguments one =
                NEREUS_TRY(escape_arguments({{value}, {}}, MarkupRule::kEscapesPrinted, budget));
            escaped.insert(key, one.positional[0]);
        }
        return mark_html(NEREUS_TRY(run({{NEREUS_TRY(make_dict(std::move(escaped)))}, {}})));
    }
    const bool is_tuple = values.list() != nullptr && values.list()->is_tuple();
    const Arguments all =
        NEREUS_TRY(escape_arguments({is_tuple ? values.list()->items : std::vector{values}, {}},
                                    MarkupRule::kEscapesPrinted, budget));
    return mark_html(
        NEREUS_TRY(run({{NEREUS_TRY(make_list(all.positional, ListKind::kTuple))}, {}})));
}

ListKind plain_kind(const List& list) {
    return list.is_tuple() ? ListKind::kTuple : ListKind::kList;
}

Result<Value> join_lists(const List& a, const List& b, Budget& budget) {
    NEREUS_TRY(budget.spend_list(static_cast<int64_t>(a.items.size() + b.items.size())));
    std::vector<Value> items = a.items;
    items.insert(items.end(), b.items.begin(), b.items.end());
    return make_list(std::move(items), plain_kind(a));
}

Result<Value> repeat(const Value& value, int64_t n_times, Budget& budget) {
    n_times = std::max<int64_t>(n_times, 0);
    const size_t size = value.text() != nullptr ? value.text()->size() : value.list()->items.size();
    int64_t total = 0;
    if (__builtin_mul_overflow(static_cast<int64_t>(size), n_times, &total)) {
        total = INT64_MAX;
    }
    n_times = size == 0 ? 0 : n_times;
    if (const Text* text = value.text()) {
        NEREUS_TRY(budget.spend_text(static_cast<size_t>(total)));
        NEREUS_TRY(budget.spend(n_times));
        Text out;
        for (int64_t i = 0; i < n_times; ++i) {
            out.append(*text);
        }
        return text->is_markup() ? mark_html(Value(std::move(out))) : Value(std::move(out));
    }
    NEREUS_TRY(budget.spend_list(total));
    std::vector<Value> items;
    for (int64_t i = 0; i < n_times; ++i) {
        items.insert(items.end(), value.list()->items.begin(), value.list()->items.end());
    }
    return make_list(std::move(items), plain_kind(*value.list()));
}

/// Ranges, views and iterators neither add up nor repeat.
bool is_concatenable(const List& list) { return list.kind == ListKind::kList || list.is_tuple(); }
bool is_sequence(const Value& value) {
    return value.text() != nullptr || (value.list() != nullptr && is_concatenable(*value.list()));
}

}  // namespace

Result<Value> apply_arithmetic(std::string_view operation, const Value& a, const Value& b,
                               Budget& budget) {
    if (operation == "~") {
        const Text left = NEREUS_TRY(to_text(a, budget));
        return join_texts(left, NEREUS_TRY(to_text(b, budget)), budget);
    }
    if (a.as_number() && b.as_number()) {
        const auto* row = std::find_if(std::begin(kArithmetic), std::end(kArithmetic),
                                       [&](const auto& r) { return r.operation == operation; });
        return a.as_integer() && b.as_integer() ? row->integers(*a.as_integer(), *b.as_integer())
                                                : row->reals(*a.as_number(), *b.as_number());
    }
    if (a.as_complex() && b.as_complex()) {
        return Value(
            Value::State(NEREUS_TRY(apply_complex(operation, *a.as_complex(), *b.as_complex()))));
    }
    if (operation == "+" && a.text() != nullptr && b.text() != nullptr) {
        return add_texts(a, b, budget);
    }
    if (operation == "+" && a.list() != nullptr && b.list() != nullptr &&
        is_concatenable(*a.list()) && a.list()->is_tuple() == b.list()->is_tuple() &&
        is_concatenable(*b.list())) {
        return join_lists(*a.list(), *b.list(), budget);
    }
    if (operation == "*" && is_sequence(a) && b.as_integer()) {
        return repeat(a, *b.as_integer(), budget);
    }
    if (operation == "*" && a.as_integer() && is_sequence(b)) {
        return repeat(b, *a.as_integer(), budget);
    }
    if (operation == "%" && a.text() != nullptr) {
        return format_text(a, b, budget);
    }
    return wrong_types(operation, a, b);
}

Result<bool> apply_comparison(std::string_view operation, const Value& a, const Value& b,
                              Budget& budget) {
    if (operation == "in" || operation == "not in") {
        return NEREUS_TRY(contains(b, a, budget)) == (operation == "in");
    }
    NEREUS_TRY(budget.spend_weight(std::min(a.extent().weight, b.extent().weight)));
    if (operation == "==" || operation == "!=") {
        return equal(a, b) == (operation == "==");
    }
    if (operation == "<") {
        return less(a, b);
    }
    if (operation == ">") {
        return less(b, a);
    }
    // Not the negation of the opposite: neither holds for NaN.
    return NEREUS_TRY(operation == "<=" ? less(a, b) : less(b, a)) || equal(a, b);
}

Result<Value> apply_sign(bool negative, const Value& value) {
    if (const auto integer = value.as_integer()) {
        return negative ? subtract_integers(0, *integer) : Value::integer(*integer);
    }
    if (const double* real = value.get<double>()) {
        return Value::real(negative ? -*real : *real);
    }
    if (const Complex* complex = value.get<Complex>()) {
        return Value(Value::State(negative ? -*complex : *complex));
    }
    return make_error(ErrorCode::kInvalidArgument, "a sign before {}", value.type_name());
}

}  // namespace nereus::jinja
