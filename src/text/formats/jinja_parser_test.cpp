// What the parser refuses, with the line, what it found and what it wanted; and how it reads
// expressions and statements.

#include "text/formats/jinja_parser.h"

#include <gtest/gtest.h>

#include "text/formats/jinja_limits.h"
#include "text/formats/test_rendering.h"

namespace nereus::jinja {
namespace {

std::string refusal(std::string_view source) {
    const auto block = parse_template(source, "t");
    return block.ok()
               ? "parsed"
               : fmt::format("{}: {}", error_code_name(block.error().code), block.error().message);
}

struct Case {
    const char* source;
    const char* expected;
};

constexpr Case kExpressionErrors[] = {
    {"{{ }}", "corrupt: t:1: '}}' stands where a value is expected"},
    {"\n{{ 1 + }}", "corrupt: t:2: '}}' stands where a value is expected"},
    {"{{ * 1 }}", "corrupt: t:1: '*' stands where a value is expected"},
    {"{{ 1 2 }}", "corrupt: t:1: '2' stands where }} is expected"},
    {"{{ a b }}", "corrupt: t:1: 'b' stands where }} is expected"},
    {"{{ a.'b' }}", "corrupt: t:1: 'b' stands where a name is expected"},
    {"{{ a. }}", "corrupt: t:1: '}}' stands where a name is expected"},
    {"{{ (1 2) }}", "corrupt: t:1: '2' stands where ) is expected"},
    {"{{ [1 2] }}", "corrupt: t:1: '2' stands where , is expected"},
    {"{{ [,] }}", "corrupt: t:1: ',' stands where a value is expected"},
    {"{{ {'a'} }}", "corrupt: t:1: '}' stands where : is expected"},
    {"{{ {'a': 1 'b': 2} }}", "corrupt: t:1: 'b' stands where , is expected"},
    {"{{ a[1 }}", "corrupt: t:1: a tag is not closed by }}"},
    {"{{ a[1:2:3:4] }}", "corrupt: t:1: ':' stands where ] is expected"},
    {"{{ a[] }}", "corrupt: t:1: ']' stands where a value is expected"},
    {"{{ f(1 2) }}", "corrupt: t:1: '2' stands where , is expected"},
    {"{{ f(a=) }}", "corrupt: t:1: ')' stands where a value is expected"},
    {"{{ f(a=1, 2) }}", "corrupt: t:1: an argument behind those it has to stand before"},
    {"{{ f(**a, 2) }}", "corrupt: t:1: an argument behind those it has to stand before"},
    {"{{ f(**a, **b) }}", "corrupt: t:1: an argument behind those it has to stand before"},
    {"{{ f(*a, *b) }}", "corrupt: t:1: an argument behind those it has to stand before"},
    {"{{ a | }}", "corrupt: t:1: '}}' stands where a name is expected"},
    {"{{ a | 1 }}", "corrupt: t:1: '1' stands where a name is expected"},
    {"{{ a is }}", "corrupt: t:1: '}}' stands where a name is expected"},
    {"{{ a is not }}", "corrupt: t:1: '}}' stands where a name is expected"},
    {"{{ 1 if }}", "corrupt: t:1: '}}' stands where a value is expected"},
    {"{{ 1 if 2 else }}", "corrupt: t:1: '}}' stands where a value is expected"},
    {"{{ 1 if 2 if 3 }}",
     "unsupported: t:1: the template uses 'a if b if c', which Nereus has not"},
    {"{{ not }}", "corrupt: t:1: '}}' stands where a value is expected"},
    {"{{ 1 <> 2 }}", "corrupt: t:1: '>' stands where a value is expected"},
    {"{{ 1 = 2 }}", "corrupt: t:1: '=' stands where }} is expected"},
    {"a\nb{{ x | nope }}",
     "unsupported: t:2: the template uses the filter 'nope', which Nereus has not"},
    {"{{ x is nope }}",
     "unsupported: t:1: the template uses the test 'nope', which Nereus has not"},
    {"{{ 99999999999999999999 }}",
     "unsupported: t:1: the template uses the number 99999999999999999999, which Nereus has not"},
};

TEST(JinjaParser, a_wrong_expression_is_refused_with_line_found_and_expected) {
    for (const Case& one : kExpressionErrors) {
        EXPECT_EQ(refusal(one.source), one.expected) << one.source;
    }
}

constexpr Case kStatementErrors[] = {
    {"{% %}", "unsupported: t:1: the template uses the tag '%}', which Nereus has not"},
    {"\n\n{% nope %}", "unsupported: t:3: the template uses the tag 'nope', which Nereus has not"},
    {"{% 1 %}", "unsupported: t:1: the template uses the tag '1', which Nereus has not"},
    {"{% if %}x{% endif %}", "corrupt: t:1: '%}' stands where a value is expected"},
    {"{% if 1 %}\nx", "corrupt: t:2: the template ends where {% endif %} is expected"},
    {"{% if 1 %}{% elif %}{% endif %}", "corrupt: t:1: '%}' stands where a value is expected"},
    {"{% if 1 %}{% else %}{% else %}{% endif %}",
     "corrupt: t:1: 'else' stands where {% endif %} is expected"},
    {"{% if 1 %}{% else %}{% elif 2 %}{% endif %}",
     "corrupt: t:1: 'elif' stands where {% endif %} is expected"},
    {"{% if 1 %}{% endif 1 %}", "corrupt: t:1: '1' stands where %} is expected"},
    {"{% if 1 %}{% endfor %}", "corrupt: t:1: 'endfor' stands where {% endif %} is expected"},
    {"{% if 1 2 %}{% endif %}", "corrupt: t:1: '2' stands where %} is expected"},
    {"{% endif %}", "corrupt: t:1: {% endif %} has nothing to end or continue"},
    {"a\n{% else %}", "corrupt: t:2: {% else %} has nothing to end or continue"},
    {"{% for %}", "corrupt: t:1: '%}' stands where a name is expected"},
    {"{% for x %}", "corrupt: t:1: '%}' stands where in is expected"},
    {"{% for 1 in [1] %}", "corrupt: t:1: '1' stands where a name is expected"},
    {"{% for x.y in [1] %}", "corrupt: t:1: '.' stands where in is expected"},
    {"{% for x in %}", "corrupt: t:1: '%}' stands where a value is expected"},
    {"{% for x in y if %}", "corrupt: t:1: '%}' stands where a value is expected"},
    {"{% for x in y recursive 1 %}", "corrupt: t:1: '1' stands where %} is expected"},
    {"{% for x in y %}a", "corrupt: t:1: the template ends where {% endfor %} is expected"},
    {"{% for (a, b in y %}", "corrupt: t:1: a tag is not closed by %}"},
    {"{% set %}", "corrupt: t:1: '%}' stands where a name is expected"},
    {"{% set 1 = 2 %}", "corrupt: t:1: '1' stands where a name is expected"},
    {"{% set x = %}", "corrupt: t:1: '%}' stands where a value is expected"},
    {"{% set x = 1 2 %}", "corrupt: t:1: '2' stands where %} is expected"},
    {"{% set x. = 1 %}", "corrupt: t:1: '=' stands where a name is expected"},
    {"{% set a, b %}x{% endset %}", "corrupt: t:1: a set block has one name"},
    {"{% set x %}y", "corrupt: t:1: the template ends where {% endset %} is expected"},
    {"{% set x | %}{% endset %}", "corrupt: t:1: '%}' stands where a name is expected"},
    {"{% macro %}", "corrupt: t:1: '%}' stands where a name is expected"},
    {"{% macro m %}", "corrupt: t:1: '%}' stands where ( is expected"},
    {"{% macro m(1) %}", "corrupt: t:1: '1' stands where a name is expected"},
    {"{% macro m(a b) %}", "corrupt: t:1: 'b' stands where , is expected"},
    {"{% macro m(a=1, b) %}{% endmacro %}",
     "corrupt: t:1: the parameter 'b' has no default but follows one that has"},
    {"{% macro m() %}x", "corrupt: t:1: the template ends where {% endmacro %} is expected"},
    {"{% macro m() %}{% endmacro n %}", "corrupt: t:1: 'n' stands where %} is expected"},
    {"{% call %}", "corrupt: t:1: '%}' stands where a value is expected"},
    {"{% call m %}{% endcall %}", "corrupt: t:1: a call block calls something"},
    {"{% call m() | upper %}{% endcall %}", "corrupt: t:1: a call block calls something"},
    {"{% call m() %}x", "corrupt: t:1: the template ends where {% endcall %} is expected"},
    {"{% filter %}x{% endfilter %}", "corrupt: t:1: '%}' stands where a name is expected"},
    {"{% filter nope %}",
     "unsupported: t:1: the template uses the filter 'nope', which Nereus has not"},
    {"{% with a %}{% endwith %}", "corrupt: t:1: '%}' stands where = is expected"},
    {"{% with a=1 b=2 %}{% endwith %}", "corrupt: t:1: 'b' stands where , is expected"},
    {"{% break %}", "corrupt: t:1: break or continue outside a loop"},
    {"{% for x in [1] %}{% endfor %}\n{% continue %}",
     "corrupt: t:2: break or continue outside a loop"},
    {"{% for x in [1] %}{% macro m() %}{% break %}{% endmacro %}{% endfor %}",
     "corrupt: t:1: break or continue outside a loop"},
    {"{% for x in [] %}{% else %}{% break %}{% endfor %}",
     "corrupt: t:1: break or continue outside a loop"},
    {"{% generation %}x", "corrupt: t:1: the template ends where {% endgeneration %} is expected"},
    {"{% raw +%}x{% endraw %}",
     "unsupported: t:1: the template uses the tag 'raw', which Nereus has not"},
    {"{% include 'a' %}",
     "unsupported: t:1: the template uses the tag 'include', which Nereus has not"},
    {"{% extends 'a' %}",
     "unsupported: t:1: the template uses the tag 'extends', which Nereus has not"},
    {"{% do 1 %}", "unsupported: t:1: the template uses the tag 'do', which Nereus has not"},
};

TEST(JinjaParser, a_wrong_statement_is_refused_with_line_found_and_expected) {
    for (const Case& one : kStatementErrors) {
        EXPECT_EQ(refusal(one.source), one.expected) << one.source;
    }
}

/// The deepest nesting of each kind that parses, and one more.
struct DepthCase {
    const char* name;
    const char* open;
    const char* middle;
    const char* close;
};
constexpr DepthCase kDepths[] = {
    {"parentheses", "(", "1", ")"},  {"lists", "[", "1", "]"},
    {"dicts", "{1:", "1", "}"},      {"calls", "f(", "1", ")"},
    {"subscripts", "a[", "1", "]"},  {"filters", "a | d(", "1", ")"},
    {"tests", "a is eq(", "1", ")"}, {"signs", "-", "1", ""},
    {"nots", "not ", "1", ""},       {"conditions", "1 if 0 else ", "1", ""},
};

TEST(JinjaParser, each_kind_of_nesting_parses_to_a_limit_and_not_beyond) {
    for (const DepthCase& one : kDepths) {
        const auto nested = [&](int n) {
            const auto count = static_cast<size_t>(n);
            return refusal("{{ " + repeat_text(one.open, count) + one.middle +
                           repeat_text(one.close, count) + " }}");
        };
        int deepest = 0;
        while (deepest < 1000 && nested(deepest + 1) == "parsed") {
            ++deepest;
        }
        EXPECT_GE(deepest, 20) << one.name;
        EXPECT_LE(deepest, kParserDepthMax) << one.name;
        EXPECT_EQ(nested(deepest + 1), "overloaded: t:1: nested deeper than 64 levels") << one.name;
        EXPECT_EQ(nested(5000), "overloaded: t:1: nested deeper than 64 levels") << one.name;
    }
}

TEST(JinjaParser, blocks_and_tuples_of_names_nest_to_a_limit_too) {
    const char* const blocks[][2] = {
        {"{% if 1 %}", "{% endif %}"},
        {"{% for x in y %}", "{% endfor %}"},
        {"{% macro m() %}", "{% endmacro %}"},
        {"{% call m() %}", "{% endcall %}"},
        {"{% filter upper %}", "{% endfilter %}"},
        {"{% with %}", "{% endwith %}"},
        {"{% set x %}", "{% endset %}"},
        {"{% generation %}", "{% endgeneration %}"},
    };
    for (const auto& [open, close] : blocks) {
        EXPECT_EQ(refusal(repeat_text(open, 62) + repeat_text(close, 62)), "parsed") << open;
        EXPECT_EQ(refusal(repeat_text(open, 64) + repeat_text(close, 64)),
                  "overloaded: t:1: nested deeper than 64 levels")
            << open;
    }
    EXPECT_EQ(
        refusal("{% set " + repeat_text("(", 5000) + "a" + repeat_text(")", 5000) + " = 1 %}"),
        "overloaded: t:1: nested deeper than 64 levels");
}

TEST(JinjaParser, what_is_flat_is_not_deep) {
    EXPECT_EQ(refusal("{{ 1" + repeat_text(" + 1", 20'000) + " }}"), "parsed");
    EXPECT_EQ(refusal("{{ a" + repeat_text(".b", 20'000) + " }}"), "parsed");
    EXPECT_EQ(refusal("{% if 0 %}" + repeat_text("{% elif 0 %}", 10'000) + "{% endif %}"),
              "parsed");
    EXPECT_EQ(refusal(repeat_text("{% set x = 1 %}", 10'000)), "parsed");
}

}  // namespace
}  // namespace nereus::jinja
