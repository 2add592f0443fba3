#!/usr/bin/env bash
# Lays out every C++ file with clang-format 19, or with --check says which are not laid out so.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
mode=(-i)
[ "${1:-}" != "--check" ] || mode=(--dry-run --Werror)
find src apps tests bench \( -name '*.h' -o -name '*.cpp' \) -print0 |
    xargs -0 clang-format-19 "${mode[@]}"
