#!/usr/bin/env python3
"""Writes golden/added-tokens.jsonl: small random vocabularies with their ids by tokenizers.

usage: make_added_token_cases.py > golden/added-tokens.jsonl

Needs the PyPI package `tokenizers` (made with 0.23.3). A line is {normalizer, pre_tokenizer,
added_tokens, texts, ids}; the vocabulary under them is that of src/text/tokenizers/
test_vocabularies.h: the 256 bytes, ab, abc, and a with a space before it."""

import json
import random

from tokenizers import Tokenizer

CASES = 100
TEXTS = 12
TOKENS = ["<s>", "<a>", "<a", "a>", "ab", "b", "e\u0301", "<b>", " x", "x ", "a b", "\u00fc",
          "word", "_a", "\u65e5\u672c", "<\u00e9>", " "]
PIECES = TOKENS + ["a", "b", "c", " ", "  ", "\n", "\u3000", "1", "22", "_", "\u00c9", "<", ">",
                   "e", "\u0301", "\u65e5", "!", "abc", "wordy"]
NORMALIZERS = [
    None,
    {"type": "NFC"},
    {"type": "Sequence", "normalizers": [
        {"type": "Replace", "pattern": {"String": "b"}, "content": "a"}]},
    {"type": "Prepend", "prepend": "_"},
]


def byte_level(prefix, regex):
    return {"type": "ByteLevel", "add_prefix_space": prefix, "trim_offsets": True,
            "use_regex": regex}


def split(behavior, invert, pattern):
    return {"type": "Sequence", "pretokenizers": [
        {"type": "Split", "pattern": pattern, "behavior": behavior, "invert": invert},
        byte_level(False, False)]}


PRE_TOKENIZERS = [byte_level(False, False), byte_level(True, True)] + [
    split(behavior, invert, {"Regex": "[ab]"})
    for behavior in ["Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"]
    for invert in [False, True]
] + [split("MergedWithPrevious", True, {"String": " "})]


def vocabulary():
    ids, spare = {}, 0x100
    for byte in range(256):
        itself = 0x20 < byte < 0x7F or (byte > 0xA0 and byte != 0xAD)
        ids[chr(byte) if itself else chr(spare)] = byte
        spare += 0 if itself else 1
    ids.update({"ab": 256, "abc": 257, "\u0120a": 258})
    return ids


def random_case(rng):
    vocab = vocabulary()
    added, free = [], 259
    for text in rng.sample(TOKENS, rng.randrange(1, 5)):
        known = text in vocab
        added.append({
            "id": vocab[text] if known else free, "content": text,
            "single_word": rng.random() < 0.25, "lstrip": rng.random() < 0.3,
            "rstrip": rng.random() < 0.3, "normalized": rng.random() < 0.4,
            "special": not known and rng.random() < 0.5})
        free += 0 if known else 1
    return {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": added,
        "normalizer": rng.choice(NORMALIZERS), "pre_tokenizer": rng.choice(PRE_TOKENIZERS),
        "post_processor": None,
        "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True,
                    "use_regex": True},
        "model": {"type": "BPE", "dropout": None, "unk_token": None,
                  "continuing_subword_prefix": None, "end_of_word_suffix": None,
                  "fuse_unk": False, "byte_fallback": False, "ignore_merges": False,
                  "vocab": vocab, "merges": ["a b", "ab c", "\u0120 a"]}}


def main():
    rng = random.Random(1)
    for _ in range(CASES):
        case = random_case(rng)
        reference = Tokenizer.from_str(json.dumps(case))
        line = {key: case[key] for key in ["normalizer", "pre_tokenizer", "added_tokens"]}
        line["texts"], line["ids"] = [], []
        while len(line["texts"]) < TEXTS:
            text = "".join(rng.choice(PIECES) for _ in range(rng.randrange(9)))
            try:
                ids = reference.encode(text, add_special_tokens=False).ids
            except BaseException:  # the library panics where stripped tokens overlap
                continue
            line["texts"].append(text)
            line["ids"].append(ids)
        print(json.dumps(line, ensure_ascii=False))


if __name__ == "__main__":
    main()
