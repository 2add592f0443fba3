#!/usr/bin/env python3
"""Writes the tables and the roofline plot of docs/performance.md from docs/measurements/*.json.

Each file there is what nereus_bench (--json), peers.py or quality.py (--json OUT) wrote; its name
is the name of its table. The text of docs/performance.md stays; what lies between
<!-- begin NAME --> and <!-- end NAME --> is replaced; a table without a place goes to the end.

usage: report.py [--check]      --check: writes nothing; exit 1 where a file is not up to date
"""

import argparse
import json
import math
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs/performance.md"
DATA = ROOT / "docs/measurements"
PLOT = ROOT / "docs/measurements/roofline.svg"
QUIET = 0.2  # other tasks that wanted a core: above it, they took part of the machine


def machine_line(machine):
    """Where and on what a table was measured, and how quiet it was."""
    others = machine["others_running"]
    quiet = "" if others <= QUIET else \
        f" **Not quiet: {others:.1f} other tasks were running when it began.**"
    flags = ", ".join(flag for flag in machine["flags"] if flag.startswith(("amx", "avx")))
    return (f"{machine['cpu']}, {machine['cores']} cores ({flags}), commit "
            f"{machine['commit']}.{quiet}")


def rows_table(head, align, rows):
    lines = ["| " + " | ".join(head) + " |", "| " + " | ".join(align) + " |"]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def right(n, left=1):
    return ["---"] * left + ["---:"] * n


def percent(share):
    return f"{100 * share:.0f} %"


def roof_table(report):
    reads = [[f"read, {row['threads']} threads", f"{row['gb_per_second']:.1f} GB/s",
              f"{row['median']:.1f}", ""] for row in report["read"]]
    adds = [[f"{row['number']}, {row['threads']} threads, {row['instruction']}",
             f"{row['l2_gop']:.0f} Gmadd/s", f"{row['l2_gop_median']:.0f}",
             f"{row['registers_gop']:.0f}"] for row in report["multiply_adds"]]
    return rows_table(["", "best", "median", "on registers"], right(3), reads + adds)


def ops_table(report):
    rows = []
    for case in report["cases"]:
        work = case["gop_per_second"]
        rows.append([f"`{case['name']}`", f"{case['seconds'] * 1e6:.1f} us",
                     f"{case['gb_per_second']:.1f} GB/s", percent(case["share_of_bandwidth"]),
                     f"{work:.1f} Gmadd/s" if work else "",
                     f"{percent(case['share_of_peak'])} of {case['number']}" if work else ""])
    head = ["verb", "median", "bytes", "of the reads", "work", "of the peak"]
    return f"{report['threads']} threads, table {report['isa']}.\n\n" + \
        rows_table(head, right(5), rows)


def model_table(report):
    rows = []
    for row in report["rows"]:
        decode, prefill = row["decode"], row["prefill"]
        step = (row["weight_bytes_per_step"] + row["cache_bytes_per_step"]) / 1e9
        rows.append([f"{row['context']}", f"{row['sequences']}",
                     f"{decode['tokens_per_second']:.2f} ({decode['low']:.2f} to "
                     f"{decode['high']:.2f})", f"{step:.3f} GB", f"{row['gb_per_second']:.1f} GB/s",
                     percent(row["share_of_bandwidth"]),
                     f"{prefill['tokens_per_second']:.1f}", percent(row["share_of_int8"])])
    head = ["context", "sequences", "decode tokens/s", "a step reads", "rate", "of the reads",
            "prefill tokens/s", "of int8"]
    first = report["rows"][0]
    return (f"{pathlib.Path(report['model']).name}, {first['threads']} threads, table "
            f"{first['isa']}; medians of {first['repeat']}.\n\n" +
            rows_table(head, right(8, 0), rows))


