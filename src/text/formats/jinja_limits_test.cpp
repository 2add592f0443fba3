// Every limit of a running template: what just fits renders, what is one over is refused.

#include "text/formats/jinja_limits.h"

#include <gtest/gtest.h>

#include <chrono>

#include "text/formats/test_rendering.h"

namespace nereus::jinja {
namespace {

struct Case {
    const char* name;
    std::string fits;
    std::string over;
    const char* message;
};

std::vector<Case> exact_cases() {
    const std::string count = "{% set ns = namespace(x=[]) %}";
    const auto nest = [&](int n) {
        return count +
               fmt::format("{{% for i in range({}) %}}{{% set ns.x = [ns.x] %}}{{% endfor %}}", n);
    };
    // Repeating a text costs a step a time: long ones are made of long pieces.
    const std::string k = "{% set k = 'x' * 4096 %}";
    return {
        {"output", k + "{{ k * 4096 }}", k + "{{ k * 4096 }}y",
         "the prompt is larger than 16777216 bytes"},
        {"text", k + "{{ (k * 4096) | length }}", "{{ ('x' * 16777217) | length }}",
         "a text of 16777217 bytes, at most 16777216 are allowed"},
        {"concatenation", k + "{{ (k * 4095 ~ k) | length }}", k + "{{ (k * 4095 ~ k ~ 'z') }}",
         "a text of 16777217 bytes"},
        {"range", "{{ range(100000) | length }}", "{{ range(100001) | length }}",
         "a list of 100001 items, at most 100000 are allowed"},
        {"list repetition", "{{ ([1] * 100000) | length }}", "{{ ([1] * 100001) | length }}",
         "a list of 100001 items"},
        {"list addition", "{{ (range(99999) | list + [1]) | length }}",
         "{{ (range(100000) | list + [1]) | length }}", "a list of 100001 items"},
        {"characters", "{{ ('x' * 99999) | list | length }}",
         "{{ ('x' * 100000) | list | length }}", "a list of 100001 items"},
        {"batch filled", "{{ [1] | batch(100000, 0) | list | length }}",
         "{{ [1] | batch(100001, 0) | list | length }}", "a list of 100001 items"},
        {"slices", "{{ [1] | slice(100000) | list | length }}",
         "{{ [1] | slice(100001) | list | length }}", "a list of 100001 items"},
        {"levels of lists", nest(127), nest(128), "lists nested deeper than 128 levels"},
        {"indent of tojson", "{{ [1] | tojson(indent=64) | length }}",
         "{{ [1] | tojson(indent=65) }}", "tojson with an indent of 65, at most 64"},
        {"width of a format", "{{ ('%65536d' % 1) | length }}", "{{ ('%65537d' % 1) | length }}",
         "a format with a width over 65536"},
        {"precision of a format", "{{ ('%.65536s' % 'x') | length }}",
         "{{ ('%.65537s' % 'x') | length }}", "a format with a width over 65536"},
        {"width of a field", "{{ '{:65536}'.format('x') | length }}",
         "{{ '{:65537}'.format('x') | length }}", "a format with a width over 65536"},
        {"steps", "{% for i in range(999) %}{% for j in range(400) %}{% endfor %}{% endfor %}",
         "{% for i in range(999) %}{% for j in range(999) %}{% endfor %}{% endfor %}",
         "the template takes more than 1000000 steps to render"},
    };
}

TEST(JinjaLimitEdges, what_just_fits_renders_and_one_more_is_refused) {
    for (const Case& one : exact_cases()) {
        EXPECT_EQ(error_word(one.fits), "rendered") << one.name << text_or_error(one.fits);
        EXPECT_EQ(error_word(one.over), "overloaded") << one.name;
        EXPECT_NE(text_or_error(one.over).find(one.message), std::string::npos)
            << one.name << ": " << text_or_error(one.over).substr(0, 200);
    }
}

TEST(JinjaLimitEdges, macros_and_recursive_loops_go_as_deep_as_a_conversation_needs) {
    const auto macro = [](int n) {
        return text_or_error(
            fmt::format("{{% macro m(n) %}}{{% if n %}}{{{{ m(n - 1) }}}}{{% else %}}"
                        "end{{% endif %}}{{% endmacro %}}{{{{ m({}) }}}}",
                        n));
    };
    EXPECT_EQ(macro(40), "end");
    EXPECT_NE(macro(80).find("256 levels"), std::string::npos);
    const auto loop = [](size_t n) {
        return text_or_error("{% for x in " + repeat_text("[", n) + "7" + repeat_text("]", n) +
                             " recursive %}{% if x is iterable %}{{ loop(x) }}{% else %}{{ x }}"
                             "{% endif %}{% endfor %}");
    };
    EXPECT_EQ(loop(40), "7");
}

/// Each would write, hold or walk far more than its source suggests.
const char* const kBombs[] = {
    "{% set ns = namespace(x='ab') %}{% for i in range(60) %}{% set ns.x = ns.x ~ ns.x %}"
    "{% endfor %}",
    "{% set ns = namespace(x='ab') %}{% for i in range(60) %}{% set ns.x %}{{ ns.x }}{{ ns.x }}"
    "{% endset %}{% endfor %}",
    "{% set ns = namespace(x='ab') %}{% for i in range(60) %}{% set ns.x = '%s%s' % (ns.x, ns.x) "
    "%}{% endfor %}",
    "{% set ns = namespace(x='ab') %}{% for i in range(60) %}{% set ns.x = '{0}{0}'.format(ns.x) "
    "%}{% endfor %}",
    "{% set ns = namespace(x='ab') %}{% for i in range(60) %}{% set ns.x = ns.x.replace('', ns.x) "
    "%}{% endfor %}",
    "{% set ns = namespace(x='ab') %}{% for i in range(60) %}{% set ns.x = ns.x.join([ns.x, ns.x])"
    " %}{% endfor %}",
    "{% set ns = namespace(x='a\nb') %}{% for i in range(60) %}{% set ns.x = ns.x | indent(ns.x, "
    "true) %}{% endfor %}",
    "{% set ns = namespace(x=['a']) %}{% for i in range(90) %}{% set ns.x = [ns.x, ns.x] %}"
    "{% endfor %}{{ ns.x | tojson | length }}",
    "{% set ns = namespace(x=['a']) %}{% for i in range(90) %}{% set ns.x = [ns.x, ns.x] %}"
    "{% endfor %}{{ ns.x | string | length }}",
    "{% set ns = namespace(x=[1]) %}{% for i in range(60) %}{% set ns.x = ns.x + ns.x %}"
    "{% endfor %}",
    "{% macro m(n) %}{% if n %}{{ m(n - 1) }}{{ m(n - 1) }}{% endif %}{% endmacro %}{{ m(50) }}",
    "{% macro m(n) %}{% if n %}{{ m(n - 1) ~ m(n - 1) }}{% else %}ab{% endif %}{% endmacro %}"
    "{{ m(40) }}",
    "{% for x in [1, 1] recursive %}{% if loop.depth < 60 %}{{ loop([1, 1]) }}{% endif %}"
    "{% endfor %}",
    "{% set ns = namespace(x='&') %}{% for i in range(60) %}{% set ns.x = (ns.x ~ ns.x) | "
    "forceescape"
    " %}{% endfor %}",
    "{% set ns = namespace(x='<' | safe) %}{% for i in range(60) %}{% set ns.x = ns.x + ns.x %}"
    "{% endfor %}",
    "{{ ('a ' * 8000000) | wordwrap(1) | length }}",
    "{{ ('a ' * 100000) | wordwrap(1, wrapstring='b' * 100000) | length }}",
    "{% for i in range(100000) %}{% for j in range(100000) %}{% set k = joiner() %}{% endfor %}"
    "{% endfor %}",
    "{% for i in range(100000) %}{% set k = cycler(*range(100000)) %}{% endfor %}",
    "{{ 'x'.center(99999999999) }}",
    "{{ 'x'.ljust(9223372036854775807) }}",
    "{{ 'x'.zfill(9999999999) }}",
    "{{ 'x' | center(9999999999) }}",
    "{{ 'x\ny' | indent(9999999999) }}",
    "{{ '%99999999999s' % 1 }}",
    "{{ '%0999999999d' % 1 }}",
    "{{ '{:>99999999999}'.format(1) }}",
    "{{ ('a' * 9999999).replace('', 'b' * 9999999) }}",
    "{{ ('x,' * 8000000).split(',') | length }}",
    "{{ range(100000) | map('string') | join('y' * 1000) | length }}",
    "{{ ('x' * 10000000).strip('y' * 10000000) }}",
    "{{ ('a' * 8000000).rfind('a' * 4000000 ~ 'b') }}",
    "{% for i in range(100000) %}{{ range(100000) | sum }}{% endfor %}",
    "{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}{% endfor %}",
};

TEST(JinjaLimitEdges, bombs_are_refused_soon) {
    for (const char* source : kBombs) {
        const auto start = std::chrono::steady_clock::now();
        EXPECT_EQ(error_word(source), "overloaded")
            << source << text_or_error(source).substr(0, 99);
        EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(20)) << source;
    }
}

TEST(JinjaLimitEdges, large_loops_of_honest_templates_fit) {
    EXPECT_EQ(
        text_or_error("{% set ns = namespace(n=0) %}{% for i in range(100000) %}{% if i is odd "
                      "%}{% set ns.n = ns.n + i %}{% endif %}{% endfor %}{{ ns.n }}"),
        "2500000000");
    EXPECT_EQ(text_or_error("{% for i in range(50000) %}{{ i % 10 }}{% endfor %}").size(), 50'000U);
    EXPECT_EQ(text_or_error("{{ range(90000) | unique | list | length }}"), "90000");
    EXPECT_EQ(text_or_error("{{ range(20000) | sort(reverse=true) | first }}"), "19999");
    EXPECT_EQ(text_or_error("{{ messages[0].content | length }}", std::string(4'000'000, 'x')),
              "4000000");
    EXPECT_EQ(text_or_error("{{ messages[0].content.split('\n') | length }}",
                            repeat_text("line\n", 50'000)),
              "50001");
}

TEST(JinjaLimitEdges, the_account_counts_steps_texts_and_lists) {
    Budget budget;
    EXPECT_TRUE(budget.spend(kStepsMax).ok());
    EXPECT_FALSE(budget.spend().ok());
    Budget nodes;
    for (uint64_t i = 0; i < kNodesPerStep * static_cast<uint64_t>(kStepsMax); i += 1'000'003) {
        EXPECT_TRUE(nodes.tick().ok());
    }
    Budget texts;
    EXPECT_TRUE(texts.spend_text(kOutputBytesMax).ok());
    EXPECT_EQ(texts.spend_text(kOutputBytesMax + 1).error().code, ErrorCode::kOverloaded);
    Budget lists;
    EXPECT_TRUE(lists.spend_list(kListItemsMax).ok());
    EXPECT_EQ(lists.spend_list(kListItemsMax + 1).error().code, ErrorCode::kOverloaded);
    Budget bytes;
    int64_t n_texts = 0;
    while (bytes.spend_text(kOutputBytesMax).ok()) {
        ++n_texts;
    }
    EXPECT_EQ(n_texts, kStepsMax / static_cast<int64_t>(kOutputBytesMax / kBytesPerStep + 1));
}

}  // namespace
}  // namespace nereus::jinja
