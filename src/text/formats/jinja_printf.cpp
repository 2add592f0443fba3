#include "text/formats/jinja_printf.h"

#include <algorithm>
#include <charconv>
#include <cmath>

namespace nereus::jinja {
namespace {

constexpr int64_t kWidthMax = 1 << 16;

/// One %-conversion or one replacement field.
struct Conversion {
    bool left = false;
    bool center = false;
    bool right = false;
    bool zero = false;
    bool alternate = false;
    char sign = '\0';  ///< '+' or ' ' before what is not negative
    int64_t width = 0;
    int64_t precision = -1;
    char type = 's';
};

Error malformed(std::string_view what) {
    return make_error(ErrorCode::kInvalidArgument, "a format {}", what);
}

/// Reads the digits at `at` and moves behind them. errors: overloaded over kWidthMax
Result<int64_t> read_digits(std::string_view text, size_t& at, int64_t fallback) {
    int64_t number = 0;
    const char* end = text.data() + text.size();
    const auto parsed = std::from_chars(text.data() + at, end, number);
    const bool is_number = at < text.size() && text[at] != '-' && parsed.ptr != text.data() + at;
    if (is_number && (parsed.ec != std::errc() || number > kWidthMax)) {
        return make_error(ErrorCode::kOverloaded, "a format with a width over {}", kWidthMax);
    }
    at = is_number ? static_cast<size_t>(parsed.ptr - text.data()) : at;
    return is_number ? number : fallback;
}

Text pad(const Text& text, const Conversion& conversion, bool left_by_default) {
    if (conversion.width == 0) {
        return text;
    }
    const auto length = static_cast<int64_t>(count_code_points(text.view()));
    const int64_t missing = std::max<int64_t>(conversion.width - length, 0);
    const bool left = conversion.left || (left_by_default && !conversion.right);
    const int64_t before = conversion.center ? missing / 2 : left ? 0 : missing;
    Text out;
    out.append(std::string(static_cast<size_t>(before), ' '), true);
    out.append(text);
    out.append(std::string(static_cast<size_t>(missing - before), ' '), true);
    return out;
}

Result<std::string> integer_digits(const Value& value, const Conversion& conversion) {
    const double* real = value.get<double>();
    const bool decimal = conversion.type == 'd';
    if (!value.as_integer() && (real == nullptr || !decimal || !(std::abs(*real) < 0x1p63))) {
        return make_error(ErrorCode::kInvalidArgument, "%{} formats an integer, not {}",
                          conversion.type, value.type_name());
    }
    const int64_t number = real != nullptr ? static_cast<int64_t>(*real) : *value.as_integer();
    const uint64_t magnitude =
        number < 0 ? 0 - static_cast<uint64_t>(number) : static_cast<uint64_t>(number);
    std::string digits = decimal                  ? fmt::format("{}", magnitude)
                         : conversion.type == 'o' ? fmt::format("{:o}", magnitude)
                         : conversion.type == 'x' ? fmt::format("{:x}", magnitude)
                                                  : fmt::format("{:X}", magnitude);
    const auto wanted = static_cast<size_t>(std::max<int64_t>(conversion.precision, 0));
    digits.insert(0, wanted > digits.size() ? wanted - digits.size() : 0, '0');
    if (conversion.alternate && !decimal) {
        digits.insert(0, std::string("0") + conversion.type);
    }
    return (number < 0 ? "-" : "") + digits;
}

Result<std::string> real_digits(const Value& value, const Conversion& conversion) {
    if (!value.as_number()) {
        return make_error(ErrorCode::kInvalidArgument, "%{} formats a number, not {}",
                          conversion.type, value.type_name());
    }
    const auto precision = static_cast<int>(conversion.precision < 0 ? 6 : conversion.precision);
    const double number = *value.as_number();
    const bool upper = conversion.type == 'E' || conversion.type == 'G' || conversion.type == 'F';
    if (!std::isfinite(number)) {
        const std::string word = std::isnan(number) ? "nan" : number < 0 ? "-inf" : "inf";
        return upper ? std::isnan(number) ? "NAN" : number < 0 ? "-INF" : "INF" : word;
    }
    const std::string spec =
        fmt::format("{{:{}.{}{}}}", conversion.alternate ? "#" : "", precision, conversion.type);
    return fmt::format(fmt::runtime(spec), number);
}

Text number_text(std::string digits, const Conversion& conversion) {
    if (conversion.sign != '\0' && digits[0] != '-') {
        digits.insert(0, 1, conversion.sign);
    }
    const auto width = static_cast<size_t>(conversion.width);
    if (conversion.zero && !conversion.left && digits.size() < width) {
        const bool is_signed = digits[0] == '-' || digits[0] == '+' || digits[0] == ' ';
        digits.insert(is_signed ? 1 : 0, width - digits.size(), '0');
    }
    return pad(Text(std::move(digits), true), conversion, false);
}

Result<Text> character(const Value& value) {
    if (value.text() != nullptr && count_code_points(value.text()->view()) == 1) {
        return *value.text();
    }
    return make_error(ErrorCode::kInvalidArgument, "%c formats one character, not {}",
                      value.type_name());
}

Result<Text> convert(const Value& value, const Conversion& conversion, bool left_by_default,
                     Budget& budget) {
    NEREUS_TRY(budget.spend_text(static_cast<size_t>(conversion.width)));
    static constexpr std::string_view kIntegers = "dxXo";
    static constexpr std::string_view kReals = "fFeEgG";
    if (kIntegers.find(conversion.type) != std::string_view::npos) {
        return number_text(NEREUS_TRY(integer_digits(value, conversion)), conversion);
    }
    if (kReals.find(conversion.type) != std::string_view::npos) {
        return number_text(NEREUS_TRY(real_digits(value, conversion)), conversion);
    }
    if (conversion.type == 'c') {
        return pad(NEREUS_TRY(character(value)), conversion, left_by_default);
    }
    if (conversion.type != 's' && conversion.type != 'r') {
        return make_error(ErrorCode::kUnsupported, "the conversion '{}' in a format",
                          conversion.type);
    }
    const bool quoted = conversion.type == 'r';
    Text text = NEREUS_TRY(quoted ? to_repr(value, budget) : to_text(value, budget));
    NEREUS_TRY(budget.spend_text(text.size()));
    if (conversion.precision >= 0) {
        const std::vector<size_t> offsets = code_point_offsets(text.view());
        const auto cut = std::min(static_cast<size_t>(conversion.precision), offsets.size() - 1);
        text = text.slice(0, offsets[cut]);
    }
    return pad(text, conversion, left_by_default);
}

/// Walks a format for %.
class PercentFormatter {
  public:
    PercentFormatter(const Text& format, const Value& values, Budget& budget)
        : format_(format), values_(values), budget_(budget) {
        const List* list = values.list();
        tuple_ = list != nullptr && list->is_tuple() ? list : nullptr;
    }

