#!/usr/bin/env python3
"""tidy.py refuses an untidy tree: every rule is broken once."""

import pathlib
import tempfile
import unittest

import tidy

DOOR = "#pragma once\n// Owns nothing much.\n\nint answer();\n"
USER = '#include "base/door.h"\n\nint answer() { return 42; }\n'


def body_of(lines):
    return "int f() {\n" + "    g();\n" * (lines - 2) + "}\n"


class Tidy(unittest.TestCase):
    def setUp(self):
        tidy.LONG_FILES.clear()  # this project's own exceptions are not in the small trees here
        tidy.LONG_FUNCTIONS.clear()

    def problems(self, files):
        tree = {"src/base/door.h": DOOR, "src/base/door.cpp": USER}
        tree.update(files)
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            for name, text in tree.items():
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                (root / name).write_text(text)
            checked = tidy.Tree(root)
            checked.check_ratios = lambda lengths: None  # a handful of lines has no ratio
            return checked.check()

    def expect(self, files, place, words):
        problems = self.problems(files)
        self.assertEqual(len(problems), 1, problems)
        self.assertTrue(problems[0].startswith(place), problems[0])
        self.assertIn(words, problems[0])

    def test_a_tidy_tree_has_no_problem(self):
        self.assertEqual(self.problems({}), [])

    def test_a_line_of_101_columns_is_too_long_and_100_is_not(self):
        self.assertEqual(self.problems({"src/base/a.cpp": "// " + "x" * 97 + "\n"}), [])
        self.expect({"src/base/a.cpp": "\n// " + "x" * 98 + "\n"}, "src/base/a.cpp:2:", "101")

    def test_columns_are_characters_and_not_bytes(self):
        self.assertEqual(self.problems({"src/base/a.cpp": "// " + "｜" * 97 + "\n"}), [])

    def test_trailing_whitespace_and_tabs_are_refused(self):
        self.expect({"src/base/a.cpp": "int a; \n"}, "src/base/a.cpp:1:", "trailing")
        self.expect({"src/base/a.cpp": "\tint a;\n"}, "src/base/a.cpp:1:", "tab")

    def test_a_function_of_71_lines_is_too_long_and_70_is_not(self):
        self.assertEqual(self.problems({"src/base/a.cpp": body_of(70)}), [])
        self.expect({"src/base/a.cpp": "\n" + body_of(71)}, "src/base/a.cpp:2:", "f has 71 lines")

    def test_a_namespace_or_class_is_not_a_function(self):
        text = "namespace a {\nclass B {\n" + "    int x;\n" * 80 + "};\n}  // namespace a\n"
        self.assertEqual(self.problems({"src/base/a.cpp": text}), [])

    def test_a_method_of_71_lines_inside_a_class_is_found(self):
        text = "namespace a {\nclass B {\n" + body_of(71) + "};\n}\n"
        self.expect({"src/base/a.cpp": text}, "src/base/a.cpp:3:", "f has 71 lines")

    def test_braces_in_strings_and_comments_do_not_count(self):
        text = 'const char* a = "{";  // {\nchar b = \'{\';\n' + body_of(70)
        self.assertEqual(tidy.functions(text), [("f", 3, 70)])

    def test_a_python_function_of_71_lines_is_too_long(self):
        text = "def f():\n" + "    pass\n" * 70
        self.expect({"tools/a.py": text}, "tools/a.py:1:", "f has 71 lines")

    def test_a_file_of_601_lines_is_too_long(self):
        self.expect({"src/base/a.cpp": "int a;\n" * 601}, "src/base/a.cpp:601:", "limit 600")

    def test_a_header_that_nobody_includes_is_dead(self):
        self.expect({"src/base/lone.h": DOOR}, "src/base/lone.h:1:", "dead")

    def test_a_header_without_a_sentence_is_refused(self):
        self.expect({"src/base/door.h": "#pragma once\n\nint answer();\n"}, "src/base/door.h:2:",
                    "opens with")

    def test_banned_words_come_with_their_replacement(self):
        for line, instead in [("std::cout << 1;", "base/log.h"), ("std::exit(1);", "Result"),
                              ("getenv(name);", "option"), ("assert(true);", "NEREUS_CHECK"),
                              ("throw 1;", "Result"), ("// TODO later", "issue")]:
            self.expect({"src/text/a.cpp": line + "\n"}, "src/text/a.cpp:1:", instead)

    def test_banned_words_in_strings_are_only_words(self):
        self.assertEqual(self.problems({"src/base/a.cpp": 'auto a = "getenv( throw 1";\n'}), [])

    def test_a_listed_file_that_fits_again_has_to_leave_the_list(self):
        tidy.LONG_FILES["src/base/door.cpp"] = "was long"
        try:
            self.expect({}, "tools/tidy.py:1:", "fits now")
        finally:
            del tidy.LONG_FILES["src/base/door.cpp"]

    def test_test_ratio_below_the_limit_is_reported(self):
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            (root / "src/base").mkdir(parents=True)
            (root / "src/base/a.cpp").write_text("// Why.\n" + body_of(10))
            problems = tidy.Tree(root).check()
        self.assertTrue(any("test code per product code" in p for p in problems), problems)


if __name__ == "__main__":
    unittest.main()
