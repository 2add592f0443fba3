#!/usr/bin/env python3
"""Writes tests/data/formats/NAME.bin: blocks of each GGUF format, and gguf-py's floats of them.

    python3 -m venv venv && venv/bin/pip install gguf numpy
    venv/bin/python tools/make_format_vectors.py [OUT]          (default tests/data/formats)

A file is little-endian: uint32 n_numbers, uint32 n_bytes, the stored row, n_numbers float32. Rows
are random bytes with finite scales, among them zero and subnormal ones. NAME-encoded.bin holds the
row that the reference quantiser makes of the floats instead.
"""

import pathlib
import struct
import sys

import gguf
import numpy as np

ROOT = pathlib.Path(__file__).resolve().parent.parent
N_BLOCKS = 12

# Where the f16 scales of a block lie.
SCALES = {
    "F16": (), "BF16": (), "Q8_0": (0,), "Q4_0": (0,), "Q4_1": (0, 2), "Q5_0": (0,),
    "Q5_1": (0, 2), "Q2_K": (80, 82), "Q3_K": (108,), "Q4_K": (0, 2), "Q5_K": (0, 2),
    "Q6_K": (208,), "IQ2_XXS": (0,), "IQ4_NL": (0,), "MXFP4": (),
}
SPECIAL_SCALES = [0x0000, 0x8000, 0x0001, 0x83FF, 0x7BFF, 0x3C00]  # +-0, subnormals, largest, one
ENCODED = ("F16", "BF16", "Q8_0", "Q4_0")


def write(path, row, floats):
    row, floats = np.ascontiguousarray(row), np.ascontiguousarray(floats, np.float32)
    path.write_bytes(struct.pack("<II", floats.size, row.nbytes) + row.tobytes() + floats.tobytes())


def random_row(kind, name, rng):
    elements, size = gguf.GGML_QUANT_SIZES[kind]
    blocks = rng.integers(0, 256, (N_BLOCKS if elements > 1 else 512, size), dtype=np.uint8)
    for offset in SCALES[name]:
        scales = rng.normal(0, 0.1, len(blocks)).astype(np.float16)
        scales.view(np.uint16)[: len(SPECIAL_SCALES)] = SPECIAL_SCALES
        blocks[:, offset : offset + 2] = scales.view(np.uint8).reshape(-1, 2)
    if name == "MXFP4":
        blocks[:, 0] = rng.integers(100, 140, len(blocks))
        blocks[:4, 0] = [0, 1, 2, 254]
    return blocks.reshape(1, -1)


def main():
    out = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "tests" / "data" / "formats"
    out.mkdir(parents=True, exist_ok=True)
    for index, name in enumerate(SCALES):
        kind = gguf.GGMLQuantizationType[name]
        rng = np.random.default_rng(index)
        row = random_row(kind, name, rng)
        with np.errstate(over="ignore", invalid="ignore"):
            floats = gguf.quants.dequantize(row, kind)
        write(out / f"{name.lower()}.bin", row, floats)
        if name in ENCODED:
            elements, _ = gguf.GGML_QUANT_SIZES[kind]
            values = rng.normal(0, 1, (1, max(32, elements) * 8)).astype(np.float32)
            values[0, :32] = 0  # a block of zeros
            write(out / f"{name.lower()}-encoded.bin",
                  gguf.quants.quantize(values, kind).view(np.uint8), values)


if __name__ == "__main__":
    main()
