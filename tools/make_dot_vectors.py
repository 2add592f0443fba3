#!/usr/bin/env python3
"""Makes tests/data/formats/NAME-dots.bin: products of the format vectors' blocks with random
activations, computed by llama.cpp's own functions, so that our int8 products are held to its.

usage: make_dot_vectors.py LLAMA_CPP_FOLDER [VARIANT]

needs numpy; the folder holds the libraries (tools/fetch_real.sh); VARIANT: zen4, haswell, ...

A file is little-endian: uint32 n_products, then per product 256 float32 activations and the
float32 product. Product i takes the 256 numbers of NAME.bin (make_format_vectors.py) from block i
on; after the last block comes the first.
"""

import ctypes
import pathlib
import struct
import sys

import numpy as np

DATA = pathlib.Path(__file__).resolve().parent.parent / "tests/data/formats"
COLUMNS = 256
# Our name: its function's suffix, the rounding of activations, bytes of that rounding per 256.
FORMATS = {"q8_0": "q8_0", "q4_0": "q8_0", "q5_0": "q8_0", "iq4_nl": "q8_0", "mxfp4": "q8_0",
           "q4_1": "q8_1", "q5_1": "q8_1", "q2_k": "q8_K", "q3_k": "q8_K", "q4_k": "q8_K",
           "q5_k": "q8_K", "q6_k": "q8_K", "iq2_xxs": "q8_K"}


def main(folder, variant="zen4"):
    ctypes.CDLL(f"{folder}/libggml-base.so", ctypes.RTLD_GLOBAL)
    library = ctypes.CDLL(f"{folder}/libggml-cpu-{variant}.so")
    library.ggml_cpu_init()
    rng = np.random.default_rng(11)
    for name, rounding in FORMATS.items():
        stored = (DATA / f"{name}.bin").read_bytes()
        n_floats, n_bytes = struct.unpack_from("<II", stored)
        row = stored[8:8 + n_bytes]
        columns = COLUMNS if rounding == "q8_K" else 32
        products = n_floats // columns
        step, size = n_bytes // products, n_bytes // products * COLUMNS // columns
        theirs = name[:-1] + "K" if name.endswith("_k") else name
        dot = getattr(library, f"ggml_vec_dot_{theirs}_{rounding}")
        quantize = getattr(library, f"quantize_row_{rounding}")
        out = [struct.pack("<I", products)]
        for i in range(products):
            x = rng.normal(0, 1, COLUMNS).astype(np.float32) * np.float32(10.0 ** (i % 5 - 2))
            rounded = ctypes.create_string_buffer(1024)
            block = ctypes.create_string_buffer((row + row)[i * step:i * step + size], size)
            result = ctypes.c_float(0)
            quantize(x.ctypes.data_as(ctypes.c_void_p), rounded, ctypes.c_int64(COLUMNS))
            nothing = ctypes.c_size_t(0)
            dot(COLUMNS, ctypes.byref(result), nothing, block, nothing, rounded, nothing, 1)
            out.append(x.tobytes() + struct.pack("<f", result.value))
        (DATA / f"{name}-dots.bin").write_bytes(b"".join(out))
        print(f"{name}: {products} products")


if __name__ == "__main__":
    main(*sys.argv[1:])
