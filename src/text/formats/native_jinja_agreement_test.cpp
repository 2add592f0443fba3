// Native encoders against the Jinja templates of the same models: random conversations give the
// same bytes, and the same bytes count as typed by people.

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "base/rng.h"
#include "text/formats/test_formats.h"

namespace nereus {
namespace {

/// Where a template and the encoder of its model agree. What the conversations leave out is where
/// the template is known to go wrong or to differ from the official format.
struct Pair {
    const char* template_name;
    const char* format;
    /// Calls of one message. V3's and the first distilled template close calls behind the second
    /// and again behind every later one.
    int calls_min = 1;
    int calls_max = 3;
    /// V3's and the distilled templates never open a second list of calls or results.
    int rounds_max = 1;
    /// Arguments as an object where the template writes JSON, as text where it copies them.
    bool arguments_are_objects = false;
    /// Text beside calls: the older templates drop one of the two.
    bool calls_have_text = false;
    /// A user right behind results: the older templates leave the results open.
    bool user_may_follow_results = false;
    /// The distilled templates keep thoughts in the answer to results, the format cuts them.
    bool thoughts_after_results = true;
    /// llama.cpp's V3.1 closes a block it opened where the official format has the closing tag
    /// alone; its distilled template adds one unless thinking is on.
    bool opens_empty_block = false;
    bool only_thinking = false;
};

constexpr Pair kPairs[] = {
    {.template_name = "deepseek-v3.tokenizer_config",
     .format = "deepseek-v3",
     .calls_min = 2,
     .calls_max = 2},
    {.template_name = "deepseek-ai-DeepSeek-R1-Distill-Llama-8B",
     .format = "r1-distill",
     .calls_min = 2,
     .calls_max = 2,
     .thoughts_after_results = false},
    {.template_name = "deepseek-ai-DeepSeek-R1-Distill-Qwen-32B",
     .format = "r1-distill",
     .arguments_are_objects = true,
     .thoughts_after_results = false,
     .only_thinking = true},
    {.template_name = "deepseek-ai-DeepSeek-V3.1",
     .format = "deepseek-v3.1",
     .rounds_max = 3,
     .arguments_are_objects = true,
     .calls_have_text = true,
     .user_may_follow_results = true,
     .opens_empty_block = true},
};

class Conversations {
  public:
    Conversations(const Pair& pair, uint64_t seed) : pair_(pair), seed_(seed) {}

    ChatRequest next() {
        ChatRequest request;
        rounds_ = 0;
        for (size_t n = 1 + random(5); n > 0; --n) {
            if (random(4) == 0) {
                add(request, "system", text(true));
            }
            if (random(5) != 0) {
                add(request, "user", text(true));
            }
            if (random(3) == 0 && rounds_ < pair_.rounds_max) {
                add_round(request, n == 1);
            } else if (n > 1 || random(2) == 0) {
                add(request, "assistant", text(true));
            }
        }
        if (request.messages.empty()) {
            add(request, "user", text(true));
        }
        request.add_generation_prompt = random(3) != 0;
        request.thinking = pair_.only_thinking || random(2) == 0;
        return request;
    }

  private:
    size_t random(size_t n) { return random_bits(seed_, 1, position_++) % n; }

    std::string text(bool may_think) {
        constexpr std::string_view kPieces[] = {
            "</think>", "<think>",    "\n",      " ",
            "a",        "Ω",          "你好",    "{{ x }}",
            "{% if %}", "<｜User｜>", "'\"\\",   "🙂",
            "\t\r",     "</",         "e\u0301", "<｜tool▁calls▁end｜>"};
        std::string out;
        for (size_t n = random(6); n > 0; --n) {
            out += kPieces[may_think ? random(std::size(kPieces))
                                     : 1 + random(std::size(kPieces) - 1)];
        }
        return out;
    }

    static void add(ChatRequest& request, const char* role, std::string content) {
        request.messages.push_back({{"role", role}, {"content", std::move(content)}});
    }

    Json call() {
        Json arguments = Json::object();  // JSON without a letter is nobody's text to Jinja
        for (size_t n = 1 + random(2); n > 0; --n) {
            arguments["k" + text(true)] =
                Json::array({text(true), random(100), nullptr, 0.5, true});
        }
        return {{"type", "function"},
                {"function",
                 {{"name", text(true)},
                  {"arguments", pair_.arguments_are_objects ? arguments : Json(text(true))}}}};
    }

    /// Calls, results, and an answer unless the conversation ends here.
    void add_round(ChatRequest& request, bool is_last) {
        ++rounds_;
        Json message = {{"role", "assistant"}, {"content", nullptr}, {"tool_calls", Json::array()}};
        const auto spread = static_cast<size_t>(pair_.calls_max - pair_.calls_min + 1);
        for (size_t n = static_cast<size_t>(pair_.calls_min) + random(spread); n > 0; --n) {
            message["tool_calls"].push_back(call());
        }
        if (pair_.calls_have_text && random(2) == 0) {
            message["content"] = text(true);
        }
        request.messages.push_back(std::move(message));
        for (size_t n = 1 + random(2); n > 0; --n) {
            add(request, "tool", text(true));
        }
        if (!is_last && (!pair_.user_may_follow_results || random(2) == 0)) {
            add(request, "assistant", text(pair_.thoughts_after_results));
        }
    }

    const Pair& pair_;
    uint64_t seed_;
    uint64_t position_ = 0;
    int rounds_ = 0;
};

std::unique_ptr<ChatFormat> shipped_template(const Pair& pair) {
    const std::string path =
        std::string(NEREUS_SOURCE_DIR "/tests/data/templates/") + pair.template_name + ".jinja";
    std::ifstream file(path, std::ios::binary);
    std::stringstream bytes;
    bytes << file.rdbuf();
    std::string source = bytes.str();
    constexpr std::string_view kBlock = "<think></think>";
    for (size_t at = source.find(kBlock); pair.opens_empty_block && at != source.npos;
         at = source.find(kBlock, at)) {
        source.erase(at, std::string_view("<think>").size());
    }
    return create_jinja_format(
               source, path,
               {{"bos_token", "<｜begin▁of▁sentence｜>"}, {"eos_token", "<｜end▁of▁sentence｜>"}})
        .value();
}

/// The prompt with its untrusted runs in brackets of their own.
std::string marked(const Prompt& prompt) {
    std::string text;
    for (const PromptPiece& piece : prompt.pieces) {
        text += piece.trusted ? piece.text : "\x01" + piece.text + "\x02";
    }
    return text;
}

TEST(NativeJinjaAgreement, random_conversations_give_the_same_prompt_and_the_same_trust) {
    for (const Pair& pair : kPairs) {
        const auto reference = shipped_template(pair);
        const auto native = native_format(pair.format);
        Conversations conversations(pair, 20260301);
        for (int round = 0; round < 400; ++round) {
            const ChatRequest request = conversations.next();
            const auto expected = reference->render(request);
            const auto found = native->render(request);
            ASSERT_TRUE(expected.ok()) << expected.error().message;
            ASSERT_TRUE(found.ok()) << found.error().message;
            ASSERT_EQ(marked(*found), marked(*expected))
                << pair.template_name << ", round " << round << "\n"
                << dump_json(request.messages);
        }
    }
}

}  // namespace
}  // namespace nereus
