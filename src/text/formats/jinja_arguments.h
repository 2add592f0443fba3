#pragma once
// What filters, tests, methods and functions get called with, and how they say that it does not
// fit.

#include <string>
#include <string_view>
#include <vector>

#include "text/formats/jinja_value.h"

namespace nereus::jinja {

struct Arguments {
    std::vector<Value> positional;
    std::vector<std::pair<std::string, Value>> named;

    /// The argument at `index` or called `name`; null when it was not given.
    const Value* find(size_t index, std::string_view name) const {
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
    bool truthy(size_t index, std::string_view name, bool fallback) const {
        const Value* value = find(index, name);
        return value == nullptr ? fallback : value->truthy();
    }
    /// errors: invalid_argument for another type; the fallback when not given or none
    Result<Text> text(size_t index, std::string_view name, std::string_view fallback) const {
        const Value* value = find(index, name);
        if (value == nullptr || value->is_none()) {
            return Text(std::string(fallback), true);
        }
        if (value->text() == nullptr) {
            return make_error(ErrorCode::kInvalidArgument, "'{}' must be a string, not {}", name,
                              value->type_name());
        }
        return *value->text();
    }
    Result<int64_t> integer(size_t index, std::string_view name, int64_t fallback) const {
        const Value* value = find(index, name);
        if (value == nullptr || value->is_none()) {
            return fallback;
        }
        if (!value->as_integer()) {
            return make_error(ErrorCode::kInvalidArgument, "'{}' must be an integer, not {}", name,
                              value->type_name());
        }
        return *value->as_integer();
    }
    /// errors: invalid_argument when it is missing
    Result<Value> required(size_t index, std::string_view name) const {
        const Value* value = find(index, name);
        if (value == nullptr) {
            return make_error(ErrorCode::kInvalidArgument, "the argument '{}' is missing", name);
        }
        return *value;
    }
};

}  // namespace nereus::jinja
