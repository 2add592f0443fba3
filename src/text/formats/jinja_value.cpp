#include "text/formats/jinja_value.h"

#include <algorithm>
#include <cmath>

#include "base/unicode.h"
#include "text/formats/python_json.h"

namespace nereus::jinja {
namespace {

/// Keys that Python holds equal (1, 1.0, True) get one spelling.
std::string key_of(const Value& key) {
    if (const Text* text = key.text()) {
        return fmt::format("s{}", text->bytes());
    }
    if (const auto integer = key.as_integer()) {
        return fmt::format("n{}.0", *integer);
    }
    if (const double* real = key.get<double>()) {
        return fmt::format("n{}", python_float(*real));
    }
    return key.is_none() ? "none" : "other";
}

constexpr const char* kTypeNames[] = {"Undefined", "NoneType", "bool",  "int",
                                      "float",     "str",      "list",  "dict",
                                      "Namespace", "loop",     "macro", "function"};
static_assert(std::size(kTypeNames) == std::variant_size_v<Value::State>);

bool equal_lists(const List& a, const List& b) {
    return a.is_tuple == b.is_tuple &&
           std::equal(a.items.begin(), a.items.end(), b.items.begin(), b.items.end(), equal);
}

bool equal_dicts(const Dict& a, const Dict& b) {
    return a.items.size() == b.items.size() &&
           std::all_of(a.items.begin(), a.items.end(), [&](const auto& item) {
               const Value* other = b.find(item.first);
               return other != nullptr && equal(item.second, *other);
           });
}

/// repr() of a str: single quotes unless that needs more escapes.
void append_repr(Text& out, const Text& text, bool trusted) {
    const std::string& bytes = text.bytes();
    const bool has_single = bytes.find('\'') != std::string::npos;
    const char quote = has_single && bytes.find('"') == std::string::npos ? '"' : '\'';
    std::string written(1, quote);
    for (const char c : bytes) {
        static constexpr std::string_view kPlain = "\n\r\t\\";
        static constexpr std::string_view kEscaped = "nrt\\";
        if (const size_t at = kPlain.find(c); at != std::string_view::npos) {
            written += '\\';
            written += kEscaped[at];
        } else if (c == quote) {
            written += '\\';
            written += c;
        } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
            written += fmt::format("\\x{:02x}", static_cast<int>(c));
        } else {
            written += c;
        }
    }
    out.append(written + quote, trusted);
}

/// Writes values as {{ }} does; the trust of a container covers all of its text.
class Printer {
  public:
    Printer(Budget& budget, bool trusted) : budget_(budget), trusted_(trusted) {}

    Status print(const Value& value, bool quoted) {
        NEREUS_TRY(budget_.spend());
        if (const Text* text = value.text()) {
            NEREUS_TRY(budget_.spend_text(out.size() + text->size()));
            quoted ? append_repr(out, *text, trusted_) : out.append(*text);
        } else if (const List* list = value.list()) {
            NEREUS_TRY(print_list(*list));
        } else if (const Dict* dict = value.dict()) {
            NEREUS_TRY(print_dict(*dict));
        } else {
            write(print_scalar(value));
        }
        return {};
    }

    Text out;

  private:
    static std::string print_scalar(const Value& value) {
        if (const bool* boolean = value.get<bool>()) {
            return *boolean ? "True" : "False";
        }
        if (const int64_t* integer = value.get<int64_t>()) {
            return std::to_string(*integer);
        }
        if (const double* real = value.get<double>()) {
            return python_float(*real);
        }
        if (value.is_undefined()) {
            return "";
        }
        return value.is_none() ? "None" : fmt::format("<{}>", value.type_name());
    }
    Status print_list(const List& list) {
        write(list.is_tuple ? "(" : "[");
        for (size_t i = 0; i < list.items.size(); ++i) {
            write(i == 0 ? "" : ", ");
            NEREUS_TRY(print(list.items[i], true));
        }
        write(!list.is_tuple ? "]" : list.items.size() == 1 ? ",)" : ")");
        return {};
    }
    Status print_dict(const Dict& dict) {
        write("{");
        for (size_t i = 0; i < dict.items.size(); ++i) {
            write(i == 0 ? "" : ", ");
            NEREUS_TRY(print(dict.items[i].first, true));
            write(": ");
            NEREUS_TRY(print(dict.items[i].second, true));
        }
        write("}");
        return {};
    }
    void write(std::string_view text) { out.append(text, trusted_); }

