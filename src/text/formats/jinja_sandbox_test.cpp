// What a template must not reach: attributes of Python objects, functions of the host, changes to
// its data, blocks that have ended, its own stack.

#include <gtest/gtest.h>

#include "text/formats/jinja_limits.h"
#include "text/formats/test_rendering.h"

namespace nereus::jinja {
namespace {

TEST(JinjaSandbox, names_with_underscores_lead_nowhere) {
    const char* const names[] = {"__class__",      "__init__", "__globals__",  "__mro__",
                                 "__subclasses__", "__dict__", "__builtins__", "_private"};
    const char* const owners[] = {"''", "1",        "1.5",      "none",     "[]",
                                  "{}", "(1,)",     "range",    "dict",     "namespace(a=1)",
                                  "m",  "''.upper", "range(2)", "messages", "{}.items()"};
    for (const char* owner : owners) {
        for (const char* name : names) {
            const std::string macro = "{% macro m() %}{% endmacro %}";
            const auto show = [&](const char* form) {
                return text_or_error(macro + fmt::format(fmt::runtime(form), owner, name));
            };
            EXPECT_EQ(show("{{{{ {}.{} }}}}"), "") << owner << name;
            EXPECT_EQ(show("{{{{ {}['{}'] }}}}"), "") << owner << name;
            EXPECT_EQ(show("{{{{ {} | attr('{}') }}}}"), "") << owner << name;
            EXPECT_EQ(show("{{{{ {}.{} is defined }}}}"), "False") << owner << name;
            EXPECT_NE(error_word(macro + fmt::format("{{{{ {}.{}() }}}}", owner, name)), "rendered")
                << owner << name;
            EXPECT_NE(error_word(macro + fmt::format("{{{{ {}.{}.x }}}}", owner, name)), "rendered")
                << owner << name;
        }
    }
}

TEST(JinjaSandbox, fields_of_format_reach_no_attributes) {
    for (const char* field : {"{0.__class__}", "{0.upper}", "{0[0]}", "{x.y}", "{0!a}", "{:{}}"}) {
        EXPECT_NE(error_word(fmt::format("{{{{ '{}'.format('a', x='b') }}}}", field)), "rendered")
            << field;
    }
}

TEST(JinjaSandbox, a_key_that_looks_like_an_attribute_is_just_a_key) {
    EXPECT_EQ(text_or_error("{{ {'__class__': 1}.__class__ }}{{ {'__class__': 2}['__class__'] }}"),
              "12");
}

TEST(JinjaSandbox, functions_of_python_are_not_there) {
    for (const char* name : {"open", "eval", "exec", "getattr", "import", "print", "len", "str",
                             "globals", "lipsum", "self", "super", "include"}) {
        EXPECT_EQ(text_or_error(fmt::format("{{{{ {}('x') }}}}", name)),
                  fmt::format("t:1: '{}' is called but not defined", name));
    }
}

TEST(JinjaSandbox, methods_that_change_their_object_are_not_there) {
    for (const char* call :
         {"[].append(1)", "[].extend([1])", "[].insert(0, 1)", "[1].pop()", "[1].remove(1)",
          "[2, 1].sort()", "[1].reverse()", "[1].clear()", "{}.update({})", "{'a': 1}.pop('a')",
          "{}.setdefault('a', 1)", "{}.clear()", "{'a': 1}.popitem()", "messages.append(1)"}) {
        EXPECT_EQ(error_word(fmt::format("{{{{ {} }}}}", call)), "unsupported") << call;
    }
    EXPECT_EQ(text_or_error("{% set messages[0] = 1 %}"), "t:1: '[' stands where %} is expected");
}

TEST(JinjaSandbox, only_a_namespace_takes_fields) {
    for (const char* owner : {"messages", "d", "s", "nothing", "loop"}) {
        const std::string source = fmt::format(
            "{{% set d = {{}} %}}{{% set s = 'a' %}}{{% for x in [1] %}}{{% set {}.a = 1 %}}"
            "{{% endfor %}}",
            owner);
        EXPECT_EQ(text_or_error(source),
                  fmt::format("t:1: '{0}.a' is set, but '{0}' is not a namespace", owner));
    }
}

TEST(JinjaSandbox, a_filter_or_test_by_name_is_looked_up_in_the_same_table) {
    EXPECT_EQ(text_or_error("{{ [1] | map('open') | list }}"), "t:1: the filter 'open' inside map");
    EXPECT_EQ(text_or_error("{{ [[1]] | map('map', 'string') | list }}"),
              "t:1: the filter 'map' inside map");
    EXPECT_EQ(text_or_error("{{ [1] | select('open') | list }}"),
              "t:1: the test 'open' is not supported");
}

// ---- what outlives its block

TEST(JinjaSandbox, a_macro_kept_beyond_its_block_is_refused_and_never_reads_freed_scopes) {
    const std::string keep =
        "{% set ns = namespace() %}{% for x in [1] %}"
        "{% macro m() %}{{ x }}{% endmacro %}{% set ns.m = m %}{% endfor %}";
    EXPECT_EQ(text_or_error(keep + "{{ ns.m() }}"),
              "t:1: 'm' is called after the block it was defined in has ended");
    EXPECT_EQ(text_or_error(keep + "{% for y in [2] %}{{ ns.m() }}{% endfor %}"),
              "t:1: 'm' is called after the block it was defined in has ended");
}

TEST(JinjaSandbox, a_caller_kept_beyond_its_block_is_refused) {
    EXPECT_EQ(text_or_error("{% set ns = namespace() %}{% macro m() %}{% set ns.c = caller %}"
                            "{% endmacro %}{% for x in [1] %}{% call m() %}{{ x }}{% endcall %}"
                            "{% endfor %}{{ ns.c() }}"),
              "t:1: 'caller' is called after the block it was defined in has ended");
}

TEST(JinjaSandbox, a_loop_kept_beyond_its_end_still_counts_but_does_not_run) {
    const std::string keep =
        "{% set ns = namespace() %}{% for a in [1] %}{% for x in [7, 8] "
        "recursive %}{% set ns.l = loop %}{% endfor %}{% endfor %}";
    EXPECT_EQ(text_or_error(keep + "{{ ns.l.index }}{{ ns.l.previtem }}{{ ns.l.changed(1) }}"
                                   "{{ ns.l.changed(1) }}"),
              "27TrueFalse");
    EXPECT_EQ(text_or_error(keep + "{{ ns.l([1]) }}"),
              "t:1: 'loop' is called after the block it was defined in has ended");
}

TEST(JinjaSandbox, a_method_keeps_its_object_alive) {
    EXPECT_EQ(text_or_error("{% set ns = namespace() %}{% for x in ['ab'] %}{% set ns.f = "
                            "(x ~ 'c').upper %}{% endfor %}{{ ns.f() }}"),
              "ABC");
}

// ---- recursion

TEST(JinjaSandbox, recursion_in_every_form_ends_at_a_limit) {
    const char* const sources[] = {
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
        "{% macro a() %}{{ b() }}{% endmacro %}{% macro b() %}{{ a() }}{% endmacro %}{{ a() }}",
        "{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}",
        "{% macro m() %}{% call m() %}{% endcall %}{{ caller }}{% endmacro %}{{ m() }}",
        "{% macro m(f) %}{{ f(f) }}{% endmacro %}{{ m(m) }}",
        "{% macro m(a=m()) %}{% endmacro %}{{ m() }}",
        "{% set n = namespace() %}{% macro m() %}{{ n.f() }}{% endmacro %}{% set n.f=m %}{{ m() }}",
    };
    for (const char* source : sources) {
        const std::string message = text_or_error(source);
        EXPECT_EQ(error_word(source), "overloaded") << source << message;
        EXPECT_NE(message.find("256 levels"), std::string::npos) << source << message;
    }
}

TEST(JinjaSandbox, chains_of_values_that_hold_each_other_end_at_a_limit) {
    const auto chain = [](const char* step) {
        return fmt::format(
            "{{% set ns = namespace(x=[]) %}}{{% for i in range(90000) %}}{}"
            "{{% endfor %}}",
            step);
    };
    for (const char* step : {"{% set ns.x = [ns.x] %}", "{% set ns.x = {'a': ns.x} %}",
                             "{% set ns.x = [[ns.x].index] %}",
                             "{% for y in [ns.x] %}{% set ns.x = loop %}{% endfor %}",
                             "{% set ns.x = [ns.x] | map('list') %}",
                             "{% set ns.x = ([ns.x] | groupby('0', default=1)) %}"}) {
        const std::string source = chain(step);
        EXPECT_EQ(error_word(source), "overloaded") << step << text_or_error(source);
    }
}

}  // namespace
}  // namespace nereus::jinja
