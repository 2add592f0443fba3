#pragma once
// A request's messages and tools, checked once and turned into plain structs for the native
// encoders.

#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/result.h"

namespace nereus {

enum class Role { kSystem, kUser, kAssistant, kTool };

struct ToolCall {
    std::string type;  ///< "function"
    std::string name;
    std::string arguments;  ///< JSON text, as given or as Python writes the object given
};

struct ChatMessage {
    Role role = Role::kUser;
    std::string content;  ///< parts of type text are joined; empty for null
    bool has_content = false;
    bool is_prefix = false;  ///< the reply goes on from this assistant text
    std::vector<ToolCall> tool_calls;
};

struct ToolSchema {
    std::string name;
    std::string description;
    std::string parameters;  ///< JSON text
};

/// errors: invalid_argument naming the message's index and field
Result<std::vector<ChatMessage>> read_messages(const Json& messages);

/// Null gives none. errors: invalid_argument naming the tool's index and field
Result<std::vector<ToolSchema>> read_tools(const Json& tools);

}  // namespace nereus
