#!/usr/bin/env python3
"""Checks that every kernel object exports one strong symbol and no weak one.

An inline function compiled with AVX-512 flags and emitted as a weak symbol may be the copy that the
linker keeps for the whole program, and then an older CPU dies on it. Run by ctest on Debug builds,
where the compiler inlines least.

usage: check_kernel_symbols.py OBJECT...
"""

import subprocess
import sys

STRONG = "ABCDGRST"
WEAK = "VWuvw"


def exported(path):
    """(strong, weak) names of an object that others can see."""
    lines = subprocess.run(["nm", "--defined-only", "--extern-only", path], check=True,
                           capture_output=True, text=True).stdout.splitlines()
    symbols = [line.split()[-2:] for line in lines if line.strip()]
    return ([name for kind, name in symbols if kind in STRONG],
            [name for kind, name in symbols if kind in WEAK])


def main(paths):
    if not paths:
        print("check_kernel_symbols: no objects given")
        return 1
    failures = 0
    for path in paths:
        strong, weak = exported(path)
        if len(strong) != 1 or weak:
            failures += 1
            print(f"{path}: exports {len(strong)} strong symbols {strong}, {len(weak)} weak {weak}")
            print("  expected one strong symbol, the table; make the others static or put them in "
                  "an anonymous namespace")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
