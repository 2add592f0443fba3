// The prompts of DeepSeek-V2.5, V3 and V3-0324: role tokens, nothing between, system texts in
// front.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "text/formats/test_formats.h"

namespace nereus {
namespace {

using ::testing::HasSubstr;

constexpr PromptCase kTextCases[] = {
    {"a single turn", R"([{"role":"user","content":"Hi"}])", "{B}{U}Hi{A}"},
    {"system text follows the first token",
     R"([{"role":"system","content":"Be kind."},{"role":"user","content":"Hi"}])",
     "{B}Be kind.{U}Hi{A}"},
    {"turns touch", R"([{"role":"user","content":"1"},{"role":"assistant","content":"2"},
         {"role":"user","content":"3"}])",
     "{B}{U}1{A}2{E}{U}3{A}"},
    {"several system texts come first, a blank line between them",
     R"([{"role":"system","content":"A"},{"role":"system","content":"B"},
         {"role":"user","content":"1"},{"role":"system","content":"C"},
         {"role":"user","content":"2"}])",
     "{B}A\n\nB\n\nC{U}1{U}2{A}"},
    {"an empty system text still counts as one",
     R"([{"role":"system","content":""},{"role":"system","content":"B"},
         {"role":"user","content":"1"}])",
     "{B}\n\nB{U}1{A}"},
    {"empty messages keep their tokens",
     R"([{"role":"user","content":""},{"role":"assistant","content":""},
         {"role":"user","content":""}])",
     "{B}{U}{A}{E}{U}{A}"},
    {"nothing is trimmed", R"([{"role":"user","content":" \n a \n"},
         {"role":"assistant","content":"\n b "}])",
     "{B}{U} \n a \n{A}\n b {E}", true, false},
    {"thoughts in earlier answers stay, for the model has none",
     R"([{"role":"user","content":"1"},{"role":"assistant","content":"<think>a</think>2"},
         {"role":"user","content":"3"}])",
     "{B}{U}1{A}<think>a</think>2{E}{U}3{A}"},
    {"reasoning_content is not sent back",
     R"([{"role":"user","content":"1"},
         {"role":"assistant","reasoning_content":"secret","content":"2"},
         {"role":"user","content":"3"}])",
     "{B}{U}1{A}2{E}{U}3{A}"},
    {"system text alone is continued by the assistant", R"([{"role":"system","content":"S"}])",
     "{B}S{A}"},
    {"an assistant may begin", R"([{"role":"assistant","content":"Welcome"},
         {"role":"user","content":"1"}])",
     "{B}{A}Welcome{E}{U}1{A}"},
    {"without a generation prompt the user's turn is the end", R"([{"role":"user","content":"1"}])",
     "{B}{U}1", true, false},
    {"after a closed answer another is opened", R"([{"role":"user","content":"1"},
         {"role":"assistant","content":"2"}])",
     "{B}{U}1{A}2{E}{A}"},
    {"a prefix is continued and not closed", R"([{"role":"user","content":"1"},
         {"role":"assistant","content":"So","prefix":true}])",
     "{B}{U}1{A}So"},
    {"a prefix needs no generation prompt", R"([{"role":"user","content":"1"},
         {"role":"assistant","content":"So","prefix":true}])",
     "{B}{U}1{A}So", true, false},
    {"prefix false is no prefix", R"([{"role":"user","content":"1"},
         {"role":"assistant","content":"So","prefix":false}])",
     "{B}{U}1{A}So{E}{A}"},
    {"parts of text are joined without a separator",
     R"([{"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":""},
         {"type":"text","text":"b"}]},{"role":"assistant","content":[]}])",
     "{B}{U}ab{A}{E}", true, false},
    {"thinking is no word of this format", R"([{"role":"user","content":"Hi"}])", "{B}{U}Hi{A}",
     false},
};

