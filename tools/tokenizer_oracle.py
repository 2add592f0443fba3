#!/usr/bin/env python3
"""Compares `nereus tokenize` and `nereus detokenize` with the Hugging Face tokenizers library.

Writes random strings (seeded; mixes of scripts, white space, digits, emoji, combining marks,
control characters, code, contractions, pieces of the vocabulary, any code point), encodes them with
both programs and prints the first differences of every tokenizer. Without a path it takes every
tokenizer.json that comes with the repository; a path may end in .xz.

Exit code: 0 no difference, 1 some, 2 it could not compare (a line says why).

Needs the PyPI package `tokenizers` (0.20 or later) in an environment of your own:

    python3 -m venv build/oracle && build/oracle/bin/pip install tokenizers
    cmake --preset release && ninja -C build/release nereus
    build/oracle/bin/python tools/tokenizer_oracle.py --count 20000
"""

import argparse
import json
import lzma
import pathlib
import random
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent

WHITE = [
    " ",
    "  ",
    "   ",
    "\n",
    "\n\n",
    "\r\n",
    "\t",
    "\u00a0",
    "\u3000",
    "\u2003",
    "\u2028",
    "\u180e",
    "\u200b",
    "\u0085",
    "\u000b",
    "\ufeff",
    " \n",
    "\n ",
    " \t ",
]
CONTRACTIONS = [
    "'s",
    "'t",
    "'re",
    "'ve",
    "'m",
    "'ll",
    "'d",
    "'S",
    "'RE",
    "'\u017f",
    "\u2019s",
    "I'M",
    "we'Ve",
]
CODE = [
    "def f(x):\n    return x\n",
    "#include <a>\n",
    "for(i=0;i<n;++i){}",
    "a->b",
    "x != y",
    "</div>",
    "{}",
    "[[",
    "//",
    "/* */",
    "\\n",
    "0x1F",
    "1e-5",
    "$x",
    "@a",
    "`b`",
    "^~",
    "snake_case",
    "CamelCase",
]
COMBINING = [
    "e\u0301",
    "\u00e9",
    "a\u030a\u0323",
    "\u212b",
    "\u2126",
    "\u1e9b\u0323",
    "\uac00",
    "\u1100\u1161\u11a8",
    "\u0958",
    "q\u0307\u0323",
    "\u0344",
    "\u0f43",
    "\u2adc",
    "\ufb01",
    "\u0340",
]
EMOJI = [
    "\U0001f600",
    "\U0001f469\u200d\U0001f4bb",
    "\U0001f1e9\U0001f1ea",
    "\u2764\ufe0f",
    "\U0001f44d\U0001f3fd",
    "\U0001faf8",
    "\u263a",
]
WORDS = (
    "the of and hello world Don't Hello I'll naive year 2024 3.14 1,000,000 caf\u00e9 stra\u00dfe "
    "\u043f\u0440\u0438\u0432\u0435\u0442 \u043c\u0438\u0440 "
    "\u4f60\u597d \u4e16\u754c \u3053\u3093\u306b\u3061\u306f "
    "\u30ab\u30bf\u30ab\u30ca \uc548\ub155 \u0645\u0631\u062d\u0628\u0627 \u05e9\u05dc\u05d5\u05dd "
    "\u0928\u092e\u0938\u094d\u0924\u0947 "
    "\u0e2a\u0e27\u0e31\u0e2a\u0e14\u0e35 \u1780\u17b6\u1793\u17cb "
    "\u10d2\u10d0\u10db \u0531\u0580\u0574 \u1200\u1208 \u13a0\u13b9 Vi\u1ec7t"
).split()
DIGITS = [
    "0",
    "7",
    "42",
    "123",
    "1234",
    "99999",
    "\u0664\u0662",
    "\u0967\u0968",
    "\u2460",
    "\u00bd",
    "\u2167",
    "\U0001d7d8",
    "\u00b2",
]
BLOCKS = [
    (0x20, 0x7F),
    (0xA0, 0x250),
    (0x300, 0x370),
    (0x370, 0x530),
    (0x590, 0x700),
    (0x900, 0xE80),
    (0x1100, 0x1200),
    (0x1AB0, 0x2000),
    (0x2000, 0x2C00),
    (0x3000, 0x3400),
    (0x4E00, 0x9FFF),
    (0xA000, 0xABFF),
    (0xAC00, 0xD7A4),
    (0xF900, 0x10000),
    (0x10000, 0x11FFF),
    (0x16000, 0x1E000),
    (0x1F000, 0x20000),
    (0x20000, 0x32400),
    (0, 0x20),
    (0x7F, 0xA0),
    (0, 0x110000),
]


def code_point(rng, low, high):
    while True:
        value = rng.randrange(low, high)
        if not 0xD800 <= value < 0xE000:
            return chr(value)