    Result<Text> run() {
        const std::string_view text = format_.view();
        while (at_ < text.size()) {
            const size_t percent = std::min(text.find('%', at_), text.size());
            out_.append(format_.slice(at_, percent));
            at_ = percent + 1;
            if (percent < text.size()) {
                NEREUS_TRY(budget_.spend());
                NEREUS_TRY(read_conversion());
            }
            NEREUS_TRY(check_size());
        }
        const size_t n_values = tuple_ != nullptr ? tuple_->items.size() : 1;
        // Python takes everything that has items for the values of names, used or not.
        const bool has_items = values_.dict() != nullptr || values_.is_undefined() ||
                               (values_.list() != nullptr && tuple_ == nullptr);
        if (next_ < n_values && !has_items) {
            return malformed("has fewer places than there are values");
        }
        return std::move(out_);
    }

  private:
    Status check_size() const {
        return out_.size() > kOutputBytesMax ? budget_.spend_text(out_.size()) : Status();
    }
    char peek() const { return at_ < format_.size() ? format_.bytes()[at_] : '\0'; }

    Status read_conversion() {
        std::optional<Value> named;
        if (peek() == '(') {
            named = NEREUS_TRY(read_name());
        }
        Conversion conversion;
        read_flags(conversion);
        conversion.width = NEREUS_TRY(read_digits(format_.view(), at_, 0));
        if (peek() == '.') {
            ++at_;
            conversion.precision = NEREUS_TRY(read_digits(format_.view(), at_, 0));
        }
        while (peek() == 'l' || peek() == 'h' || peek() == 'L') {
            ++at_;
        }
        if (at_ == format_.size()) {
            return malformed("ends in the middle of a conversion");
        }
        const size_t begin = at_++;
        conversion.type = format_.bytes()[begin];
        if (conversion.type == '%') {
            out_.append(format_.slice(begin, begin + 1));
            return {};
        }
        if (conversion.type == 'i' || conversion.type == 'u') {
            conversion.type = 'd';
        }
        const Value value = named ? *named : NEREUS_TRY(next_value());
        out_.append(NEREUS_TRY(convert(value, conversion, false, budget_)));
        return {};
    }

    void read_flags(Conversion& conversion) {
        for (;; ++at_) {
            const char c = peek();
            if (c == '-') {
                conversion.left = true;
            } else if (c == '0') {
                conversion.zero = true;
            } else if (c == '#') {
                conversion.alternate = true;
            } else if (c == '+' || (c == ' ' && conversion.sign != '+')) {
                conversion.sign = c;
            } else if (c != ' ') {
                return;
            }
        }
    }

    Result<Value> read_name() {
        const size_t close = format_.bytes().find(')', at_);
        if (values_.dict() == nullptr || close == std::string::npos) {
            return malformed("with names takes a dict");
        }
        const std::string_view name = format_.view().substr(at_ + 1, close - at_ - 1);
        at_ = close + 1;
        const Value* found = values_.dict()->find(name);
        return found != nullptr ? Result<Value>(*found)
                                : malformed(fmt::format("names '{}', which is not there", name));
    }

