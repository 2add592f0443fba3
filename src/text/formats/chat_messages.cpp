#include "text/formats/chat_messages.h"

#include <algorithm>

#include "text/formats/python_json.h"

namespace nereus {
namespace {

struct RoleName {
    std::string_view name;
    Role role;
};
constexpr RoleName kRoles[] = {
    {"system", Role::kSystem},
    {"user", Role::kUser},
    {"assistant", Role::kAssistant},
    {"tool", Role::kTool},
};

/// Where in the request something is wrong: "messages[2].content".
using Place = std::string;

Error wrong(const Place& place, std::string_view expected, const Json& found) {
    return make_error(ErrorCode::kInvalidArgument, "{} must be {}, not {}", place, expected,
                      found.type_name());
}

/// The field, or null when it is absent or null.
const Json* find_field(const Json& object, std::string_view name) {
    const auto found = object.find(name);
    return found == object.end() || found->is_null() ? nullptr : &*found;
}

Result<std::string> read_string(const Json& object, std::string_view name, const Place& place) {
    const Json* field = find_field(object, name);
    if (field == nullptr || !field->is_string()) {
        return wrong(fmt::format("{}.{}", place, name), "a string",
                     field == nullptr ? Json() : *field);
    }
    return field->get<std::string>();
}

Result<Role> read_role(const Json& message, const Place& place) {
    const std::string name = NEREUS_TRY(read_string(message, "role", place));
    for (const RoleName& row : kRoles) {
        if (row.name == name) {
            return row.role;
        }
    }
    return make_error(ErrorCode::kInvalidArgument,
                      "{}.role is \"{}\"; this format has system, user, assistant and tool", place,
                      name);
}

/// A string, or a list of {type: "text", text: ...}.
Result<std::string> read_content(const Json& content, const Place& place) {
    if (content.is_string()) {
        return content.get<std::string>();
    }
    if (!content.is_array()) {
        return wrong(place, "a string or a list of parts", content);
    }
    std::string text;
    size_t index = 0;
    for (const Json& part : content) {
        const Place part_place = fmt::format("{}[{}]", place, index++);
        if (!part.is_object()) {
            return wrong(part_place, "an object", part);
        }
        const std::string type = NEREUS_TRY(read_string(part, "type", part_place));
        if (type != "text") {
            return make_error(ErrorCode::kInvalidArgument,
                              "{}.type is \"{}\"; this format has only text", part_place, type);
        }
        text += NEREUS_TRY(read_string(part, "text", part_place));
    }
    return text;
}

Result<ToolCall> read_call(const Json& json, const Place& place) {
    if (!json.is_object()) {
        return wrong(place, "an object", json);
    }
    ToolCall call;
    const Json* type = find_field(json, "type");
    call.type = type == nullptr ? "function" : NEREUS_TRY(read_string(json, "type", place));
    const Json* function = find_field(json, "function");
    if (function == nullptr || !function->is_object()) {
        return wrong(place + ".function", "an object", function == nullptr ? Json() : *function);
    }
    call.name = NEREUS_TRY(read_string(*function, "name", place + ".function"));
    const Json* arguments = find_field(*function, "arguments");
    if (arguments == nullptr) {
        call.arguments = "{}";
    } else if (arguments->is_string()) {
        call.arguments = arguments->get<std::string>();
    } else if (arguments->is_object()) {
        call.arguments = python_json(*arguments);
    } else {
        return wrong(place + ".function.arguments", "a string or an object", *arguments);
    }
    return call;
}

Result<std::vector<ToolCall>> read_calls(const Json& message, const Place& place) {
    std::vector<ToolCall> calls;
    const Json* list = find_field(message, "tool_calls");
    if (list == nullptr) {
        return calls;
    }
    if (!list->is_array()) {
        return wrong(place + ".tool_calls", "a list", *list);
    }
    for (const Json& json : *list) {
        calls.push_back(
            NEREUS_TRY(read_call(json, fmt::format("{}.tool_calls[{}]", place, calls.size()))));
    }
    return calls;
}

Result<ChatMessage> read_message(const Json& json, const Place& place, bool is_last) {
    if (!json.is_object()) {
        return wrong(place, "an object", json);
    }
    ChatMessage message;
    message.role = NEREUS_TRY(read_role(json, place));
    const bool is_assistant = message.role == Role::kAssistant;
    message.tool_calls = NEREUS_TRY(read_calls(json, place));
    if (!is_assistant && !message.tool_calls.empty()) {
        return make_error(ErrorCode::kInvalidArgument,
                          "{}.tool_calls: only the assistant calls tools", place);
    }
    const Json* content = find_field(json, "content");
    message.has_content = content != nullptr;
    if (content != nullptr) {
        message.content = NEREUS_TRY(read_content(*content, place + ".content"));
    } else if (message.tool_calls.empty()) {
        return wrong(place + ".content", "a string or a list of parts", Json());
    }
    const Json* prefix = find_field(json, "prefix");
    if (prefix != nullptr && !prefix->is_boolean()) {
        return wrong(place + ".prefix", "a boolean", *prefix);
    }
    message.is_prefix = prefix != nullptr && prefix->get<bool>();
    if (message.is_prefix && (!is_assistant || !is_last || !message.tool_calls.empty())) {
        return make_error(ErrorCode::kInvalidArgument,
                          "{}.prefix: only a last assistant message without tool calls can be "
                          "continued",
                          place);
    }
    return message;
}

}  // namespace

Result<std::vector<ChatMessage>> read_messages(const Json& messages) {
    if (!messages.is_array() || messages.empty()) {
        return make_error(ErrorCode::kInvalidArgument,
                          "messages must be a list with at least one message, not {}",
                          messages.is_array() ? "an empty one" : messages.type_name());
    }
    std::vector<ChatMessage> out;
    for (const Json& json : messages) {
        const bool is_last = out.size() + 1 == messages.size();
        out.push_back(
            NEREUS_TRY(read_message(json, fmt::format("messages[{}]", out.size()), is_last)));
    }
    return out;
}

Result<std::vector<ToolSchema>> read_tools(const Json& tools) {
    std::vector<ToolSchema> out;
    if (tools.is_null()) {
        return out;
    }
    if (!tools.is_array()) {
        return wrong("tools", "a list", tools);
    }
    for (const Json& json : tools) {
        const Place place = fmt::format("tools[{}]", out.size());
        const Json* function = json.is_object() ? find_field(json, "function") : nullptr;
        if (function == nullptr || !function->is_object()) {
            return wrong(place + ".function", "an object",
                         function == nullptr ? Json() : *function);
        }
        ToolSchema tool;
        tool.name = NEREUS_TRY(read_string(*function, "name", place + ".function"));
        if (find_field(*function, "description") != nullptr) {
            tool.description =
                NEREUS_TRY(read_string(*function, "description", place + ".function"));
        }
        const Json* parameters = find_field(*function, "parameters");
        tool.parameters = parameters == nullptr ? "{}" : python_json(*parameters);
        out.push_back(std::move(tool));
    }
    return out;
}

}  // namespace nereus
