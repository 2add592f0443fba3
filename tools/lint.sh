#!/usr/bin/env bash
# clang-tidy 19 over every source of build/lint, which it configures.   usage: lint.sh [FILE...]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
cmake --preset dev -B build/lint -DCMAKE_CXX_COMPILER=clang++-19 -DNEREUS_BENCH=OFF >/dev/null
if [ $# -eq 0 ]; then
    mapfile -t files < <(find src apps -name '*.cpp' ! -path '*/cpu/avx*' | sort)
    set -- "${files[@]}"
fi
printf '%s\0' "$@" | xargs -0 -n 4 -P "$(nproc)" clang-tidy-19 --quiet -p build/lint 2>/dev/null
