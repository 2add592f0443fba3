#!/usr/bin/env python3
"""Checks what a formatter cannot: lengths, dead headers, undocumented doors, banned words, ratios.

usage: tidy.py [--root DIR]      exit 0: tidy; 1: every violation as file:line: message

Limits are ratchets: a file or function over its limit needs a line with a reason in LONG_FILES or
LONG_FUNCTIONS below, and a listed one that fits again has to leave the list.
"""

import argparse
import ast
import pathlib
import re
import statistics
import sys

COLUMNS_MAX = 100
FUNCTION_LINES_MAX = 70
FILE_LINES_MAX = 600
FUNCTION_MEDIAN_MAX = 15
FUNCTION_P90_MAX = 50
FILE_MEDIAN_MAX = 250
TEST_RATIO_MIN = 0.8
COMMENT_RATIO_MIN = 0.08
DOOR_COMMENT_RATIO_MIN = 0.4

# path: reason                         path::function: reason
LONG_FILES = {
    "tools/make_broken.py": "a list: one short function a broken model",
}
LONG_FUNCTIONS = {}

# Where the words matter: pattern, what to write instead, folders, exceptions (path prefixes).
BANNED = [
    (r"std::(cout|cerr|clog)\b|\bf?printf\(|\bputs\(", "log_* of base/log.h, or a returned value",
     ["src"], ["src/base/log.cpp", "src/base/check", "src/base/result.cpp", "src/terminal/"]),
    (r"\b(std::)?(exit|quick_exit|_exit|abort)\(", "a Result, or NEREUS_CHECK for our own bugs",
     ["src"], ["src/base/result.cpp"]),
    (r"\bgetenv\(", "an option passed from apps/", ["src"], []),
    (r"\bassert\(", "NEREUS_ASSERT or NEREUS_CHECK", ["src", "apps"], []),
    (r"\bthrow\b(?!;)", "a Result", ["src", "apps"], []),
    (r"#include <iostream>", "fmt and base/log.h", ["src", "apps", "bench"], []),
    (r"#include <regex>", "PCRE2 in text, plain loops elsewhere", ["src", "apps"], []),
    (r"\b(sprintf|strcpy|strcat|atoi|atof|strtok)\(", "fmt, std::string, std::from_chars",
     ["src", "apps"], ["src/terminal/testing/"]),
    (r"\bstd::rand\(|\bsrand\(|std::random_device", "base/rng.h", ["src", "apps"], []),
    (r"\busing namespace std\b", "the full name", ["src", "apps", "tests", "bench"], []),
    (r"-ffast-math|-march=native", "flags of one kernel library in cmake/isa.cmake",
     ["src", "cmake", "CMakeLists.txt"], []),
    (r"\bXXX\b|\bHACK\b|\bTODO\b|\bFIXME\b", "an issue, or the thing itself",
     ["src", "apps", "tests", "bench", "tools", "cmake"], []),
    (r"(?<![\w.])/work" r"/|\.\./shared" r"/", "a path inside the repository",
     ["src", "apps", "tests", "bench", "tools", "cmake", "docs", "run", "test", "README.md",
      "ARCHITECTURE.md", "CONTRIBUTING.md"], []),
]
TEXT_SUFFIXES = {".h", ".cpp", ".py", ".sh", ".cmake", ".md", ".txt", ".json", ".tsv", ".yml", ""}
CODE_SUFFIXES = {".h", ".cpp"}
TOP = ["src", "apps", "tests", "bench", "tools", "cmake", "docs", "packages", ".ci", "run", "test",
       "CMakeLists.txt", "CMakePresets.json", "README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"]
# Data kept byte for byte as it came.
DATA = ("tests/golden/", "tests/data/", "tests/fuzz/corpus/")
# Tests that are Python programs.
PYTHON_TESTS = {"tools/check_rooms_test.py", "tools/tidy_test.py", "tools/make_broken.py",
                "tools/make_golden.py", "tools/make_gguf.py", "tools/real.py",
                "tools/tokenizer_oracle.py",
                "tools/tokenizer_oracle_test.py", "bench/scripts_test.py"}
SELF = ("tools/tidy.py", "tools/tidy_test.py", "tools/check_rooms_test.py")