constexpr PromptCase kToolCases[] = {
    {"a single call is closed as several are",
     R"([{"role":"user","content":"w?"},{"role":"assistant","content":null,"tool_calls":[
         {"id":"1","type":"function","function":{"name":"f","arguments":"{\"a\":1}"}}]}])",
     "{B}{U}w?{A}{calls}{call}function{sep}f\n```json\n{\"a\":1}\n```{/call}{/calls}{E}", true,
     false},
    {"several calls stand on lines of their own",
     R"([{"role":"user","content":"w?"},{"role":"assistant","content":null,"tool_calls":[
         {"function":{"name":"f","arguments":{"a":["ü",1.0,null]}}},
         {"function":{"name":"g","arguments":""}},{"function":{"name":"h"}}]}])",
     "{B}{U}w?{A}{calls}{call}function{sep}f\n```json\n{\"a\": [\"ü\", 1.0, null]}\n```{/call}\n"
     "{call}function{sep}g\n```json\n\n```{/call}\n"
     "{call}function{sep}h\n```json\n{}\n```{/call}{/calls}{E}",
     true, false},
    {"text before the calls is kept",
     R"([{"role":"user","content":"w?"},{"role":"assistant","content":"Let me see.","tool_calls":[
         {"function":{"name":"f","arguments":"{}"}}]}])",
     "{B}{U}w?{A}Let me see.{calls}{call}function{sep}f\n```json\n{}\n```{/call}{/calls}{E}", true,
     false},
    {"the reply to a result follows without a header",
     R"([{"role":"user","content":"w?"},{"role":"assistant","content":null,"tool_calls":[
         {"function":{"name":"f","arguments":"{}"}}]},{"role":"tool","content":"R"}])",
     "{B}{U}w?{A}{calls}{call}function{sep}f\n```json\n{}\n```{/call}{/calls}{E}"
     "{outputs}{output}R{/output}{/outputs}"},
    {"so does an earlier one, closed",
     R"([{"role":"user","content":"w?"},{"role":"assistant","content":null,"tool_calls":[
         {"function":{"name":"f","arguments":"{}"}}]},{"role":"tool","content":"R1"},
         {"role":"tool","content":""},{"role":"assistant","content":"done"},
         {"role":"user","content":"thanks"}])",
     "{B}{U}w?{A}{calls}{call}function{sep}f\n```json\n{}\n```{/call}{/calls}{E}"
     "{outputs}{output}R1{/output}\n{output}{/output}{/outputs}done{E}{U}thanks{A}"},
    {"a second round is like the first, without a header behind the results",
     R"([{"role":"user","content":"w?"},
         {"role":"assistant","tool_calls":[{"function":{"name":"f"}}]},
         {"role":"tool","content":"R1"},
         {"role":"assistant","tool_calls":[{"function":{"name":"g"}}]},
         {"role":"tool","content":"R2"}])",
     "{B}{U}w?{A}{calls}{call}function{sep}f\n```json\n{}\n```{/call}{/calls}{E}"
     "{outputs}{output}R1{/output}{/outputs}"
     "{calls}{call}function{sep}g\n```json\n{}\n```{/call}{/calls}{E}"
     "{outputs}{output}R2{/output}{/outputs}"},
    {"results are closed before a user speaks",
     R"([{"role":"tool","content":"R"},{"role":"user","content":"and?"}])",
     "{B}{outputs}{output}R{/output}{/outputs}{U}and?{A}"},
    {"a prefix may continue the reply to a result",
     R"([{"role":"tool","content":"R"},{"role":"assistant","content":"It","prefix":true}])",
     "{B}{outputs}{output}R{/output}{/outputs}It"},
};

TEST(DeepSeekV3, text_prompts_are_the_published_ones_byte_for_byte) {
    EXPECT_EQ(mismatches("deepseek-v3", kTextCases), "");
    EXPECT_EQ(mismatches("deepseek-v2.5", kTextCases), "");
}

TEST(DeepSeekV3, tool_prompts_are_the_published_ones_byte_for_byte) {
    EXPECT_EQ(mismatches("deepseek-v3", kToolCases), "");
    EXPECT_EQ(mismatches("deepseek-v2.5", kToolCases), "");
}

TEST(DeepSeekV3, the_tokens_are_spelled_as_in_its_vocabulary) {
    const auto prompt = native_format("deepseek-v3")->render(request_of(kTextCases[2]));
    EXPECT_EQ(prompt.value().text(),
              "<\xef\xbd\x9c"
              "begin\xe2\x96\x81of\xe2\x96\x81sentence\xef\xbd\x9c><\xef\xbd\x9cUser\xef\xbd\x9c>1<"
              "\xef\xbd\x9c"
              "Assistant\xef\xbd\x9c>2<\xef\xbd\x9c"
              "end\xe2\x96\x81of\xe2\x96\x81sentence\xef\xbd\x9c><\xef\xbd\x9cUser\xef\xbd\x9c>3<"
              "\xef\xbd\x9c"
              "Assistant\xef\xbd\x9c>");
}

TEST(DeepSeekV3, never_gets_a_thought) {
    EXPECT_EQ(prompt_without_thought("deepseek-v3", R"([{"role":"user","content":"Hi"}])"),
              expand_prompt("{B}{U}Hi{A}"));
}

TEST(DeepSeekV3, refuses_what_it_cannot_say) {
    const std::pair<const char*, const char*> wrong[] = {
        {R"([{"role":"developer","content":"x"}])", "messages[0].role is \"developer\""},
        {R"([{"role":"User","content":"x"}])", "has system, user, assistant and tool"},
        {R"([{"role":"assistant","content":null}])", "messages[0].content must be a string"},
        {R"([{"role":"assistant","content":null,"tool_calls":[]}])", "messages[0].content must be"},
        {R"([{"role":"tool","content":null}])", "messages[0].content must be"},
        {R"([{"role":"user","content":{"text":"x"}}])", "messages[0].content must be"},
        {R"([{"role":"user","content":[{"type":"image_url","image_url":"x"}]}])",
         "messages[0].content[0].type is \"image_url\""},
    };
    for (const auto& [messages, words] : wrong) {
        EXPECT_THAT(refusal("deepseek-v3", {messages, messages, ""}), HasSubstr(words));
    }
}

}  // namespace
}  // namespace nereus
