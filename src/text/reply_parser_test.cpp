#include "text/reply_parser.h"

#include <gtest/gtest.h>

#include "base/rng.h"
#include "base/unicode.h"

namespace nereus {
namespace {

struct Parts {
    std::string reasoning;
    std::string answer;
    bool operator==(const Parts&) const = default;
};

std::ostream& operator<<(std::ostream& out, const Parts& parts) {
    return out << "reasoning {" << parts.reasoning << "} answer {" << parts.answer << "}";
}

ReplySyntax syntax(bool starts_in_thinking) {
    ReplySyntax out;
    out.starts_in_thinking = starts_in_thinking;
    return out;
}

void collect(const std::vector<ReplyEvent>& events, Parts& parts) {
    for (const ReplyEvent& event : events) {
        EXPECT_FALSE(event.text.empty());
        EXPECT_TRUE(is_valid_utf8(event.text));
        (event.part == ReplyPart::kReasoning ? parts.reasoning : parts.answer) += event.text;
    }
}

/// Feeds pieces whose sizes `next_size` chooses.
template <typename NextSize>
Parts parse(std::string_view reply, bool starts_in_thinking, NextSize next_size) {
    ReplyParser parser(syntax(starts_in_thinking));
    Parts parts;
    while (!reply.empty()) {
        const size_t n = std::min<size_t>(next_size(), reply.size());
        collect(parser.feed(reply.substr(0, n)), parts);
        reply.remove_prefix(n);
    }
    collect(parser.finish(), parts);
    EXPECT_EQ(parts.reasoning, parser.reasoning());
    EXPECT_EQ(parts.answer, parser.answer());
    return parts;
}

struct ReplyCase {
    const char* name;
    bool starts_in_thinking;
    std::string reply;
    Parts expected;
};

std::vector<ReplyCase> reply_cases() {
    const std::string many_blanks(ReplyParser::kLeadingSpaceMax, ' ');
    return {
        {"prompt opened thinking", true, "why\n</think>\n\nbecause", {"why\n", "because"}},
        {"newlines behind the opening tag", true, "\n\nwhy</think>x", {"why", "x"}},
        {"empty thinking block", true, "\n\n</think>\n\nx", {"", "x"}},
        {"the model opens it itself", false, "<think>\nwhy\n</think>\n\nx", {"why\n", "x"}},
        {"the model opens it after blanks", false, " \n<think>why</think>x", {"why", "x"}},
        {"no thinking at all", false, "plain answer", {"", "plain answer"}},
        {"blanks before an answer stay", false, " \n answer", {"", " \n answer"}},
        {"only blanks", false, " \n ", {"", " \n "}},
        {"a bare closing tag at the start", false, "</think>\n\nx", {"", "x"}},
        {"a closing tag inside an answer is text", false, "a</think>b", {"", "a</think>b"}},
        {"an opening tag inside an answer is text", false, "a<think>b", {"", "a<think>b"}},
        {"a second block is text", true, "a</think>b<think>c</think>", {"a", "b<think>c</think>"}},
        {"an opening tag inside reasoning is text", true, "a<think>b</think>c", {"a<think>b", "c"}},
        {"unfinished thinking", true, "why and", {"why and", ""}},
        {"half a closing tag at the end", true, "why</thi", {"why</thi", ""}},
        {"half an opening tag at the end", false, "<thin", {"", "<thin"}},
        {"almost a tag", true, "a</thin k></think>b", {"a</thin k>", "b"}},
        {"a tag that begins twice", true, "a<</</think>b", {"a<</", "b"}},
        {"blanks behind the tag that are no newlines stay", true, "a</think>  b", {"a", "  b"}},
        {"newlines inside an answer stay", true, "a</think>\nb\n\nc\n", {"a", "b\n\nc\n"}},
        {"carriage returns count as newlines", true, "\r\na</think>\r\n\r\nb", {"a", "b"}},
        {"too many blanks are text",
         false,
         many_blanks + "<think>a",
         {"", many_blanks + "<think>a"}},
        {"characters of several bytes", true, "推理🙂</think>答案", {"推理🙂", "答案"}},
        {"bytes that are no UTF-8", true, "a\xff</think>\xe2\x82", {"a\ufffd", "\ufffd\ufffd"}},
        {"a broken character before a tag", true, "\xe2\x82</think>b", {"\ufffd\ufffd", "b"}},
        {"nothing", true, "", {"", ""}},
    };
}

TEST(ReplyParser, divides_reasoning_and_answer_by_the_rules_of_its_header) {
    for (const ReplyCase& one : reply_cases()) {
        const auto all = [&] { return one.reply.size(); };
        EXPECT_EQ(parse(one.reply, one.starts_in_thinking, all), one.expected) << one.name;
    }
}

TEST(ReplyParser, byte_by_byte_gives_the_same_parts) {
    for (const ReplyCase& one : reply_cases()) {
        const auto one_byte = [] { return size_t{1}; };
        EXPECT_EQ(parse(one.reply, one.starts_in_thinking, one_byte), one.expected) << one.name;
    }
}

TEST(ReplyParser, any_reply_cut_anywhere_gives_the_parts_of_the_whole) {
    constexpr std::string_view kPieces[] = {"<think>", "</think>", "\n", " ",    "<",  "/",
                                            "</th",    "ink>",     "世", "\xff", "🙂", "text"};
    uint64_t position = 0;
    const auto random = [&](size_t n) { return random_bits(7, 1, position++) % n; };
    for (int round = 0; round < 5000; ++round) {
        std::string reply;
        for (size_t n = random(12); n > 0; --n) {
            reply += kPieces[random(std::size(kPieces))];
        }
        const bool thinking = random(2) == 1;
        const Parts whole = parse(reply, thinking, [&] { return reply.size(); });
        const Parts cut = parse(reply, thinking, [&] { return 1 + random(6); });
        ASSERT_EQ(cut, whole) << "round " << round << ": " << reply;
    }
}

std::string_view without_newlines(std::string_view text) {
    return text.substr(std::min(text.find_first_not_of("\n\r"), text.size()));
}

/// The header's rules on a whole reply.
Parts divide(std::string_view reply, bool thinking, std::string_view begin, std::string_view end) {
    const size_t n_blanks = std::min(reply.find_first_not_of(" \t\n\r"), reply.size());
    const std::string_view start = reply.substr(n_blanks);
    std::string_view rest = thinking ? without_newlines(reply) : reply;
    if (!thinking && n_blanks < ReplyParser::kLeadingSpaceMax) {
        if (start.starts_with(begin)) {
            thinking = true;
            rest = without_newlines(start.substr(begin.size()));
        } else if (start.starts_with(end)) {
            rest = without_newlines(start.substr(end.size()));
        }
    }
    const size_t at = thinking ? rest.find(end) : 0;
    if (at == rest.npos) {
        return {replace_invalid_utf8(rest), ""};
    }
    const std::string_view answer =
        thinking ? without_newlines(rest.substr(at + end.size())) : rest;
    return {replace_invalid_utf8(rest.substr(0, at)), replace_invalid_utf8(answer)};
}

TEST(ReplyParser, random_replies_are_divided_as_the_rules_say_whatever_the_tags) {
    const std::pair<std::string, std::string> tags[] = {
        {"<think>", "</think>"}, {"◁think▷", "◁/think▷"}, {"<<", "<<<"}, {"aab", "aaab"}};
    uint64_t position = 0;
    const auto random = [&](size_t n) { return random_bits(11, 1, position++) % n; };
    for (int round = 0; round < 8000; ++round) {
        ReplySyntax custom;
        std::tie(custom.think_begin, custom.think_end) = tags[random(std::size(tags))];
        custom.starts_in_thinking = random(2) == 0;
        const std::string pieces[] = {custom.think_begin,
                                      custom.think_end,
                                      custom.think_end,
                                      "\n",
                                      " ",
                                      "\r",
                                      "<",
                                      "a",
                                      "\xe2\x97",
                                      "\xff",
                                      "世",
                                      "◁/th",
                                      "</",
                                      "🙂",
                                      std::string(30, ' ')};
        std::string reply;
        for (size_t n = random(10); n > 0; --n) {
            reply += pieces[random(std::size(pieces))];
        }
        ReplyParser parser(custom);
        Parts found;
        std::string_view rest = reply;
        while (!rest.empty()) {
            const size_t n = std::min<size_t>(1 + random(5), rest.size());
            collect(parser.feed(rest.substr(0, n)), found);
            rest.remove_prefix(n);
        }
        collect(parser.finish(), found);
        ASSERT_EQ(found,
                  divide(reply, custom.starts_in_thinking, custom.think_begin, custom.think_end))
            << "round " << round << ": " << reply;
    }
}

TEST(ReplyParser, text_that_cannot_be_a_tag_comes_out_at_once) {
    ReplyParser parser(syntax(true));
    ASSERT_EQ(parser.feed("why").size(), 1U);
    EXPECT_EQ(parser.reasoning(), "why");
    EXPECT_TRUE(parser.feed("</thin").empty());
    EXPECT_TRUE(parser.in_reasoning());
    const auto events = parser.feed("k>\n\nok");
    ASSERT_EQ(events.size(), 1U);
    EXPECT_EQ(events[0].part, ReplyPart::kAnswer);
    EXPECT_EQ(events[0].text, "ok");
    EXPECT_FALSE(parser.in_reasoning());
}

TEST(ReplyParser, holds_back_no_more_than_the_longest_beginning_of_a_tag) {
    const std::string reply = "reasoning that </thin goes on</think>and an answer";
    ReplyParser parser(syntax(true));
    for (size_t i = 0; i < reply.size(); ++i) {
        parser.feed(reply.substr(i, 1));
        const size_t out = parser.reasoning().size() + parser.answer().size();
        EXPECT_LE(i + 1 - out, 2 * std::string("</think>").size() - 1);
    }
}

TEST(ReplyParser, a_character_is_emitted_only_when_it_is_whole) {
    ReplyParser parser(syntax(false));
    const std::string smile = "🙂";
    EXPECT_TRUE(parser.feed(smile.substr(0, 3)).empty());
    const auto events = parser.feed(smile.substr(3));
    ASSERT_EQ(events.size(), 1U);
    EXPECT_EQ(events[0].text, smile);
}

TEST(ReplyParser, a_format_without_tags_has_only_answers) {
    ReplySyntax plain;
    plain.think_begin = "";
    plain.think_end = "";
    ReplyParser parser(plain);
    parser.feed("<think>a</think>");
    parser.finish();
    EXPECT_EQ(parser.answer(), "<think>a</think>");
}

}  // namespace
}  // namespace nereus
