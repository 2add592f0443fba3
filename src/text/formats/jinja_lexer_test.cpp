// What the lexer cuts a template into: every class of token, lines, whitespace control.

#include "text/formats/jinja_lexer.h"

#include <gtest/gtest.h>

#include "text/formats/jinja_limits.h"

namespace nereus::jinja {
namespace {

constexpr std::string_view kKindNames[] = {"data",   "{{",      "}}",    "{%",       "%}", "name",
                                           "string", "integer", "float", "operator", "end"};

/// "data:a name:x": the tokens on one line, the marks of tags without their text.
std::string cut(std::string_view source) {
    const auto tokens = tokenize_template(source, "t");
    if (!tokens.ok()) {
        return tokens.error().message;
    }
    std::string out;
    for (const Token& token : *tokens) {
        const std::string_view kind = kKindNames[static_cast<size_t>(token.kind)];
        const bool has_text = token.kind == TokenKind::kData || token.kind >= TokenKind::kName;
        out += out.empty() ? "" : " ";
        out += kind;
        out += has_text && token.kind != TokenKind::kEnd ? ":" + token.text : "";
    }
    return out;
}

/// What stands in one {{ }}.
std::string cut_inside(std::string_view expression) {
    const std::string all = cut(fmt::format("{{{{ {} }}}}", expression));
    const std::string_view begin = "{{ ";
    const std::string_view end = " }} end";
    return all.starts_with(begin) && all.ends_with(end)
               ? all.substr(begin.size(), all.size() - begin.size() - end.size())
               : all;
}

struct Case {
    std::string_view source;
    std::string_view tokens;
};

constexpr Case kInside[] = {
    {"abc", "name:abc"},
    {"_a1", "name:_a1"},
    {"größe", "name:größe"},
    {"true", "name:true"},
    {"a.b", "name:a operator:. name:b"},
    {"x[0]", "name:x operator:[ integer:0 operator:]"},
    {"'a'", "string:a"},
    {"\"it's\"", "string:it's"},
    {"'a\\'b'", "string:a'b"},
    {"'\\x41\\u00e9\\U0001f642\\101'", "string:Aé🙂A"},
    {"'\\n\\t\\\\'", "string:\n\t\\"},
    {"'\\q'", "string:\\q"},
    {"'a\\\nb'", "string:ab"},
    {"'}}'", "string:}}"},
    {"'%}'", "string:%}"},
    {"0", "integer:0"},
    {"42", "integer:42"},
    {"1_000", "integer:1000"},
    {"0x1F", "integer:31"},
    {"0b101", "integer:5"},
    {"0o17", "integer:15"},
    {"0x_ff", "integer:255"},
    {"00", "integer:00"},
    {"1.5", "float:1.5"},
    {"1e3", "float:1e3"},
    {"1.5E-3", "float:1.5E-3"},
    {"1_0.2_5", "float:10.25"},
    {"x.0.1", "name:x operator:. integer:0 operator:. integer:1"},
    {"1.real", "integer:1 operator:. name:real"},
    {"a==b", "name:a operator:== name:b"},
    {"a!=b", "name:a operator:!= name:b"},
    {"a<=b", "name:a operator:<= name:b"},
    {"a>=b", "name:a operator:>= name:b"},
    {"a//b", "name:a operator:// name:b"},
    {"a**b", "name:a operator:** name:b"},
    {"a***b", "name:a operator:** operator:* name:b"},
    {"a<b", "name:a operator:< name:b"},
    {"+-*/%~()[]{},:|=",
     "operator:+ operator:- operator:* operator:/ operator:% operator:~ operator:( operator:) "
     "operator:[ operator:] operator:{ operator:} operator:, operator:: operator:| operator:="},
    {"{'a': {'b': 1}}",
     "operator:{ string:a operator:: operator:{ string:b operator:: integer:1 operator:} "
     "operator:}"},
};

TEST(JinjaLexer, every_class_of_token_is_known) {
    for (const Case& one : kInside) {
        EXPECT_EQ(cut_inside(one.source), one.tokens) << one.source;
    }
}

constexpr Case kOutside[] = {
    {"", "end"},
    {"a", "data:a end"},
    {"a\n", "data:a end"},
    {"a\n\n", "data:a\n end"},
    {"a\r\nb\rc", "data:a\nb\nc end"},
    {"{", "data:{ end"},
    {"{ {", "data:{ { end"},
    {"}} %} #}", "data:}} %} #} end"},
    {"a{{ x }}b", "data:a {{ name:x }} data:b end"},
    {"{{x}}{{y}}", "{{ name:x }} {{ name:y }} end"},
    {"{% if %}", "{% name:if %} end"},
    {"a{# b {{ c }} #}d", "data:a data:d end"},
    {"{#a#}{#b#}", "end"},
    {"{# {# #} #}", "data: #} end"},
    {"{% raw %}{{ a }}{% endraw %}", "data:{{ a }} end"},
    {"{% raw %}{% if %}{% endraw %}b", "data:{% if %} data:b end"},
    {"{%raw%}x{%endraw%}", "data:x end"},
    {"{% raw %}{% endraw x %}{% endraw %}", "data:{% endraw x %} end"},
    {"{% rawer %}", "{% name:rawer %} end"},
    // trim_blocks: one newline behind a block or a comment, none behind a print.
    {"{% a %}\nb", "{% name:a %} data:b end"},
    {"{% a %}\n\nb", "{% name:a %} data:\nb end"},
    {"{# a #}\nb", "data:b end"},
    {"{{ a }}\nb", "{{ name:a }} data:\nb end"},
    {"{% a +%}\nb", "{% name:a %} data:\nb end"},
    {"{% a -%} \n b", "{% name:a %} data:b end"},
    {"{{ a -}} \n b", "{{ name:a }} data:b end"},
    {"{# a -#} \n b", "data:b end"},
    {"{% raw -%} \n a{% endraw -%} \n b", "data:a data:b end"},
    // lstrip_blocks: blanks between the start of a line and a block or a comment.
    {"a\n  {% b %}", "data:a\n {% name:b %} end"},
    {"  {% b %}", "{% name:b %} end"},
    {"a  {% b %}", "data:a   {% name:b %} end"},
    {"a\n \t{# b #}c", "data:a\n data:c end"},
    {"a\n  {{ b }}", "data:a\n   {{ name:b }} end"},
    {"a\n  {%+ b %}", "data:a\n   {% name:b %} end"},
    {"a \n {%- b %}", "data:a {% name:b %} end"},
    {"a \n {{- b }}", "data:a {{ name:b }} end"},
    {"a \n {#- b #}c", "data:a data:c end"},
    {"{% a %}  {% b %}", "{% name:a %} data:   {% name:b %} end"},
    {"{% a %}\n  {% b %}", "{% name:a %} {% name:b %} end"},
    {"{{ a }}  {% b %}", "{{ name:a }} data:   {% name:b %} end"},
    {"a\n\u3000{% b %}", "data:a\n {% name:b %} end"},
};

TEST(JinjaLexer, text_tags_comments_and_raw_blocks_are_kept_apart_with_their_whitespace) {
    for (const Case& one : kOutside) {
        EXPECT_EQ(cut(one.source), one.tokens) << one.source;
    }
}

constexpr Case kErrors[] = {
    {"{{ 'a", "t:1: a string is not closed"},
    {"\n{{ \"a'", "t:2: a string is not closed"},
    {"{{ a", "t:1: a tag is not closed by }}"},
    {"a\n{% a", "t:2: a tag is not closed by %}"},
    {"{{ (a }}", "t:1: a tag is not closed by }}"},
    {"a\n\n{# b\n", "t:3: a comment {# is not closed"},
    {"{% raw %}a", "t:1: a raw block has no {% endraw %}"},
    {"{% raw %}{% endraw", "t:1: a raw block has no {% endraw %}"},
    {"{{ a ? b }}", "t:1: unexpected '?'"},
    {"{{ a ! b }}", "t:1: unexpected '!'"},
    {"{{ a; }}", "t:1: unexpected ';'"},
    {"{{ 1a }}", "t:1: '1a' is neither a number nor a name"},
    {"{{ 1_ }}", "t:1: '1_' is neither a number nor a name"},
    {"{{ 1__0 }}", "t:1: '1_' is neither a number nor a name"},
    {"{{ 0x }}", "t:1: '0x' is neither a number nor a name"},
    {"{{ 0xg }}", "t:1: '0xg' is neither a number nor a name"},
    {"{{ 0b12 }}", "t:1: '0b12' is neither a number nor a name"},
    {"{{ 0o8 }}", "t:1: '0o8' is neither a number nor a name"},
    {"{{ 0x1_ }}", "t:1: '0x1_' is neither a number nor a name"},
    {"{{ 007 }}", "t:1: '007' is neither a number nor a name"},
    {"{{ 0xffffffffffffffffff }}", "t:1: the number 0xffffffffffffffffff is beyond 64 bits"},
    {"{{ '\\x4' }}", "t:1: an escape in a string is not a character"},
    {"{{ '\\ud800' }}", "t:1: an escape in a string is not a character"},
    {"{{ '\\U00110000' }}", "t:1: an escape in a string is not a character"},
    {"{{ '\\N{BULLET}' }}", "t:1: \\N{...} in a string"},
    {"{{ '\\", "t:1: a string is not closed"},
};

TEST(JinjaLexer, an_error_names_its_line_and_what_stands_there) {
    for (const Case& one : kErrors) {
        EXPECT_EQ(cut(one.source), one.tokens) << one.source;
    }
}

TEST(JinjaLexer, a_token_knows_the_line_it_begins_on) {
    const auto tokens =
        tokenize_template("a\n{{ b\n+ 'x\ny' }}\n{# \n\n #}{% c -%}\n\n{{ d }}", "t");
    ASSERT_TRUE(tokens.ok());
    std::string lines;
    for (const Token& token : *tokens) {
        lines += fmt::format("{} ", token.line);
    }
    // data, {{, b, +, string, }}, data, {%, c, %}, {{, d, }}, end
    EXPECT_EQ(lines, "1 2 2 3 3 4 4 7 7 7 9 9 9 9 ");
}

TEST(JinjaLexer, a_template_may_have_just_the_bytes_allowed) {
    EXPECT_TRUE(tokenize_template(std::string(kSourceBytesMax, 'x'), "t").ok());
    const auto over = tokenize_template(std::string(kSourceBytesMax + 1, 'x'), "t");
    ASSERT_FALSE(over.ok());
    EXPECT_EQ(over.error().code, ErrorCode::kOverloaded);
}

TEST(JinjaLexer, many_unclosed_braces_take_linear_time) {
    std::string source;
    for (int i = 0; i < 100'000; ++i) {
        source += "{ ";
    }
    EXPECT_EQ(tokenize_template(source, "t")->size(), 2U);
}

}  // namespace
}  // namespace nereus::jinja
