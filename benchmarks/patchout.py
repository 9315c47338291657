"""A training step of PaSST-S with and without patchout: earmark and hear21passt in turn, as Markdown.

    python -m venv bench && bench/bin/pip install .          # earmark with its torch, in a place of its own
    bench/bin/pip install --no-deps hear21passt==0.0.26 torchaudio==2.11.0
    bench/bin/python benchmarks/patchout.py [--rounds 5] [--clips 2] [--threads 1] [--json FILE]
    bench/bin/python benchmarks/patchout.py --rounds 1 --take "published none" "earmark 40/4 bf16"

A step is forward, binary cross-entropy, backward and AdamW on clips of 10 s, 128 bands x 998 frames, from
identical random weights; both sides meet the same sound and leave out the same patches, so that their losses
can be compared.  Patchout is none, 40 columns and 4 rows (`40/4`), or 400 single patches (`400`); `bf16` is
autocast.  Each side is a process of its own that lives through the whole run, and every round asks for each
step once, so that what else the machine does meets all alike; ratios are medians of ratios within a round.
hear21passt steps as its users' code does, with torch's default AdamW; earmark with its trainer's network and
optimizer, and with the allocator settings of its command line.

What is saved for backward is counted by a hook, each piece of memory once and parameters left out, in one
more step of each kind in a fresh process, whose peak resident memory stands beside it.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from table import Missing, Rows, paired, version

from inference import WORKER as MAKER
from inference import Contestant, common

WORKER = Path(__file__).parent / "training_contestants.py"
FIRST = "published none"
TAKEN = [f"{side} {patchout}" for side in ("published", "earmark") for patchout in ("none", "40/4", "400")]
Answers = dict[str, list[dict[str, Any]]]


def question(name: str) -> tuple[str, str]:
    """Whom to ask, and for what: `earmark 40/4 bf16` is earmark's `40/4 bf16`."""
    side, patchout, *precision = name.split()
    return side, f"{patchout} {precision[0] if precision else 'fp32'}"


def race(sides: dict[str, Contestant], names: list[str], clips: int, rounds: int) -> Answers:
    """Every step once in each round, in turn; one more of each side before, to warm up."""
    for side in sides.values():
        side.ask("40/4 fp32", clips)
    answers: Answers = {name: [] for name in names}
    for number in range(rounds):
        for name in names:
            side, do = question(name)
            answers[name].append(sides[side].ask(do, clips) | {"load": os.getloadavg()[0]})
        told = ", ".join(f"{name} {runs[-1]['cpu']:.1f}" for name, runs in answers.items())
        print(f"round {number + 1} of {rounds}, load {os.getloadavg()[0]:.1f}: {told}", file=sys.stderr)
    return answers


def memory(names: list[str], folder: Path, clips: int, threads: int) -> dict[str, dict[str, Any]]:
    """What a step keeps for backward and at most, each in a process of its own."""
    found: dict[str, dict[str, Any]] = {}
    for name in names:
        side, do = question(name)
        contestant = Contestant(side, folder, threads, WORKER)
        found[name] = contestant.ask(f"{do} saved", clips)
        contestant.end()
        print(f"{name}: {found[name]['saved_mb']:.0f} MB saved for each clip", file=sys.stderr)
    return found


def times_as_fast(answers: Answers, first: str, name: str) -> list[float]:
    """The ratios within the rounds."""
    return [a["cpu"] / b["cpu"] for a, b in zip(answers[first], answers[name], strict=True)]


def ratio(answers: Answers, first: str, name: str) -> str:
    """Median, least and most of the ratios within the rounds."""
    if first not in answers:
        return ""
    ratios = times_as_fast(answers, first, name)
    return f"{statistics.median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f})"


def table(answers: Answers, kept: dict[str, dict[str, Any]]) -> str:
    """One row for each kind of step."""
    lines = [
        "| a step | core s | forward, backward, optimizer | x published none | x own none | page faults | "
        "saved MB a clip | of published | peak MB |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, runs in answers.items():
        middle = {key: statistics.median(run[key] for run in runs) for key in runs[0]}
        parts = ", ".join(f"{middle[part]:.2f}" for part in ("forward", "backward", "optimizer"))
        cells = [name, f"{middle['cpu']:.2f}", parts, ratio(answers, FIRST, name)]
        cells += [ratio(answers, f"{question(name)[0]} none", name), f"{middle['faults']:,.0f}"]
        if name in kept:
            share = f"{kept[name]['saved_mb'] / kept[FIRST]['saved_mb']:.3f}" if FIRST in kept else ""
            cells += [f"{kept[name]['saved_mb']:.0f}", share, f"{kept[name]['peak_mb']:.0f}"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def largest_difference(answers: Answers) -> float:
    """How far the losses of the two sides are from each other, over all steps of the same kind."""
    gaps = [
        abs(a["loss"] - b["loss"])
        for name, runs in answers.items()
        if name.startswith("earmark") and (peer := name.replace("earmark", "published")) in answers
        for a, b in zip(answers[peer], runs, strict=True)
    ]
    return max(gaps, default=float("nan"))


def rows(peers: Path, rounds: int = 2) -> Rows:
    """A training step of one clip, with and without patchout; each side's as it is published."""
    names = {"none": "training step of PaSST-S, a clip of 10 s", "40/4": "the same with patchout 40/4"}
    if (released := version("hear21passt", peers)) is None:
        return [Missing(name, "hear21passt not installed") for name in names.values()]
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        common(folder, peers)
        sides = {
            "published": Contestant("published", folder, 1, WORKER, peers),
            "earmark": Contestant("earmark", folder, 1, WORKER),
        }
        answers = race(sides, [f"{side} {how}" for how in names for side in sides], 1, rounds)
        for side in sides.values():
            side.end()
    found: Rows = []
    for how, name in names.items():
        ours, theirs = ([run["cpu"] for run in answers[f"{side} {how}"]] for side in ("earmark", "published"))
        losses = zip(answers[f"earmark {how}"], answers[f"published {how}"], strict=True)
        note = f"largest difference of a loss {max(abs(a['loss'] - b['loss']) for a, b in losses):.1g}"
        found.append(paired(name, "core s", ours, theirs, f"hear21passt {released}", note))
    return found


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--clips", type=int, default=2)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--take", nargs="+", default=TAKEN, help="which steps; the first one's ratios are 1")
    parser.add_argument("--no-memory", action="store_true", help="leave the steps out that count memory")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        subprocess.run([sys.executable, MAKER, "make", folder, str(given.seed)], check=True)
        kept = {} if given.no_memory else memory(given.take, folder, given.clips, given.threads)
        names = sorted({question(name)[0] for name in given.take}, reverse=True)
        sides = {name: Contestant(name, folder, given.threads, WORKER) for name in names}
        answers = race(sides, given.take, given.clips, given.rounds)
        for side in sides.values():
            side.end()
    loads = [run["load"] for runs in answers.values() for run in runs]
    print(f"load average {min(loads):.1f} to {max(loads):.1f} on {os.cpu_count()} cores;", end=" ")
    print(
        f"{given.rounds} rounds, batch {given.clips}, {given.threads} thread(s), seed {given.seed};", end=" "
    )
    print(f"largest difference of the sides' losses {largest_difference(answers):.1g}\n")
    print(table(answers, kept))
    if given.json is not None:
        given.json.write_text(json.dumps({"answers": answers, "memory": kept}, indent=2))


if __name__ == "__main__":
    main()
