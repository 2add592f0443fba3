// A chat format made from a Jinja template: request in, trusted and untrusted pieces out.

#include <array>

#include "text/chat_format.h"
#include "text/formats/jinja_eval.h"
#include "text/formats/jinja_parser.h"
#include "text/formats/prompt_builder.h"

namespace nereus {
namespace {

using jinja::Scope;
using jinja::Text;
using jinja::Trust;
using jinja::Value;

/// Templates write '<|' + message.role + '|>'; with these words that is the template's own marker.
constexpr std::array<std::string_view, 6> kKnownRoles = {"system", "user",      "assistant",
                                                         "tool",   "developer", "function"};

bool is_known_role(const Json& role) {
    return role.is_string() && std::find(kKnownRoles.begin(), kKnownRoles.end(),
                                         role.get_ref<const std::string&>()) != kKnownRoles.end();
}

/// The messages, all of it untrusted but known roles.
Result<Value> messages_value(const Json& messages) {
    std::vector<Value> items;
    for (const Json& message : messages) {
        if (!message.is_object()) {
            return make_error(ErrorCode::kInvalidArgument, "messages[{}] is not an object",
                              items.size());
        }
        jinja::Dict dict;
        for (const auto& [key, item] : message.items()) {
            const Trust trust = key == "role" && is_known_role(item) ? Trust::kAll : Trust::kNone;
            dict.insert(Text(key, false), NEREUS_TRY(jinja::value_from_json(item, trust)));
        }
        items.push_back(NEREUS_TRY(jinja::make_dict(std::move(dict))));
    }
    return jinja::make_list(std::move(items));
}

class JinjaFormat : public ChatFormat {
  public:
    JinjaFormat(jinja::Block block, Scope variables, std::string_view origin)
        : block_(std::move(block)), variables_(std::move(variables)), origin_(origin) {}

    std::string_view name() const override { return "jinja"; }

    Result<Prompt> render(const ChatRequest& request) const override {
        const Text text = NEREUS_TRY(run_template(block_, NEREUS_TRY(scope_of(request)), origin_));
        PromptBuilder prompt;
        size_t begin = 0;
        for (const Text::Run& run : text.runs()) {
            prompt.add(text.view().substr(begin, run.end - begin), run.trusted);
            begin = run.end;
        }
        return std::move(prompt).take();
    }

    ReplySyntax reply_syntax(const ChatRequest&, const Prompt& prompt) const override {
        return reply_syntax_of(prompt);
    }

  private:
    /// As Hugging Face passes them: tools is none when there are none.
    Result<Scope> scope_of(const ChatRequest& request) const {
        if (!request.messages.is_array()) {
            return make_error(ErrorCode::kInvalidArgument, "messages is not an array");
        }
        Scope scope = variables_;
        scope["messages"] = NEREUS_TRY(messages_value(request.messages));
        scope["tools"] = NEREUS_TRY(jinja::value_from_json(request.tools, Trust::kNone));
        scope["add_generation_prompt"] = Value::boolean(request.add_generation_prompt);
        if (request.thinking) {
            scope["thinking"] = Value::boolean(*request.thinking);
            scope["enable_thinking"] = Value::boolean(*request.thinking);
        }
        for (const auto& [key, item] : request.extra.items()) {
            scope[key] = NEREUS_TRY(jinja::value_from_json(item, Trust::kNone));
        }
        return scope;
    }

    jinja::Block block_;
    Scope variables_;
    std::string origin_;
};

}  // namespace

Result<std::unique_ptr<ChatFormat>> create_jinja_format(std::string_view source,
                                                        std::string_view origin,
                                                        const Json& variables) {
    jinja::Block block = NEREUS_TRY(jinja::parse_template(source, origin));
    Scope scope;
    for (const auto& [key, item] : variables.items()) {
        scope[key] = NEREUS_TRY(jinja::value_from_json(item, Trust::kAll));
    }
    return std::unique_ptr<ChatFormat>(
        std::make_unique<JinjaFormat>(std::move(block), std::move(scope), origin));
}

}  // namespace nereus
