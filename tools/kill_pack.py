#!/usr/bin/env python3
"""Kills `nereus pack` at random moments and compares what comes of it with an undisturbed run.

An undisturbed run is timed first; then the same command is started and killed (SIGKILL) at moments
uniform over that time until it was killed --kills times, and runs to its end. Every file must have
the same bytes. Says the peak resident memory of the undisturbed run and its speed.

usage: kill_pack.py NEREUS MODEL FORMAT [--kills N] [--seed S] [--scratch DIR] [--words ...]
"""

import argparse
import hashlib
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time


def start(words):
    return subprocess.Popen([str(word) for word in words], stdout=subprocess.DEVNULL,
                            stderr=subprocess.PIPE)


def finished(process):
    """(exit code or minus the signal, peak resident bytes, last line of stderr)."""
    said = process.stderr.read().decode(errors="replace").strip().splitlines()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return process.returncode, usage.ru_maxrss * 1024, said[-1] if said else "nothing"


def digests(folder):
    """{name: SHA-256} of every file."""
    found = {}
    for path in sorted(folder.iterdir()):
        digest = hashlib.sha256()
        with open(path, "rb") as file:
            while block := file.read(1 << 22):
                digest.update(block)
        found[path.name] = digest.hexdigest()
    return found


def n_bytes(folder):
    return sum(path.stat().st_size for path in folder.iterdir())


def kill_until(words, folder, kills, seconds, source):
    """Kills runs; (kills, those that left something to go on with, runs that ended before)."""
    killed = resumed = ended = 0
    expected = None
    while killed < kills:
        if ended > 10 * kills:
            raise SystemExit(f"kill_pack: {ended} runs ended before they could be killed")
        process = start(words)
        time.sleep(source.uniform(0, seconds))
        os.kill(process.pid, signal.SIGKILL)  # Popen.kill would take the exit code
        code, _, said = finished(process)
        if code == 0:  # faster than the moment: begin again
            ended += 1
            expected = expected or digests(folder)
            if digests(folder) != expected:
                raise SystemExit("kill_pack: two runs that ended differ")
            shutil.rmtree(folder)
            continue
        if code > 0:
            raise SystemExit(f"kill_pack: run {killed + 1} failed with code {code}: {said}")
        killed += 1
        journal = folder / "pack.partial"
        resumed += journal.exists() and journal.read_text(errors="replace").count("\n") > 1
    return killed, resumed, ended


def measure(flags, scratch):
    whole, folder = scratch / "undisturbed", scratch / "killed"
    words = [flags.nereus, "pack", flags.model, "--format", flags.format, *flags.words, "--out"]
    began = time.monotonic()
    code, peak, said = finished(start([*words, whole]))
    seconds = time.monotonic() - began
    if code != 0:
        raise SystemExit(f"kill_pack: the undisturbed run failed with code {code}: {said}")
    expected, size = digests(whole), n_bytes(whole)
    shutil.rmtree(whole)
    killed, resumed, ended = kill_until([*words, folder], folder, flags.kills, seconds,
                                        random.Random(flags.seed))
    code, _, said = finished(start([*words, folder]))
    if code != 0:
        raise SystemExit(f"kill_pack: the last run failed with code {code}: {said}")
    if digests(folder) != expected:
        raise SystemExit(f"kill_pack: after {killed} kills the bytes differ: "
                         f"{sorted(set(digests(folder).items()) ^ set(expected.items()))}")
    print(f"{killed} kills ({resumed} left finished blobs), {ended} runs ended in time: the same "
          f"{len(expected)} files. Undisturbed: {size / 1e6:.1f} MB in {seconds:.2f} s, "
          f"{size / 1e6 / seconds:.1f} MB/s, peak {peak / 1e6:.0f} MB resident")


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("nereus")
    parser.add_argument("model")
    parser.add_argument("format")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--scratch", help="folder for packs that are removed again")
    parser.add_argument("--words", nargs="*", default=[], help="further words of nereus pack")
    flags = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=flags.scratch) as folder:
        measure(flags, pathlib.Path(folder))
    return 0


if __name__ == "__main__":
    sys.exit(main())
