#pragma once
// DeepSeek's own prompt formats, one function each over checked messages. A new one is a function
// and a row of the table in native_formats.cpp.

#include <string>
#include <vector>

#include "text/formats/chat_messages.h"
#include "text/formats/prompt_builder.h"

namespace nereus {

/// A request after its checks.
struct NativeRequest {
    std::vector<ChatMessage> messages;
    std::vector<ToolSchema> tools;
    std::optional<bool> thinking;
    bool add_generation_prompt = true;
    std::string bos;
    std::string eos;
};

/// V2, V2-Lite, V2-Chat: "User: ", "Assistant:". errors: invalid_argument for tools
Result<Prompt> render_v2(const NativeRequest& request);

/// V2.5, V3, V3-0324: role tokens, nothing between.
Result<Prompt> render_v3(const NativeRequest& request);
/// V3 with earlier reasoning cut and the reply opened by <think>\n.
Result<Prompt> render_r1(const NativeRequest& request);
/// The assistant's token stands at the user's turn; the model opens <think> itself.
Result<Prompt> render_r1_0528(const NativeRequest& request);
/// As R1, but of several system messages the last one wins.
Result<Prompt> render_r1_distill(const NativeRequest& request);

/// Thinking on or off in one model, tools described in the system text.
Result<Prompt> render_v31(const NativeRequest& request);

/// What follows the first or last </think> of an earlier answer, or all of it.
std::string_view after_first_thought(std::string_view content);
std::string_view after_last_thought(std::string_view content);

/// The system messages with blank lines between them.
void write_system(PromptBuilder& prompt, const std::vector<ChatMessage>& messages);

}  // namespace nereus
