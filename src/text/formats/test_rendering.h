#pragma once
// Short ways for tests to render a template on one message and to read what came out.

#include <string>
#include <string_view>

#include "text/chat_format.h"

namespace nereus {

inline Result<Prompt> render_for_test(std::string_view source, std::string_view content = "hi",
                                      const Json& extra = Json::object()) {
    const Json variables = {{"bos_token", "<s>"}, {"eos_token", "</s>"}};
    const auto format = NEREUS_TRY(create_jinja_format(source, "t", variables));
    ChatRequest request;
    request.messages = {{{"role", "user"}, {"content", content}}};
    request.extra = extra;
    return format->render(request);
}

/// The text, or the message of the error.
inline std::string text_or_error(std::string_view source, std::string_view content = "hi") {
    const auto prompt = render_for_test(source, content);
    return prompt.ok() ? prompt->text() : prompt.error().message;
}

/// "[trusted](untrusted)[trusted]": the pieces on one line, or the message of the error.
inline std::string marked_or_error(std::string_view source, std::string_view content) {
    const auto prompt = render_for_test(source, content);
    if (!prompt.ok()) {
        return prompt.error().message;
    }
    std::string out;
    for (const PromptPiece& piece : prompt->pieces) {
        out += (piece.trusted ? "[" : "(") + piece.text + (piece.trusted ? "]" : ")");
    }
    return out;
}

/// "unsupported", "corrupt", ..., or "rendered".
inline std::string error_word(std::string_view source) {
    const auto prompt = render_for_test(source);
    return prompt.ok() ? "rendered" : error_code_name(prompt.error().code);
}

inline std::string repeat_text(std::string_view text, size_t n) {
    std::string out;
    for (size_t i = 0; i < n; ++i) {
        out += text;
    }
    return out;
}

}  // namespace nereus
