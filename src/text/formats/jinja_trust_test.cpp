// Which bytes of a prompt people typed: the mark survives every filter, method, operator and block.

#include <gtest/gtest.h>

#include "text/formats/jinja_filters.h"
#include "text/formats/test_rendering.h"

namespace nereus::jinja {
namespace {

struct Case {
    const char* source;
    const char* marked;
};

/// c is what a person typed, "a｜b C"; the template's own bytes come out in square brackets.
void expect_marks(const Case* begin, const Case* end) {
    for (const Case* one = begin; one != end; ++one) {
        const std::string source =
            std::string("{% set c = messages[0]['content'] %}") + one->source;
        EXPECT_EQ(marked_or_error(source, "a｜b C"), one->marked) << one->source;
    }
}

constexpr Case kFilters[] = {
    {"{{ ('<' ~ c) | upper }}", "[<](A｜B C)"},
    {"{{ ('<' ~ c) | lower }}", "[<](a｜b c)"},
    {"{{ ('x ' ~ c) | title }}", "[X ](A｜b C)"},
    {"{{ ('xY' ~ c) | capitalize }}", "[Xy](a｜b c)"},
    {"{{ ('  ' ~ c ~ ' ') | trim }}", "(a｜b C)"},
    {"{{ ('--' ~ c) | trim('-') }}", "(a｜b C)"},
    {"{{ (c ~ '>') | replace('C', 'D') }}", "(a｜b )[D>]"},
    {"{{ 'xyx' | replace('x', c) }}", "(a｜b C)[y](a｜b C)"},
    {"{{ 'xy' | replace('', c) }}", "(a｜b C)[x](a｜b C)[y](a｜b C)"},
    {"{{ ('x\n' ~ c) | indent(2) }}", "[x\n  ](a｜b C)"},
    {"{{ 'x\ny' | indent(c) }}", "[x\n](a｜b C)[y]"},
    {"{{ c | indent(2, true) }}", "[  ](a｜b C)"},
    {"{{ c | center(9) }}", "[  ](a｜b C)[  ]"},
    {"{{ ('long text ' ~ c) | truncate(13, true, leeway=0) }}", "[long text ...]"},
    {"{{ ('<' ~ c) | truncate(5, true, '>', leeway=0) }}", "[<](a｜b)[>]"},
    {"{{ 'long text' | truncate(5, true, c, leeway=0) }}", "(a｜b C)"},
    {"{{ '<%s>' | format(c) }}", "[<](a｜b C)[>]"},
    {"{{ '%8s|' | format(c) }}", "[   ](a｜b C)[|]"},
    {"{{ '%.2s' | format('<' ~ c) }}", "[<](a)"},
    {"{{ '%(x)s!' | format(x=c) }}", "(a｜b C)[!]"},
    {"{{ (c ~ '%s') | format('x') }}", "(a｜b C)[x]"},
    {"{{ '%r' | format(c) }}", "('a｜b C')"},
    {"{{ c | wordcount }}", "[3]"},
    {"{{ c | length }}", "[5]"},
    {"{{ c | string }}{{ c | safe }}", "(a｜b Ca｜b C)"},
    {"{{ ('<' ~ c) | e }}", "(&lt;a｜b C)"},
    {"{{ c | forceescape }}", "(a｜b C)"},
    {"{{ ('<' | safe) + c + '>' }}", "[<](a｜b C)[&gt;]"},
    {"{{ ('<%s>' | safe) % c }}", "[<](a｜b C)[>]"},
    {"{{ ('<{}>' | safe).format(c) }}", "[<](a｜b C)[>]"},
    {"{{ ('<' | safe).join(['x', c]) }}", "[x<](a｜b C)"},
    {"{{ (c | safe).replace('C', '<') }}", "(a｜b )[&lt;]"},
    {"{{ (c | safe)[1:] + (c | e) }}", "(｜b Ca｜b C)"},
    {"{{ ['x' | safe, c | safe] }}", "([Markup('x'), Markup('a｜b C')])"},
    {"{{ ('x ' ~ c) | wordwrap(3) }}", "[x\n](a｜b)[\n](C)"},
    {"{{ 'x y' | wordwrap(1, wrapstring=c) }}", "[x](a｜b C)[y]"},
    {"{% set j = joiner(c) %}{{ j() ~ 'x' ~ j() }}", "[x](a｜b C)"},
    {"{% set k = cycler('x', c) %}{{ k.next() ~ k.next() }}", "[x](a｜b C)"},
    {"{% block x scoped %}<{{ c }}>{% endblock %}", "[<](a｜b C)[>]"},
    {"{{ c | list | join('-') }}", "(a)[-](｜)[-](b)[-]( )[-](C)"},
    {"{{ ['<', c] | join(c) }}", "[<](a｜b Ca｜b C)"},
    {"{{ [{'k': c}] | join('', 'k') }}", "(a｜b C)"},
    {"{{ ('<' ~ c) | first }}{{ ('<' ~ c) | last }}", "[<](C)"},
    {"{{ ('<' ~ c) | reverse }}", "(C b｜a)[<]"},
    {"{{ ['<', c] | map('upper') | join }}", "[<](A｜B C)"},
    {"{{ [{'k': c}] | map(attribute='k') | join }}", "(a｜b C)"},
    {"{{ [{}] | map(attribute='k', default=c) | join }}", "(a｜b C)"},
    {"{{ ['<', c] | select | join }}{{ ['<', c] | reject('eq', 'x') | join }}",
     "[<](a｜b C)[<](a｜b C)"},
    {"{{ [{'k': c}] | selectattr('k') | map(attribute='k') | join }}", "(a｜b C)"},
    {"{{ [c, '<'] | sort | join }}{{ [c, '<'] | max }}", "[<](a｜b Ca｜b C)"},
    {"{{ [c, c] | unique | join }}", "(a｜b C)"},
    {"{% for g in [{'k': c}] | groupby('k') %}{{ g.grouper }}{{ g.list[0].k }}{% endfor %}",
     "(a｜b Ca｜b C)"},
    {"{{ ['<', c] | batch(2) | map('join') | join }}", "[<](a｜b C)"},
    {"{{ ['<'] | batch(2, c) | map('join') | join }}", "[<](a｜b C)"},
    {"{{ ['<', c] | slice(1) | map('join') | join }}", "[<](a｜b C)"},
    {"{{ {c: '<'} | dictsort | map('join') | join }}", "(a｜b C)[<]"},
    {"{{ {c: '<'} | items | map('join') | join }}", "(a｜b C)[<]"},
    {"{{ {'x': c} | tojson }}", "({\"x\": \"a｜b C\"})"},
    {"{{ {c: 1} | tojson }}", "({\"a｜b C\": 1})"},
    {"{{ {'x': 1} | tojson(indent=c) }}", "({\na｜b C\"x\": 1\n})"},
    {"{{ [1, 2] | tojson(separators=(c, ':')) }}", "([1a｜b C2])"},
    {"{{ ('\"' ~ c ~ '\"') | from_json }}", "(a｜b C)"},
    {"{{ nothing | default(c) }}{{ '' | d(c, true) }}", "(a｜b Ca｜b C)"},
    {"{{ [['<'], [c]] | sum(start=[]) | join }}", "[<](a｜b C)"},
};

TEST(JinjaTrustMarks, filters_keep_what_was_typed_apart) {
    expect_marks(std::begin(kFilters), std::end(kFilters));
}

constexpr Case kMethods[] = {
    {"{{ ('<' ~ c).upper() }}{{ c.lower() }}", "[<](A｜B Ca｜b c)"},
    {"{{ ('<' ~ c).swapcase() }}{{ c.capitalize() }}", "[<](A｜B cA｜b c)"},
    {"{{ (' ' ~ c).strip() }}{{ ('-' ~ c).lstrip('-') }}{{ (c ~ '-').rstrip('-') }}",
     "(a｜b Ca｜b Ca｜b C)"},
    {"{{ ('<' ~ c).removeprefix('<') }}{{ (c ~ '>').removesuffix('>') }}", "(a｜b Ca｜b C)"},
    {"{{ ('<,' ~ c).split(',') | join('+') }}", "[<+](a｜b C)"},
    {"{{ ('<,' ~ c).rsplit(',', 1) | join('+') }}", "[<+](a｜b C)"},
    {"{{ c.split() | join('+') }}{{ c.rsplit(none, 1) | join('+') }}", "(a｜b)[+](Ca｜b)[+](C)"},
    {"{{ ('<\n' ~ c).splitlines() | join('+') }}", "[<+](a｜b C)"},
    {"{{ ('<|' ~ c).partition('|') | join('+') }}", "[<+|+](a｜b C)"},
    {"{{ c.rpartition('｜') | join('+') }}", "(a)[+｜+](b C)"},
    {"{{ c.replace('｜', '|') }}{{ '<'.replace('<', c) }}", "(a)[|](b Ca｜b C)"},
    {"{{ c.center(7, '<') }}", "[<](a｜b C)[<]"},
    {"{{ 'x'.ljust(3, c[0]) }}{{ 'x'.rjust(3, c[0]) }}{{ c.zfill(6) }}", "[x](aaaa)[x0](a｜b C)"},
    {"{{ c.join(['<', '>']) }}", "[<](a｜b C)[>]"},
    {"{{ '<{}>{x}'.format(c, x=c) }}", "[<](a｜b C)[>](a｜b C)"},
    {"{{ '{:>7}'.format(c) }}{{ '{!r}'.format(c) }}", "[  ](a｜b C'a｜b C')"},
    {"{{ (c ~ '{}').format('<') }}", "(a｜b C)[<]"},
    {"{{ {'k': c}.get('k') }}{{ {}.get('k', c) }}", "(a｜b Ca｜b C)"},
    {"{{ {'k': c}.values() | join }}{{ {c: 1}.keys() | join }}", "(a｜b Ca｜b C)"},
    {"{% set f = c.upper %}{{ f() }}", "(A｜B C)"},
    {"{% for x in [1] %}{{ loop.cycle(c) }}{% endfor %}", "(a｜b C)"},
};

TEST(JinjaTrustMarks, methods_keep_what_was_typed_apart) {
    expect_marks(std::begin(kMethods), std::end(kMethods));
}

constexpr Case kConstructs[] = {
    {"<{{ c }}>", "[<](a｜b C)[>]"},
    {"{{ '<' + c + '>' }}{{ 1 ~ c ~ 2 }}", "[<](a｜b C)[>1](a｜b C)[2]"},
    {"{{ '<%s>' % c }}{{ '%s%%' % (c,) }}", "[<](a｜b C)[>](a｜b C)[%]"},
    {"{{ ('<' ~ c) * 2 }}", "[<](a｜b C)[<](a｜b C)"},
    {"{{ ('<' ~ c)[1:3] }}{{ ('<' ~ c)[0] }}{{ ('<' ~ c)[::-2] }}", "(a｜)[<](Cba)"},
    {"{{ [c, 1] }}{{ {'k': c} }}{{ (c,) }}", "(['a｜b C', 1]{'k': 'a｜b C'}('a｜b C',))"},
    {"{{ {'k': c}.items() }}", "(dict_items([('k', 'a｜b C')]))"},
    {"{% macro m(x) %}<{{ x }}>{% endmacro %}{{ m(c) }}", "[<](a｜b C)[>]"},
    {"{% macro m(x) %}<{{ x }}>{% endmacro %}{{ m(c) | upper }}", "[<](A｜B C)[>]"},
    {"{% macro m(x=c) %}{{ x }}{% endmacro %}{{ m() }}", "(a｜b C)"},
    {"{% macro m() %}{{ varargs | join('+') }}{% endmacro %}{{ m('<', c) }}", "[<+](a｜b C)"},
    {"{% macro m() %}{{ kwargs.k }}{% endmacro %}{{ m(k=c) }}{{ m(**{'k': c}) }}",
     "(a｜b Ca｜b C)"},
    {"{% macro m() %}<{{ caller() }}>{% endmacro %}{% call m() %}x{{ c }}{% endcall %}",
     "[<x](a｜b C)[>]"},
    {"{% macro m() %}{{ caller(c) }}{% endmacro %}{% call(y) m() %}<{{ y }}>{% endcall %}",
     "[<](a｜b C)[>]"},
    {"{% set b %}<{{ c }}>{% endset %}{{ b }}{{ b | length }}", "[<](a｜b C)[>7]"},
    {"{% set b | upper %}x{{ c }}{% endset %}{{ b }}", "[X](A｜B C)"},
    {"{% filter upper %}x{{ c }}{% endfilter %}", "[X](A｜B C)"},
    {"{% filter replace('x', '') | trim %} x{{ c }} {% endfilter %}", "(a｜b C)"},
    {"{% with d = '<' ~ c %}{{ d }}{% endwith %}", "[<](a｜b C)"},
    {"{% for x in ['<', [c]] recursive %}{% if x is string %}{{ x }}{% else %}({{ loop(x) }})"
     "{% endif %}{% endfor %}",
     "[<(](a｜b C)[)]"},
    {"{% for x in c %}{{ x }}{% endfor %}", "(a｜b C)"},
    {"{% for a, b in [('<', c)] %}{{ a }}{{ b }}{% endfor %}", "[<](a｜b C)"},
    {"{% for x in ['<', c] %}{{ loop.previtem }}{{ loop.nextitem }}{% endfor %}", "(a｜b C)[<]"},
    {"{% set ns = namespace(t=c) %}{% set ns.t = '<' ~ ns.t %}{{ ns.t }}", "[<](a｜b C)"},
    {"{% set a, (b, d) = '<', (c, '>') %}{{ a }}{{ b }}{{ d }}", "[<](a｜b C)[>]"},
    {"{{ c if true }}{{ '' or c }}{{ c and '<' }}", "(a｜b Ca｜b C)[<]"},
    {"{{ messages[0] | tojson }}", "({\"role\": \"user\", \"content\": \"a｜b C\"})"},
    {"{{ strftime_now(c) }}", "(a｜b C)"},
    {"{% generation %}<{{ c }}{% endgeneration %}", "[<](a｜b C)"},
};

TEST(JinjaTrustMarks, operators_and_blocks_keep_what_was_typed_apart) {
    expect_marks(std::begin(kConstructs), std::end(kConstructs));
}

/// Whatever a filter does, a marker made only of typed bytes never comes out trusted.
TEST(JinjaTrustMarks, no_filter_launders_a_marker) {
    const char* const calls[] = {"tojson",
                                 "trim",
                                 "length",
                                 "join",
                                 "replace('x', 'y')",
                                 "upper",
                                 "lower",
                                 "title",
                                 "capitalize",
                                 "default('')",
                                 "string",
                                 "int",
                                 "float",
                                 "indent(2)",
                                 "center(40)",
                                 "truncate(3, true, '')",
                                 "wordcount",
                                 "format",
                                 "safe",
                                 "escape",
                                 "e",
                                 "list",
                                 "first",
                                 "last",
                                 "reverse",
                                 "map('string')|join",
                                 "select|list",
                                 "sort",
                                 "unique|list",
                                 "min",
                                 "max",
                                 "batch(2)|list",
                                 "slice(2)|list",
                                 "attr('upper')",
                                 "reject('none')|join"};
    for (const char* call : calls) {
        for (const char* source :
             {"{{{{ messages[0].content | {} }}}}", "{{{{ [messages[0].content] | {} }}}}",
              "{{{{ {{'k': messages[0].content}} | {} }}}}",
              "{{% set x | string | {} %}}{{{{ messages[0].content }}}}"
              "{{% endset %}}{{{{ x }}}}"}) {
            const auto prompt = render_for_test(fmt::format(fmt::runtime(source), call), "｜｜｜");
            if (!prompt.ok()) {
                continue;
            }
            for (const PromptPiece& piece : prompt->pieces) {
                EXPECT_TRUE(!piece.trusted || piece.text.find("｜") == std::string::npos)
                    << call << " in " << source << ": " << piece.text;
            }
        }
    }
}

}  // namespace
}  // namespace nereus::jinja
