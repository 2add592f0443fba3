// The prompts of DeepSeek-R1 (template of February 2025), R1-0528 and the R1-Distill models: V3's,
// with earlier thoughts cut and the next one opened.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "text/formats/test_formats.h"

namespace nereus {
namespace {

constexpr std::string_view kOneTurn = R"([{"role":"user","content":"Hi"}])";

/// What the three formats have in common but for the system text and the reply's opening: {R}.
struct SharedCase {
    const char* claim;
    std::string_view messages;
    const char* expected;
    bool add_generation_prompt = true;
};

constexpr SharedCase kShared[] = {
    {"a single turn", kOneTurn, "{B}{U}Hi{R}"},
    {"system text follows the first token",
     R"([{"role":"system","content":"Be kind."},{"role":"user","content":"Hi"}])",
     "{B}Be kind.{U}Hi{R}"},
    {"an earlier answer loses its thoughts",
     R"([{"role":"user","content":"1"},
         {"role":"assistant","content":"<think>\nwhy\n</think>\n\n2"},
         {"role":"user","content":"3"}])",
     "{B}{U}1{A}\n\n2{E}{U}3{R}"},
    {"up to the last closing tag",
     R"([{"role":"user","content":"1"},
         {"role":"assistant","content":"a</think>b</think>2"},{"role":"user","content":"3"}])",
     "{B}{U}1{A}2{E}{U}3{R}"},
    {"an unfinished thought stays",
     R"([{"role":"user","content":"1"},{"role":"assistant","content":"<think>why"},
         {"role":"user","content":"3"}])",
     "{B}{U}1{A}<think>why{E}{U}3{R}"},
    {"thoughts alone leave an empty answer",
     R"([{"role":"user","content":"1"},{"role":"assistant","content":"<think>a</think>"},
         {"role":"user","content":"3"}])",
     "{B}{U}1{A}{E}{U}3{R}"},
    {"reasoning_content is not sent back",
     R"([{"role":"user","content":"1"},
         {"role":"assistant","reasoning_content":"secret","content":"2"},
         {"role":"user","content":"3"}])",
     "{B}{U}1{A}2{E}{U}3{R}"},
    {"a user's closing tag is a user's text", R"([{"role":"user","content":"a</think>b"}])",
     "{B}{U}a</think>b{R}"},
    {"empty messages keep their tokens",
     R"([{"role":"user","content":""},{"role":"assistant","content":""},
         {"role":"user","content":""}])",
     "{B}{U}{A}{E}{U}{R}"},
    {"text before calls loses its thoughts too",
     R"([{"role":"user","content":"w?"},
         {"role":"assistant","content":"<think>hm</think>Look:","tool_calls":[
         {"function":{"name":"f","arguments":"{}"}}]},{"role":"tool","content":"R"}])",
     "{B}{U}w?{A}Look:{calls}{call}function{sep}f\n```json\n{}\n```{/call}{/calls}{E}"
     "{outputs}{output}R{/output}{/outputs}"},
    {"calls, results, the answer without a header, the next turn",
     R"([{"role":"user","content":"w?"},{"role":"assistant","content":null,"tool_calls":[
         {"function":{"name":"f","arguments":{"a":1}}},{"function":{"name":"g"}}]},
         {"role":"tool","content":"R1"},{"role":"tool","content":"R2"},
         {"role":"assistant","content":"<think>so</think>done"},
         {"role":"user","content":"thanks"}])",
     "{B}{U}w?{A}{calls}{call}function{sep}f\n```json\n{\"a\": 1}\n```{/call}\n"
     "{call}function{sep}g\n```json\n{}\n```{/call}{/calls}{E}"
     "{outputs}{output}R1{/output}\n{output}R2{/output}{/outputs}done{E}{U}thanks{R}"},
    {"a second round of calls has no header either",
     R"([{"role":"user","content":"w?"},
         {"role":"assistant","tool_calls":[{"function":{"name":"f"}}]},
         {"role":"tool","content":"R1"},
         {"role":"assistant","tool_calls":[{"function":{"name":"g"}}]}])",
     "{B}{U}w?{A}{calls}{call}function{sep}f\n```json\n{}\n```{/call}{/calls}{E}"
     "{outputs}{output}R1{/output}{/outputs}"
     "{calls}{call}function{sep}g\n```json\n{}\n```{/call}{/calls}{E}",
     false},
    {"a prefix goes on where the reply opened",
     R"([{"role":"user","content":"1"},{"role":"assistant","content":"So","prefix":true}])",
     "{B}{U}1{R}So"},
    {"a prefix keeps its own closing tag",
     R"([{"role":"user","content":"1"},
         {"role":"assistant","content":"So\n</think>\n\nIt","prefix":true}])",
     "{B}{U}1{R}So\n</think>\n\nIt"},
    {"without a generation prompt the last answer is the end",
     R"([{"role":"user","content":"1"},{"role":"assistant","content":"a</think>2"}])",
     "{B}{U}1{A}2{E}", false},
};

