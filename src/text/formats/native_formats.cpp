#include "text/formats/native_formats.h"

#include <algorithm>

#include "text/formats/deepseek_markers.h"

namespace nereus {
namespace {

struct NativeRow {
    std::string_view name;
    Result<Prompt> (*render)(const NativeRequest& request);
    /// The model opens <think> itself, right behind the assistant's token.
    bool opens_thinking = false;
};
constexpr NativeRow kNativeFormats[] = {
    {"deepseek-v2", render_v2},
    {"deepseek-v2.5", render_v3},
    {"deepseek-v3", render_v3},
    {"deepseek-r1", render_r1},
    {"deepseek-r1-0528", render_r1_0528, true},
    {"deepseek-v3.1", render_v31},
    {"r1-distill", render_r1_distill},
};

class NativeFormat : public ChatFormat {
  public:
    NativeFormat(const NativeRow& row, std::string_view bos, std::string_view eos)
        : row_(row), bos_(bos), eos_(eos) {}

    std::string_view name() const override { return row_.name; }

    Result<Prompt> render(const ChatRequest& request) const override {
        NativeRequest checked;
        checked.messages = NEREUS_TRY(read_messages(request.messages));
        checked.tools = NEREUS_TRY(read_tools(request.tools));
        checked.thinking = request.thinking;
        checked.add_generation_prompt = request.add_generation_prompt;
        checked.bos = bos_;
        checked.eos = eos_;
        return row_.render(checked);
    }

    ReplySyntax reply_syntax(const ChatRequest&, const Prompt& prompt) const override {
        ReplySyntax syntax = reply_syntax_of(prompt);
        const bool at_header = !prompt.pieces.empty() && prompt.pieces.back().trusted &&
                               prompt.pieces.back().text.ends_with(markers::kAssistant);
        if (row_.opens_thinking && at_header) {
            syntax.empty_thought = syntax.think_begin + "\n\n" + syntax.think_end + "\n\n";
        }
        return syntax;
    }

  private:
    const NativeRow& row_;
    std::string bos_;
    std::string eos_;
};

}  // namespace

std::string_view after_first_thought(std::string_view content) {
    const size_t end = content.find(markers::kThinkEnd);
    return end == std::string_view::npos ? content
                                         : content.substr(end + markers::kThinkEnd.size());
}

std::string_view after_last_thought(std::string_view content) {
    const size_t end = content.rfind(markers::kThinkEnd);
    return end == std::string_view::npos ? content
                                         : content.substr(end + markers::kThinkEnd.size());
}

void write_system(PromptBuilder& prompt, const std::vector<ChatMessage>& messages) {
    bool is_first = true;
    for (const ChatMessage& message : messages) {
        if (message.role == Role::kSystem) {
            prompt.marker(is_first ? "" : "\n\n");
            prompt.plain(message.content);
            is_first = false;
        }
    }
}

Result<std::unique_ptr<ChatFormat>> create_native_format(std::string_view name,
                                                         std::string_view bos_token,
                                                         std::string_view eos_token) {
    std::string names;
    for (const NativeRow& row : kNativeFormats) {
        if (row.name == name) {
            return std::unique_ptr<ChatFormat>(
                std::make_unique<NativeFormat>(row, bos_token, eos_token));
        }
        names += fmt::format("{}{}", names.empty() ? "" : ", ", row.name);
    }
    return make_error(ErrorCode::kNotFound, "no chat format \"{}\"; there are {}", name, names);
}

}  // namespace nereus