    Budget& budget_;
    bool trusted_;
};

Error too_deep() {
    return make_error(ErrorCode::kOverloaded, "lists nested deeper than {} levels", kValueDepthMax);
}

Result<Value> value_from_json(const Json& json, Trust trust, int depth) {
    if (depth > kValueDepthMax) {
        return too_deep();
    }
    if (json.is_object()) {
        Dict dict;
        for (const auto& [key, item] : json.items()) {
            dict.insert(Text(key, trust == Trust::kAll),
                        NEREUS_TRY(value_from_json(item, trust, depth + 1)));
        }
        return make_dict(std::move(dict));
    }
    if (json.is_array()) {
        std::vector<Value> items;
        items.reserve(json.size());
        for (const Json& item : json) {
            items.push_back(NEREUS_TRY(value_from_json(item, trust, depth + 1)));
        }
        return make_list(std::move(items));
    }
    if (json.is_string()) {
        return Value(Text(json.get<std::string>(), trust == Trust::kAll));
    }
    if (json.is_boolean()) {
        return Value::boolean(json.get<bool>());
    }
    const bool fits = !json.is_number_unsigned() || json.get<uint64_t>() <= INT64_MAX;
    if (json.is_number_integer() && fits) {
        return Value::integer(json.get<int64_t>());
    }
    return json.is_number() ? Value::real(json.get<double>()) : Value::none();
}

}  // namespace

const Value* Dict::find(const Value& key) const {
    const auto found = index.find(key_of(key));
    return found == index.end() ? nullptr : &items[found->second].second;
}

const Value* Dict::find(std::string_view key) const {
    const auto found = index.find(fmt::format("s{}", key));
    return found == index.end() ? nullptr : &items[found->second].second;
}

void Dict::insert(Value key, Value value) {
    const auto [found, added] = index.emplace(key_of(key), items.size());
    extent.add(key.extent());
    extent.add(value.extent());
    if (added) {
        items.emplace_back(std::move(key), std::move(value));
    } else {
        items[found->second].second = std::move(value);
    }
}

std::optional<int64_t> Value::as_integer() const {
    if (const bool* boolean = get<bool>()) {
        return *boolean ? 1 : 0;
    }
    const int64_t* integer = get<int64_t>();
    return integer == nullptr ? std::nullopt : std::optional(*integer);
}

std::optional<double> Value::as_number() const {
    if (const auto integer = as_integer()) {
        return static_cast<double>(*integer);
    }
    const double* real = get<double>();
    return real == nullptr ? std::nullopt : std::optional(*real);
}

bool Value::truthy() const {
    if (const auto number = as_number()) {
        return *number != 0;
    }
    if (const Text* string = text()) {
        return !string->empty();
    }
    if (const List* items = list()) {
        return !items->items.empty();
    }
    if (const Dict* fields = dict()) {
        return !fields->items.empty();
    }
    return !is_undefined() && !is_none();
}

const char* Value::type_name() const {
    const List* items = list();
    return items != nullptr && items->is_tuple ? "tuple" : kTypeNames[state_.index()];
}

void Extent::add(const Extent& part) {
    depth = std::max(depth, part.depth + 1);
    weight = std::min(weight + part.weight, kStepsMax + 1);
    trusted = trusted && part.trusted;
}

Extent Value::extent() const {
    if (const Text* string = text()) {
        const auto weight = static_cast<int64_t>(string->size() / kBytesPerStep) + 1;
        return {0, weight, string->trusted()};
    }
    if (const List* items = list()) {
        return items->extent;
    }
    const Dict* fields = dict();
    return fields != nullptr ? fields->extent : Extent();
}

