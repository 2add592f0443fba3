#include "base/json_scan.h"

#include <simdjson.h>

namespace nereus {
namespace {

using simdjson::ondemand::value;

Error scan_error(std::string_view origin, simdjson::error_code code) {
    return make_error(ErrorCode::kCorrupt, "{}: not valid JSON: {}", origin,
                      simdjson::error_message(code));
}

/// A parser and a padded copy of the text; simdjson reads a few bytes past the end.
struct Document {
    simdjson::ondemand::parser parser;
    simdjson::padded_string padded;
    simdjson::ondemand::document document;
    std::string_view original;

    Status open(std::string_view text, std::string_view origin) {
        if (text.size() >= simdjson::SIMDJSON_MAXSIZE_BYTES) {
            return make_error(ErrorCode::kUnsupported, "{}: {} bytes of JSON are too many", origin,
                              text.size());
        }
        original = text;
        padded = simdjson::padded_string(text);
        const auto code = parser.iterate(padded).get(document);
        return code == simdjson::SUCCESS ? Status() : Status(scan_error(origin, code));
    }

    /// The same text inside the caller's buffer, without the white space that may follow a token.
    std::string_view in_original(std::string_view raw) const {
        const auto offset = static_cast<size_t>(raw.data() - padded.data());
        std::string_view text = original.substr(offset, raw.size());
        while (!text.empty() && std::string_view(" \t\r\n").find(text.back()) != text.npos) {
            text.remove_suffix(1);
        }
        return text;
    }

    Status at_end(std::string_view origin) {
        if (document.current_location().error() == simdjson::OUT_OF_BOUNDS) {
            return {};
        }
        return make_error(ErrorCode::kCorrupt, "{}: text after the JSON value", origin);
    }
};

/// The raw text of a value; for containers this walks (and so validates the nesting of) it.
simdjson::error_code raw_text(value v, std::string_view& out) {
    simdjson::ondemand::json_type type{};
    if (const auto code = v.type().get(type); code != simdjson::SUCCESS) {
        return code;
    }
    if (type == simdjson::ondemand::json_type::object) {
        simdjson::ondemand::object object;
        const auto code = v.get_object().get(object);
        return code != simdjson::SUCCESS ? code : object.raw_json().get(out);
    }
    if (type == simdjson::ondemand::json_type::array) {
        simdjson::ondemand::array array;
        const auto code = v.get_array().get(array);
        return code != simdjson::SUCCESS ? code : array.raw_json().get(out);
    }
    out = v.raw_json_token();
    // The token is not consumed here, and what is skipped with it is not looked at: {"a":1:[2]}.
    const char next = out.data()[out.size()];  // padded: never past the end
    const bool ends = next == ',' || next == '}' || next == ']';
    return ends ? simdjson::SUCCESS : simdjson::TAPE_ERROR;
}

}  // namespace

Status scan_object(std::string_view text, std::string_view origin,
                   const std::function<Status(std::string_view, std::string_view)>& field) {
    Document doc;
    NEREUS_TRY(doc.open(text, origin));
    simdjson::ondemand::object object;
    if (const auto code = doc.document.get_object().get(object); code != simdjson::SUCCESS) {
        return scan_error(origin, code);
    }
    for (auto item : object) {
        std::string_view key;
        std::string_view raw;
        auto code = item.unescaped_key().get(key);
        if (code == simdjson::SUCCESS) {
            value v;
            code = item.value().get(v);
            code = code == simdjson::SUCCESS ? raw_text(v, raw) : code;
        }
        if (code != simdjson::SUCCESS) {
            return scan_error(origin, code);
        }
        NEREUS_TRY(field(key, doc.in_original(raw)));
    }
    return doc.at_end(origin);
}

Status scan_array(std::string_view text, std::string_view origin,
                  const std::function<Status(std::string_view)>& element) {
    Document doc;
    NEREUS_TRY(doc.open(text, origin));
    simdjson::ondemand::array array;
    if (const auto code = doc.document.get_array().get(array); code != simdjson::SUCCESS) {
        return scan_error(origin, code);
    }
    for (auto item : array) {
        value v;
        std::string_view raw;
        auto code = item.get(v);
        code = code == simdjson::SUCCESS ? raw_text(v, raw) : code;
        if (code != simdjson::SUCCESS) {
            return scan_error(origin, code);
        }
        NEREUS_TRY(element(doc.in_original(raw)));
    }
    return doc.at_end(origin);
}

Result<std::string> unescape_json(std::string_view raw, std::string_view origin) {
    Document doc;
    NEREUS_TRY(doc.open(raw, origin));
    std::string_view text;
    if (const auto code = doc.document.get_string().get(text); code != simdjson::SUCCESS) {
        return scan_error(origin, code);
    }
    std::string unescaped(text);
    NEREUS_TRY(doc.at_end(origin));
    return unescaped;
}

}  // namespace nereus
