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
    if (const Complex* complex = key.get<Complex>()) {
        return fmt::format("c{}", complex_text(*complex));
    }
    return key.is_none() ? "none" : "other";
}

constexpr const char* kTypeNames[] = {
    "Undefined", "NoneType", "bool",  "int",      "float",  "str",     "list",   "dict",
    "Namespace", "loop",     "macro", "function", "method", "complex", "joiner", "cycler"};
static_assert(std::size(kTypeNames) == std::variant_size_v<Value::State>);

/// In the order of ListKind.
constexpr const char* kListNames[] = {"list",      "tuple",       "tuple",      "generator",
                                      "dict_keys", "dict_values", "dict_items", "range"};

bool equal_lists(const List& a, const List& b) {
    return a.is_tuple() == b.is_tuple() &&
           std::equal(a.items.begin(), a.items.end(), b.items.begin(), b.items.end(), equal);
}

bool equal_dicts(const Dict& a, const Dict& b) {
    return a.items.size() == b.items.size() &&
           std::all_of(a.items.begin(), a.items.end(), [&](const auto& item) {
               const Value* other = b.find(item.first);
               return other != nullptr && equal(item.second, *other);
           });
}

/// One character of repr(): \n, \x1b, \u200b, ... where it would not show.
void append_repr_of(std::string& out, std::string_view bytes, CodePoint c) {
    static constexpr std::string_view kPlain = "\n\r\t\\";
    static constexpr std::string_view kEscaped = "nrt\\";
    const auto value = static_cast<uint32_t>(c.value);
    if (const size_t at = kPlain.find(bytes[0]); at != std::string_view::npos) {
        out += '\\';
        out += kEscaped[at];
    } else if (!c.valid || is_python_printable(c.value)) {
        out += bytes;
    } else {
        out += value < 0x100     ? fmt::format("\\x{:02x}", value)
               : value < 0x10000 ? fmt::format("\\u{:04x}", value)
                                 : fmt::format("\\U{:08x}", value);
    }
}

