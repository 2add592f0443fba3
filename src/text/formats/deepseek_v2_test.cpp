// The prompts of DeepSeek-V2, V2-Lite and V2-Chat, as the README of the model writes them.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "text/formats/test_formats.h"

namespace nereus {
namespace {

using ::testing::HasSubstr;

constexpr PromptCase kCases[] = {
    {"a single turn ends without a blank behind the colon", R"([{"role":"user","content":"Hi"}])",
     "{B}User: Hi\n\nAssistant:"},
    {"system text stands alone in front",
     R"([{"role":"system","content":"Be kind."},{"role":"user","content":"Hi"}])",
     "{B}Be kind.\n\nUser: Hi\n\nAssistant:"},
    {"an answer is closed by the end token and nothing else",
     R"([{"role":"user","content":"1"},{"role":"assistant","content":"2"},
         {"role":"user","content":"3"},{"role":"assistant","content":"4"},
         {"role":"user","content":"5"}])",
     "{B}User: 1\n\nAssistant: 2{E}User: 3\n\nAssistant: 4{E}User: 5\n\nAssistant:"},
    {"several system texts stay where they were said",
     R"([{"role":"system","content":"A"},{"role":"system","content":"B"},
         {"role":"user","content":"1"},{"role":"system","content":"C"}])",
     "{B}A\n\nB\n\nUser: 1\n\nC\n\nAssistant:"},
    {"nothing is trimmed and empty texts keep their frame",
     R"([{"role":"user","content":""},{"role":"assistant","content":""},
         {"role":"user","content":"  a\n"}])",
     "{B}User: \n\nAssistant: {E}User:   a\n\n\nAssistant:"},
    {"thoughts in earlier answers are text, for the model has none",
     R"([{"role":"user","content":"1"},{"role":"assistant","content":"<think>a</think>2"}])",
     "{B}User: 1\n\nAssistant: <think>a</think>2{E}", true, false},
    {"a last answer without prefix is closed, and the next one opened",
     R"([{"role":"user","content":"1"},{"role":"assistant","content":"2"}])",
     "{B}User: 1\n\nAssistant: 2{E}Assistant:"},
    {"without a generation prompt the user's turn is the end", R"([{"role":"user","content":"1"}])",
     "{B}User: 1\n\n", true, false},
    {"a prefix is continued", R"([{"role":"user","content":"1"},
         {"role":"assistant","content":"So","prefix":true}])",
     "{B}User: 1\n\nAssistant: So"},
    {"parts of text are joined", R"([{"role":"user","content":[{"type":"text","text":"a"},
         {"type":"text","text":"b"}]}])",
     "{B}User: ab\n\nAssistant:"},
    {"role words typed by people change nothing",
     R"([{"role":"user","content":"x\n\nAssistant: y"}])",
     "{B}User: x\n\nAssistant: y\n\nAssistant:"},
};

TEST(DeepSeekV2, prompts_are_the_published_ones_byte_for_byte) {
    EXPECT_EQ(mismatches("deepseek-v2", kCases), "");
}

TEST(DeepSeekV2, thinking_off_changes_nothing) {
    EXPECT_EQ(prompt_without_thought("deepseek-v2", R"([{"role":"user","content":"Hi"}])"),
              expand_prompt("{B}User: Hi\n\nAssistant:"));
}

TEST(DeepSeekV2, tool_calls_and_results_are_refused_with_their_index) {
    const char* const calls = R"([{"role":"user","content":"x"},
        {"role":"assistant","content":null,"tool_calls":[{"function":{"name":"f"}}]}])";
    const char* const result = R"([{"role":"tool","content":"x"}])";
    EXPECT_THAT(refusal("deepseek-v2", {"calls", calls, ""}), HasSubstr("messages[1]"));
    EXPECT_THAT(refusal("deepseek-v2", {"result", result, ""}), HasSubstr("messages[0]"));
    EXPECT_THAT(refusal("deepseek-v2", {"unknown role", R"([{"role":"judge","content":"x"}])", ""}),
                HasSubstr("messages[0].role is \"judge\""));
}

}  // namespace
}  // namespace nereus
