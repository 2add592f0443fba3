#!/usr/bin/env python3
"""What rounding costs: bits per weight, perplexity, KL divergence, top-1 agreement of every format.

For each model, Nereus packs its weights (decoded to float32) in every format and compares the
logits with those of the unrounded weights; llama.cpp's llama-quantize rounds the same weights as
F32 to its own types and llama-perplexity compares them in the same way. Both score the second half
of each window of WikiText-2 test. The reference of each program is its own on the unrounded
weights, so each row tells what its rounding (weights and activations) costs. A + after a name:
rounding weighed by activations (nereus pack --importance, llama-imatrix), measured on the second
half of the same text, which is not scored.

usage: quality.py [--models seed smollm2 tinyllama | NAME=SOURCE[,PEER.gguf] ...] [--json OUT]
  seed=models/nereus-seed                 FP8 weights, no peer
  NAME=FOLDER,FILE.gguf                   FOLDER for Nereus, FILE.gguf of equal weights for the peer
"""

import argparse
import json
import pathlib
import sys
import tempfile
import time

from programs import ROOT, LlamaCpp, Missing, Nereus, cache_folder, found, need

TEXT = ROOT / "tests/data/wikitext/wiki.test.head.raw"
KNOWN = {"seed": ROOT / "tests/data/seed-q8_0.gguf", "smollm2": cache_folder() / "smollm2.gguf",
         "tinyllama": cache_folder() / "tinyllama.gguf"}
FORMATS = ["q8", "q4-mixed", "q4", "q4+", "q2", "q2+"]
TYPES = ["Q8_0", "Q4_K_M", "Q4_K_M+", "IQ4_XS+", "IQ3_S+", "Q3_K_M", "IQ3_XXS+", "Q2_K", "Q2_K+"]
EXACT_CACHE = ["-ctk", "f32", "-ctv", "f32", "-fa", "off"]  # the reference's cache is not rounded
SOURCES = {  # where each family of formats is described
    "nereus": "src/tensor/panel.h: least squares over scales, int8 activations",
    "nereus+": "https://github.com/ggml-org/llama.cpp/pull/4861",
    "Q8_0": "https://github.com/ggml-org/llama.cpp/blob/master/ggml/src/ggml-quants.c",
    "Q4_0": "https://github.com/ggml-org/llama.cpp/blob/master/ggml/src/ggml-quants.c",
    "K": "https://github.com/ggml-org/llama.cpp/pull/1684",
    "IQ": "https://github.com/ggml-org/llama.cpp/tree/master/tools/quantize",
}


def source_of(kind, name):
    if kind == "nereus":
        return SOURCES["nereus+" if name.endswith("+") else "nereus"]
    name = name.rstrip("+")
    return SOURCES["IQ" if name.startswith("IQ") else "K" if "_K" in name else name]


