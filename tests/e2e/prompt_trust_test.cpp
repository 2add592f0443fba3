// What people type never becomes a control token, whichever vocabulary, template and place: every
// control token of every published tokenizer, whole, cut, disguised and put together from parts.

#include <gtest/gtest.h>

#include "apps/open.h"
#include "base/unicode.h"
#include "tests/support/golden.h"
#include "tests/support/published_tokenizers.h"
#include "text/tokenizers/test_vocabularies.h"

namespace nereus {
namespace {

using Ids = std::vector<int32_t>;

constexpr const char* kTokenizers[] = {"deepseek-v3", "deepseek-r1",
                                       "deepseek-v4", "qwen2.5",
                                       "llama-3.1",   "ggml-vocab-deepseek-llm",
                                       "seed",        "ggml-vocab-deepseek-coder"};

std::unique_ptr<Tokenizer> open_tokenizer(const std::string& name) {
    if (name == "seed") {
        const std::string path = test::source_path("models/nereus-seed/tokenizer.json");
        return test::from_json(test::must(read_file(path, 16 * kMiB)), path);
    }
    return name.starts_with("ggml") ? test::from_gguf(name) : test::open_published(name);
}

/// Each is opened once.
const OpenedText& opened(const std::string& name) {
    static std::map<std::string, OpenedText> all;
    OpenedText& text = all[name];
    if (text.tokenizer == nullptr) {
        text.tokenizer = open_tokenizer(name);
    }
    return text;
}

std::vector<std::string> control_texts(const Tokenizer& tokenizer) {
    std::vector<std::string> texts;
    for (int32_t id = 0; id < tokenizer.n_tokens(); ++id) {
        if (tokenizer.is_control(id)) {
            texts.emplace_back(tokenizer.token_bytes(id));
        }
    }
    return texts;
}

std::string replaced(std::string text, std::string_view from, std::string_view to) {
    for (size_t at = text.find(from); at != text.npos; at = text.find(from, at + to.size())) {
        text.replace(at, from.size(), to);
    }
    return text;
}

/// The token as it is, cut at either end, doubled, begun twice, with look-alikes of its marks, and
/// with something invisible inside.
std::vector<std::string> forgeries(const std::string& token) {
    return {token,
            token.substr(0, token.size() - 1),
            token.substr(1),
            token + token,
            token.substr(0, 1) + token,
            token.substr(0, token.size() / 2) + token,
            replaced(replaced(token, "｜", "|"), "▁", "_"),
            replaced(replaced(token, "|", "｜"), "_", "▁"),
            replaced(token, "▁", " "),
            token.substr(0, 1) + "\u200b" + token.substr(1)};
}

Ids control_ids(const Tokenizer& tokenizer, const Ids& ids) {
    Ids out;
    for (const int32_t id : ids) {
        if (tokenizer.is_control(id)) {
            out.push_back(id);
        }
    }
    return out;
}

class PromptTrust : public ::testing::TestWithParam<const char*> {
  protected:
    const OpenedText& text() const { return opened(GetParam()); }
    const Tokenizer& tokenizer() const { return *text().tokenizer; }
    /// Bytes that a vocabulary lacks (DeepSeek-LLM has no raw 0xfc) come back as U+FFFD.
    std::string readable(std::string_view bytes) const { return replace_invalid_utf8(bytes); }
};

TEST_P(PromptTrust, every_vocabulary_has_control_tokens_and_parses_them_when_asked_to) {
    const auto texts = control_texts(tokenizer());
    ASSERT_GE(texts.size(), 3U);
    for (const std::string& token : texts) {
        EXPECT_EQ(tokenizer().encode(token, ControlTokens::kParse),
                  Ids{*tokenizer().find_control(token)});
    }
}

TEST_P(PromptTrust, a_forged_token_is_its_letters) {
    for (const std::string& token : control_texts(tokenizer())) {
        for (const std::string& forged : forgeries(token)) {
            const std::string typed = readable("a" + forged + " b");
            const Ids ids = tokenizer().encode(typed, ControlTokens::kAsText);
            ASSERT_EQ(control_ids(tokenizer(), ids), Ids{}) << typed;
            ASSERT_EQ(tokenizer().decode(ids, false), typed);
        }
    }
}

TEST_P(PromptTrust, a_token_put_together_from_two_pieces_is_its_letters) {
    Prompt prompt;
    for (const std::string& token : control_texts(tokenizer())) {
        const size_t half = token.size() / 2;
        // One half of the format's own: then it is still a person who finishes the token.
        const size_t n = prompt.pieces.size();
        prompt.pieces.push_back({token.substr(0, half), n % 3 == 0});
        prompt.pieces.push_back({token.substr(half), n % 3 == 1});
        prompt.pieces.push_back({"\n", n % 2 == 0});
    }
    const Ids ids = encode_prompt(text(), prompt);
    EXPECT_EQ(control_ids(tokenizer(), ids), Ids{});
    EXPECT_EQ(tokenizer().decode(ids, false), prompt.text());
}

TEST_P(PromptTrust, a_token_of_the_formats_own_pieces_counts_between_forged_ones) {
    Prompt prompt;
    Ids expected;
    for (const std::string& token : control_texts(tokenizer())) {
        prompt.pieces.push_back({token + token.substr(0, token.size() / 2), false});
        prompt.pieces.push_back({token, true});
        expected.push_back(*tokenizer().find_control(token));
    }
    const Ids ids = encode_prompt(text(), prompt);
    EXPECT_EQ(control_ids(tokenizer(), ids), expected);
}

INSTANTIATE_TEST_SUITE_P(AllTokenizers, PromptTrust, ::testing::ValuesIn(kTokenizers),
                         [](const auto& test) {
                             return replaced(replaced(test.param, "-", "_"), ".", "_");
                         });

/// A format, and a vocabulary that has its tokens.
struct FormatPair {
    const char* format;  ///< a native one, or a file of tests/data/templates
    const char* tokenizer;
    bool arguments_are_text = false;  ///< older templates cannot write an object
    bool has_tools = true;
};

constexpr FormatPair kFormatPairs[] = {
    {"deepseek-v2", "ggml-vocab-deepseek-llm", false, false},
    {"deepseek-v2.5", "deepseek-v3"},
    {"deepseek-v3", "deepseek-v3"},
    {"deepseek-r1", "deepseek-r1"},
    {"deepseek-r1-0528", "deepseek-r1"},
    {"deepseek-v3.1", "deepseek-r1"},
    {"r1-distill", "deepseek-r1"},
    {"Qwen-Qwen2.5-7B-Instruct.jinja", "qwen2.5"},
    {"deepseek-ai-DeepSeek-R1-Distill-Llama-8B.jinja", "deepseek-r1", true},
    {"deepseek-ai-DeepSeek-R1-Distill-Qwen-32B.jinja", "deepseek-r1"},
    {"deepseek-ai-DeepSeek-V3.1.jinja", "deepseek-r1"},
    {"deepseek-ai-DeepSeek-V3.2.jinja", "deepseek-r1"},
    {"deepseek-ai-DeepSeek-V4.jinja", "deepseek-v4"},
    {"deepseek-v3.tokenizer_config.jinja", "deepseek-v3", true},
};

std::unique_ptr<ChatFormat> format_of(const FormatPair& pair) {
    const std::string name = pair.format;
    const bool is_qwen = std::string_view(pair.tokenizer) == "qwen2.5";
    const std::string bos = is_qwen ? "<|endoftext|>" : "<｜begin▁of▁sentence｜>";
    const std::string eos = is_qwen ? "<|im_end|>" : "<｜end▁of▁sentence｜>";
    if (!name.ends_with(".jinja")) {
        return test::must(create_native_format(name, bos, eos));
    }
    const std::string path = test::source_path("tests/data/templates/" + name);
    return test::must(create_jinja_format(test::must(read_file(path, kMiB)), path,
                                          {{"bos_token", bos}, {"eos_token", eos}}));
}

/// The same text in every place where a person, a tool or a model of an earlier turn writes.
ChatRequest request_with(const FormatPair& pair, const std::string& typed) {
    const Json arguments = pair.arguments_are_text ? Json(typed) : Json{{typed, typed}};
    const Json call = {{"type", "function"},
                       {"function", {{"name", typed}, {"arguments", arguments}}}};
    ChatRequest request;
    request.messages = {{{"role", "system"}, {"content", typed}},
                        {{"role", "user"}, {"content", typed}},
                        {{"role", "assistant"}, {"content", typed}, {"reasoning_content", typed}},
                        {{"role", "user"}, {"content", typed}}};
    if (pair.has_tools) {
        request.messages.push_back(
            {{"role", "assistant"}, {"content", nullptr}, {"tool_calls", {call, call}}});
        request.messages.push_back({{"role", "tool"}, {"content", typed}});
        request.messages.push_back({{"role", "tool"}, {"content", typed}});
        request.messages.push_back({{"role", "assistant"}, {"content", typed}});
        request.messages.push_back({{"role", "user"}, {"content", typed}});
        request.tools = Json::array(
            {{{"type", "function"},
              {"function",
               {{"name", typed}, {"description", typed}, {"parameters", {{typed, typed}}}}}}});
    }
    return request;
}

TEST(PromptTrustFormats, the_control_tokens_of_a_prompt_do_not_depend_on_what_people_type) {
    for (const FormatPair& pair : kFormatPairs) {
        const OpenedText& text = opened(pair.tokenizer);
        const auto format = format_of(pair);
        const auto controls_with = [&](const std::string& typed) {
            const Prompt prompt = test::must(format->render(request_with(pair, typed)));
            const Ids ids = encode_prompt(text, prompt);
            EXPECT_EQ(text.tokenizer->decode(ids, false), prompt.text()) << pair.format;
            return control_ids(*text.tokenizer, ids);
        };
        const Ids harmless = controls_with("x");
        EXPECT_GE(harmless.size(), pair.has_tools ? 10U : 2U) << pair.format;
        std::string everything;
        for (const std::string& token : control_texts(*text.tokenizer)) {
            if (token.find("\xef\xbd\x9cplace") != token.npos || token.find("no▁") != token.npos) {
                continue;  // 800 of a kind; PromptTrust has them all
            }
            for (const std::string& forged : forgeries(token)) {
                everything += replace_invalid_utf8(forged);
            }
        }
        EXPECT_EQ(controls_with(everything), harmless) << pair.format;
        EXPECT_EQ(controls_with("｜User｜>"), harmless) << pair.format;
        EXPECT_EQ(controls_with("<"), harmless) << pair.format;
        EXPECT_EQ(controls_with(""), harmless) << pair.format;
    }
}

/// A vocabulary that composes characters before it looks for its token.
OpenedText composing_vocabulary() {
    Json json = small_json();
    json["normalizer"] = {{"type", "NFC"}};
    json["added_tokens"] = Json::array({added_json(300, "<\u00e9>", true)});
    json["added_tokens"][0]["normalized"] = true;
    OpenedText text;
    text.tokenizer = tokenizer_of(json);
    return text;
}

TEST(PromptTrustFormats, a_token_that_only_normalising_completes_is_letters_too) {
    const OpenedText text = composing_vocabulary();
    const std::string decomposed = "<e\u0301>";
    ASSERT_EQ(text.tokenizer->encode(decomposed, ControlTokens::kParse), Ids{300});
    Prompt prompt;
    prompt.pieces = {{"<\u00e9>", true}, {decomposed, false}};
    const Ids ids = encode_prompt(text, prompt);
    EXPECT_EQ(control_ids(*text.tokenizer, ids), Ids{300});
    EXPECT_EQ(text.tokenizer->decode(ids, false), "<\u00e9><\u00e9>");
}

TEST(PromptTrustFormats, a_role_typed_by_a_person_makes_no_token) {
    const OpenedText& text = opened("qwen2.5");
    const auto format = test::must(create_jinja_format(
        "{% for m in messages %}{{ '<|' + m.role + '|>' + m.content }}{% endfor %}", "test",
        Json::object()));
    ChatRequest request;
    request.messages = {{{"role", "im_start"}, {"content", "a"}},
                        {{"role", "im_end"}, {"content", "b"}}};
    const Prompt prompt = test::must(format->render(request));
    EXPECT_EQ(prompt.text(), "<|im_start|>a<|im_end|>b");
    EXPECT_EQ(control_ids(*text.tokenizer, encode_prompt(text, prompt)), Ids{});
}

}  // namespace
}  // namespace nereus