def peers_table(report):
    rows = []
    for case in report["cases"]:
        cells = [f"{case[who]['median']:.2f} ({case[who]['low']:.2f} to {case[who]['high']:.2f})"
                 for who in ("nereus", "llama.cpp")]
        share = percent(case["share_of_bandwidth"]) + " of the reads" \
            if "share_of_bandwidth" in case else percent(case["share_of_int8"]) + " of int8"
        rows.append([f"{case['what']} {case['tokens']}, {case['threads']} threads, context "
                     f"{case['context']}", *cells, f"{case['ratio']:.2f}", share])
    peer = report["llama.cpp"]
    runs = len(report["cases"][0]["nereus"]["runs"])
    return (f"{pathlib.Path(report['nereus']).name} beside llama.cpp {peer['build']} "
            f"({peer['model']}); {runs} alternating runs, median (lowest to highest).\n\n" +
            rows_table(["", "Nereus tokens/s", "llama.cpp tokens/s", "ratio", "Nereus"], right(4),
                       rows))


def quality_table(report):
    parts = []
    for model in report["models"]:
        rows = []
        for row in sorted(model["rows"], key=lambda r: -r["bits"]):
            rows.append([f"[{row['kind']} {row['format']}]({row['source']})"
                         if row["source"].startswith("http") else f"{row['kind']} {row['format']}",
                         f"{row['bits']:.2f}", f"{row['ppl']:.4f}",
                         f"{100 * row['ppl'] / row['ppl_reference'] - 100:+.2f} %",
                         f"{row['kl_mean']:.2g}", f"{row['kl_quantile_999']:.2g}",
                         f"{100 * row['top1_agreement']:.1f} %"])
        head = ["format", "bits", "perplexity", "change", "mean KL", "99.9 % KL", "same top-1"]
        parts.append(f"{model['name']}, WikiText-2 test, {report['windows']} windows of "
                     f"{report['context']} tokens:\n\n" + rows_table(head, right(6), rows))
    return "\n\n".join(parts)


def cache_table(report):
    parts = []
    head = ["policy"] + [f"{100 * share:.0f} %" for share in report["shares"]]
    for trace in report["traces"]:
        rows = []
        for row in trace["rows"]:
            name = row["policy"] + (" (default)" if row["policy"] == report["default"] else "")
            rows.append([name] + [f"{100 * rate:.1f}" for rate in row["hit_rates"]])
        parts.append(f"{trace['trace']}: {trace['tokens']} tokens in {trace['sequences']} "
                     "sequences\n\n" + rows_table(head, right(len(report["shares"])), rows))
    return "\n\n".join(parts)


def plan_table(report):
    rows = []
    for case in report["cases"]:
        cells = [case["name"], case["limit"]]
        for what in ("decode", "prefill"):
            one = case[what]
            cells += [f"{one['predicted']:.2f}", f"{one['measured']:.2f}",
                      f"{100 * one['ratio'] - 100:+.0f} %"]
        rows.append(cells)
    head = ["model", "limit", "decode forecast", "measured", "off", "prefill forecast", "measured",
            "off"]
    return (f"Prompt of {report['prompt']}, answer of {report['generate']} tokens; tokens/s. "
            f"{report['right']} of {len(report['cases'])} have both within "
            f"{100 * report['within']:.0f} %.\n\n" + rows_table(head, right(6, 2), rows))


TABLES = {"cache": cache_table, "plan": plan_table, "roof": roof_table, "ops": ops_table, "model": model_table, "peers": peers_table,
          "quality": quality_table}


def block(report):
    """A table with its machine and commit."""
    return machine_line(report["machine"]) + "\n\n" + TABLES[report["command"]](report)


def with_block(page, name, text):
    """The page with the table in its place, or at the end."""
    begin, end = f"<!-- begin {name} -->", f"<!-- end {name} -->"
    whole = f"{begin}\n{text}\n{end}"
    pattern = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.S)
    if pattern.search(page):
        return pattern.sub(lambda _: whole, page)
    return f"{page.rstrip()}\n\n{whole}\n"


# ---- the plot

WIDTH, HEIGHT, LEFT, TOP, BOTTOM = 760, 440, 70, 30, 50
COLOURS = {"int8": "#1f77b4", "f32": "#d62728", "bf16": "#2ca02c"}


