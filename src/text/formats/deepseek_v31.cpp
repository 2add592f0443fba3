// The format of DeepSeek-V3.1: <think> or </think> behind the assistant's token says whether the
// reply thinks; tools stand in the system text (wording: appendix of the model card).

#include "text/formats/deepseek_markers.h"
#include "text/formats/native_formats.h"

namespace nereus {
namespace {

using namespace markers;

void add_tools(PromptBuilder& prompt, const std::vector<ToolSchema>& tools) {
    if (tools.empty()) {
        return;
    }
    prompt.marker("\n\n## Tools\nYou have access to the following tools:\n");
    for (const ToolSchema& tool : tools) {
        prompt.marker("\n### ");
        prompt.plain(tool.name);
        prompt.marker("\nDescription: ");
        prompt.plain(tool.description);
        prompt.marker("\n\nParameters: ");
        prompt.plain(tool.parameters);
        prompt.marker("\n");
    }
    prompt.marker("\nIMPORTANT: ALWAYS adhere to this exact format for tool use:\n");
    prompt.marker(kCallsBegin);
    prompt.marker(kCallBegin);
    prompt.marker("tool_call_name");
    prompt.marker(kSeparator);
    prompt.marker("tool_call_arguments");
    prompt.marker(kCallEnd);
    prompt.marker("{{additional_tool_calls}}");
    prompt.marker(kCallsEnd);
    prompt.marker(
        "\n\nWhere:\n\n"
        "- `tool_call_name` must be an exact match to one of the available tools\n"
        "- `tool_call_arguments` must be valid JSON that strictly follows the tool's Parameters "
        "Schema\n"
        "- For multiple tool calls, chain them directly without separators or spaces\n");
}

/// Writes the turns; `after_user_` and `after_tool_` decide which header the next one needs.
class Turns {
  public:
    explicit Turns(const NativeRequest& request)
        : request_(request), thinking_(request.thinking.value_or(false)) {
        prompt_.marker(request.bos);
        write_system(prompt_, request.messages);
        add_tools(prompt_, request.tools);
    }

    Prompt run() && {
        bool ends_open = false;
        for (const ChatMessage& message : request_.messages) {
            add(message);
            ends_open = message.is_prefix;
        }
        if (request_.add_generation_prompt && after_user_ && !ends_open) {
            add_header(thinking_);
        }
        return std::move(prompt_).take();
    }

  private:
    void add(const ChatMessage& message) {
        if (message.role == Role::kUser) {
            prompt_.marker(kUser);
            prompt_.plain(message.content);
            after_user_ = true;
            after_tool_ = false;
        } else if (message.role == Role::kTool) {
            prompt_.marker(kOutputBegin);
            prompt_.plain(message.content);
            prompt_.marker(kOutputEnd);
            after_user_ = false;
            after_tool_ = true;
        } else if (message.role == Role::kAssistant) {
            add_assistant(message);
            after_user_ = false;
            after_tool_ = false;
        }
    }

    void add_assistant(const ChatMessage& message) {
        if (after_user_) {
            add_header(message.is_prefix && thinking_);
        }
        if (message.is_prefix) {
            prompt_.plain(message.content);
            return;
        }
        const bool keeps_all = after_tool_ || !message.tool_calls.empty();
        prompt_.plain(keeps_all ? message.content : after_first_thought(message.content));
        add_calls(message);
        prompt_.marker(request_.eos);
    }

    void add_calls(const ChatMessage& message) {
        if (message.tool_calls.empty()) {
            return;
        }
        prompt_.marker(kCallsBegin);
        for (const ToolCall& call : message.tool_calls) {
            prompt_.marker(kCallBegin);
            prompt_.plain(call.name);
            prompt_.marker(kSeparator);
            prompt_.plain(call.arguments);
            prompt_.marker(kCallEnd);
        }
        prompt_.marker(kCallsEnd);
    }

    void add_header(bool thinking) {
        prompt_.marker(kAssistant);
        prompt_.marker(thinking ? kThinkBegin : kThinkEnd);
    }

    const NativeRequest& request_;
    bool thinking_;
    PromptBuilder prompt_;
    bool after_user_ = false;
    bool after_tool_ = false;
};

}  // namespace

Result<Prompt> render_v31(const NativeRequest& request) { return Turns(request).run(); }

}  // namespace nereus