LITERAL = re.compile(
    r'//[^\n]*|/\*.*?\*/|R"([^ ()\\\t\n]*)\(.*?\)\1"|"(?:\\.|[^"\\\n])*"|'
    r"(?<![0-9A-Fa-f])'(?:\\.|[^'\\\n])+'", re.S)
NOT_A_FUNCTION = re.compile(
    r"\b(namespace|class|struct|union|enum)\b(?!.*\()|\bextern\s*$|=\s*$", re.S)


def blank(match):
    """A comment or literal as spaces, its newlines kept, so that lines and columns stay."""
    text = match.group(0)
    keep = '""' if text[0] in "\"'R" else ""
    return keep + re.sub(r"[^\n]", " ", text)[len(keep):]


def strip(text):
    return LITERAL.sub(blank, text)


def functions(text):
    """(name, first line, number of lines) of every function with a body, lambdas excluded."""
    code = re.sub(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*",
                  lambda m: re.sub(r"[^\n]", " ", m.group(0)), strip(text), flags=re.M)
    found = []
    stack = []  # per open brace: None for a scope, (name, line) for a function, "" inside one
    head_start = 0
    for match in re.finditer(r"[{};]", code):
        at, what = match.start(), match.group(0)
        inside = any(entry is not None for entry in stack)
        if what == "{":
            head = code[head_start:at]
            if inside:
                stack.append("")
            elif "(" in head and not NOT_A_FUNCTION.search(head.strip()):
                lead = len(head) - len(head.lstrip())
                line = code.count("\n", 0, head_start + lead) + 1
                name = re.search(r"([\w:~]+|operator\S+)\s*\(", head)
                stack.append((name.group(1) if name else "?", line))
            else:
                stack.append(None)
        elif what == "}" and stack:
            entry = stack.pop()
            if isinstance(entry, tuple):
                last = code.count("\n", 0, at) + 1
                found.append((entry[0], entry[1], last - entry[1] + 1))
        head_start = at + 1
    return found


