#pragma once
// Messages, tools and thinking to one prompt, as the model was trained to read it. The prompt is a
// list of pieces that remembers which text came from people, so that a user who types
// "<｜Assistant｜>" sends those characters and not that token.

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/result.h"

namespace nereus {

/// What to render. messages: array of {role, content, reasoning_content?, tool_calls?, prefix?,
/// ...} in the OpenAI/DeepSeek shape; tools: array or null.
struct ChatRequest {
    Json messages = Json::array();
    Json tools;
    /// Unset: the format's own default (native: as published; Jinja: the variable stays undefined).
    std::optional<bool> thinking = true;
    bool add_generation_prompt = true;
    /// Further template variables. Their strings count as typed by people: constants such as
    /// bos_token belong to create_jinja_format.
    Json extra = Json::object();
};

/// A run of prompt text. trusted: written by the format (may hold control tokens); otherwise it
/// came from a message and is encoded as plain text.
struct PromptPiece {
    std::string text;
    bool trusted = false;
};

struct Prompt {
    std::vector<PromptPiece> pieces;
    /// The whole text, pieces joined.
    std::string text() const;
};

/// How a reply of this format is divided; see reply_parser.h.
struct ReplySyntax {
    std::string think_begin = "<think>";
    std::string think_end = "</think>";
    /// The prompt already opened the thinking block (ends in <think> or <think>\n).
    bool starts_in_thinking = false;
    /// Appended to the prompt as the format's own text it leaves the reply an empty thinking block,
    /// so that a model which always thinks (R1) answers at once. The published prompts have no such
    /// switch; this is what the model writes itself when it skips thinking. Empty where the prompt
    /// says whether to think (V3.1), the model does not think, or the request began the reply.
    std::string empty_thought;
};

/// One chat format. Immutable. threads: any.
class ChatFormat {
  public:
    virtual ~ChatFormat() = default;
    virtual std::string_view name() const = 0;
    /// errors: invalid_argument (a role or field the format cannot express; the template's own
    /// raise_exception), unsupported, overloaded (a template over its limits)
    virtual Result<Prompt> render(const ChatRequest& request) const = 0;
    /// Read off the ending of the prompt that this format rendered.
    virtual ReplySyntax reply_syntax(const ChatRequest& request, const Prompt& prompt) const = 0;
};

/// A native encoder: "deepseek-v2", "deepseek-v2.5", "deepseek-v3", "deepseek-r1",
/// "deepseek-r1-0528", "deepseek-v3.1", "r1-distill". bos and eos are the model's own strings.
/// errors: not_found (lists the names)
Result<std::unique_ptr<ChatFormat>> create_native_format(std::string_view name,
                                                         std::string_view bos_token,
                                                         std::string_view eos_token);

/// A Jinja template from tokenizer_config.json, GGUF metadata or a .jinja file. variables:
/// bos_token, eos_token and whatever else is constant. errors: corrupt (syntax, with line),
/// unsupported
Result<std::unique_ptr<ChatFormat>> create_jinja_format(std::string_view source,
                                                        std::string_view origin,
                                                        const Json& variables);

}  // namespace nereus
