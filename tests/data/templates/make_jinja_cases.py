#!/usr/bin/env python3
"""Writes jinja_cases.jsonl: small templates and what Jinja2 (3.1, as chat templates are rendered:
trim_blocks, lstrip_blocks, loop controls, a tojson that keeps Unicode) makes of them.

    python3 tests/data/templates/make_jinja_cases.py
"""
import json
import pathlib

from jinja2.ext import loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment

CONTEXT = {
    "n": 7, "f": 2.5, "big": 1e16, "small": 0.00001, "t": True, "x": None, "s": "hello world",
    "u": "Grüße, 世界 🙂", "pad": "  \t padded \n ", "empty": "", "quote": "it's \"so\"",
    "l": [3, 1, 2], "names": ["bob", "Alice", "carol", "alice"], "nested": [[1, 2], [3, [4]]],
    "d": {"a": 1, "b": [1, "x", None, True, 2.0], "c": {"k": "v"}, "items": 5},
    "people": [{"name": "Ann", "age": 3, "on": True}, {"name": "bo", "age": 1, "on": False},
               {"name": "Cy", "age": 2, "on": True, "pet": {"kind": "cat"}}],
    "lines": "one\ntwo\n\nthree",
}

SNIPPETS = r"""
{{ n }} {{ f }} {{ big }} {{ small }} {{ t }} {{ x }} {{ s }} {{ u }} {{ undefined_thing }}|
{{ l }} {{ d }} {{ nested }} {{ names }} {{ quote }} {{ [quote, 'a\nb', "it's"] }} {{ (1,) }} {{ (1, 2) }} {{ () }} {{ {} }} {{ [] }}
{{ 1 + 2 * 3 - 4 }} {{ 7 // 2 }} {{ -7 // 2 }} {{ 7 % 3 }} {{ -7 % 3 }} {{ 7 / 2 }} {{ 2 ** 10 }} {{ 2 ** -1 }} {{ 7.5 // 2 }} {{ -7.5 % 2 }} {{ 1e3 }} {{ 1_000 }} {{ 4 / 2 }}
{{ "a" ~ 1 ~ none ~ true ~ 1.0 }} {{ "a" + "b" }} {{ "ab" * 3 }} {{ 3 * "ab" }} {{ [1] * 2 }} {{ [1] + [2] }} {{ -1 * "x" }}|
{{ 1 < 2 }} {{ 1 < 2 < 3 }} {{ 1 < 3 < 2 }} {{ "a" < "b" }} {{ 1 == 1.0 }} {{ true == 1 }} {{ "1" == 1 }} {{ none == none }} {{ [1, 2] == [1, 2] }} {{ {"a": 1} == {"a": 1.0} }} {{ [1] < [1, 2] }} {{ 1 != 2 }} {{ 3 >= 3 }}
{{ "a" in "abc" }} {{ "z" not in "abc" }} {{ 1 in [1, 2] }} {{ "a" in d }} {{ 1.0 in l }} {{ "a" in undefined_thing }} {{ not 1 in [1] }}
{{ 1 if t else 2 }} {{ 1 if x else 2 }} {{ 1 if x }}| {{ "a" if x else "b" if t else "c" }}
{{ t and s }} {{ x or "default" }} {{ not t }} {{ x and y.z }} {{ 0 or "" or "last" }} {{ not not s }}
{{ s[0] }} {{ s[-1] }} {{ s[1:4] }} {{ s[::-1] }} {{ s[-3:] }} {{ s[:3] }} {{ s[::2] }} {{ u[7:9] }} {{ s[100:] }}| {{ s[5:2] }}|
{{ l[0] }} {{ l[-1] }} {{ l[1:] }} {{ l[::-1] }} {{ l[:-1] }} {{ l[10] }}| {{ l[::2] }} {{ l[-2:] }} {{ l[5:0:-1] }} {{ l[-100:100] }} {{ l[3:-10:-2] }}
{{ d.a }} {{ d['a'] }} {{ d.c.k }} {{ d['c']['k'] }} {{ d.nope }}| {{ d['items'] }} {{ d.get('a') }} {{ d.get('zz') }} {{ d.get('zz', 4) }} {{ people[0].name }} {{ people.0.name }} {{ x.foo }}| {{ s.foo }}|
{{ d.keys() | list }} {{ d.values() | list }} {{ d.items() | list }}
{% for k, v in d.items() %}{{ k }}={{ v }};{% endfor %}
{% for k in d %}{{ k }},{% endfor %} {% for c in "añb" %}[{{ c }}]{% endfor %}
{% for i in l %}{{ loop.index }}/{{ loop.index0 }}/{{ loop.revindex }}/{{ loop.revindex0 }}/{{ loop.first }}/{{ loop.last }}/{{ loop.length }}/{{ loop.previtem }}/{{ loop.nextitem }}/{{ loop.cycle('a', 'b') }} {% endfor %}
{% for i in l if i > 1 %}{{ i }}:{{ loop.index }}:{{ loop.length }} {% else %}none{% endfor %} {% for i in l if i > 9 %}{{ i }}{% else %}none{% endfor %}
{% for i in [] %}x{% else %}empty{% endfor %} {% for i in undefined_thing %}x{% else %}undefined{% endfor %}
{% for a in nested %}{% for b in a %}{{ loop.index }}.{{ loop.depth }} {% endfor %}{{ loop.depth0 }}{% endfor %}
{% for (a, b) in [(1, 2), (3, 4)] %}{{ a }}{{ b }}{% endfor %}
{% for i in range(5) %}{% if i == 1 %}{% continue %}{% endif %}{% if i == 3 %}{% break %}{% endif %}{{ i }}{% endfor %}
{% for i in range(2, 10, 3) %}{{ i }} {% endfor %}{{ range(3) | list }} {{ range(5, 0, -2) | list }} {{ range(3, 3) | list }}
{% set a = 1 %}{% for i in l %}{% set a = i %}{{ a }}{% endfor %}{{ a }}
{% set a = 1 %}{% if t %}{% set a = 2 %}{% endif %}{{ a }}
{% set ns = namespace(a=1, b='x') %}{% for i in l %}{% set ns.a = ns.a + i %}{% endfor %}{{ ns.a }}{{ ns.b }}{{ ns.c }}|
{% set a, b = 1, 2 %}{{ a }}{{ b }} {% set c = 1, 2 %}{{ c }} {% set (e, g) = [5, 6] %}{{ e }}{{ g }}
{% set block %}some {{ n }} text{% endset %}[{{ block }}] {% set up | upper %}shout{% endset %}{{ up }}
{% macro m(a, b=2, c=none) %}<{{ a }},{{ b }},{{ c }}>{% endmacro %}{{ m(1) }}{{ m(1, c=3) }}{{ m(b=5, a=4) }}{{ m() }}
{% macro fact(n) %}{% if n <= 1 %}1{% else %}{{ n }}*{{ fact(n - 1) }}{% endif %}{% endmacro %}{{ fact(5) }}
{% set g = 'global' %}{% macro m() %}{{ g }}{{ s }}{% endmacro %}{{ m() | upper }}
{% macro m(items) -%} {% for i in items %}{{ i }} {% endfor %} {%- endmacro %}[{{ m(l) }}]
{{ d | tojson }} {{ l | tojson }} {{ u | tojson }} {{ quote | tojson }} {{ x | tojson }} {{ t | tojson }} {{ f | tojson }} {{ big | tojson }} {{ [] | tojson }} {{ {} | tojson }} {{ (1, 2) | tojson }}
{{ d | tojson(indent=2) }} {{ [] | tojson(indent=4) }} {{ people | tojson(indent=1) }}
{{ "tab\tnew\nquote\"back\\slash/<>&'" | tojson }} {{ "\u0001\x7f\b\f" | tojson }}
[{{ pad | trim }}] [{{ pad.strip() }}] [{{ pad.lstrip() }}] [{{ pad.rstrip() }}] [{{ "xxaxx".strip("x") }}] [{{ "abcba".lstrip("ab") }}] [{{ "--a--" | trim("-") }}]
{{ s | length }} {{ u | length }} {{ l | length }} {{ d | length }} {{ undefined_thing | length }} {{ l | count }}
{{ l | join }} {{ l | join(", ") }} {{ names | join("-") }} {{ people | join(", ", attribute="name") }} {{ [none, true, 1.5] | join("|") }} {{ "abc" | join(".") }}
{{ s | replace("l", "L") }} {{ s | replace("l", "L", 1) }} {{ s.replace("world", "there") }} {{ s.replace("o", "") }} {{ s.replace("o", "00", 1) }}
{{ s | upper }} {{ "ABC Ü" | lower }} {{ s | capitalize }} {{ "hELLO wORLD" | title }} {{ s.title() }} {{ "hELLO".capitalize() }} {{ u.upper() }} {{ "ÄÖ".lower() }}
{{ undefined_thing | default("d") }} {{ x | default("d") }} {{ x | default("d", true) }} {{ "" | d("e", boolean=true) }} {{ undefined_thing | default }}|
{{ people | selectattr("on") | map(attribute="name") | list }} {{ people | rejectattr("on") | map(attribute="name") | list }} {{ people | selectattr("age", "equalto", 2) | map(attribute="name") | join }} {{ people | selectattr("age", ">", 1) | list | length }} {{ people | selectattr("pet", "defined") | list | length }} {{ "ß straße" | upper }} {{ "STRASSE" | capitalize }}
{{ people | map(attribute="pet.kind", default="none") | list }} {{ names | map("upper") | list }} {{ names | map("replace", "a", "4") | join(" ") }} {{ l | select("odd") | list }} {{ l | reject("odd") | list }} {{ [0, 1, "", "a"] | select | list }}
{{ l | first }} {{ l | last }} {{ "abc" | first }} {{ "abc" | last }} {{ [] | first }}| {{ names | sort }} {{ names | sort(reverse=true) }} {{ names | sort(case_sensitive=true) }} {{ people | sort(attribute="age") | map(attribute="name") | list }}
{{ l | reverse | list }} {{ "abc" | reverse }} {{ names | unique | list }} {{ [1, 1, 2] | unique | list }} {{ l | sum }} {{ l | min }} {{ l | max }} {{ people | sum(attribute="age") }}
{{ {"b": 1, "A": 2} | dictsort }} {{ {"b": 1, "a": 2} | dictsort(false, "value") }} {{ {"b": 1, "a": 2} | dictsort(reverse=true) }} {{ d | items | list | length }} {{ {"a": 1} | items | first }}
{{ "42" | int }} {{ "4.7" | int }} {{ "x" | int }} {{ "x" | int(9) }} {{ 3.9 | int }} {{ "1.5" | float }} {{ 3 | float }} {{ -3 | abs }} {{ 2.567 | round(1) }} {{ 2.5 | round }} {{ 2.1 | round(method="ceil") }} {{ n | string }} {{ 1.0 | string }}
{{ lines | indent }} | {{ lines | indent(2, true) }} | {{ lines | indent(2, first=false, blank=true) }}
{{ "<a href='x'>&</a>" | e }} {{ s | safe }}
{{ "a,b,,c".split(",") }} {{ "a,b,c".split(",", 1) }} {{ " a  b c ".split() }} {{ "a b c d".split(none, 2) }} {{ "a-b-c".rsplit("-", 1) }} {{ "a\nb\r\nc".splitlines() }} {{ "x".split("y") }} {{ " a ".split(none, 0) }} {{ "".split(",") }} {{ "".split() }} {{ " a  b  c ".split(none, 1) }}
{{ "<think>a</think>b</think>c".split("</think>")[-1] }} {{ "<think>a</think>b".split("</think>")[0].split("<think>")[-1] }}
{{ s.startswith("he") }} {{ s.endswith("ld") }} {{ s.startswith(("x", "h")) }} {{ s.find("o") }} {{ s.find("zz") }} {{ u.find("世") }} {{ s.count("o") }} {{ "-".join(["a", "b"]) }} {{ "12".isdigit() }} {{ "abc".removeprefix("a") }} {{ "abc".removesuffix("c") }}
{{ n is defined }} {{ zz is defined }} {{ zz is undefined }} {{ x is none }} {{ x is not none }} {{ s is string }} {{ d is mapping }} {{ l is sequence }} {{ l is iterable }} {{ n is iterable }} {{ n is number }} {{ t is boolean }} {{ t is true }} {{ x is false }} {{ n is odd }} {{ n is even }} {{ 8 is divisibleby 4 }} {{ n is eq 7 }} {{ n is in [7] }} {{ n is equalto(7) }} {{ f is float }} {{ n is integer }} {{ t is integer }} {{ s is lower }} {{ "A" is upper }} {{ range is callable }} {{ n is sameas 7 }}
{{ x is none and t }} {{ x is not none or t }} {{ (s is string and n is number) | string }} {{ not x is none }}
{%- if n > 5 -%}  big  {%- elif n > 3 -%} mid {%- else -%} small {%- endif -%}  tail
  {% if t %}
  indented
    {% endif %}
after
line {# a comment #} end
  {# comment alone #}
next
a {%- if t %} b {% endif -%} c
a {%+ if t %} b {%+ endif %} c
    {%+ if t %}kept{% endif +%}
x
{{- s -}}   trimmed   {{- s }} x
{% raw %}{{ not }} {% a %} {# b #}{% endraw %} done
  {%- raw -%}  {{ raw }}  {%- endraw -%}  x
{{ "{{" }} {{ '}}' }} {{ {"a": {"b": 1}}["a"]["b"] }} {{ {"a": {"b": 1}}.a.b }}
{{ "a" "b" 'c' }} {{ 'single \' quote' }} {{ "esc \x41 \u00e9 \U0001F642 \101 \q \\" }}
{{ true }} {{ True }} {{ False }} {{ none }} {{ None }} {{ -n }} {{ +n }} {{ --n }} {{ - 2 ** 2 }}
{{ 10 | string ~ "x" }} {{ "x" ~ 10 | string }} {{ 1 + 2 | abs }} {{ "%s" ~ 1 }}
{{ dict(a=1, b="x") }} {{ dict({"a": 1}, b=2) }} {{ namespace(a=1).a }}
{{ 1.0 }} {{ 0.1 + 0.2 }} {{ 1e22 }} {{ 123456789.125 }} {{ 1e15 }} {{ 1e-4 }} {{ 100000000000000000000.0 }} {{ -0.0 }} {{ 3 / 3 }}
{% if messages is defined and messages %}yes{% else %}no{% endif %} {% if not nope is defined %}undefined{% endif %}
{% generation %}inside{% endgeneration %} out
{% set x = 5 %}{% if x is defined and x > 3 and (x < 10 or false) %}ok{% endif %}
{% for p in people %}{%- if not loop.first %}, {% endif %}{{ p.name }} ({{ p['age'] }}){% endfor %}
{% for i in range(3) %}
row {{ i }}
{% endfor %}
end
{% set s2 = "a" %}{% set s2 = s2 ~ "b" %}{{ s2 }}{{ s2 == "ab" }}
{{ [1, 2, 3][1:] | map("string") | join("+") }} {{ (people | first).name }} {{ (1, 2, 3)[1] }} {{ "abc"[1] }} {{ [[1, 2], [3]] | map("length") | list }} {{ [[1], [2]] | map("first") | sum }}
{{ s.split(" ")[0] | upper ~ "!" }} {{ (s ~ "!").upper() }} {{ "a".upper().lower() }}
{{ [1, 2,] }} {{ {"a": 1,} }} {{ (1, 2,) }}
{{ d.b[1] }} {{ d.b[-1] }} {{ d["b"][0:2] }}
{{ lines.split("\n") | length }}
{% for x in [1, 2] %}{% for x in [3] %}{{ x }}{% endfor %}{{ x }}{% endfor %}
{% for i in [1, 2, 3] recursive_not %}{% endfor %}
{{ s.foo.bar }}
{{ undefined_thing.bar }}
{{ undefined_thing + "x" }}
{{ none + "x" }}
{{ "a" + 1 }}
{{ 1 / 0 }}
{{ 1 % 0 }}
{{ [] | tojson | fromjson }}
{{ l.append(4) }}
{{ s | nosuchfilter }}
{{ n is nosuchtest }}
{% nosuchtag %}
{{ (1, 2 }}
{{ "unclosed }}
{% if t %}unclosed
{% endif %}
{% for i in l %}{% endif %}
{{ 5 in 5 }}
{{ len(s) }}
{{ "x" < 1 }}
{{ raise_exception("no way") }}
{% set d.a = 1 %}
{{ "a".split("") }}
{{ s[::0] }}
{{ {"a": 1}[[1]] }}
{{ undefined_thing() }}
{% break %}
{{ 1 2 }}
{{ }}
{{ x. }}
{% macro m(a) %}{% endmacro %}{{ m(1, 2) }}
{{ s.__class__ }}|
{{ ''.__class__.__mro__ }}
"""