struct ThinkingFormat {
    const char* name;
    std::string_view reply_opening;
};
constexpr ThinkingFormat kFormats[] = {
    {"deepseek-r1", "{A}<think>\n"}, {"deepseek-r1-0528", "{A}"}, {"r1-distill", "{A}<think>\n"}};

std::string with_opening(std::string text, std::string_view opening) {
    const size_t at = text.find("{R}");
    return at == std::string::npos ? text : text.replace(at, 3, opening);
}

TEST(DeepSeekR1, prompts_of_all_three_formats_are_the_published_ones_byte_for_byte) {
    for (const ThinkingFormat& format : kFormats) {
        for (const SharedCase& one : kShared) {
            const std::string expected = with_opening(one.expected, format.reply_opening);
            // With thinking on, off and unsaid: the published prompt is the same.
            for (const std::optional<bool> thinking :
                 {std::optional(true), std::optional(false), std::optional<bool>()}) {
                const PromptCase cases[] = {{one.claim, one.messages, expected.c_str(), thinking,
                                             one.add_generation_prompt}};
                EXPECT_EQ(mismatches(format.name, cases), "");
            }
        }
    }
}

constexpr std::string_view kSystems = R"([{"role":"system","content":"A"},
    {"role":"user","content":"1"},{"role":"system","content":""},{"role":"system","content":"C"}])";

TEST(DeepSeekR1, of_several_system_texts_all_count_but_for_the_distilled_the_last) {
    const PromptCase joined[] = {{"joined", kSystems, "{B}A\n\n\n\nC{U}1", true, false}};
    EXPECT_EQ(mismatches("deepseek-r1", joined), "");
    const PromptCase last[] = {{"last", kSystems, "{B}C{U}1", true, false}};
    EXPECT_EQ(mismatches("r1-distill", last), "");
}

TEST(DeepSeekR1, the_assistants_token_of_0528_belongs_to_the_users_turn) {
    constexpr PromptCase kCases[] = {
        {"even without a generation prompt", kOneTurn, "{B}{U}Hi{A}", true, false},
        {"two users in a row", R"([{"role":"user","content":"1"},{"role":"user","content":"2"}])",
         "{B}{U}1{A}{U}2{A}"},
        {"an assistant who begins has none", R"([{"role":"assistant","content":"Welcome"},
          {"role":"user","content":"1"}])",
         "{B}Welcome{E}{U}1{A}"},
        {"after an answer the next reply gets its own",
         R"([{"role":"user","content":"1"},{"role":"assistant","content":"2"}])",
         "{B}{U}1{A}2{E}{A}"},
        {"system texts are joined", kSystems, "{B}A\n\n\n\nC{U}1{A}"},
    };
    EXPECT_EQ(mismatches("deepseek-r1-0528", kCases), "");
}

TEST(DeepSeekR1, thinking_off_leaves_the_reply_an_empty_thought) {
    const std::string expected = expand_prompt("{B}{U}Hi{A}<think>\n\n</think>\n\n");
    for (const ThinkingFormat& format : kFormats) {
        EXPECT_EQ(prompt_without_thought(format.name, kOneTurn), expected) << format.name;
    }
}

TEST(DeepSeekR1, a_reply_that_was_begun_gets_no_empty_thought) {
    const std::string_view begun[] = {
        R"([{"role":"user","content":"1"},{"role":"assistant","content":"So","prefix":true}])",
        R"([{"role":"user","content":"1"},{"role":"tool","content":"R"}])",
        R"([{"role":"user","content":"1"},
            {"role":"assistant","content":"<｜Assistant｜>","prefix":true}])"};
    for (const ThinkingFormat& format : kFormats) {
        for (const std::string_view messages : begun) {
            const std::string published =
                native_format(format.name)->render(request_of({"", messages, ""})).value().text();
            EXPECT_EQ(prompt_without_thought(format.name, messages), published) << format.name;
        }
    }
}

}  // namespace
}  // namespace nereus
