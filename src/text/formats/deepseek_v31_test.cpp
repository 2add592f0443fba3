// The prompts of DeepSeek-V3.1: one model that thinks or does not, as the prompt ends.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "text/formats/test_formats.h"

namespace nereus {
namespace {

using ::testing::HasSubstr;

constexpr std::string_view kOneTurn = R"([{"role":"user","content":"Hi"}])";

constexpr std::string_view kTurns = R"([{"role":"system","content":"{sys}"},
    {"role":"user","content":"Who are you?"},
    {"role":"assistant","content":"<think>Hmm</think>I am DeepSeek"},
    {"role":"user","content":"1+1=?"}])";

constexpr PromptCase kTextCases[] = {
    {"the model card's example, thinking", kTurns,
     "{B}{sys}{U}Who are you?{A}</think>I am DeepSeek{E}{U}1+1=?{A}<think>"},
    {"the model card's example, not thinking", kTurns,
     "{B}{sys}{U}Who are you?{A}</think>I am DeepSeek{E}{U}1+1=?{A}</think>", false},
    {"thinking unsaid is off, as published", kOneTurn, "{B}{U}Hi{A}</think>", std::nullopt},
    {"an earlier answer is cut at its first closing tag",
     R"([{"role":"user","content":"1"},{"role":"assistant","content":"a</think>b</think>c"},
         {"role":"user","content":"2"}])",
     "{B}{U}1{A}</think>b</think>c{E}{U}2{A}<think>"},
    {"an unfinished thought stays",
     R"([{"role":"user","content":"1"},{"role":"assistant","content":"<think>a"},
         {"role":"user","content":"2"}])",
     "{B}{U}1{A}</think><think>a{E}{U}2{A}<think>"},
    {"reasoning_content is not sent back",
     R"([{"role":"user","content":"1"},
         {"role":"assistant","reasoning_content":"secret","content":"2"}])",
     "{B}{U}1{A}</think>2{E}", true, false},
    {"several system texts come first, a blank line between them",
     R"([{"role":"system","content":"A"},{"role":"user","content":"1"},
         {"role":"system","content":"B"},{"role":"user","content":"2"}])",
     "{B}A\n\nB{U}1{U}2{A}<think>"},
    {"empty messages keep their tokens",
     R"([{"role":"user","content":""},{"role":"assistant","content":""},
         {"role":"user","content":""}])",
     "{B}{U}{A}</think>{E}{U}{A}</think>", false},
    {"without a generation prompt the user's turn is the end", kOneTurn, "{B}{U}Hi", true, false},
    {"after an answer no reply is opened, as published",
     R"([{"role":"user","content":"1"},{"role":"assistant","content":"2"}])",
     "{B}{U}1{A}</think>2{E}"},
    {"nor after system text alone", R"([{"role":"system","content":"S"}])", "{B}S"},
    {"an assistant who begins has no header", R"([{"role":"assistant","content":"Welcome"},
         {"role":"user","content":"1"}])",
     "{B}Welcome{E}{U}1{A}<think>"},
    {"a prefix goes on thinking", R"([{"role":"user","content":"1"},
         {"role":"assistant","content":"So","prefix":true}])",
     "{B}{U}1{A}<think>So"},
    {"a prefix goes on answering", R"([{"role":"user","content":"1"},
         {"role":"assistant","content":"So","prefix":true}])",
     "{B}{U}1{A}</think>So", false},
    {"a prefix keeps its own closing tag", R"([{"role":"user","content":"1"},
         {"role":"assistant","content":"a</think>So","prefix":true}])",
     "{B}{U}1{A}<think>a</think>So"},
    {"parts of text are joined", R"([{"role":"user","content":[{"type":"text","text":"a"},
         {"type":"text","text":"b"}]}])",
     "{B}{U}ab{A}</think>", false},
};

