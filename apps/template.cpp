// template: a request's messages to the prompt a model reads, as text or ids.

#include <CLI/CLI.hpp>
#include <memory>

#include "apps/input.h"
#include "apps/open.h"

namespace nereus {
namespace {

struct TemplateFlags {
    std::string path;
    std::string request;
    bool tokens = false;
};

Error field_error(const std::string& origin, std::string_view field, std::string_view expected,
                  const Json& found) {
    return make_error(ErrorCode::kInvalidArgument, "{}: {} is {}, expected {}", origin, field,
                      found.type_name(), expected);
}

/// The four fields of ChatRequest; everything else becomes a template variable.
Result<ChatRequest> request_from_json(const Json& json, const std::string& origin) {
    if (!json.is_object()) {
        return field_error(origin, "the request", "an object", json);
    }
    ChatRequest request;
    request.add_generation_prompt = false;
    request.thinking = std::nullopt;
    for (const auto& [key, value] : json.items()) {
        if (key == "messages") {
            if (!value.is_array()) {
                return field_error(origin, key, "an array", value);
            }
            request.messages = value;
        } else if (key == "tools") {
            if (!value.is_array() && !value.is_null()) {
                return field_error(origin, key, "an array or null", value);
            }
            request.tools = value;
        } else if (key == "add_generation_prompt" || key == "thinking") {
            if (!value.is_boolean()) {
                return field_error(origin, key, "true or false", value);
            }
            if (key == "thinking") {
                request.thinking = value.get<bool>();
            } else {
                request.add_generation_prompt = value.get<bool>();
            }
        } else {
            request.extra[key] = value;
        }
    }
    return request;
}

/// bos_token and its like are constants of the template, written by no user.
Json special_tokens(const ChatRequest& request) {
    Json tokens = Json::object();
    for (const auto& [key, value] : request.extra.items()) {
        if (key.ends_with("_token") && value.is_string()) {
            tokens[key] = value;
        }
    }
    return tokens;
}

Result<ExitCode> render(const TemplateFlags& flags, const CommonOptions& common) {
    const std::string body = NEREUS_TRY(read_input(flags.request));
    const Json json = NEREUS_TRY(parse_json(body, flags.request));
    ChatRequest request = NEREUS_TRY(request_from_json(json, flags.request));
    const Json constants = special_tokens(request);
    for (const auto& [key, value] : constants.items()) {
        request.extra.erase(key);
    }
    const OpenedText text = NEREUS_TRY(open_text(flags.path, common.format, constants));
    const ChatFormat* format = NEREUS_TRY(need_chat_format(text));
    const Prompt prompt = NEREUS_TRY(format->render(request));
    if (!flags.tokens) {
        return print_result(prompt.text());
    }
    NEREUS_TRY(need_tokenizer(text));
    return print_result(dump_json(Json(encode_prompt(text, prompt))) + "\n");
}

CommandBody setup(CLI::App& app, const CommonOptions& common) {
    auto flags = std::make_shared<TemplateFlags>();
    app.add_option("PATH", flags->path, "model folder, tokenizer.json, GGUF or .jinja file")
        ->required();
    app.add_option("--request", flags->request,
                   "JSON: messages, tools, thinking, add_generation_prompt; other fields become "
                   "template variables (bos_token, ...); - for stdin")
        ->required()
        ->type_name("FILE");
    app.add_flag("--tokens", flags->tokens, "print ids as JSON instead of the text");
    return [flags, &common] { return render(*flags, common); };
}

}  // namespace

const Command kTemplateCommand = {"template", "messages to the prompt a model reads", setup};

}  // namespace nereus