def piece(rng, vocabulary):
    kind = rng.randrange(16)
    if kind < 4:
        return rng.choice(["", " "]) + rng.choice(WORDS)
    if kind < 6:
        return rng.choice(vocabulary)
    if kind == 6:
        return "".join(rng.choice(WHITE) for _ in range(rng.randrange(1, 5)))
    if kind == 7:
        return rng.choice(CONTRACTIONS)
    if kind == 8:
        return rng.choice(CODE)
    if kind == 9:
        return rng.choice(COMBINING) + rng.choice(["", "\u0301", "\u0323\u0301"])
    if kind == 10:
        return rng.choice(EMOJI)
    if kind == 11:
        return rng.choice(DIGITS) * rng.randrange(1, 4)
    if kind == 12:
        return code_point(rng, 0, 0x110000)
    if kind == 13:
        return chr(rng.randrange(0x21, 0x7F)) * rng.randrange(1, 40)
    low, high = rng.choice(BLOCKS)
    return "".join(code_point(rng, low, high) for _ in range(rng.randrange(1, 6)))


def random_strings(tokenizer, count, seed):
    """Strings without any added token in them: those are a matter of --special."""
    rng = random.Random(seed)
    added = [token.content for token in tokenizer.get_added_tokens_decoder().values()]
    vocabulary = [
        tokenizer.decode([rng.randrange(tokenizer.get_vocab_size())]) for _ in range(20000)
    ]
    strings = []
    while len(strings) < count:
        text = "".join(piece(rng, vocabulary) for _ in range(rng.randrange(1, 14)))
        if not any(token in text for token in added):
            strings.append(text)
    return strings


def reason(error):
    """One line for what went wrong; a program that failed said it itself."""
    if isinstance(error, subprocess.CalledProcessError):
        return error.stderr.decode("utf-8", "replace").strip() or str(error)
    return str(error)


def run_nereus(nereus, command, path, value):
    with tempfile.NamedTemporaryFile("w", suffix=".json", encoding="utf-8") as file:
        json.dump(value, file, ensure_ascii=False)
        file.flush()
        done = subprocess.run(
            [nereus, command, path, "--file", file.name], check=True, capture_output=True
        )
        return json.loads(done.stdout)


def compare(reference, nereus, path, count, seed):
    """The number of differences for one tokenizer.json."""
    strings = random_strings(reference, count, seed)
    expected = [
        encoding.ids for encoding in reference.encode_batch(strings, add_special_tokens=False)
    ]
    found = run_nereus(nereus, "tokenize", path, strings)
    texts = run_nereus(nereus, "detokenize", path, expected)
    decoded = reference.decode_batch(expected, skip_special_tokens=False)
    bad = 0
    for text, want, got, want_text, got_text in zip(strings, expected, found, decoded, texts):
        if want != got or want_text != got_text:
            bad += 1
            if bad <= 10:
                print(f"{path}: {text!r}\n  expected {want}\n  found    {got}")
                if want_text != got_text:
                    print(f"  expected text {want_text!r}\n  found text    {got_text!r}")
    return len(strings), sum(map(len, expected)), bad


def own_tokenizers():
    paths = sorted((ROOT / "tests/data/tokenizers").rglob("*tokenizer.json.xz"))
    return [str(path) for path in paths + [ROOT / "models/nereus-seed/tokenizer.json"]]


def compare_all(tokenizer_class, arguments):
    """Every path in turn; the exit code."""
    total = 0
    for name in arguments.paths or own_tokenizers():
        with tempfile.TemporaryDirectory() as folder:
            path = name
            if name.endswith(".xz"):
                path = str(pathlib.Path(folder) / "tokenizer.json")
                pathlib.Path(path).write_bytes(lzma.decompress(pathlib.Path(name).read_bytes()))
            reference = tokenizer_class.from_file(path)
            strings, tokens, bad = compare(
                reference, arguments.nereus, path, arguments.count, arguments.seed
            )
        print(f"{name}: {strings} strings, {tokens} tokens, {bad} differences", flush=True)
        total += bad
    return 1 if total else 0


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("paths", nargs="*", metavar="TOKENIZER_JSON")
    parser.add_argument(
        "--nereus", default=str(ROOT / "build/release/nereus"), help="the program (%(default)s)"
    )
    parser.add_argument("--count", type=int, default=100_000, help="strings a tokenizer (100000)")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    try:
        from tokenizers import Tokenizer
    except ImportError:
        print(
            "tokenizer_oracle.py: needs the PyPI package `tokenizers`; --help says how",
            file=sys.stderr,
        )
        return 2
    try:
        return compare_all(Tokenizer, arguments)
    except Exception as error:  # tokenizers raises plain Exception for a file it cannot read
        print(f"tokenizer_oracle.py: {reason(error)}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
