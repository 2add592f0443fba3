// What a request may say: messages and tools read into structs, and everything else refused by its
// place; JSON and numbers as Python writes them.

#include "text/formats/chat_messages.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "text/formats/python_json.h"

namespace nereus {
namespace {

Json json_of(std::string_view text) { return parse_json(text, "test").value(); }

std::vector<ChatMessage> messages_of(std::string_view text) {
    const auto messages = read_messages(json_of(text));
    EXPECT_TRUE(messages.ok()) << messages.error().message;
    return messages.ok() ? *messages : std::vector<ChatMessage>();
}

std::string refusal_of(std::string_view text) {
    const auto messages = read_messages(json_of(text));
    return messages.ok() ? "accepted" : messages.error().message;
}

TEST(ReadMessages, content_is_a_string_or_parts_of_text_joined) {
    const auto messages = messages_of(
        R"([{"role": "system", "content": ""}, {"role": "user", "content": [
            {"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
            {"role": "tool", "content": []}])");
    ASSERT_EQ(messages.size(), 3U);
    EXPECT_EQ(messages[0].role, Role::kSystem);
    EXPECT_TRUE(messages[0].has_content);
    EXPECT_EQ(messages[1].content, "ab");
    EXPECT_EQ(messages[2].role, Role::kTool);
    EXPECT_EQ(messages[2].content, "");
}

TEST(ReadMessages, calls_keep_their_arguments_as_given_or_as_python_writes_them) {
    const auto messages = messages_of(
        R"([{"role": "assistant", "content": null, "tool_calls": [
            {"type": "function", "function": {"name": "f", "arguments": "{\"a\":1}"}},
            {"function": {"name": "g", "arguments": {"b": [1, 2.0], "c": "é"}}},
            {"function": {"name": "h"}},
            {"function": {"name": "i", "arguments": null}}]}])");
    ASSERT_EQ(messages.size(), 1U);
    EXPECT_FALSE(messages[0].has_content);
    const auto& calls = messages[0].tool_calls;
    ASSERT_EQ(calls.size(), 4U);
    EXPECT_EQ(calls[0].arguments, R"({"a":1})");
    EXPECT_EQ(calls[1].arguments, R"({"b": [1, 2.0], "c": "é"})");
    EXPECT_EQ(calls[1].type, "function");
    EXPECT_EQ(calls[2].arguments, "{}");
    EXPECT_EQ(calls[3].arguments, "{}");
}

TEST(ReadMessages, fields_that_are_null_are_as_if_absent) {
    const auto messages = messages_of(
        R"([{"role": "user", "content": "q", "tool_calls": null, "prefix": null, "name": 5}])");
    ASSERT_EQ(messages.size(), 1U);
    EXPECT_FALSE(messages[0].is_prefix);
    EXPECT_TRUE(messages[0].tool_calls.empty());
}

TEST(ReadMessages, only_a_last_assistant_text_can_be_continued) {
    EXPECT_TRUE(
        messages_of(R"([{"role": "assistant", "content": "I", "prefix": true}])")[0].is_prefix);
    const char* kWrong[] = {
        R"([{"role": "user", "content": "I", "prefix": true}])",
        R"([{"role": "assistant", "content": "I", "prefix": true},
            {"role": "user", "content": "x"}])",
        R"([{"role": "assistant", "prefix": true, "tool_calls": [{"function": {"name": "f"}}]}])"};
    for (const char* text : kWrong) {
        EXPECT_NE(refusal_of(text).find("messages[0].prefix: only a last"), std::string::npos)
            << text;
    }
}

struct Wrong {
    const char* messages;
    const char* error;
};

const Wrong kWrongMessages[] = {
    {"[]", "messages must be a list with at least one message, not an empty one"},
    {"{}", "messages must be a list with at least one message, not object"},
    {"null", "messages must be a list with at least one message, not null"},
    {"[1]", "messages[0] must be an object, not number"},
    {"[{}]", "messages[0].role must be a string, not null"},
    {R"([{"role": 1}])", "messages[0].role must be a string, not number"},
    {R"([{"role": "User", "content": "x"}])",
     "messages[0].role is \"User\"; this format has system, user, assistant and tool"},
    {R"([{"role": "user"}])", "messages[0].content must be a string or a list of parts, not null"},
    {R"([{"role": "user", "content": {}}])",
     "messages[0].content must be a string or a list of parts, not object"},
    {R"([{"role": "user", "content": "a"}, {"role": "user", "content": ["b"]}])",
     "messages[1].content[0] must be an object, not string"},
    {R"([{"role": "user", "content": [{"type": "image_url"}]}])",
     "messages[0].content[0].type is \"image_url\"; this format has only text"},
    {R"([{"role": "user", "content": [{"type": "text"}]}])",
     "messages[0].content[0].text must be a string, not null"},
    {R"([{"role": "user", "content": "x", "prefix": 1}])",
     "messages[0].prefix must be a boolean, not number"},
    {R"([{"role": "assistant", "content": "x", "tool_calls": {}}])",
     "messages[0].tool_calls must be a list, not object"},
    {R"([{"role": "assistant", "content": "x", "tool_calls": [3]}])",
     "messages[0].tool_calls[0] must be an object, not number"},
    {R"([{"role": "assistant", "content": "x", "tool_calls": [{}]}])",
     "messages[0].tool_calls[0].function must be an object, not null"},
    {R"([{"role": "assistant", "content": "x", "tool_calls": [{"function": {"name": 1}}]}])",
     "messages[0].tool_calls[0].function.name must be a string, not number"},
    {R"([{"role": "assistant", "content": "x",
          "tool_calls": [{"function": {"name": "f", "arguments": [1]}}]}])",
     "messages[0].tool_calls[0].function.arguments must be a string or an object, not array"},
    {R"([{"role": "user", "content": "x", "tool_calls": [{"function": {"name": "f"}}]}])",
     "messages[0].tool_calls: only the assistant calls tools"},
};

