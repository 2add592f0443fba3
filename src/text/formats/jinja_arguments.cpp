#include "text/formats/jinja_arguments.h"

#include <algorithm>

namespace nereus::jinja {
namespace {

struct Parameter {
    std::string_view name;
    bool optional = false;
};

struct Signature {
    std::vector<Parameter> parameters;
    bool by_place_only = false;
    bool any_positional = false;
    bool any_named = false;
};

Signature read_signature(std::string_view text) {
    Signature signature;
    while (!text.empty()) {
        const size_t end = std::min(text.find(' '), text.size());
        std::string_view word = text.substr(0, end);
        text.remove_prefix(std::min(end + 1, text.size()));
        if (word == "*") {
            signature.any_positional = true;
        } else if (word == "**") {
            signature.any_named = true;
        } else if (word == "/") {
            signature.by_place_only = true;
        } else {
            const bool optional = word.ends_with('?');
            word.remove_suffix(optional ? 1 : 0);
            signature.parameters.push_back({word, optional});
        }
    }
    return signature;
}

Error wrong_type(std::string_view name, const char* wanted, const Value& value) {
    return make_error(ErrorCode::kInvalidArgument, "'{}' must be {}, not {}", name, wanted,
                      value.type_name());
}

Status check_names(std::string_view callee, const Signature& signature,
                   const Arguments& arguments) {
    for (const auto& [name, value] : arguments.named) {
        const auto row = std::find_if(signature.parameters.begin(), signature.parameters.end(),
                                      [&](const Parameter& p) { return p.name == name; });
        const bool known = row != signature.parameters.end() && !signature.by_place_only;
        if (!known && !signature.any_named) {
            return make_error(ErrorCode::kInvalidArgument, "'{}' takes no argument called '{}'",
                              callee, name);
        }
        const auto place = static_cast<size_t>(row - signature.parameters.begin());
        if (known && place < arguments.positional.size()) {
            return make_error(ErrorCode::kInvalidArgument, "'{}' gets '{}' twice", callee, name);
        }
    }
    return {};
}

}  // namespace

const Value* Arguments::find(size_t index, std::string_view name) const {
    if (index < positional.size()) {
        return &positional[index];
    }
    for (const auto& [key, value] : named) {
        if (key == name) {
            return &value;
        }
    }
    return nullptr;
}

const Value* Arguments::find_given(size_t index, std::string_view name) const {
    const Value* value = find(index, name);
    return value == nullptr || value->is_none() ? nullptr : value;
}

bool Arguments::truthy(size_t index, std::string_view name, bool fallback) const {
    const Value* value = find(index, name);
    return value == nullptr ? fallback : value->truthy();
}

Result<Text> Arguments::text(size_t index, std::string_view name, std::string_view fallback) const {
    const Value* value = find_given(index, name);
    if (value == nullptr) {
        return Text(std::string(fallback), true);
    }
    return value->text() != nullptr ? Result<Text>(*value->text())
                                    : wrong_type(name, "a string", *value);
}

Result<int64_t> Arguments::integer(size_t index, std::string_view name, int64_t fallback) const {
    const Value* value = find_given(index, name);
    if (value == nullptr) {
        return fallback;
    }
    return value->as_integer() ? Result<int64_t>(*value->as_integer())
                               : wrong_type(name, "an integer", *value);
}

Result<Value> Arguments::required(size_t index, std::string_view name) const {
    const Value* value = find(index, name);
    if (value == nullptr) {
        return make_error(ErrorCode::kInvalidArgument, "the argument '{}' is missing", name);
    }
    return *value;
}

Status check_arguments(std::string_view callee, std::string_view parameters,
                       const Arguments& arguments) {
    const Signature signature = read_signature(parameters);
    const size_t n_given = arguments.positional.size();
    if (n_given > signature.parameters.size() && !signature.any_positional) {
        return make_error(ErrorCode::kInvalidArgument, "'{}' takes {} arguments, not {}", callee,
                          signature.parameters.size(), n_given);
    }
    NEREUS_TRY(check_names(callee, signature, arguments));
    for (size_t i = n_given; i < signature.parameters.size(); ++i) {
        const Parameter& parameter = signature.parameters[i];
        if (!parameter.optional && arguments.find(i, parameter.name) == nullptr) {
            return make_error(ErrorCode::kInvalidArgument, "'{}' misses its argument '{}'", callee,
                              parameter.name);
        }
    }
    return {};
}

}  // namespace nereus::jinja
