#include "text/formats/python_json.h"

#include <charconv>
#include <cmath>

namespace nereus {
namespace {

void write_string(std::string& out, std::string_view text) {
    out += '"';
    for (const char c : text) {
        static constexpr std::string_view kPlain = "\"\\\b\f\n\r\t";
        static constexpr std::string_view kEscaped = "\"\\bfnrt";
        if (const size_t at = kPlain.find(c); at != std::string_view::npos) {
            out += '\\';
            out += kEscaped[at];
        } else if (static_cast<unsigned char>(c) < 0x20) {
            out += fmt::format("\\u{:04x}", static_cast<int>(c));
        } else {
            out += c;
        }
    }
    out += '"';
}

std::string json_float(double value) {
    if (std::isnan(value)) {
        return "NaN";
    }
    if (std::isinf(value)) {
        return value > 0 ? "Infinity" : "-Infinity";
    }
    return python_float(value);
}

/// Recursion follows the document's nesting, which parse_json and the value limits bound.
class Writer {
  public:
    explicit Writer(std::optional<int> indent) : indent_(indent) {}

    void write(const Json& json) {
        if (json.is_object()) {
            write_items(json, '{', '}');
        } else if (json.is_array()) {
            write_items(json, '[', ']');
        } else if (json.is_string()) {
            write_string(out, json.get_ref<const std::string&>());
        } else if (json.is_number_float()) {
            out += json_float(json.get<double>());
        } else {
            out += dump_json(json);
        }
    }

    std::string out;

  private:
    void write_items(const Json& json, char open, char close) {
        out += open;
        ++depth_;
        bool first = true;
        for (const auto& [key, value] : json.items()) {
            if (!first) {
                out += indent_ ? "," : ", ";
            }
            first = false;
            break_line();
            if (json.is_object()) {
                write_string(out, key);
                out += ": ";
            }
            write(value);
        }
        --depth_;
        if (!first) {
            break_line();
        }
        out += close;
    }
    void break_line() {
        if (indent_) {
            out += '\n';
            out.append(static_cast<size_t>(*indent_ * depth_), ' ');
        }
    }

    std::optional<int> indent_;
    int depth_ = 0;
};

}  // namespace

std::string python_json(const Json& json, std::optional<int> indent) {
    Writer writer(indent);
    writer.write(json);
    return std::move(writer.out);
}

std::string python_float(double value) {
    if (!std::isfinite(value)) {
        return std::isnan(value) ? "nan" : value > 0 ? "inf" : "-inf";
    }
    char buffer[40];
    // "d.ddde[+-]xx" with the fewest digits; Python prints it with an exponent only outside
    // 1e-4 <= |value| < 1e16.
    auto end = std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::scientific);
    const std::string scientific(buffer, end.ptr);
    const int exponent = std::stoi(scientific.substr(scientific.find('e') + 1));
    if (exponent < -4 || exponent >= 16) {
        return scientific;
    }
    end = std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::fixed);
    std::string fixed(buffer, end.ptr);
    return fixed.find('.') == std::string::npos ? fixed + ".0" : fixed;
}

}  // namespace nereus