Result<Value> make_list(std::vector<Value> items, bool is_tuple) {
    List list{std::move(items), is_tuple, {1, 1, true}};
    for (const Value& item : list.items) {
        list.extent.add(item.extent());
    }
    if (list.extent.depth > kValueDepthMax) {
        return too_deep();
    }
    return Value(Value::State(std::make_shared<const List>(std::move(list))));
}

Result<Value> make_dict(Dict dict) {
    if (dict.extent.depth > kValueDepthMax) {
        return too_deep();
    }
    return Value(Value::State(std::make_shared<const Dict>(std::move(dict))));
}

bool equal(const Value& a, const Value& b) {
    const auto number_a = a.as_number();
    const auto number_b = b.as_number();
    if (number_a && number_b) {
        const auto integer_a = a.as_integer();
        const auto integer_b = b.as_integer();
        return integer_a && integer_b ? *integer_a == *integer_b : *number_a == *number_b;
    }
    if (a.state().index() != b.state().index()) {
        return false;
    }
    if (const Text* text = a.text()) {
        return text->bytes() == b.text()->bytes();
    }
    if (const List* list = a.list()) {
        return equal_lists(*list, *b.list());
    }
    if (const Dict* dict = a.dict()) {
        return equal_dicts(*dict, *b.dict());
    }
    if (const auto* space = a.get<Namespace*>()) {
        return *space == *b.get<Namespace*>();
    }
    return a.is_undefined() || a.is_none();
}

Result<bool> less(const Value& a, const Value& b) {
    if (a.as_integer() && b.as_integer()) {
        return *a.as_integer() < *b.as_integer();
    }
    if (a.as_number() && b.as_number()) {
        return *a.as_number() < *b.as_number();
    }
    if (a.text() != nullptr && b.text() != nullptr) {
        return a.text()->bytes() < b.text()->bytes();
    }
    if (a.list() != nullptr && b.list() != nullptr) {
        const auto& left = a.list()->items;
        const auto& right = b.list()->items;
        for (size_t i = 0; i < std::min(left.size(), right.size()); ++i) {
            if (!equal(left[i], right[i])) {
                return less(left[i], right[i]);
            }
        }
        return left.size() < right.size();
    }
    return make_error(ErrorCode::kInvalidArgument, "{} and {} cannot be put in order",
                      a.type_name(), b.type_name());
}

Result<Text> to_text(const Value& value, Budget& budget) {
    Printer printer(budget, value.extent().trusted);
    NEREUS_TRY(printer.print(value, false));
    return std::move(printer.out);
}

Result<Value> value_from_json(const Json& json, Trust trust) {
    return value_from_json(json, trust, 0);
}

Result<Json> json_from_value(const Value& value, Budget& budget) {
    NEREUS_TRY(budget.spend());
    if (const Text* text = value.text()) {
        NEREUS_TRY(budget.spend_text(text->size()));
        return Json(text->bytes());
    }
    if (const List* list = value.list()) {
        Json out = Json::array();
        for (const Value& item : list->items) {
            out.push_back(NEREUS_TRY(json_from_value(item, budget)));
        }
        return out;
    }
    if (const Dict* dict = value.dict()) {
        Json out = Json::object();
        for (const auto& [key, item] : dict->items) {
            const Text name = NEREUS_TRY(to_text(key, budget));
            // ordered_json's operator[] would search; keys of a dict are unique already.
            out.get_ref<Json::object_t&>().emplace_back(name.bytes(),
                                                        NEREUS_TRY(json_from_value(item, budget)));
        }
        return out;
    }
    if (const bool* boolean = value.get<bool>()) {
        return Json(*boolean);
    }
    if (const int64_t* integer = value.get<int64_t>()) {
        return Json(*integer);
    }
    if (const double* real = value.get<double>()) {
        return Json(*real);
    }
    if (!value.is_none()) {
        return make_error(ErrorCode::kInvalidArgument, "{} cannot be written as JSON",
                          value.type_name());
    }
    return Json();
}

}  // namespace nereus::jinja
