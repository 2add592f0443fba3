#include "text/formats/python_json.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <vector>

#include "base/unicode.h"

namespace nereus {
namespace {

/// \uXXXX, twice for what does not fit in 16 bits.
void write_escaped(std::string& out, char32_t c) {
    const auto value = static_cast<uint32_t>(c);
    if (value < 0x10000) {
        out += fmt::format("\\u{:04x}", value);
        return;
    }
    const uint32_t rest = value - 0x10000;
    out += fmt::format("\\u{:04x}\\u{:04x}", 0xd800 + (rest >> 10), 0xdc00 + (rest & 0x3ff));
}

std::string to_ascii(std::string_view text) {
    std::string out;
    for (size_t at = 0; at < text.size();) {
        const CodePoint c = next_code_point(text.substr(at));
        if (c.value < 0x7f) {
            out += text[at];
        } else {
            write_escaped(out, c.value);
        }
        at += static_cast<size_t>(c.n_bytes);
    }
    return out;
}

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
    explicit Writer(const JsonStyle& style) : style_(style) {}

    void write(const Json& json) {
        if (json.is_object()) {
            write_items(json, '{', '}');
        } else if (json.is_array()) {
            write_items(json, '[', ']');
        } else if (json.is_string()) {
            write_text(json.get_ref<const std::string&>());
        } else if (json.is_number_float()) {
            out += json_float(json.get<double>());
        } else {
            out += dump_json(json);
        }
    }

    std::string out;

  private:
    void write_text(std::string_view text) {
        std::string written;
        write_string(written, text);
        out += style_.ensure_ascii ? to_ascii(written) : written;
    }
    void write_items(const Json& json, char open, char close) {
        using Item = std::pair<std::string_view, const Json*>;
        std::vector<Item> items;
        for (const auto& item : json.items()) {
            items.emplace_back(json.is_object() ? std::string_view(item.key()) : "", &item.value());
        }
        if (style_.sort_keys && json.is_object()) {
            std::sort(items.begin(), items.end(),
                      [](const Item& a, const Item& b) { return a.first < b.first; });
        }
        out += open;
        ++depth_;
        for (size_t i = 0; i < items.size(); ++i) {
            out += i == 0 ? "" : style_.item_separator;
            break_line();
            if (json.is_object()) {
                write_text(items[i].first);
                out += style_.key_separator;
            }
            write(*items[i].second);
        }
        --depth_;
        if (!items.empty()) {
            break_line();
        }
        out += close;
    }
    void break_line() {
        if (!style_.indent) {
            return;
        }
        out += '\n';
        for (int i = 0; i < depth_; ++i) {
            out += *style_.indent;
        }
    }

    const JsonStyle& style_;
    int depth_ = 0;
};

}  // namespace

std::string python_json(const Json& json, const JsonStyle& style) {
    Writer writer(style);
    writer.write(json);
    return std::move(writer.out);
}

std::string python_json(const Json& json, std::optional<int> indent) {
    JsonStyle style;
    if (indent) {
        style.indent = std::string(static_cast<size_t>(*indent), ' ');
        style.item_separator = ",";
    }
    return python_json(json, style);
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