class Axes:
    """Logarithmic axes from values to pixels."""

    def __init__(self, x_range, y_range):
        self.x_range, self.y_range = x_range, y_range

    @staticmethod
    def share(value, limits):
        low, high = (math.log10(limit) for limit in limits)
        return (math.log10(value) - low) / (high - low)

    def x(self, value):
        return LEFT + self.share(value, self.x_range) * (WIDTH - LEFT - 20)

    def y(self, value):
        return HEIGHT - BOTTOM - self.share(value, self.y_range) * (HEIGHT - TOP - BOTTOM)

    def ticks(self):
        parts = []
        for exponent in range(-1, 5):
            value = 10.0 ** exponent
            if self.x_range[0] <= value <= self.x_range[1]:
                parts.append(text(self.x(value), HEIGHT - BOTTOM + 18, f"{value:g}", "middle"))
            if self.y_range[0] <= value <= self.y_range[1]:
                parts.append(text(LEFT - 8, self.y(value) + 4, f"{value:g}", "end"))
        return parts


def text(x, y, words, anchor="start", colour="#333"):
    return (f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}" '
            f'font-family="sans-serif" font-size="12">{words}</text>')


def line(axes, points, colour):
    path = " ".join(f"{axes.x(x):.1f},{axes.y(y):.1f}" for x, y in points)
    return f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.5"/>'


def roofline(report):
    """Multiply-adds a second over multiply-adds a byte: the roof's lines, a point a product."""
    threads = report["threads"]
    reads = max(row["gb_per_second"] for row in report["roof"]["read"])
    axes = Axes((0.2, 2000), (3, 3000))
    parts = axes.ticks()
    for number in ("int8", "bf16", "f32"):
        peak = max((row["l2_gop"] for row in report["roof"]["multiply_adds"]
                    if row["number"] == number), default=0)
        if peak:
            bend = peak / reads
            parts.append(line(axes, [(0.2, 0.2 * reads), (bend, peak), (2000, peak)],
                              COLOURS[number]))
            parts.append(text(WIDTH - 24, axes.y(peak) - 6, f"{number} {peak:.0f}", "end",
                              COLOURS[number]))
    for case in report["cases"]:
        if case["gop_per_second"] < 3 or case["gb_per_second"] == 0:
            continue
        x = min(max(case["gop_per_second"] / case["gb_per_second"], 0.2), 2000)
        parts.append(f'<circle cx="{axes.x(x):.1f}" cy="{axes.y(case["gop_per_second"]):.1f}" '
                     f'r="3.5" fill="{COLOURS[case["number"]]}" fill-opacity="0.7">'
                     f'<title>{case["name"]}</title></circle>')
    parts.append(text(WIDTH / 2, HEIGHT - 10, "multiply-adds a byte of weights", "middle"))
    parts.append(text(LEFT, TOP - 12, f"Gmadd/s, {threads} threads; reads {reads:.0f} GB/s; "
                      f"{report['machine']['cpu']}, commit {report['machine']['commit']}"))
    body = "\n".join(parts)
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" '
            f'viewBox="0 0 {WIDTH} {HEIGHT}">\n<rect width="100%" height="100%" fill="white"/>\n'
            f'{body}\n</svg>\n')


def outputs():
    """{path: text} of everything this script writes."""
    page = PAGE.read_text(encoding="utf-8")
    written = {}
    for path in sorted(DATA.glob("*.json")):
        report = json.loads(path.read_text(encoding="utf-8"))
        page = with_block(page, path.stem, block(report))
        if report["command"] == "ops":
            written[PLOT] = roofline(report)
    written[PAGE] = page
    return written


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    stale = [(path, new) for path, new in outputs().items()
             if not path.exists() or path.read_text(encoding="utf-8") != new]
    for path, new in stale:
        print(f"{path.relative_to(ROOT)}: {'not up to date' if check else 'written'}")
        if not check:
            path.write_text(new, encoding="utf-8")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
