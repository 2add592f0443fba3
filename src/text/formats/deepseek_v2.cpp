// The plain-text format of DeepSeek-V2 (README of the model): no role tokens.

#include "text/formats/native_formats.h"

namespace nereus {
namespace {

constexpr std::string_view kUser = "User: ";
constexpr std::string_view kAssistant = "Assistant:";
constexpr std::string_view kTurnEnd = "\n\n";

}  // namespace

Result<Prompt> render_v2(const NativeRequest& request) {
    PromptBuilder prompt;
    prompt.marker(request.bos);
    bool ends_open = false;
    for (size_t i = 0; i < request.messages.size(); ++i) {
        const ChatMessage& message = request.messages[i];
        if (message.role == Role::kTool || !message.tool_calls.empty()) {
            return make_error(ErrorCode::kInvalidArgument,
                              "messages[{}]: this format has no tool calls and results", i);
        }
        if (message.role == Role::kAssistant) {
            prompt.marker(kAssistant);
            prompt.marker(" ");
            prompt.plain(message.content);
            ends_open = message.is_prefix;
            prompt.marker(ends_open ? std::string_view() : request.eos);
        } else {
            prompt.marker(message.role == Role::kUser ? kUser : std::string_view());
            prompt.plain(message.content);
            prompt.marker(kTurnEnd);
        }
    }
    if (request.add_generation_prompt && !ends_open) {
        prompt.marker(kAssistant);  // no blank: the model writes it
    }
    return std::move(prompt).take();
}

}  // namespace nereus