MULTILINE = [
    "  {% if t %}\n  indented\n    {% endif %}\nafter\n",
    "line {# a comment #} end\n  {# comment alone #}\nnext\n",
    "    {%+ if t %}kept{% endif +%}\nx\n",
    "{% for i in range(3) %}\nrow {{ i }}\n{% endfor %}\nend\n",
    "{% set a = 1 -%}\n\n\n{%- set b = 2 %}\n\n{{ a }}{{ b }}\n\n",
    "a\r\nb\rc\n{{ 'x\r\ny' }}\r\n",
    "{{ s }}\n{{ s }}\n",
    "\n\n{{ n }}",
    "\t {% if t %}\t\n x {% endif %} \n y",
    "{{ 'multi\nline' }}{% set q = {\n  'a': 1,\n  'b': [\n 2 ]\n} %}\n{{ q }}",
    "{#- strip -#}   a   {#+ keep #}\nb",
    "{% raw %}\n  {{ x }}\n{% endraw %}\nz",
    "{%- macro one() %}\n  x\n{%- endmacro %}\n{{- one() }}\n{{ one() }}",
    "x {% if t -%}\n   y\n {%- endif %}\nz {{ n -}}\n  w",
]


def main():
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols])
    environment.filters["tojson"] = lambda value, indent=None: json.dumps(
        value, ensure_ascii=False, indent=indent)

    def raise_exception(message):
        raise ValueError(message)

    environment.globals["raise_exception"] = raise_exception
    folder = pathlib.Path(__file__).parent
    with open(folder / "jinja_cases.jsonl", "w", encoding="utf-8") as out:
        for template in [line for line in SNIPPETS.split("\n") if line] + MULTILINE:
            case = {"template": template}
            try:
                plain = template.replace("{% generation %}", "").replace("{% endgeneration %}", "")
                case["rendered"] = environment.from_string(plain).render(**CONTEXT)
            except Exception as error:  # the class is what matters: it must fail with us, too
                case["error"] = f"{type(error).__name__}: {error}"
            out.write(json.dumps(case, ensure_ascii=False) + "\n")
    (folder / "jinja_context.json").write_text(
        json.dumps(CONTEXT, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


main()
