#!/usr/bin/env python3
"""How right `nereus plan` is: what it forecasts beside what `nereus bench` measures.

Each case is a model (made by `nereus synth` where it is not a file) and a budget. The machine is
measured once by `nereus doctor`; every case is forecast before it is run. A case is right when decode
and prefill are both within 15 %.

usage: plan_score.py [--models FOLDER] [--case NAME ...] [--json OUT]
  models go to FOLDER (default build/plan-score), are kept there and made once
"""

import argparse
import json
import pathlib
import sys

from programs import Missing, Nereus, cache_folder, need

ROOT = pathlib.Path(__file__).resolve().parent.parent
CONFIGS = ROOT / "models/configs"
PROMPT, GENERATE = 128, 32
WITHIN = 0.15

# name, configuration (or a file), format, layers (0: all), budget ("": as much as there is)
CASES = [
    ("V2-Lite q4", "v2-lite", "q4", 0, ""),
    ("V2-Lite q2", "v2-lite", "q2", 0, ""),
    ("V2-Lite q8, 14 layers", "v2-lite", "q8", 14, ""),
    ("V2-Lite fp8, 10 layers", "v2-lite", "fp8", 10, ""),
    ("R1 q2, 4 layers", "r1", "q2", 4, ""),
    ("Llama 8B q4, 12 layers", "r1-distill-llama-8b", "q4", 12, ""),
    ("Qwen 1.5B q8", "r1-distill-qwen-1.5b", "q8", 0, ""),
    ("Qwen 7B q4, 10 layers", "r1-distill-qwen-7b", "q4", 10, ""),
    ("nereus-seed", ROOT / "models/nereus-seed", "", 0, ""),
    ("TinyLlama IQ2_XXS", "tinyllama.gguf", "", 0, ""),
    ("V2-Lite q4, 7 GB", "v2-lite", "q4", 0, "7G"),
    ("V2-Lite q4, 6 GB", "v2-lite", "q4", 0, "6G"),
    ("V2-Lite q4, 4 GB", "v2-lite", "q4", 0, "4G"),
]


def model_of(nereus, case, folder):
    """The path of a case's model, made where it is not there yet."""
    _, source, form, layers, _ = case
    if not form:
        path = pathlib.Path(source)
        path = path if path.is_absolute() else cache_folder() / source
        return need(path, "tools/fetch_real.sh brings it")
    path = folder / f"{source}-{form}-{layers}"
    if not path.exists():
        words = ["synth", CONFIGS / f"{source}.json", "--format", form, "--out", path]
        print(f"making {path.name}", file=sys.stderr, flush=True)
        nereus(*words, *(["--layers", layers] if layers else []))
    return path


def forecast_of(nereus, model, budget):
    """Decode and prefill of the one row of the plan that is asked for."""
    plan = nereus.json("plan", model, "--prompt", PROMPT, "--generate", GENERATE, "--context",
                       PROMPT + GENERATE, "--memory", budget or "1000G", "--json")
    return plan["formats"][0]["rows"][0]


def score(predicted, measured):
    """A measurement beside its forecast; right within 15 % of the measurement."""
    ratio = predicted / measured["tokens_per_second"]
    return {"predicted": predicted, "measured": measured["tokens_per_second"],
            "low": measured["low"], "high": measured["high"], "ratio": ratio,
            "right": abs(ratio - 1) <= WITHIN}


def run_case(nereus, case, flags):
    model = model_of(nereus, case, flags.models)
    row = forecast_of(nereus, model, case[4])
    words = ["bench", model, "--prompt", PROMPT, "--generate", GENERATE, "--repeat", flags.repeat,
             "--json"]
    if case[4]:
        words += ["--memory", case[4]]
        if flags.routing:
            words += ["--routing", flags.routing]
    done = nereus.json(*words)
    result = {"name": case[0], "limit": row["limit"],
              "decode": score(row["decode_tokens_per_second"], done["decode"]),
              "prefill": score(row["prefill_tokens_per_second"], done["prefill"])}
    for what in ("decode", "prefill"):
        print(f"  {case[0]}: {what} forecast {result[what]['predicted']:.2f}, measured "
              f"{result[what]['measured']:.2f} tokens/s", file=sys.stderr, flush=True)
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=pathlib.Path, default=ROOT / "build/plan-score")
    parser.add_argument("--case", action="append", default=[], help="only names with this in them")
    parser.add_argument("--routing", help="a trace that chooses the experts of streamed cases")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--json", type=pathlib.Path)
    flags = parser.parse_args()
    try:
        nereus = Nereus()
        flags.models.mkdir(parents=True, exist_ok=True)
        machine = nereus.machine()
        nereus("doctor", flags.models)
        chosen = [case for case in CASES
                  if not flags.case or any(word in case[0] for word in flags.case)]
        cases = [run_case(nereus, case, flags) for case in chosen]
    except Missing as missing:
        sys.exit(f"plan_score.py: {missing}")
    right = sum(case["decode"]["right"] and case["prefill"]["right"] for case in cases)
    print(f"{right} of {len(cases)} within {100 * WITHIN:.0f} %")
    if flags.json:
        report = {"command": "plan", "machine": machine, "prompt": PROMPT, "generate": GENERATE,
                  "within": WITHIN, "right": right, "cases": cases}
        flags.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
