"""Runs the programs that are compared: Nereus' two, and llama.cpp's from the folder that
tools/fetch_real.sh fills. Missing files end in one sentence (class Missing)."""

import json
import os
import pathlib
import re
import statistics
import subprocess

ROOT = pathlib.Path(__file__).resolve().parent.parent


class Missing(Exception):
    """Something that is needed is not there, or a program failed; the text says what to do."""


def cache_folder():
    cache = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    return pathlib.Path(cache) / "nereus"


def need(path, what_to_do):
    path = pathlib.Path(path)
    if not path.exists():
        raise Missing(f"{path} is missing: {what_to_do}")
    return path


def run(command, environment=None):
    """stdout, stderr of a program that must succeed."""
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True,
                          errors="replace", env=environment, check=False)
    if done.returncode != 0:
        lines = (done.stderr.strip() or done.stdout.strip() or "no message").splitlines()
        raise Missing(f"{pathlib.Path(command[0]).name} failed with code {done.returncode}: "
                      f"{lines[-1]}")
    return done.stdout, done.stderr


class Nereus:
    """build/release: nereus, and nereus_bench for the machine and its roof."""

    def __init__(self, build=ROOT / "build/release"):
        how = f"cmake --preset release && ninja -C {build} nereus nereus_bench"
        self.program = need(build / "nereus", how)
        self.bench_program = need(build / "bench/nereus_bench", how)

    def __call__(self, *words):
        return run([self.program, *words])[0]

    def json(self, *words):
        return json.loads(self(*words))

    def machine(self):
        """Processor, cores, flags, load, commit."""
        return json.loads(run([self.bench_program, "machine"])[0])

    def roof(self, threads):
        return json.loads(run([self.bench_program, "roof", "--threads", threads, "--json"])[0])


class LlamaCpp:
    """llama.cpp's programs."""

    FETCH = "tools/fetch_real.sh brings it"

    def __init__(self, folder=None):
        self.folder = need(folder or cache_folder() / "llama.cpp", self.FETCH)
        self.environment = dict(os.environ, LD_LIBRARY_PATH=str(self.folder))

    def __call__(self, program, *words):
        return run([need(self.folder / program, self.FETCH), *words], self.environment)

    def bench(self, gguf, *words):
        """The rows of llama-bench."""
        out, _ = self("llama-bench", "-m", gguf, "-o", "json", *words)
        return json.loads(out[out.index("["):out.rindex("]") + 1])


def spread(values):
    """Median, lowest and highest of runs."""
    return {"median": statistics.median(values), "low": min(values), "high": max(values),
            "runs": list(values)}


def found(pattern, text):
    """The first group of a pattern as a number."""
    match = re.search(pattern, text)
    if not match:
        raise Missing(f"the output of the peer has no {pattern!r}: another version?")
    return float(match.group(1))
