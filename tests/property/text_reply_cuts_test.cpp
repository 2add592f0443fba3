// The parts of a reply do not depend on how its bytes arrived: every cut into two and three feeds.

#include <gtest/gtest.h>

#include <chrono>

#include "base/unicode.h"
#include "text/reply_parser.h"

namespace nereus {
namespace {

struct Parts {
    std::string reasoning;
    std::string answer;
    bool operator==(const Parts&) const = default;
};

std::ostream& operator<<(std::ostream& out, const Parts& parts) {
    return out << "{" << parts.reasoning << "}{" << parts.answer << "}";
}

struct Reply {
    const char* name;
    bool starts_in_thinking;
    std::string_view bytes;
    Parts parts;
};

const Reply kReplies[] = {
    {"empty", false, "", {"", ""}},
    {"plain answer", false, "hi", {"", "hi"}},
    {"only blanks", false, " \n\t ", {"", " \n\t "}},
    {"only newlines in thinking", true, "\n\n", {"", ""}},
    {"only blanks in thinking", true, " ", {" ", ""}},
    {"thinking opened by the reply", false, "<think>\na\n</think>\n\nb", {"a\n", "b"}},
    {"blanks before the tag", false, " \n<think>a</think>b", {"a", "b"}},
    {"thinking opened by the prompt", true, "a</think>b", {"a", "b"}},
    {"a think tag inside thinking is text", true, "a<think>b</think>c", {"a<think>b", "c"}},
    {"nested tags close at the first end",
     false,
     "<think><think>a</think></think>b",
     {"<think>a", "</think>b"}},
    {"a later think tag is text", false, "a<think>b</think>c", {"", "a<think>b</think>c"}},
    {"a repeated end is dropped at the start", false, "</think>\na", {"", "a"}},
    {"half a tag at the end", false, "<thin", {"", "<thin"}},
    {"half an end tag at the end", true, "a</thin", {"a</thin", ""}},
    {"an end tag begun twice", true, "a<</</think>b", {"a<</", "b"}},
    {"tags in other letters are text", false, "<Think>a", {"", "<Think>a"}},
    {"unicode on both sides", true, "ü｜</think>😀é", {"ü｜", "😀é"}},
    {"a character never finished", false, "a\xe2\x82", {"", "a\xef\xbf\xbd\xef\xbf\xbd"}},
    {"a tag behind half a character", true, "\xe2\x82</think>b", {"\xef\xbf\xbd\xef\xbf\xbd", "b"}},
    {"a byte that is never UTF-8",
     false,
     "a\xff"
     "b",
     {"",
      "a\xef\xbf\xbd"
      "b"}},
    {"spaces behind the end stay", true, "a</think> \nb", {"a", " \nb"}},
    {"carriage returns behind tags go", false, "<think>\r\na</think>\r\nb", {"a", "b"}},
    {"a nul byte is a byte",
     true,
     std::string_view("a\0</think>\0b", 12),
     {std::string("a\0", 2), std::string("\0b", 2)}},
};

Parts parse(const Reply& reply, std::initializer_list<size_t> cuts) {
    ReplySyntax syntax;
    syntax.starts_in_thinking = reply.starts_in_thinking;
    ReplyParser parser(syntax);
    Parts parts;
    const auto collect = [&](const std::vector<ReplyEvent>& events) {
        for (const ReplyEvent& event : events) {
            EXPECT_FALSE(event.text.empty()) << reply.name;
            EXPECT_TRUE(is_valid_utf8(event.text)) << reply.name;
            const bool thinks = event.part == ReplyPart::kReasoning;
            EXPECT_TRUE(!thinks || parts.answer.empty()) << "reasoning behind the answer";
            (thinks ? parts.reasoning : parts.answer) += event.text;
        }
    };
    size_t begin = 0;
    for (const size_t cut : cuts) {
        collect(parser.feed(reply.bytes.substr(begin, cut - begin)));
        begin = cut;
    }
    collect(parser.feed(reply.bytes.substr(begin)));
    collect(parser.finish());
    EXPECT_EQ(parts, (Parts{parser.reasoning(), parser.answer()})) << reply.name;
    return parts;
}

TEST(ReplyCuts, a_reply_fed_whole_has_the_parts_the_rules_say) {
    for (const Reply& reply : kReplies) {
        EXPECT_EQ(parse(reply, {}), reply.parts) << reply.name;
    }
}

TEST(ReplyCuts, every_cut_into_two_and_three_feeds_gives_the_same_parts) {
    for (const Reply& reply : kReplies) {
        for (size_t a = 0; a <= reply.bytes.size(); ++a) {
            for (size_t b = a; b <= reply.bytes.size(); ++b) {
                EXPECT_EQ(parse(reply, {a, b}), reply.parts) << reply.name << " " << a << " " << b;
            }
        }
    }
}

TEST(ReplyCuts, a_million_bytes_of_almost_tags_take_linear_time) {
    std::string bytes;
    while (bytes.size() < 1'000'000) {
        bytes += "</think</thin<";
    }
    const auto begin = std::chrono::steady_clock::now();
    ReplySyntax syntax;
    syntax.starts_in_thinking = true;
    ReplyParser parser(syntax);
    for (size_t at = 0; at < bytes.size(); at += 7) {
        parser.feed(std::string_view(bytes).substr(at, 7));
    }
    parser.finish();
    EXPECT_EQ(parser.reasoning(), bytes);
    EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(10));
}

}  // namespace
}  // namespace nereus
