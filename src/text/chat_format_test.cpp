#include "text/chat_format.h"

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

namespace nereus {
namespace {

std::string read_text(const std::string& path) {
    std::ifstream file(std::string(NEREUS_SOURCE_DIR "/") + path, std::ios::binary);
    EXPECT_TRUE(file.good()) << path;
    std::stringstream text;
    text << file.rdbuf();
    return text.str();
}

/// One line of rendered.jsonl as a request and the constants of its template.
struct RenderedCase {
    std::string template_name;
    std::string name;
    ChatRequest request;
    Json variables;
    std::string rendered;
};

std::vector<RenderedCase> rendered_cases() {
    std::vector<RenderedCase> cases;
    std::stringstream lines(read_text("tests/data/templates/rendered.jsonl"));
    for (std::string line; std::getline(lines, line);) {
        const Json json = parse_json(line, "rendered.jsonl").value();
        const Json& arguments = json["arguments"];
        RenderedCase one;
        one.template_name = json["template"];
        one.name = json["case"];
        one.rendered = json["rendered"];
        one.variables = {{"bos_token", arguments["bos_token"]},
                         {"eos_token", arguments["eos_token"]}};
        one.request.messages = arguments["messages"];
        one.request.add_generation_prompt = arguments["add_generation_prompt"];
        one.request.thinking.reset();
        if (arguments.contains("thinking")) {
            one.request.thinking = arguments["thinking"].get<bool>();
        }
        if (arguments.contains("tools")) {
            one.request.tools = arguments["tools"];
        }
        cases.push_back(std::move(one));
    }
    return cases;
}

TEST(ChatFormat, jinja_renders_all_seventy_published_prompts_byte_for_byte) {
    int n_cases = 0;
    for (const RenderedCase& one : rendered_cases()) {
        const std::string path = "tests/data/templates/" + one.template_name + ".jinja";
        const auto format = create_jinja_format(read_text(path), path, one.variables);
        ASSERT_TRUE(format.ok()) << format.error().message;
        const auto prompt = (*format)->render(one.request);
        ASSERT_TRUE(prompt.ok()) << one.name << ": " << prompt.error().message;
        EXPECT_EQ(prompt->text(), one.rendered) << one.template_name << ", " << one.name;
        ++n_cases;
    }
    EXPECT_EQ(n_cases, 70);
}

/// "" for the text of a template over the shared context, or the error.
Result<std::string> render_with(std::string_view source, const Json& context) {
    const auto format = NEREUS_TRY(create_jinja_format(source, "case", Json::object()));
    ChatRequest request;
    request.extra = context;
    return NEREUS_TRY(format->render(request)).text();
}

TEST(ChatFormat, jinja_agrees_with_the_reference_engine_on_every_small_template) {
    const std::string folder = "tests/data/templates/";
    const Json context =
        parse_json(read_text(folder + "jinja_context.json"), "jinja_context.json").value();
    std::stringstream lines(read_text(folder + "jinja_cases.jsonl"));
    int n_cases = 0;
    for (std::string line; std::getline(lines, line); ++n_cases) {
        const Json json = parse_json(line, "jinja_cases.jsonl").value();
        const std::string source = json["template"];
        const auto rendered = render_with(source, context);
        if (json.contains("error")) {
            EXPECT_FALSE(rendered.ok()) << source << " should fail: " << json["error"];
            continue;
        }
        EXPECT_TRUE(rendered.ok()) << source << "\n" << rendered.error().message;
        if (rendered.ok()) {
            EXPECT_EQ(*rendered, json["rendered"].get<std::string>()) << source;
        }
    }
    EXPECT_GT(n_cases, 100);
}

TEST(ChatFormat, the_bundled_models_template_renders_its_own_training_format) {
    const std::string path = "models/nereus-seed/tokenizer_config.json";
    const Json config = parse_json(read_text(path), path).value();
    const Json variables = {{"bos_token", "<B>"}, {"eos_token", "<E>"}};
    const auto format =
        create_jinja_format(config["chat_template"].get<std::string>(), path, variables);
    ASSERT_TRUE(format.ok()) << format.error().message;
    ChatRequest request;
    request.messages = {{{"role", "system"}, {"content", "S"}},
                        {{"role", "user"}, {"content", "1+1?"}},
                        {{"role", "assistant"}, {"content", "<think>\neasy</think>\n\n2"}},
                        {{"role", "user"}, {"content", "2+2?"}}};
    const auto prompt = (*format)->render(request);
    ASSERT_TRUE(prompt.ok()) << prompt.error().message;
    EXPECT_EQ(prompt->text(),
              "<B>S<｜User｜>1+1?<｜Assistant｜>2<｜end▁of▁sentence｜><｜User｜>2+2?"
              "<｜Assistant｜><think>\n");
    EXPECT_TRUE((*format)->reply_syntax(request, *prompt).starts_in_thinking);
}

struct SmallModelCase {
    const char* source;
    const char* rendered;
};

/// The two shapes that small chat models ship: ChatML with a default system text, and one marker a
/// line with trim_blocks at work.
constexpr SmallModelCase kSmallModels[] = {
    {"{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}"
     "{{ '<|im_start|>system\nBe kind<|im_end|>\n' }}{% endif %}{{'<|im_start|>' + message['role']"
     " + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}{% if add_generation_prompt "
     "%}{{ '<|im_start|>assistant\n' }}{% endif %}",
     "<|im_start|>system\nBe kind<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n"
     "<|im_start|>assistant\nHello<|im_end|>\n<|im_start|>user\nBye<|im_end|>\n"
     "<|im_start|>assistant\n"},
    {"{% for message in messages %}\n{% if message['role'] == 'user' %}\n{{ '<|user|>\n' + "
     "message['content'] + eos_token }}\n{% elif message['role'] == 'assistant' %}\n"
     "{{ '<|assistant|>\n'  + message['content'] + eos_token }}\n{% endif %}\n"
     "{% if loop.last and add_generation_prompt %}\n{{ '<|assistant|>' }}\n{% endif %}\n"
     "{% endfor %}",
     "<|user|>\nHi</s>\n<|assistant|>\nHello</s>\n<|user|>\nBye</s>\n<|assistant|>\n"},
};

TEST(ChatFormat, jinja_renders_the_templates_of_small_chat_models) {
    const Json variables = {{"bos_token", "<s>"}, {"eos_token", "</s>"}};
    ChatRequest request;
    request.messages = {{{"role", "user"}, {"content", "Hi"}},
                        {{"role", "assistant"}, {"content", "Hello"}},
                        {{"role", "user"}, {"content", "Bye"}}};
    for (const SmallModelCase& one : kSmallModels) {
        const auto format = create_jinja_format(one.source, "small", variables).value();
        EXPECT_EQ(format->render(request).value().text(), one.rendered);
    }
}

}  // namespace
}  // namespace nereus