    Result<Value> next_value() {
        const size_t n_values = tuple_ != nullptr ? tuple_->items.size() : 1;
        if (next_ >= n_values) {
            return malformed("has more places than there are values");
        }
        return tuple_ != nullptr ? tuple_->items[next_++] : (++next_, values_);
    }

    const Text& format_;
    const Value& values_;
    Budget& budget_;
    const List* tuple_ = nullptr;
    size_t next_ = 0;
    size_t at_ = 0;
    Text out_;
};

/// Behind the colon of a field: [<>^][+ ][#][0][width][.precision][type]
Result<Conversion> read_spec(std::string_view spec, const Value& value) {
    Conversion conversion;
    const bool is_number = value.as_number().has_value();
    size_t at = 0;
    const auto skip = [&](char c) { return at < spec.size() && spec[at] == c && ++at > 0; };
    conversion.left = skip('<');
    conversion.right = skip('>');
    conversion.center = skip('^');
    conversion.sign = skip('+') ? '+' : skip(' ') ? ' ' : '\0';
    conversion.alternate = skip('#');
    conversion.zero = skip('0');
    conversion.width = NEREUS_TRY(read_digits(spec, at, 0));
    if (skip('.')) {
        conversion.precision = NEREUS_TRY(read_digits(spec, at, 0));
    }
    const bool is_plain = at == spec.size();
    conversion.type = !is_plain ? spec[at++] : value.as_integer() && is_number ? 'd' : 's';
    if (at < spec.size() ||
        (is_plain && value.get<double>() != nullptr && conversion.precision >= 0)) {
        return make_error(ErrorCode::kUnsupported, "the field '{{:{}}}' in a format", spec);
    }
    if (std::string_view("dxXo").find(conversion.type) != std::string_view::npos &&
        !value.as_integer()) {
        return make_error(ErrorCode::kInvalidArgument, "the field '{{:{}}}' formats an integer",
                          spec);
    }
    conversion.right = conversion.right || (is_number && !conversion.left && !conversion.center);
    return conversion;
}

/// The value a field names: the next, the n-th or by keyword.
Result<Value> field_value(std::string_view name, const Arguments& arguments, size_t& next) {
    size_t index = next;
    if (name.empty()) {
        ++next;
    } else {
        const char* end = name.data() + name.size();
        const auto parsed = std::from_chars(name.data(), end, index);
        if (parsed.ec != std::errc()) {
            index = SIZE_MAX;
        } else if (parsed.ptr != end) {
            return make_error(ErrorCode::kUnsupported, "the field '{}' in a format", name);
        }
    }
    const Value* found = arguments.find(index, index == SIZE_MAX ? name : "");
    if (found == nullptr && name.find_first_of(".[") != std::string_view::npos) {
        return make_error(ErrorCode::kUnsupported, "the field '{}' in a format", name);
    }
    return found != nullptr ? Result<Value>(*found)
                            : malformed(fmt::format("names '{}', which is not there", name));
}

Result<Text> format_field(std::string_view field, const Arguments& arguments, size_t& next,
                          Budget& budget) {
    const size_t colon = std::min(field.find(':'), field.size());
    std::string_view name = field.substr(0, colon);
    const bool quoted = name.ends_with("!r");
    name.remove_suffix(quoted || name.ends_with("!s") ? 2 : 0);
    Value value = NEREUS_TRY(field_value(name, arguments, next));
    if (quoted) {
        value = NEREUS_TRY(to_repr(value, budget));
    }
    const std::string_view spec = field.substr(std::min(colon + 1, field.size()));
    if (spec.empty()) {
        return to_text(value, budget);
    }
    return convert(value, NEREUS_TRY(read_spec(spec, value)), true, budget);
}

}  // namespace

Result<Text> format_percent(const Text& format, const Value& values, Budget& budget) {
    return PercentFormatter(format, values, budget).run();
}

Result<Text> format_braces(const Text& format, const Arguments& arguments, Budget& budget) {
    const std::string_view text = format.view();
    Text out;
    size_t next = 0;
    for (size_t at = 0; at < text.size();) {
        const size_t brace = std::min(text.find_first_of("{}", at), text.size());
        out.append(format.slice(at, brace));
        at = brace + 1;
        if (brace == text.size()) {
            break;
        }
        NEREUS_TRY(budget.spend());
        if (at < text.size() && text[at] == text[brace]) {
            out.append(format.slice(brace, at++));
            continue;
        }
        const size_t close = text.find('}', at);
        if (text[brace] == '}' || close == std::string_view::npos) {
            return malformed("with a single brace");
        }
        const std::string_view field = text.substr(at, close - at);
        out.append(NEREUS_TRY(format_field(field, arguments, next, budget)));
        if (out.size() > kOutputBytesMax) {
            return budget.spend_text(out.size()).error();
        }
        at = close + 1;
    }
    return out;
}

}  // namespace nereus::jinja
