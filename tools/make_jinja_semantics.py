#!/usr/bin/env python3
"""Renders every row of tests/data/templates/semantics.jsonl anew with Jinja2 and appends the rows
of the files named, so that the expected texts have one source: Jinja2 itself (pip install jinja2).

    python3 tools/make_jinja_semantics.py                     check: exit 1 if a row is not Jinja2's
    python3 tools/make_jinja_semantics.py --write             write the true results
    python3 tools/make_jinja_semantics.py --add GROUP FILE    append the templates of FILE, a line
                                                              each (a JSON string after a ")
    python3 tools/make_jinja_semantics.py --render FILE       FILE: JSON lines of template and
                                                              context; prints what each renders to
"""

import argparse
import datetime
import json
import pathlib
import sys

from jinja2 import nodes
from jinja2.exceptions import TemplateError
from jinja2.ext import Extension, loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment

ROWS = pathlib.Path(__file__).resolve().parent.parent / "tests/data/templates/semantics.jsonl"
CONTEXT = {"messages": [{"role": "user", "content": "hi"}], "tools": None,
           "add_generation_prompt": True, "bos_token": "<s>", "eos_token": "</s>"}


class Generation(Extension):
    """{% generation %}: chat templates mark with it what a training run learns from."""

    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        call = self.call_method("_written")
        return nodes.CallBlock(call, [], [], body).set_lineno(line)

    def _written(self, caller):
        return caller()


def raise_exception(message):
    raise TemplateError(message)


def tojson(value, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators,
                      sort_keys=sort_keys)


def make_environment():
    """The settings chat templates are rendered with."""
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True,
                                                extensions=[Generation, loopcontrols])
    environment.filters["tojson"] = tojson
    environment.filters["from_json"] = json.loads
    environment.globals["raise_exception"] = raise_exception
    environment.globals["strftime_now"] = lambda form: datetime.datetime.now().strftime(form)
    return environment


ENVIRONMENT = make_environment()


def render(source, context=None):
    """The text, or None where Jinja2 refuses."""
    try:
        return ENVIRONMENT.from_string(source).render(**(CONTEXT if context is None else context))
    except Exception:  # whichever it is, the engine has to refuse, too
        return None


def read_rows():
    return [json.loads(line) for line in ROWS.read_text(encoding="utf-8").splitlines()]


def write_rows(rows):
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    ROWS.write_text(text, encoding="utf-8")


def regenerate(write):
    rows = read_rows()
    stale = [row for row in rows if render(row["source"]) != row["rendered"]]
    for row in stale:
        print(f"{row['source']!r}: {row['rendered']!r} is {render(row['source'])!r} now")
        row["rendered"] = render(row["source"])
    if write:
        write_rows(rows)
    return 0 if write or not stale else 1


def add(group, file):
    rows = read_rows()
    known = {row["source"] for row in rows}
    for line in pathlib.Path(file).read_text(encoding="utf-8").splitlines():
        source = json.loads(line) if line.startswith('"') else line
        if source and source not in known:
            known.add(source)
            rows.append({"group": group, "source": source, "rendered": render(source)})
    write_rows(rows)
    return 0


def render_file(file):
    for line in pathlib.Path(file).read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        print(json.dumps(render(row["template"], row["context"]), ensure_ascii=False))
    return 0


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--add", nargs=2, metavar=("GROUP", "FILE"))
    parser.add_argument("--render", metavar="FILE")
    options = parser.parse_args()
    if options.add:
        return add(*options.add)
    return render_file(options.render) if options.render else regenerate(options.write)


if __name__ == "__main__":
    sys.exit(main())