class Study:
    """One model's rows."""

    def __init__(self, nereus, peer, flags, scratch):
        self.nereus, self.peer, self.flags, self.scratch = nereus, peer, flags, scratch
        self.rows = []
        self.refused = {}  # what a program would not do, in its words
        self.calibration = scratch / "calibration.txt"
        text = TEXT.read_text(encoding="utf-8")
        self.calibration.write_text(text[len(text) // 2:], encoding="utf-8")

    def add(self, kind, name, values):
        row = {"kind": kind, "format": name, "source": source_of(kind, name), **values}
        self.rows.append(row)
        print(f"  {kind:9} {name:9} {row['bits']:6.3f} bits  ppl {row['ppl']:.4f} "
              f"({100 * row['ppl'] / row['ppl_reference'] - 100:+.3f} %)  KL {row['kl_mean']:.3g}",
              file=sys.stderr, flush=True)

    # ---- Nereus

    def reference(self, source):
        """Ids of the windows and the logits of the unrounded weights."""
        flags = self.flags
        self.ids, self.logits = self.scratch / "ids.json", self.scratch / "reference.f32"
        self.nereus("eval", "ppl", source, TEXT, "--context", flags.context, "--windows",
                    flags.windows, "--ids-out", self.ids)
        self.nereus("eval", "logits", source, "--tokens", self.ids, "--out", self.logits,
                    "--context", flags.context)

    def bits(self, model):
        report = self.nereus.json("inspect", model, "--json")
        parts = report["bytes"]["by_part"]
        stored = sum(n for part, n in parts.items() if part != "mtp")
        return 8 * stored / report["parameters"]["total"]

    def nereus_format(self, source, name):
        pack = self.scratch / f"pack-{name}"
        weighed = ["--importance", self.calibration, "--windows", self.flags.calibration] \
            if name.endswith("+") else []
        self.nereus("pack", source, "--format", name.rstrip("+"), "--out", pack, *weighed)
        values = self.nereus.json("eval", "kl", pack, "--reference", self.logits, "--tokens",
                                  self.ids, "--context", self.flags.context, "--json")
        self.add("nereus", name, {"bits": self.bits(pack), **values})
        for file in pack.iterdir():
            file.unlink()
        pack.rmdir()

    # ---- llama.cpp

    def peer_reference(self, gguf):
        flags = self.flags
        self.f32, self.base = self.scratch / "f32.gguf", self.scratch / "peer-base"
        self.peer("llama-quantize", "--allow-requantize", gguf, self.f32, "F32")
        self.peer("llama-perplexity", "-m", self.f32, "-f", TEXT, "-c", flags.context, "--chunks",
                  flags.windows, "-t", flags.threads, "--kl-divergence-base", self.base,
                  *EXACT_CACHE)
        if any(name.endswith("+") for name in flags.types):
            self.peer("llama-imatrix", "-m", self.f32, "-f", self.calibration, "-o",
                      self.scratch / "imatrix", "-c", flags.context, "--chunks",
                      flags.calibration, "-t", flags.threads)

    def peer_type(self, name):
        flags = self.flags
        file = self.scratch / f"{name}.gguf"
        weighed = ["--imatrix", self.scratch / "imatrix"] if name.endswith("+") else []
        out = "\n".join(self.peer("llama-quantize", *weighed, self.f32, file, name.rstrip("+")))
        bits = found(r"quant size\s*=.*\(([\d.]+) BPW\)", out)
        out = "\n".join(self.peer("llama-perplexity", "-m", file, "-c", flags.context, "-t",
                                  flags.threads, "--kl-divergence", "--kl-divergence-base",
                                  self.base, "--chunks", flags.windows))
        file.unlink()
        number = r"\s*:?\s*(-?[\d.]+)"
        self.add("llama.cpp", name, {
            "bits": bits,
            "positions": flags.windows * (flags.context // 2 - 1),
            "kl_mean": found(r"Mean\s+KLD:" + number, out),
            "kl_median": found(r"Median\s+KLD:" + number, out),
            "kl_quantile_999": found(r"99\.9%\s+KLD:" + number, out),
            "kl_max": found(r"Maximum\s+KLD:" + number, out),
            "top1_agreement": found(r"Same top p:" + number, out) / 100,
            "ppl": found(r"Mean PPL\(Q\)" + number, out),
            "ppl_reference": found(r"Mean PPL\(base\)" + number, out)})

    def run(self, source, gguf):
        self.reference(source)
        for name in self.flags.formats:
            self.nereus_format(source, name)
        if gguf and self.flags.types:
            self.peer_reference(gguf)
            for name in self.flags.types:
                try:  # some types need an importance matrix, or rows of 256
                    self.peer_type(name)
                except Missing as reason:
                    self.refused[name] = str(reason)
                    print(f"  llama.cpp {name}: {reason}", file=sys.stderr)
        return {"rows": self.rows, "refused": self.refused}


def model_of(word):
    """(name, Nereus' source, the peer's GGUF or None)."""
    if "=" not in word:
        if word not in KNOWN:
            raise Missing(f"--models {word}: expected one of {', '.join(KNOWN)} or NAME=SOURCE")
        source = need(KNOWN[word], "tools/fetch_real.sh brings it")
        return word, source, source
    name, paths = word.split("=", 1)
    source, _, gguf = paths.partition(",")
    need(source, "the model of --models " + name)
    return name, source, need(gguf, "the peer's file of --models " + name) if gguf else None


def markdown(report):
    lines = []
    for model in report["models"]:
        lines += [f"**{model['name']}**, {report['windows']} windows of {report['context']} "
                  "tokens:", "",
                  "| format | bits | perplexity | change | mean KL | 99.9 % KL | same top-1 |",
                  "| --- | ---: | ---: | ---: | ---: | ---: | ---: |"]
        for row in model["rows"]:
            change = 100 * row["ppl"] / row["ppl_reference"] - 100
            lines.append(f"| {row['kind']} {row['format']} | {row['bits']:.2f} | "
                         f"{row['ppl']:.4f} | "
                         f"{change:+.2f} % | {row['kl_mean']:.2g} | {row['kl_quantile_999']:.2g} | "
                         f"{100 * row['top1_agreement']:.1f} % |")
        lines.append("")
    return "\n".join(lines)


def measure(flags):
    models = [model_of(word) for word in flags.models]
    nereus, peer = Nereus(), LlamaCpp(flags.llama_cpp)
    need(TEXT, "it is part of the repository")
    report = {"command": "quality", "machine": nereus.machine(), "windows": flags.windows,
              "context": flags.context, "text": TEXT.name, "models": []}
    for name, source, gguf in models:
        start = time.time()
        print(name, file=sys.stderr)
        with tempfile.TemporaryDirectory(dir=flags.scratch) as folder:
            study = Study(nereus, peer, flags, pathlib.Path(folder)).run(source, gguf)
        report["models"].append({"name": name, **study, "seconds": time.time() - start})
    return report


def parse():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=list(KNOWN))
    parser.add_argument("--formats", nargs="*", default=FORMATS, help="of nereus pack")
    parser.add_argument("--types", nargs="*", default=TYPES, help="of llama-quantize")
    parser.add_argument("--calibration", type=int, default=32, help="windows that weigh errors")
    parser.add_argument("--llama-cpp", help="folder of llama.cpp's programs")
    parser.add_argument("--windows", type=int, default=8)
    parser.add_argument("--context", type=int, default=512)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--scratch", help="folder for files that are removed again")
    parser.add_argument("--json", help="write the report to this file")
    return parser.parse_args()


def main():
    flags = parse()
    try:
        report = measure(flags)
    except Missing as missing:
        print(f"quality: {missing}", file=sys.stderr)
        return 2
    print(markdown(report))
    if flags.json:
        pathlib.Path(flags.json).write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