/// repr() of a str: single quotes unless that needs more escapes.
void append_repr(Text& out, const Text& text, bool trusted) {
    const std::string& bytes = text.bytes();
    const bool has_single = bytes.find('\'') != std::string::npos;
    const char quote = has_single && bytes.find('"') == std::string::npos ? '"' : '\'';
    std::string written(1, quote);
    for (size_t at = 0; at < bytes.size();) {
        const CodePoint c = next_code_point(text.view().substr(at));
        const auto n_bytes = static_cast<size_t>(c.n_bytes);
        if (bytes[at] == quote) {
            written += '\\';
            written += quote;
        } else {
            append_repr_of(written, text.view().substr(at, n_bytes), c);
        }
        at += n_bytes;
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
            quoted ? print_quoted(*text) : out.append(*text);
        } else if (const List* list = value.list()) {
            NEREUS_TRY(print_list(*list));
        } else if (const Dict* dict = value.dict()) {
            NEREUS_TRY(print_dict(*dict));
        } else {
            write(quoted && value.is_undefined() ? "Undefined" : print_scalar(value));
        }
        return {};
    }

    Text out;

  private:
    void print_quoted(const Text& text) {
        write(text.is_markup() ? "Markup(" : "");
        append_repr(out, text, trusted_);
        write(text.is_markup() ? ")" : "");
    }
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
        if (const Complex* complex = value.get<Complex>()) {
            return complex_text(*complex);
        }
        if (value.is_undefined()) {
            return "";
        }
        return value.is_none() ? "None" : fmt::format("<{}>", value.type_name());
    }
    /// As Python writes range(start, stop[, step]); the stop is the next item there would be.
    static std::string print_range(const std::vector<Value>& items) {
        const int64_t n_items = static_cast<int64_t>(items.size());
        const int64_t start = n_items > 0 ? *items[0].as_integer() : 0;
        const int64_t step = n_items > 1 ? *items[1].as_integer() - start : 1;
        const int64_t stop = start + step * n_items;
        return step == 1 ? fmt::format("range({}, {})", start, stop)
                         : fmt::format("range({}, {}, {})", start, stop, step);
    }
    Status print_list(const List& list) {
        if (list.kind == ListKind::kIterator || list.kind == ListKind::kRange) {
            write(list.kind == ListKind::kRange ? print_range(list.items) : "<generator object>");
            return {};
        }
        const bool is_view = !list.is_tuple() && list.kind != ListKind::kList;
        write(is_view           ? fmt::format("{}([", kListNames[static_cast<size_t>(list.kind)])
              : list.is_tuple() ? "("
                                : "[");
        for (size_t i = 0; i < list.items.size(); ++i) {
            write(i == 0 ? "" : ", ");
            NEREUS_TRY(print(list.items[i], true));
        }
        write(is_view ? "])" : !list.is_tuple() ? "]" : list.items.size() == 1 ? ",)" : ")");
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

/// json.dumps writes keys that are no strings as JSON writes such values.
Result<Text> json_key(const Value& key, Budget& budget) {
    if (const bool* boolean = key.get<bool>()) {
        return Text(*boolean ? "true" : "false", true);
    }
    if (key.list() != nullptr) {
        return make_error(ErrorCode::kInvalidArgument, "a tuple cannot be a key of JSON");
    }
    return key.is_none() ? Text("null", true) : to_text(key, budget);
}

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

std::optional<Complex> Value::as_complex() const {
    if (const auto number = as_number()) {
        return Complex(*number);
    }
    const Complex* complex = get<Complex>();
    return complex == nullptr ? std::nullopt : std::optional(*complex);
}

bool Value::truthy() const {
    if (const auto number = as_complex()) {
        return *number != Complex(0);
    }
    if (const Text* string = text()) {
        return !string->empty();
    }
    if (const List* items = list()) {
        return !items->items.empty() || items->kind == ListKind::kIterator;
    }
    if (const Dict* fields = dict()) {
        return !fields->items.empty();
    }
    return !is_undefined() && !is_none();
}

const char* Value::type_name() const {
    const List* items = list();
    return items != nullptr ? kListNames[static_cast<size_t>(items->kind)]
                            : kTypeNames[state_.index()];
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
    if (const BoundMethod* bound = method()) {
        return {bound->self.extent().depth + 1, 1, true};
    }
    if (const Loop* turn = loop()) {
        return {turn->levels + 1, 1, true};
    }
    const Dict* fields = dict();
    return fields != nullptr ? fields->extent : Extent();
}

Status check_levels(int levels) { return levels > kValueDepthMax ? Status(too_deep()) : Status(); }

Result<Value> make_list(std::vector<Value> items, ListKind kind) {
    List list{std::move(items), kind, {1, 1, true}};
    for (const Value& item : list.items) {
        list.extent.add(item.extent());
    }
    NEREUS_TRY(check_levels(list.extent.depth));
    return Value(Value::State(std::make_shared<const List>(std::move(list))));
}

Result<Value> make_dict(Dict dict) {
    NEREUS_TRY(check_levels(dict.extent.depth));
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
    if (a.as_complex() && b.as_complex()) {
        return *a.as_complex() == *b.as_complex();
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
    if (const auto* joiner = a.get<Joiner*>()) {
        return *joiner == *b.get<Joiner*>();
    }
    if (const auto* cycler = a.get<Cycler*>()) {
        return *cycler == *b.get<Cycler*>();
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
    const auto is_ordered = [](const List& list) {
        return list.kind == ListKind::kList || list.is_tuple();
    };
    if (a.list() != nullptr && b.list() != nullptr && is_ordered(*a.list()) &&
        is_ordered(*b.list()) && a.list()->is_tuple() == b.list()->is_tuple()) {
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

Result<Text> to_repr(const Value& value, Budget& budget) {
    Printer printer(budget, value.extent().trusted);
    NEREUS_TRY(printer.print(value, true));
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
    const List* list = value.list();
    if (list != nullptr && (list->kind == ListKind::kList || list->is_tuple())) {
        Json out = Json::array();
        for (const Value& item : list->items) {
            out.push_back(NEREUS_TRY(json_from_value(item, budget)));
        }
        return out;
    }
    if (const Dict* dict = value.dict()) {
        Json out = Json::object();
        for (const auto& [key, item] : dict->items) {
            const Text name = NEREUS_TRY(json_key(key, budget));
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
