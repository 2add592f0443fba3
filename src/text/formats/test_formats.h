#pragma once
// Table-driven tests of native chat formats: a request's messages in, every byte of the prompt out.

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "text/chat_format.h"

namespace nereus {

/// Short names for the control texts, so that an expected prompt fits its line.
inline constexpr std::pair<std::string_view, std::string_view> kPromptNames[] = {
    {"{B}", "<｜begin▁of▁sentence｜>"},
    {"{E}", "<｜end▁of▁sentence｜>"},
    {"{U}", "<｜User｜>"},
    {"{A}", "<｜Assistant｜>"},
    {"{calls}", "<｜tool▁calls▁begin｜>"},
    {"{/calls}", "<｜tool▁calls▁end｜>"},
    {"{call}", "<｜tool▁call▁begin｜>"},
    {"{/call}", "<｜tool▁call▁end｜>"},
    {"{sep}", "<｜tool▁sep｜>"},
    {"{outputs}", "<｜tool▁outputs▁begin｜>"},
    {"{/outputs}", "<｜tool▁outputs▁end｜>"},
    {"{output}", "<｜tool▁output▁begin｜>"},
    {"{/output}", "<｜tool▁output▁end｜>"},
};

/// The bytes that `brief` stands for.
inline std::string expand_prompt(std::string_view brief) {
    std::string text;
    while (!brief.empty()) {
        size_t n = 1;
        std::string_view bytes = brief.substr(0, 1);
        for (const auto& [name, token] : kPromptNames) {
            if (brief.starts_with(name)) {
                n = name.size();
                bytes = token;
            }
        }
        text += bytes;
        brief.remove_prefix(n);
    }
    return text;
}

struct PromptCase {
    const char* claim;
    std::string_view messages;  ///< JSON
    const char* expected;       ///< with the names of kPromptNames
    std::optional<bool> thinking = true;
    bool add_generation_prompt = true;
    const char* tools = "null";  ///< JSON
};

inline std::unique_ptr<ChatFormat> native_format(std::string_view name) {
    return create_native_format(name, "<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>").value();
}

inline ChatRequest request_of(const PromptCase& one) {
    ChatRequest request;
    request.messages = parse_json(one.messages, "messages").value();
    request.tools = parse_json(one.tools, "tools").value();
    request.thinking = one.thinking;
    request.add_generation_prompt = one.add_generation_prompt;
    return request;
}

/// Every case whose prompt is not the expected one, with both; "" when there is none.
template <size_t N>
std::string mismatches(std::string_view format, const PromptCase (&cases)[N]) {
    std::string text;
    for (const PromptCase& one : cases) {
        const auto prompt = native_format(format)->render(request_of(one));
        const std::string found = prompt.ok() ? prompt->text() : prompt.error().message;
        const std::string expected = expand_prompt(one.expected);
        if (found != expected) {
            text += fmt::format("{}, {}\n  expected {}\n  found    {}\n", format, one.claim,
                                expected, found);
        }
    }
    return text;
}

/// The message of the error that rendering must give; "" when it gives none.
inline std::string refusal(std::string_view format, const PromptCase& one) {
    const auto prompt = native_format(format)->render(request_of(one));
    return prompt.ok() ? "" : prompt.error().message;
}

/// The prompt as a chat with thinking switched off sends it: with the empty thought, if any.
inline std::string prompt_without_thought(std::string_view format, std::string_view messages) {
    const ChatRequest request = request_of({"", messages, "", false});
    const auto native = native_format(format);
    const Prompt prompt = native->render(request).value();
    return prompt.text() + native->reply_syntax(request, prompt).empty_thought;
}

}  // namespace nereus