constexpr PromptCase kToolCases[] = {
    {"a call without text", R"([{"role":"user","content":"w?"},
         {"role":"assistant","content":null,"tool_calls":[
         {"id":"1","type":"function","function":{"name":"f","arguments":"{\"a\":1}"}}]}])",
     "{B}{U}w?{A}</think>{calls}{call}f{sep}{\"a\":1}{/call}{/calls}{E}", false},
    {"several calls touch, behind text that keeps its thoughts",
     R"([{"role":"user","content":"w?"},
         {"role":"assistant","content":"a</think>Look: ","tool_calls":[
         {"function":{"name":"f","arguments":{"x":[1.5,"ü"]}}},{"function":{"name":"g"}}]}])",
     "{B}{U}w?{A}</think>a</think>Look: {calls}{call}f{sep}{\"x\": [1.5, \"ü\"]}{/call}"
     "{call}g{sep}{}{/call}{/calls}{E}",
     false},
    {"the reply to results follows without a header",
     R"([{"role":"user","content":"w?"},
         {"role":"assistant","tool_calls":[{"function":{"name":"f"}}]},
         {"role":"tool","content":"R1"},{"role":"tool","content":""}])",
     "{B}{U}w?{A}</think>{calls}{call}f{sep}{}{/call}{/calls}{E}"
     "{output}R1{/output}{output}{/output}",
     false},
    {"an answer to results keeps what it has, later ones are cut",
     R"([{"role":"user","content":"w?"},
         {"role":"assistant","tool_calls":[{"function":{"name":"f"}}]},
         {"role":"tool","content":"R"},{"role":"assistant","content":"a</think>b"},
         {"role":"assistant","content":"c</think>d"},{"role":"user","content":"?"}])",
     "{B}{U}w?{A}</think>{calls}{call}f{sep}{}{/call}{/calls}{E}{output}R{/output}"
     "a</think>b{E}d{E}{U}?{A}<think>"},
    {"a second round follows the results",
     R"([{"role":"user","content":"w?"},
         {"role":"assistant","tool_calls":[{"function":{"name":"f"}}]},
         {"role":"tool","content":"R1"},
         {"role":"assistant","content":"So ","tool_calls":[{"function":{"name":"g"}}]},
         {"role":"tool","content":"R2"},{"role":"user","content":"?"}])",
     "{B}{U}w?{A}</think>{calls}{call}f{sep}{}{/call}{/calls}{E}{output}R1{/output}"
     "So {calls}{call}g{sep}{}{/call}{/calls}{E}{output}R2{/output}{U}?{A}</think>",
     false},
    {"tools are described behind the system text",
     R"([{"role":"system","content":"S"},{"role":"user","content":"w?"}])",
     "{B}S\n\n## Tools\nYou have access to the following tools:\n\n"
     "### get\nDescription: Gets.\n\nParameters: {\"type\": \"object\", \"required\": [\"ü\"]}\n\n"
     "### b\nDescription: \n\nParameters: {}\n\n"
     "IMPORTANT: ALWAYS adhere to this exact format for tool use:\n"
     "{calls}{call}tool_call_name{sep}tool_call_arguments{/call}{{additional_tool_calls}}{/calls}"
     "\n\nWhere:\n\n"
     "- `tool_call_name` must be an exact match to one of the available tools\n"
     "- `tool_call_arguments` must be valid JSON that strictly follows the tool's Parameters "
     "Schema\n"
     "- For multiple tool calls, chain them directly without separators or spaces\n"
     "{U}w?{A}</think>",
     false, true,
     R"([{"type":"function","function":{"name":"get","description":"Gets.",
         "parameters":{"type":"object","required":["ü"]}}},{"function":{"name":"b"}}])"},
    {"an empty list of tools is none", kOneTurn, "{B}{U}Hi{A}<think>", true, true, "[]"},
};

TEST(DeepSeekV31, text_prompts_are_the_published_ones_byte_for_byte) {
    EXPECT_EQ(mismatches("deepseek-v3.1", kTextCases), "");
}

TEST(DeepSeekV31, tool_prompts_are_the_published_ones_byte_for_byte) {
    EXPECT_EQ(mismatches("deepseek-v3.1", kToolCases), "");
}

TEST(DeepSeekV31, thinking_off_is_the_published_ending_and_no_empty_thought) {
    EXPECT_EQ(prompt_without_thought("deepseek-v3.1", kOneTurn),
              expand_prompt("{B}{U}Hi{A}</think>"));
}

TEST(DeepSeekV31, a_prefix_and_the_mode_say_whether_the_reply_still_thinks) {
    const auto format = native_format("deepseek-v3.1");
    const auto thinks = [&](const char* prefix, bool thinking) {
        ChatRequest request = request_of({"", kOneTurn, "", thinking});
        request.messages.push_back({{"role", "assistant"}, {"content", prefix}, {"prefix", true}});
        return format->reply_syntax(request, format->render(request).value()).starts_in_thinking;
    };
    EXPECT_TRUE(thinks("So", true));
    EXPECT_FALSE(thinks("a</think>So", true));
    EXPECT_FALSE(thinks("So", false));
    EXPECT_FALSE(thinks("<think>", false));
}

TEST(DeepSeekV31, refuses_what_it_cannot_say) {
    EXPECT_THAT(refusal("deepseek-v3.1", {"", R"([{"role":"latest_reminder","content":"x"}])", ""}),
                HasSubstr("messages[0].role is \"latest_reminder\""));
    EXPECT_THAT(refusal("deepseek-v3.1", {"", kOneTurn, "", true, true, R"([{"name":"f"}])"}),
                HasSubstr("tools[0].function must be an object"));
}

}  // namespace
}  // namespace nereus
