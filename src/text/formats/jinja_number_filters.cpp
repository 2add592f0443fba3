#include "text/formats/jinja_number_filters.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "base/unicode.h"

namespace nereus::jinja {
namespace {

Error beyond_64_bits() {
    return make_error(ErrorCode::kInvalidArgument, "an integer grows beyond 64 bits");
}
Error is_undefined(const Undefined& undefined) {
    return make_error(ErrorCode::kInvalidArgument, "'{}' is undefined", undefined.name);
}

/// The text with digits of any script as ASCII ones.
std::string plain_digits(std::string_view text) {
    std::string out;
    for (size_t at = 0; at < text.size();) {
        const CodePoint c = next_code_point(text.substr(at));
        const auto digit = decimal_digit(c.value);
        out += digit ? std::string(1, static_cast<char>('0' + *digit))
                     : std::string(text.substr(at, static_cast<size_t>(c.n_bytes)));
        at += static_cast<size_t>(c.n_bytes);
    }
    return out;
}

/// The text between outer blanks without the single underscores Python allows between digits;
/// empty when an underscore stands elsewhere.
std::string digits_of(const Text& text) {
    const Span span = strip_spaces(text.view(), true, true);
    const std::string digits = plain_digits(text.view().substr(span.begin, span.end - span.begin));
    std::string out;
    for (size_t i = 0; i < digits.size(); ++i) {
        const auto is_digit = [&](size_t at) {
            return at < digits.size() && std::isalnum(static_cast<unsigned char>(digits[at])) != 0;
        };
        if (digits[i] != '_') {
            out += digits[i];
        } else if (i == 0 || !is_digit(i - 1) || !is_digit(i + 1)) {
            return "";
        }
    }
    return out;
}

/// float(text): the whole of it, but for outer blanks, a sign and "inf", "nan".
std::optional<double> parse_real(const Text& text) {
    const std::string digits = digits_of(text);
    const char* begin = digits.data();
    const char* end = begin + digits.size();
    begin += begin != end && *begin == '+' ? 1 : 0;
    const bool signs_twice = begin != digits.data() && begin != end && *begin == '-';
    if (signs_twice || digits.find('(') != std::string::npos) {
        return std::nullopt;
    }
    double number = 0;
    const auto parsed = std::from_chars(begin, end, number);
    if (parsed.ptr != end || parsed.ec == std::errc::invalid_argument) {
        return std::nullopt;
    }
    if (parsed.ec == std::errc::result_out_of_range) {
        number = std::strtod(begin, nullptr);  // inf or 0, as Python reads it
    }
    return number;
}

/// int(text, base): with the prefix of the base, or of any base where base is 0.
/// errors: invalid_argument beyond 64 bits
Result<std::optional<int64_t>> parse_integer(const Text& text, int base) {
    std::string digits = digits_of(text);
    const bool is_signed = !digits.empty() && (digits[0] == '-' || digits[0] == '+');
    const bool negative = is_signed && digits[0] == '-';
    digits.erase(0, is_signed ? 1 : 0);
    static constexpr std::pair<char, int> kPrefixes[] = {{'x', 16}, {'o', 8}, {'b', 2}};
    for (const auto& [letter, prefix_base] : kPrefixes) {
        const bool has = digits.size() > 2 && digits[0] == '0' && (digits[1] | 0x20) == letter;
        if (has && (base == prefix_base || base == 0)) {
            digits.erase(0, 2);
            base = prefix_base;
        }
    }
    digits.insert(0, negative ? "-" : "");
    int64_t number = 0;
    const char* end = digits.data() + digits.size();
    const auto parsed = std::from_chars(digits.data(), end, number, base == 0 ? 10 : base);
    if (digits.empty() || parsed.ptr != end || parsed.ec == std::errc::invalid_argument ||
        digits.starts_with("--") || (is_signed && !negative && digits[0] == '-')) {
        return std::optional<int64_t>();
    }
    return parsed.ec == std::errc() ? Result<std::optional<int64_t>>(std::optional(number))
                                    : beyond_64_bits();
}

Result<Value> integer_of(double number) {
    if (!(std::abs(number) < 0x1p63)) {
        return beyond_64_bits();
    }
    return Value::integer(static_cast<int64_t>(number));
}

/// round(number, digits) is exact in Python: through the decimal digits, half to even.
double round_to(double number, int64_t digits) {
    if (!std::isfinite(number) || digits > 300) {
        return number;
    }
    if (digits < 0) {
        const double scale = std::pow(10.0, static_cast<double>(-std::max<int64_t>(digits, -300)));
        return std::nearbyint(number / scale) * scale;
    }
    return std::stod(fmt::format("{:.{}f}", number, static_cast<int>(digits)));
}

/// Rounds an integer to tens, hundreds, ...: half to even. errors: invalid_argument beyond 64 bits
Result<Value> round_integer(int64_t number, int64_t digits) {
    if (digits >= 0) {
        return Value::integer(number);
    }
    __int128 scale = 1;
    for (int64_t i = 0; i > std::max<int64_t>(digits, -20); --i) {
        scale *= 10;
    }
    __int128 quotient = number / scale;
    const __int128 rest = number % scale;
    const __int128 twice = (rest < 0 ? -rest : rest) * 2;
    if (twice > scale || (twice == scale && quotient % 2 != 0)) {
        quotient += number < 0 ? -1 : 1;
    }
    const __int128 rounded = quotient * scale;
    return rounded > INT64_MAX || rounded < INT64_MIN
               ? Result<Value>(beyond_64_bits())
               : Value::integer(static_cast<int64_t>(rounded));
}

}  // namespace

Result<Value> filter_int(const Value& input, const Arguments& arguments, Budget&) {
    const int64_t base = NEREUS_TRY(arguments.integer(1, "base", 10));
    if (const Undefined* undefined = input.get<Undefined>()) {
        return is_undefined(*undefined);
    }
    if (input.as_integer()) {
        return Value::integer(*input.as_integer());
    }
    if (const double* real = input.get<double>(); real != nullptr && !std::isnan(*real)) {
        return integer_of(*real);
    }
    if (input.text() != nullptr && (base == 0 || (base >= 2 && base <= 36))) {
        const auto parsed = NEREUS_TRY(parse_integer(*input.text(), static_cast<int>(base)));
        if (parsed) {
            return Value::integer(*parsed);
        }
        const auto real = parse_real(*input.text());
        if (real && std::isfinite(*real)) {
            return integer_of(*real);
        }
    }
    const Value* fallback = arguments.find(0, "default");
    return fallback != nullptr ? *fallback : Value::integer(0);
}

Result<Value> filter_float(const Value& input, const Arguments& arguments, Budget&) {
    if (const Undefined* undefined = input.get<Undefined>()) {
        return is_undefined(*undefined);
    }
    const auto number = input.text() != nullptr ? parse_real(*input.text()) : input.as_number();
    if (number) {
        return Value::real(*number);
    }
    const Value* fallback = arguments.find(0, "default");
    return fallback != nullptr ? *fallback : Value::real(0);
}

Result<Value> filter_abs(const Value& input, const Arguments&, Budget&) {
    if (const auto integer = input.as_integer(); integer && *integer != INT64_MIN) {
        return Value::integer(std::abs(*integer));
    }
    if (const double* real = input.get<double>()) {
        return Value::real(std::abs(*real));
    }
    if (const Complex* complex = input.get<Complex>()) {
        return Value::real(std::hypot(complex->real(), complex->imag()));
    }
    return make_error(ErrorCode::kInvalidArgument, "abs of {}", input.type_name());
}

Result<Value> filter_round(const Value& input, const Arguments& arguments, Budget&) {
    const int64_t digits = NEREUS_TRY(arguments.integer(0, "precision", 0));
    const Text method = NEREUS_TRY(arguments.text(1, "method", "common"));
    if (!input.as_number()) {
        return make_error(ErrorCode::kInvalidArgument, "round of {}", input.type_name());
    }
    if (method.bytes() == "common") {
        return input.as_integer() ? round_integer(*input.as_integer(), digits)
                                  : Value::real(round_to(*input.as_number(), digits));
    }
    if (method.bytes() != "ceil" && method.bytes() != "floor") {
        return make_error(ErrorCode::kInvalidArgument,
                          "round takes the method 'common', 'ceil' or 'floor', not '{}'",
                          method.bytes());
    }
    const double scale =
        std::pow(10.0, static_cast<double>(std::clamp<int64_t>(digits, -300, 300)));
    const double scaled = *input.as_number() * scale;
    return Value::real((method.bytes() == "ceil" ? std::ceil(scaled) : std::floor(scaled)) / scale);
}

}  // namespace nereus::jinja