class Tree:
    def __init__(self, root):
        self.root = root
        self.problems = []
        self.files = {}
        for top in TOP:
            start = root / top
            paths = [start] if start.is_file() else sorted(start.rglob("*"))
            for path in paths:
                name = path.relative_to(root).as_posix()
                if path.is_file() and path.suffix in TEXT_SUFFIXES and not name.startswith(DATA) \
                        and "__pycache__" not in name:
                    self.files[name] = path.read_text(errors="replace")

    def report(self, name, line, message):
        self.problems.append(f"{name}:{line}: {message}")

    def check(self):
        for name, text in self.files.items():
            self.check_lines(name, text)
            self.check_length(name, text)
            self.check_words(name, text)
        self.check_headers()
        self.check_stale()
        lengths = self.check_functions()
        self.check_ratios(lengths)
        return self.problems

    def check_lines(self, name, text):
        wide_ok = not name.endswith((".h", ".cpp", ".py", ".sh", "run", "test"))
        for number, line in enumerate(text.splitlines(), 1):
            if line != line.rstrip():
                self.report(name, number, "trailing whitespace")
            if "\t" in line:
                self.report(name, number, "a tab; indent with spaces")
            if not wide_ok and len(line) > COLUMNS_MAX and "http" not in line:
                self.report(name, number, f"{len(line)} columns, limit {COLUMNS_MAX}")
        if text and not text.endswith("\n"):
            self.report(name, text.count("\n") + 1, "no newline at the end of the file")

    def check_length(self, name, text):
        lines = text.count("\n")
        if lines > FILE_LINES_MAX and name.endswith((".h", ".cpp", ".py", ".sh", ".cmake")) and \
                name not in LONG_FILES:
            self.report(name, lines, f"{lines} lines, limit {FILE_LINES_MAX}: split it, or list it "
                        "in tools/tidy.py with a reason")

    def check_words(self, name, text):
        if name in SELF:
            return
        code = strip(text) if name.endswith((".h", ".cpp")) else text
        for pattern, instead, places, exceptions in BANNED:
            if not name.startswith(tuple(places)) or name.startswith(tuple(exceptions) or ("\0",)):
                continue
            searched = text if "include" in pattern or "TODO" in pattern or "shared" in pattern \
                else code
            for match in re.finditer(pattern, searched):
                self.report(name, searched.count("\n", 0, match.start()) + 1,
                            f"'{match.group(0)}': use {instead}")

    def check_headers(self):
        included = set()
        for name, text in self.files.items():
            if name.endswith((".h", ".cpp")):
                included.update(re.findall(r'^\s*#\s*include\s*"([^"]+)"', text, re.M))
        for name, text in self.files.items():
            if not name.endswith(".h"):
                continue
            if re.sub(r"^src/", "", name) not in included:
                self.report(name, 1, "dead: no file includes it")
            body = [line for line in text.splitlines() if line.strip()]
            if not body or body[0] != "#pragma once":
                self.report(name, 1, "a header begins with #pragma once")
            elif len(body) < 2 or not body[1].startswith("//"):
                self.report(name, 2, "a header opens with a // sentence that says what it owns")

    def check_functions(self):
        lengths = []
        self.seen_long = set()
        for name, text in self.files.items():
            if name.endswith((".h", ".cpp")):
                found = functions(text)
            elif name.endswith(".py"):
                found = [(node.name, node.lineno, node.end_lineno - node.lineno + 1)
                         for node in ast.walk(ast.parse(text))
                         if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]
            else:
                continue
            is_test = name.endswith("_test.cpp") or name.startswith("tests/")
            for function, line, n in found:
                if name.startswith(("src/", "apps/")) and not is_test:
                    lengths.append(n)
                if n > FUNCTION_LINES_MAX:
                    key = f"{name}::{function}"
                    self.seen_long.add(key)
                    if key not in LONG_FUNCTIONS:
                        self.report(name, line, f"{function} has {n} lines, limit "
                                    f"{FUNCTION_LINES_MAX}: split it, or list it in tools/tidy.py "
                                    "with a reason")
        for key in sorted(set(LONG_FUNCTIONS) - self.seen_long):
            self.report("tools/tidy.py", 1, f"{key} fits now: remove it from LONG_FUNCTIONS")
        return lengths

    def check_stale(self):
        for name in sorted(LONG_FILES):
            if self.files.get(name, "").count("\n") <= FILE_LINES_MAX:
                self.report("tools/tidy.py", 1, f"{name} fits now: remove it from LONG_FILES")

    def code_and_comments(self, names):
        code = comments = 0
        for name in names:
            stripped = strip(self.files[name]).splitlines()
            for raw, rest in zip(self.files[name].splitlines(), stripped):
                code += bool(rest.strip())
                comments += bool(raw.strip()) and ("//" in raw or not rest.strip())
        return code, comments

    def check_ratios(self, lengths):
        sources = [n for n in self.files if n.endswith((".h", ".cpp"))]
        tests = [n for n in sources
                 if n.endswith("_test.cpp") or n.startswith("tests/") or "/testing" in n]
        tests += [n for n in self.files if n in PYTHON_TESTS]
        product = [n for n in sources if n.startswith(("src/", "apps/")) and n not in tests]
        doors = [n for n in product if n.startswith("src/") and n.endswith(".h") and
                 n.count("/") == 2]
        if not product or not lengths:
            return
        code, comments = self.code_and_comments(product)
        test_code, _ = self.code_and_comments(tests)
        door_code, door_comments = self.code_and_comments(doors)
        p90 = sorted(lengths)[int(0.9 * (len(lengths) - 1))]
        numbers = [
            ("function lines, median", statistics.median(lengths), FUNCTION_MEDIAN_MAX, False),
            ("function lines, p90", p90, FUNCTION_P90_MAX, False),
            ("file lines, median", statistics.median(self.files[n].count("\n") for n in product),
             FILE_MEDIAN_MAX, False),
            ("test code per product code", test_code / code, TEST_RATIO_MIN, True),
            ("comment lines per code line", comments / code, COMMENT_RATIO_MIN, True),
            ("the same in doors", door_comments / max(door_code, 1), DOOR_COMMENT_RATIO_MIN, True),
        ]
        print(f"tidy: {code} lines of product code, {test_code} of test code")
        for what, value, limit, at_least in numbers:
            print(f"  {what:28} {value:7.2f}   {'at least' if at_least else 'at most'} {limit}")
            if value < limit if at_least else value > limit:
                self.report("tools/tidy.py", 1, f"{what}: {value:.2f}, limit {limit}")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", default=pathlib.Path(__file__).resolve().parent.parent,
                        type=pathlib.Path)
    problems = Tree(parser.parse_args().root.resolve()).check()
    for problem in problems:
        print(problem)
    print(f"tidy: {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
