// What filters, tests, methods and functions say to arguments they do not take: one line a case.

#include "text/formats/jinja_arguments.h"

#include <gtest/gtest.h>

#include "text/formats/jinja_access.h"
#include "text/formats/jinja_filters.h"
#include "text/formats/jinja_tests.h"
#include "text/formats/test_rendering.h"

namespace nereus::jinja {
namespace {

struct Case {
    const char* expression;
    const char* message;
};

void expect_refusals(const Case* begin, const Case* end) {
    for (const Case* one = begin; one != end; ++one) {
        const std::string source = fmt::format("\n{{{{ {} }}}}", one->expression);
        EXPECT_EQ(text_or_error(source), fmt::format("t:2: {}", one->message)) << one->expression;
        EXPECT_EQ(error_word(source), "invalid_argument") << one->expression;
    }
}

constexpr Case kFilterArity[] = {
    {"1 | tojson(1, 2, 3, 4, 5)", "'tojson' takes 4 arguments, not 5"},
    {"1 | tojson(width=2)", "'tojson' takes no argument called 'width'"},
    {"1 | tojson(true, ensure_ascii=true)", "'tojson' gets 'ensure_ascii' twice"},
    {"'1' | from_json(1)", "'from_json' takes 0 arguments, not 1"},
    {"'a' | trim('a', 'b')", "'trim' takes 1 arguments, not 2"},
    {"'a' | length(1)", "'length' takes 0 arguments, not 1"},
    {"'a' | count(1)", "'count' takes 0 arguments, not 1"},
    {"'a' | join(1, 2, 3)", "'join' takes 2 arguments, not 3"},
    {"'a' | replace('a')", "'replace' misses its argument 'new'"},
    {"'a' | replace", "'replace' misses its argument 'old'"},
    {"'a' | replace('a', 'b', 1, 2)", "'replace' takes 3 arguments, not 4"},
    {"'a' | upper(1)", "'upper' takes 0 arguments, not 1"},
    {"'a' | lower(x=1)", "'lower' takes no argument called 'x'"},
    {"'a' | title(1)", "'title' takes 0 arguments, not 1"},
    {"'a' | capitalize(1)", "'capitalize' takes 0 arguments, not 1"},
    {"x | default(1, 2, 3)", "'default' takes 2 arguments, not 3"},
    {"x | d(value=1)", "'d' takes no argument called 'value'"},
    {"{} | items(1)", "'items' takes 0 arguments, not 1"},
    {"'a' | attr", "'attr' misses its argument 'name'"},
    {"1 | string(1)", "'string' takes 0 arguments, not 1"},
    {"1 | int(1, 2, 3)", "'int' takes 2 arguments, not 3"},
    {"1 | float(1, 2)", "'float' takes 1 arguments, not 2"},
    {"1 | abs(1)", "'abs' takes 0 arguments, not 1"},
    {"1 | round(1, 'ceil', 2)", "'round' takes 2 arguments, not 3"},
    {"'a' | indent(1, 2, 3, 4)", "'indent' takes 3 arguments, not 4"},
    {"'a' | center(1, 2)", "'center' takes 1 arguments, not 2"},
    {"'a' | truncate(1, 2, 3, 4, 5)", "'truncate' takes 4 arguments, not 5"},
    {"'a' | wordcount(1)", "'wordcount' takes 0 arguments, not 1"},
    {"'a' | format(1, a=2)", "'format' takes values by place or by name, not both"},
    {"'a' | safe(1)", "'safe' takes 0 arguments, not 1"},
    {"'a' | escape(1)", "'escape' takes 0 arguments, not 1"},
    {"[] | list(1)", "'list' takes 0 arguments, not 1"},
    {"[] | first(1)", "'first' takes 0 arguments, not 1"},
    {"[] | last(1)", "'last' takes 0 arguments, not 1"},
    {"[] | reverse(1)", "'reverse' takes 0 arguments, not 1"},
    {"[1] | map", "the argument 'filter' is missing"},
    {"[1] | map(attribute=0, more=1)", "'map' takes no argument called 'more'"},
    {"[1] | map('upper', 1)", "'upper' takes 0 arguments, not 1"},
    {"[1] | select('odd', 1)", "'odd' takes 0 arguments, not 1"},
    {"[1] | reject('eq')", "'eq' misses its argument 'other'"},
    {"[{}] | selectattr", "the argument 'attribute' is missing"},
    {"[{}] | rejectattr", "the argument 'attribute' is missing"},
    {"[{}] | selectattr('a', 'eq')", "'eq' misses its argument 'other'"},
    {"[] | sort(1, 2, 3, 4)", "'sort' takes 3 arguments, not 4"},
    {"{} | dictsort(1, 'key', 3, 4)", "'dictsort' takes 3 arguments, not 4"},
    {"[] | groupby", "'groupby' misses its argument 'attribute'"},
    {"[] | batch", "'batch' misses its argument 'linecount'"},
    {"[] | slice", "'slice' misses its argument 'slices'"},
    {"[] | unique(1, 2, 3)", "'unique' takes 2 arguments, not 3"},
    {"[] | sum(1, 2, 3)", "'sum' takes 2 arguments, not 3"},
    {"[] | min(1, 2, 3)", "'min' takes 2 arguments, not 3"},
    {"[] | max(key=1)", "'max' takes no argument called 'key'"},
};

TEST(JinjaArguments, a_filter_takes_its_arguments_and_no_others) {
    expect_refusals(std::begin(kFilterArity), std::end(kFilterArity));
}

constexpr Case kFilterTypes[] = {
    {"nothing | tojson", "Undefined cannot be written as JSON"},
    {"range | tojson", "function cannot be written as JSON"},
    {"range(2) | tojson", "range cannot be written as JSON"},
    {"{}.keys() | tojson", "dict_keys cannot be written as JSON"},
    {"([1] | map('string')) | tojson", "generator cannot be written as JSON"},
    {"1 | tojson(indent=1.5)", "'indent' of tojson must be an integer or a string, not float"},
    {"1 | tojson(separators=',')", "'separators' of tojson are two strings"},
    {"1 | tojson(separators=(',', 1))", "'separators' of tojson are two strings"},
    {"1 | from_json", "from_json reads a string, not int"},
    {"'a' | trim(1)", "'chars' must be a string, not int"},
    {"1 | length", "int has no length"},
    {"none | length", "NoneType has no length"},
    {"([1] | select) | length", "generator has no length"},
    {"1 | join", "int cannot be walked"},
    {"'a' | replace('a', 'b', 'c')", "'count' must be an integer, not str"},
    {"[1] | items", "items of a dict, not of list"},
    {"nothing | int", "'nothing' is undefined"},
    {"nothing | float", "'nothing' is undefined"},
    {"'99999999999999999999' | int", "an integer grows beyond 64 bits"},
    {"1e30 | int", "an integer grows beyond 64 bits"},
    {"'a' | abs", "abs of str"},
    {"(-9223372036854775807 - 1) | abs", "abs of int"},
    {"'a' | round", "round of str"},
    {"1.5 | round('x')", "'precision' must be an integer, not str"},
    {"1.5 | round(0, 'up')", "round takes the method 'common', 'ceil' or 'floor', not 'up'"},
    {"[1] | indent", "indent of list"},
    {"nothing | indent", "indent of Undefined"},
    {"'a' | indent(1.5)", "'width' must be an integer, not float"},
    {"'a' | center('x')", "'width' must be an integer, not str"},
    {"1 | truncate", "truncate of int"},
    {"'abc' | truncate(2)", "truncate to 2 characters with an ending of 3 and a leeway of 5"},
    {"'abc' | truncate(9, leeway=-1)",
     "truncate to 9 characters with an ending of 3 and a leeway of -1"},
    {"'%d' | format('x')", "%d formats an integer, not str"},
    {"'%f' | format('x')", "%f formats a number, not str"},
    {"'%c' | format('xy')", "%c formats one character, not str"},
    {"'%s %s' | format(1)", "a format has more places than there are values"},
    {"'%s' | format(1, 2)", "a format has fewer places than there are values"},
    {"'%(a)s' | format(b=1)", "a format names 'a', which is not there"},
    {"'%(a)s' | format(1)", "a format with names takes a dict"},
    {"'%' | format(1)", "a format ends in the middle of a conversion"},
    {"'{}'.format()", "a format names '', which is not there"},
    {"'{a}'.format(b=1)", "a format names 'a', which is not there"},
    {"'{'.format(1)", "a format with a single brace"},
    {"'}'.format(1)", "a format with a single brace"},
    {"'{:d}'.format(1.5)", "the field '{:d}' formats an integer"},
    {"1 | list", "int cannot be walked"},
    {"none | first", "NoneType cannot be walked"},
    {"([1] | select) | last", "last of a generator"},
    {"1 | reverse", "int cannot be walked"},
    {"5 | map('upper') | list", "int cannot be walked"},
    {"[1] | map(5)", "'filter' must be a string, not int"},
    {"[1] | select(5)", "'test' must be a string, not int"},
    {"[1, 'a'] | sort", "str and int cannot be put in order"},
    {"[none, none] | sort", "NoneType and NoneType cannot be put in order"},
    {"[1] | dictsort", "dictsort sorts a dict, not list"},
    {"{} | dictsort(by='size')", "dictsort sorts by 'key' or 'value', not by 'size'"},
    {"[{'a': 1}, {'a': 'x'}] | groupby('a')", "str and int cannot be put in order"},
    {"[1] | batch('x')", "'linecount' must be an integer, not str"},
    {"[1] | slice(0)", "slice into 0 lists"},
    {"[[1]] | unique | list", "unique of list items"},
    {"['a'] | sum", "'+' does not work on int and str"},
    {"[1, 'a'] | min", "str and int cannot be put in order"},
    {"[nothing] | map(attribute='a.b') | list", "'nothing' is undefined"},
};

TEST(JinjaArguments, a_filter_names_the_type_it_cannot_work_on) {
    expect_refusals(std::begin(kFilterTypes), std::end(kFilterTypes));
}

constexpr Case kTestErrors[] = {
    {"1 is defined(1)", "'defined' takes 0 arguments, not 1"},
    {"1 is none(1)", "'none' takes 0 arguments, not 1"},
    {"1 is string(1)", "'string' takes 0 arguments, not 1"},
    {"1 is eq", "'eq' misses its argument 'other'"},
    {"1 is equalto(1, 2)", "'equalto' takes 1 arguments, not 2"},
    {"1 is eq(other=1)", "'eq' takes no argument called 'other'"},
    {"1 is in", "'in' misses its argument 'seq'"},
    {"1 is in 2", "'in' looks into a int"},
    {"1 is in 'a'", "'in' looks for a string in a string, not int"},
    {"1 is sameas", "'sameas' misses its argument 'other'"},
    {"1 is divisibleby", "'divisibleby' misses its argument 'num'"},
    {"1 is divisibleby 0", "division by zero"},
    {"none is odd", "'%' does not work on NoneType and int"},
    {"nothing is even", "'%' does not work on the undefined 'nothing' and int"},
    {"1 is odd(2)", "'odd' takes 0 arguments, not 1"},
    {"1 is lt 'a'", "int and str cannot be put in order"},
    {"nothing is gt 1", "int and Undefined cannot be put in order"},
    {"1 is callable(1)", "'callable' takes 0 arguments, not 1"},
};

TEST(JinjaArguments, a_test_takes_its_arguments_and_no_others) {
    expect_refusals(std::begin(kTestErrors), std::end(kTestErrors));
}

constexpr Case kMethodErrors[] = {
    {"'a'.split(1)", "'sep' must be a string, not int"},
    {"'a'.split('')", "split at an empty separator"},
    {"'a'.split(',', 1, 2)", "'split' takes 2 arguments, not 3"},
    {"'a'.split(',', 'x')", "'maxsplit' must be an integer, not str"},
    {"'a'.split(by=',')", "'split' takes no argument called 'by'"},
    {"'a'.rsplit('')", "split at an empty separator"},
    {"'a'.splitlines(1, 2)", "'splitlines' takes 1 arguments, not 2"},
    {"'a'.strip(1)", "'chars' must be a string, not int"},
    {"'a'.strip(chars='a')", "'strip' takes no argument called 'chars'"},
    {"'a'.lstrip('a', 'b')", "'lstrip' takes 1 arguments, not 2"},
    {"'a'.rstrip([])", "'chars' must be a string, not list"},
    {"'a'.startswith()", "'startswith' misses its argument 'prefix'"},
    {"'a'.startswith(1)", "startswith and endswith take strings, not int"},
    {"'a'.startswith(['a'])", "startswith and endswith take strings, not list"},
    {"'a'.endswith(('b', 1))", "startswith and endswith take strings, not int"},
    {"'a'.startswith('a', 'b')", "'start' must be an integer, not str"},
    {"'a'.removeprefix()", "'removeprefix' misses its argument 'prefix'"},
    {"'a'.removesuffix()", "'removesuffix' misses its argument 'suffix'"},
    {"'a'.replace('a')", "'replace' misses its argument 'new'"},
    {"'a'.replace(1, 2)", "'old' must be a string, not int"},
    {"'a'.replace('a', 'b', count=1)", "'replace' takes no argument called 'count'"},
    {"'a'.upper(1)", "'upper' takes 0 arguments, not 1"},
    {"'a'.lower(1)", "'lower' takes 0 arguments, not 1"},
    {"'a'.title(1)", "'title' takes 0 arguments, not 1"},
    {"'a'.capitalize(1)", "'capitalize' takes 0 arguments, not 1"},
    {"'a'.swapcase(1)", "'swapcase' takes 0 arguments, not 1"},
    {"'a'.find(1)", "'sub' must be a string, not int"},
    {"'a'.find(none)", "'sub' must be a string, not NoneType"},
    {"messages['a':]", "a slice takes integers"},
    {"messages[::0]", "a slice with step 0"},
    {"messages[0][1:]", "a dict cannot be sliced"},
    {"none[1:]", "a NoneType cannot be sliced"},
    {"{}.keys()[1:]", "a dict_keys cannot be sliced"},
    {"nothing[1:]", "'nothing' is undefined"},
    {"'a'.index('b')", "'b' is not found in the string"},
    {"'a'.rindex('b')", "'b' is not found in the string"},
    {"'a'.count()", "'count' misses its argument 'sub'"},
    {"'a'.join([1])", "join takes strings, not int"},
    {"'a'.join(1)", "int cannot be walked"},
    {"'a'.join()", "'join' misses its argument 'iterable'"},
    {"'a'.partition('')", "split at an empty separator"},
    {"'a'.rpartition(1)", "'sep' must be a string, not int"},
    {"'a'.center()", "'center' misses its argument 'width'"},
    {"'a'.ljust(3, 'ab')", "the fill is one character"},
    {"'a'.rjust(3, '')", "the fill is one character"},
    {"'a'.zfill('x')", "'width' must be an integer, not str"},
    {"'a'.isdigit(1)", "'isdigit' takes 0 arguments, not 1"},
    {"[1].index(2)", "the value is not in the list"},
    {"[1].index()", "'index' misses its argument 'value'"},
    {"[1].count(1, 2)", "'count' takes 1 arguments, not 2"},
    {"{}.items(1)", "'items' takes 0 arguments, not 1"},
    {"{}.keys(1)", "'keys' takes 0 arguments, not 1"},
    {"{}.values(1)", "'values' takes 0 arguments, not 1"},
    {"{}.get()", "'get' misses its argument 'key'"},
    {"{}.get(1, 2, 3)", "'get' takes 2 arguments, not 3"},
    {"{}.get('a', default=1)", "'get' takes no argument called 'default'"},
};

TEST(JinjaArguments, a_method_takes_its_arguments_and_no_others) {
    expect_refusals(std::begin(kMethodErrors), std::end(kMethodErrors));
}

constexpr Case kCallErrors[] = {
    {"range()", "'range' misses its argument 'start'"},
    {"range(1, 2, 3, 4)", "'range' takes 3 arguments, not 4"},
    {"range('a')", "range takes integers, not str"},
    {"range(none)", "range takes integers, not NoneType"},
    {"range(1, 2, 0)", "range with step 0"},
    {"range(stop=1)", "'range' takes no argument called 'stop'"},
    {"dict(1)", "a dict is expected, not int"},
    {"dict([1])", "a dict is made of pairs"},
    {"dict([[[], 1]])", "a dict is made of pairs"},
    {"namespace(1)", "a dict is expected, not int"},
    {"namespace({}, {})", "'namespace' takes 1 arguments, not 2"},
    {"raise_exception()", "'raise_exception' misses its argument 'message'"},
    {"strftime_now()", "'strftime_now' misses its argument 'format'"},
    {"strftime_now(1)", "'format' must be a string, not int"},
    {"range(*1)", "int cannot be walked"},
    {"dict(**1)", "'**' takes a dict, not int"},
    {"dict(**{1: 2})", "'**' gives an argument twice or one whose name is no string"},
    {"dict(a=1, **{'a': 2})", "'**' gives an argument twice or one whose name is no string"},
    {"1()", "a int cannot be called"},
    {"'a'()", "a str cannot be called"},
};

TEST(JinjaArguments, a_function_takes_its_arguments_and_no_others) {
    expect_refusals(std::begin(kCallErrors), std::end(kCallErrors));
}

TEST(JinjaArguments, signatures_word_what_is_needed_optional_and_open) {
    const auto check = [](std::string_view signature, size_t n_positional, const char* name) {
        Arguments arguments;
        arguments.positional.resize(n_positional);
        if (*name != '\0') {
            arguments.named.emplace_back(name, Value::none());
        }
        return check_arguments("f", signature, arguments).ok();
    };
    EXPECT_TRUE(check("", 0, ""));
    EXPECT_FALSE(check("", 1, ""));
    EXPECT_FALSE(check("a", 0, ""));
    EXPECT_TRUE(check("a", 0, "a"));
    EXPECT_FALSE(check("a", 1, "a"));
    EXPECT_TRUE(check("a b?", 1, ""));
    EXPECT_TRUE(check("a b?", 1, "b"));
    EXPECT_FALSE(check("a b?", 0, "b"));
    EXPECT_FALSE(check("a b? /", 1, "b"));
    EXPECT_FALSE(check("a", 1, "c"));
    EXPECT_TRUE(check("a **", 1, "c"));
    EXPECT_TRUE(check("a *", 9, ""));
    EXPECT_FALSE(check("a *", 0, ""));
}

}  // namespace
}  // namespace nereus::jinja
