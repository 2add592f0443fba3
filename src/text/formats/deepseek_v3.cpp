// The formats of DeepSeek-V2.5, V3, R1 and the R1-Distill models: role tokens with nothing between,
// tool calls in fences. They differ in four ways, which are the fields of Style.
// Tool schemas: the published templates have no place for them; describe tools in the system text.

#include "text/formats/deepseek_markers.h"
#include "text/formats/native_formats.h"

namespace nereus {
namespace {

using namespace markers;

struct Style {
    bool cuts_thoughts = false;        ///< earlier answers lose what stands before </think>
    bool header_at_user = false;       ///< the assistant's token ends the user's turn
    bool last_system_wins = false;     ///< instead of all of them
    std::string_view thinking_opener;  ///< behind the assistant's token, to open a reply
};
constexpr Style kV3{};
constexpr Style kR1{true, false, false, "<think>\n"};
constexpr Style kR1May{true, true, false, ""};
constexpr Style kDistill{true, false, true, "<think>\n"};

void write_last_system(PromptBuilder& prompt, const std::vector<ChatMessage>& messages) {
    std::string_view text;
    for (const ChatMessage& message : messages) {
        text = message.role == Role::kSystem ? message.content : text;
    }
    prompt.plain(text);
}

/// Writes the turns; remembers what the next one has to close.
class Turns {
  public:
    Turns(const NativeRequest& request, const Style& style) : request_(request), style_(style) {
        prompt_.marker(request.bos);
        (style.last_system_wins ? write_last_system : write_system)(prompt_, request.messages);
    }

    Prompt run() && {
        for (const ChatMessage& message : request_.messages) {
            add(message);
        }
        const bool follows_outputs = in_outputs_;
        close_outputs();
        if (request_.add_generation_prompt && !follows_outputs && !ends_open_) {
            open_reply();
        }
        return std::move(prompt_).take();
    }

  private:
    void add(const ChatMessage& message) {
        if (message.role == Role::kUser) {
            close_outputs();
            prompt_.marker(kUser);
            prompt_.plain(message.content);
            prompt_.marker(style_.header_at_user ? kAssistant : std::string_view());
            header_written_ = style_.header_at_user;
        } else if (message.role == Role::kTool) {
            add_output(message);
        } else if (message.role == Role::kAssistant) {
            message.tool_calls.empty() ? add_answer(message) : add_calls(message);
            header_written_ = false;
        }
    }

    /// The assistant's token, unless the user's turn has it already.
    void add_header() { prompt_.marker(style_.header_at_user ? std::string_view() : kAssistant); }

    void add_answer(const ChatMessage& message) {
        const bool follows_outputs = in_outputs_;
        close_outputs();
        if (message.is_prefix) {
            if (!follows_outputs) {
                open_reply();
            }
            prompt_.plain(message.content);
            ends_open_ = true;
            return;
        }
        if (!follows_outputs) {
            add_header();
        }
        prompt_.plain(earlier_text(message));
        prompt_.marker(request_.eos);
    }

    void add_calls(const ChatMessage& message) {
        const bool follows_outputs = in_outputs_;
        close_outputs();
        if (!follows_outputs) {
            add_header();
        }
        prompt_.plain(earlier_text(message));
        prompt_.marker(kCallsBegin);
        for (size_t i = 0; i < message.tool_calls.size(); ++i) {
            const ToolCall& call = message.tool_calls[i];
            prompt_.marker(i == 0 ? "" : "\n");
            prompt_.marker(kCallBegin);
            prompt_.plain(call.type);
            prompt_.marker(kSeparator);
            prompt_.plain(call.name);
            prompt_.marker("\n```json\n");
            prompt_.plain(call.arguments);
            prompt_.marker("\n```");
            prompt_.marker(kCallEnd);
        }
        prompt_.marker(kCallsEnd);
        prompt_.marker(request_.eos);
    }

    void add_output(const ChatMessage& message) {
        prompt_.marker(in_outputs_ ? std::string_view("\n") : kOutputsBegin);
        in_outputs_ = true;
        prompt_.marker(kOutputBegin);
        prompt_.plain(message.content);
        prompt_.marker(kOutputEnd);
    }

    void close_outputs() {
        prompt_.marker(in_outputs_ ? kOutputsEnd : std::string_view());
        in_outputs_ = false;
    }

    void open_reply() {
        prompt_.marker(header_written_ ? std::string_view() : kAssistant);
        prompt_.marker(style_.thinking_opener);
    }

    std::string_view earlier_text(const ChatMessage& message) const {
        return style_.cuts_thoughts ? after_last_thought(message.content) : message.content;
    }

    const NativeRequest& request_;
    const Style& style_;
    PromptBuilder prompt_;
    bool in_outputs_ = false;
    bool header_written_ = false;  ///< the assistant's token stands at the end, unused
    bool ends_open_ = false;
};

}  // namespace

Result<Prompt> render_v3(const NativeRequest& request) { return Turns(request, kV3).run(); }
Result<Prompt> render_r1(const NativeRequest& request) { return Turns(request, kR1).run(); }
Result<Prompt> render_r1_0528(const NativeRequest& request) { return Turns(request, kR1May).run(); }
Result<Prompt> render_r1_distill(const NativeRequest& request) {
    return Turns(request, kDistill).run();
}

}  // namespace nereus
