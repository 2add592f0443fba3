#!/usr/bin/env python3
"""Writes the seeds of the safetensors and gguf fuzzers: small valid files, one feature each.

    python3 tools/make_fuzz_corpus.py [OUT]          (default tests/fuzz/corpus)
"""

import json
import pathlib
import struct
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent


def safetensors(header, n_data=0):
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + bytes(range(n_data))


def entry(dtype, shape, begin, end):
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def text(value):
    return struct.pack("<Q", len(value)) + value.encode()


def scalar(key, kind, fmt, value):
    return text(key) + struct.pack("<I" + fmt, kind, value)


def gguf(values=(), tensors=(), n_data=0, version=3):
    head = b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(values)) + b"".join(values)
    for name, dims, kind, offset in tensors:
        head += text(name) + struct.pack(f"<I{len(dims)}QIQ", len(dims), *dims, kind, offset)
    return head + bytes(-len(head) % 32) + bytes(i % 256 for i in range(n_data))


SAFETENSORS = {
    "empty": safetensors({}),
    "one": safetensors({"__metadata__": {"format": "pt"}, "x": entry("F32", [2, 2], 0, 16)}, 16),
    "two": safetensors({"a": entry("BF16", [3], 4, 10), "b": entry("U8", [4], 0, 4)}, 10),
    "scaled": safetensors({"w": entry("F8_E4M3", [2, 3], 0, 6),
                           "w_scale_inv": entry("F32", [1, 1], 6, 10)}, 10),
    "scaled_bf16": safetensors({"w": entry("F8_E4M3", [1, 1], 0, 1),
                                "w_scale_inv": entry("BF16", [1, 1], 1, 3)}, 3),
    "nothing_in_it": safetensors({"x": entry("I64", [0, 5], 0, 0)}),
    "lfs": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
}

GGUF = {
    "empty": gguf(),
    "version_2": gguf(version=2),
    "scalars": gguf([scalar("a", k, f, 1) for k, f in ((0, "B"),)]
                    + [scalar(f"k{k}", k, f, 1) for k, f in
                       ((1, "b"), (2, "H"), (3, "h"), (4, "I"), (5, "i"), (6, "f"), (7, "B"),
                        (10, "Q"), (11, "q"), (12, "d"))]),
    "text": gguf([text("general.architecture") + struct.pack("<I", 8) + text("llama")]),
    "texts": gguf([text("tokenizer.ggml.tokens") + struct.pack("<IIQ", 9, 8, 2) + text("a")
                   + text("")]),
    "numbers": gguf([text("numbers") + struct.pack("<IIQ2f", 9, 6, 2, 1.0, 2.0)]),
    "aligned": gguf([scalar("general.alignment", 4, "I", 64)], [("x", [4], 0, 0)], 48),
    "split": gguf([scalar("split.no", 2, "H", 0), scalar("split.count", 2, "H", 2)]),
    "two_tensors": gguf((), [("a", [4], 0, 0), ("b", [2, 2, 2], 30, 32)], 48),
}
for number, (elements, size) in {
        1: (1, 2), 2: (32, 18), 3: (32, 20), 6: (32, 22), 7: (32, 24), 8: (32, 34), 10: (256, 84),
        11: (256, 110), 12: (256, 144), 13: (256, 176), 14: (256, 210), 16: (256, 66),
        20: (32, 18), 39: (32, 17)}.items():
    GGUF[f"type_{number}"] = gguf((), [("x", [elements], number, 0)], size)


def main():
    out = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "tests" / "fuzz" / "corpus"
    for folder, files in (("safetensors", SAFETENSORS), ("gguf", GGUF)):
        (out / folder).mkdir(parents=True, exist_ok=True)
        for name, data in files.items():
            (out / folder / name).write_bytes(data)


if __name__ == "__main__":
    main()