TEST(ReadMessages, whatever_is_wrong_is_named_by_its_place) {
    for (const Wrong& wrong : kWrongMessages) {
        EXPECT_EQ(refusal_of(wrong.messages), wrong.error) << wrong.messages;
    }
}

TEST(ReadTools, names_descriptions_and_parameters_as_python_writes_them) {
    const auto tools = read_tools(json_of(
        R"([{"type": "function", "function": {"name": "f", "description": "does",
             "parameters": {"type": "object", "required": ["a"]}}},
            {"function": {"name": "g"}}])"));
    ASSERT_TRUE(tools.ok()) << tools.error().message;
    ASSERT_EQ(tools->size(), 2U);
    EXPECT_EQ((*tools)[0].description, "does");
    EXPECT_EQ((*tools)[0].parameters, R"({"type": "object", "required": ["a"]})");
    EXPECT_EQ((*tools)[1].description, "");
    EXPECT_EQ((*tools)[1].parameters, "{}");
    EXPECT_TRUE(read_tools(Json())->empty());
    EXPECT_TRUE(read_tools(Json::array())->empty());
}

TEST(ReadTools, whatever_is_wrong_is_named_by_its_place) {
    const Wrong kWrongTools[] = {
        {"{}", "tools must be a list, not object"},
        {"[1]", "tools[0].function must be an object, not null"},
        {R"([{"function": []}])", "tools[0].function must be an object, not array"},
        {R"([{"function": {}}])", "tools[0].function.name must be a string, not null"},
        {R"([{"function": {"name": "f"}}, {"function": {"name": "g", "description": 1}}])",
         "tools[1].function.description must be a string, not number"},
    };
    for (const Wrong& wrong : kWrongTools) {
        const auto tools = read_tools(json_of(wrong.messages));
        EXPECT_EQ(tools.ok() ? "accepted" : tools.error().message, wrong.error);
    }
}

// ---- as Python writes it: every expected text below was printed by CPython's json and repr

TEST(PythonJson, separates_items_with_a_space_and_keeps_order_and_letters) {
    EXPECT_EQ(python_json(json_of(R"({"b":[1,-2,{"c":{}}],"a":"é世","t":true,"n":null})")),
              R"({"b": [1, -2, {"c": {}}], "a": "é世", "t": true, "n": null})");
    EXPECT_EQ(python_json(json_of("[]")), "[]");
    EXPECT_EQ(python_json(json_of("{}")), "{}");
    EXPECT_EQ(python_json(json_of("18446744073709551615")), "18446744073709551615");
}

TEST(PythonJson, escapes_what_json_dumps_escapes) {
    EXPECT_EQ(python_json(Json("\"\\/\b\f\n\r\t\x01\x1f\x7f")),
              "\"\\\"\\\\/\\b\\f\\n\\r\\t\\u0001\\u001f\x7f\"");
    JsonStyle ascii;
    ascii.ensure_ascii = true;
    EXPECT_EQ(python_json(Json("aé世\xf0\x9f\x98\x80\x7f"), ascii),
              R"("a\u00e9\u4e16\ud83d\ude00\u007f")");
}

TEST(PythonJson, indents_one_item_a_line_and_leaves_empty_ones_on_theirs) {
    EXPECT_EQ(python_json(json_of(R"({"a":[1,{"b":2}],"c":[],"d":{}})"), 2),
              "{\n  \"a\": [\n    1,\n    {\n      \"b\": 2\n    }\n  ],\n  \"c\": [],\n  \"d\": "
              "{}\n}");
    EXPECT_EQ(python_json(json_of("[1]"), 0), "[\n1\n]");
}

TEST(PythonJson, sorts_keys_at_every_level_when_asked_to) {
    JsonStyle sorted;
    sorted.sort_keys = true;
    EXPECT_EQ(python_json(json_of(R"({"b":{"z":1,"y":2},"a":0})"), sorted),
              R"({"a": 0, "b": {"y": 2, "z": 1}})");
    JsonStyle tight;
    tight.item_separator = ",";
    tight.key_separator = ":";
    EXPECT_EQ(python_json(json_of(R"({"a":[1,2]})"), tight), R"({"a":[1,2]})");
}

TEST(PythonFloat, is_the_shortest_text_that_reads_back_the_same) {
    const std::pair<double, const char*> kFloats[] = {
        {0.0, "0.0"},
        {-0.0, "-0.0"},
        {1.0, "1.0"},
        {0.1, "0.1"},
        {-2.5, "-2.5"},
        {1e15, "1000000000000000.0"},
        {1e16, "1e+16"},
        {1.5e16, "1.5e+16"},
        {123456789012345680.0, "1.2345678901234568e+17"},
        {0.0001, "0.0001"},
        {0.00001, "1e-05"},
        {1.25e-7, "1.25e-07"},
        {1e100, "1e+100"},
        {5e-324, "5e-324"},
        {1.7976931348623157e308, "1.7976931348623157e+308"},
        {0.1 + 0.2, "0.30000000000000004"},
        {std::numeric_limits<double>::infinity(), "inf"},
        {-std::numeric_limits<double>::infinity(), "-inf"},
    };
    for (const auto& [value, text] : kFloats) {
        EXPECT_EQ(python_float(value), text);
    }
    EXPECT_EQ(python_float(std::nan("")), "nan");
}

}  // namespace
}  // namespace nereus
