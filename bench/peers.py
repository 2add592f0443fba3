#!/usr/bin/env python3
"""Nereus beside llama.cpp on the same shape: alternating runs, medians, ratios.

Decode: --generate tokens with --context tokens cached. Prefill: --prompt tokens, same context. Each
program has the same number of threads; a run of one is followed by a run of the other, so that what
else the machine does falls on both. The machine's roof is measured before and after.

usage: peers.py --nereus MODEL --gguf FILE [options]
  peers.py --nereus ~/.cache/nereus/tinyllama.gguf --gguf ~/.cache/nereus/tinyllama.gguf
"""

import argparse
import json
import sys

from programs import LlamaCpp, Missing, Nereus, need, spread


def nereus_case(nereus, flags, threads, what, context):
    """Tokens a second of one run."""
    prompt, generate = (flags.prompt, 1) if what == "prefill" else (1, flags.generate)
    words = ["bench", flags.nereus, "--threads", threads, "--prompt", prompt, "--generate",
             generate, "--repeat", flags.repeat, "--json", "--chunk", flags.chunk]
    if context:
        words += ["--context", context]
    if flags.isa:
        words += ["--isa", flags.isa]
    return nereus.json(*words)


def llama_words(flags, threads, what, context):
    """llama-bench's words for the same case."""
    tokens = ["-p", flags.prompt, "-n", 0] if what == "prefill" else ["-p", 0, "-n",
                                                                     flags.generate]
    return [*tokens, "-t", threads, "-d", context, "-r", flags.repeat, "-ub", flags.chunk]


def compare(nereus, peer, flags, threads, what, context):
    ours, theirs, answer = [], [], {}
    for run in range(flags.runs):
        answer = nereus_case(nereus, flags, threads, what, context)
        ours.append(answer[what]["tokens_per_second"])
        rows = peer.bench(flags.gguf, *llama_words(flags, threads, what, context))
        theirs.append(rows[0]["avg_ts"])
        print(f"  {what}, {threads} threads, context {context}, run {run + 1}: Nereus "
              f"{ours[-1]:.2f}, llama.cpp {theirs[-1]:.2f} tokens/s", file=sys.stderr, flush=True)
    tokens = flags.prompt if what == "prefill" else flags.generate
    case = {"what": what, "tokens": tokens, "threads": threads, "context": context,
            "nereus": spread(ours), "llama.cpp": spread(theirs)}
    case["ratio"] = case["nereus"]["median"] / case["llama.cpp"]["median"]
    if what == "decode":
        step = answer["weight_bytes_per_step"] + answer["cache_bytes_per_step"]
        case["nereus_gb_per_second"] = step * case["nereus"]["median"] / 1e9
    else:
        case["nereus_gop_per_second"] = (answer["prefill"]["multiply_adds_per_token"] *
                                         case["nereus"]["median"] / 1e9)
    return case, rows[0]


def best_read(roof, threads):
    return max(row["gb_per_second"] for row in roof["read"] if row["threads"] == threads)


def best_int8(roof, threads):
    return max((row["l2_gop"] for row in roof["multiply_adds"]
                if row["threads"] == threads and row["number"] == "int8"), default=0)


def add_shares(report, before, after):
    """Every case's share of the better of the two measured roofs."""
    for case in report["cases"]:
        threads = case["threads"]
        if case["what"] == "decode":
            roof = max(best_read(before, threads), best_read(after, threads))
            case["share_of_bandwidth"] = case["nereus_gb_per_second"] / roof
        else:
            roof = max(best_int8(before, threads), best_int8(after, threads))
            case["share_of_int8"] = case["nereus_gop_per_second"] / roof if roof else 0


def table(report):
    lines = [f"{report['machine']['cpu']}, commit {report['machine']['commit']}, llama.cpp "
             f"{report['llama.cpp']['build']} ({report['llama.cpp']['model']})",
             f"{'':34}{'Nereus':>22}{'llama.cpp':>22}{'ratio':>8}{'of roof':>9}"]
    for case in report["cases"]:
        name = (f"{case['what']} {case['tokens']}, {case['threads']} threads, context "
                f"{case['context']}")
        cells = [f"{case[who]['median']:.2f} ({case[who]['low']:.1f}-{case[who]['high']:.1f})"
                 for who in ("nereus", "llama.cpp")]
        share = case.get("share_of_bandwidth", case.get("share_of_int8", 0))
        lines.append(f"{name:34}{cells[0]:>22}{cells[1]:>22}{case['ratio']:8.2f}"
                     f"{100 * share:8.0f}%")
    return "\n".join(lines)


def measure(flags):
    need(flags.nereus, "name a model folder, a pack or a GGUF with --nereus")
    need(flags.gguf, "name the peer's GGUF with --gguf (nereus synth --format gguf-q4_k_m)")
    nereus, peer = Nereus(), LlamaCpp(flags.llama_cpp)
    before = nereus.roof(max(flags.threads))
    report = {"command": "peers", "machine": before["machine"], "nereus": flags.nereus,
              "repeat": flags.repeat, "cases": []}
    for threads in flags.threads:
        for context in flags.contexts:
            for what in flags.what:
                case, row = compare(nereus, peer, flags, threads, what, context)
                report["cases"].append(case)
    report["llama.cpp"] = {"build": f"b{row['build_number']}", "model": row["model_type"]}
    after = nereus.roof(max(flags.threads))
    report["roof"] = {"before": before["read"], "after": after["read"],
                      "multiply_adds": after["multiply_adds"]}
    report["load_after"] = after["machine"]["load"]
    add_shares(report, before, after)
    return report


def parse():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nereus", required=True, help="model folder, pack or GGUF of Nereus")
    parser.add_argument("--gguf", required=True, help="llama.cpp's file of the same shape")
    parser.add_argument("--llama-cpp", help="folder of llama.cpp's programs")
    parser.add_argument("--runs", type=int, default=5, help="alternating runs (default 5)")
    parser.add_argument("--repeat", type=int, default=1, help="repetitions in a run (default 1)")
    parser.add_argument("--threads", type=int, nargs="+", default=[2])
    parser.add_argument("--contexts", type=int, nargs="+", default=[0])
    parser.add_argument("--prompt", type=int, default=512)
    parser.add_argument("--generate", type=int, default=32)
    parser.add_argument("--chunk", type=int, default=512, help="tokens of one prefill pass")
    parser.add_argument("--isa", help="Nereus' kernel table")
    parser.add_argument("--what", nargs="+", default=["decode", "prefill"],
                        choices=["decode", "prefill"])
    parser.add_argument("--json", help="write the report to this file")
    return parser.parse_args()


def main():
    flags = parse()
    try:
        report = measure(flags)
    except Missing as missing:
        print(f"peers: {missing}", file=sys.stderr)
        return 2
    print(table(report))
    if flags.json:
        with open(flags.json, "w", encoding="utf-8") as file:
            json.dump(report, file, indent=1)
    return 0


if __name__ == "__main__":
    sys.exit(main())
