#!/usr/bin/env python3
"""Tests of tokenizer_oracle.py without the package it needs: a stand-in reference and program."""

import pathlib
import subprocess
import sys
import tempfile
import unittest

SCRIPT = pathlib.Path(__file__).resolve().parent / "tokenizer_oracle.py"

# A reference whose ids are code points.
REFERENCE = """
class Encoding:
    def __init__(self, ids):
        self.ids = ids
class Tokenizer:
    @staticmethod
    def from_file(path):
        if open(path).read() != "{}":
            raise Exception("no tokenizer")
        return Tokenizer()
    def get_added_tokens_decoder(self):
        return {}
    def get_vocab_size(self):
        return 100
    def decode(self, ids):
        return "".join(map(chr, ids))
    def encode_batch(self, texts, add_special_tokens):
        return [Encoding([ord(c) for c in text]) for text in texts]
    def decode_batch(self, lists, skip_special_tokens):
        return [self.decode(ids) for ids in lists]
"""

# A program that agrees with it, but for the string that has a 7 in it when WRONG.
PROGRAM = """#!{python}
import json, sys
command, path, _, file = sys.argv[1:]
values = json.load(open(file, encoding="utf-8"))
if command == "tokenize":
    out = [[ord(c) + (c == "7" and {wrong}) for c in text] for text in values]
else:
    out = ["".join(map(chr, ids)) for ids in values]
print(json.dumps(out))
"""


class OracleTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.root = pathlib.Path(self.folder.name)
        (self.root / "t.json").write_text("{}")
        (self.root / "with").mkdir()
        (self.root / "with/tokenizers.py").write_text(REFERENCE)
        (self.root / "without").mkdir()
        (self.root / "without/tokenizers.py").write_text("raise ImportError")

    def tearDown(self):
        self.folder.cleanup()

    def run_script(self, *arguments, package="with", wrong=False):
        program = self.root / "nereus"
        program.write_text(PROGRAM.format(python=sys.executable, wrong=int(wrong)))
        program.chmod(0o755)
        return subprocess.run(
            [sys.executable, SCRIPT, "--nereus", program, "--count", "50", *arguments],
            env={"PYTHONPATH": str(self.root / package)},
            capture_output=True,
            text=True,
        )

    def test_no_difference_is_exit_code_0_and_one_line(self):
        done = self.run_script(self.root / "t.json")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("50 strings", done.stdout)
        self.assertIn(" 0 differences", done.stdout)

    def test_a_difference_is_shown_and_exit_code_1(self):
        done = self.run_script(self.root / "t.json", wrong=True)
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn("expected [", done.stdout)
        self.assertNotIn(" 0 differences", done.stdout)

    def test_help_needs_no_package(self):
        done = self.run_script("--help", package="without")
        self.assertEqual(done.returncode, 0)
        self.assertIn("pip install tokenizers", done.stdout)

    def test_what_is_missing_is_one_line_and_exit_code_2(self):
        for arguments, package, words in [
            (["t.json"], "without", "needs the PyPI package"),
            (["none.json"], "with", "none.json"),
            (["nereus"], "with", "no tokenizer"),
            (["t.json", "--nereus", str(self.root / "gone")], "with", "gone"),
        ]:
            paths = [str(self.root / arguments[0]), *arguments[1:]]
            done = self.run_script(*paths, package=package)
            self.assertEqual(done.returncode, 2, arguments)
            self.assertIn(words, done.stderr)
            self.assertEqual(done.stderr.count("\n"), 1, done.stderr)


if __name__ == "__main__":
    unittest.main()
