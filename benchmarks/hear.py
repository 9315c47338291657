"""HEAR embeddings of PaSST-S with identical random weights: earmark's modules and hear21passt in turn.

    python -m venv bench && bench/bin/pip install .          # earmark with its torch, in a place of its own
    bench/bin/pip install --no-deps hear21passt==0.0.26 torchaudio==2.11.0
    bench/bin/python benchmarks/hear.py [--seconds 10 60] [--rounds 3 1] [--scene-minutes 20] [--json FILE]
    bench/bin/python benchmarks/hear.py --long               # memory of files of 10 minutes and 2 hours

Each contestant is a process of its own that lives through the whole run; a round asks each of them once, and
ratios are medians of ratios within a round.  On a processor both compute scenes of long audio window by
window, so their time is that of `--scene-part` seconds, times as many windows as the whole has.  Memory is
the peak of a process of its own for each line; there the network hears the first windows only, in all alike,
as the rest would take an hour and no more memory.  Values are compared at each tenth point in time.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from itertools import chain
from pathlib import Path
from typing import Any

from table import Missing, Rows, paired, version

from inference import Contestant, common, race

WORKER = Path(__file__).parent / "hear_contestants.py"
FIRST = "published"
HOP, CLIP, RATE = 2.5, 10, 32000
"""Seconds between the windows of a scene, and of a window; Hz."""


def names(precisions: list[str]) -> list[str]:
    """Who takes part."""
    return [FIRST, *(f"earmark {precision}" for precision in precisions)]


def windows(seconds: float) -> int:
    """Of a scene."""
    return int(seconds / HOP) + 1


def summarized(results: dict[str, list[dict[str, Any]]]) -> dict[str, dict[str, float]]:
    """Medians, ratios within each round, and how far the values are from hear21passt's."""
    table: dict[str, dict[str, float]] = {}
    theirs = results[FIRST]
    for name, own in results.items():
        ratios = [a["cpu"] / b["cpu"] for a, b in zip(theirs, own, strict=True)]
        values, wanted = (list(chain.from_iterable(some[0]["given"])) for some in (own, theirs))
        differences = [abs(a - b) for a, b in zip(values, wanted, strict=True)]
        table[name] = {
            "cpu": statistics.median(run["cpu"] for run in own),
            "ratio": statistics.median(ratios),
            "off": max(differences),
            "largest": max(map(abs, wanted)),
        }
    return table


def show(title: str, table: dict[str, dict[str, float]], share: float = 1.0) -> None:
    """Print one table."""
    sys.stdout.flush()
    print(f"\n{title}")
    print(f"{'':16} {'core s':>9} {'x':>6} {'max |d|':>9} of {table[FIRST]['largest']:.2f}")
    for name, row in table.items():
        print(f"{name:16} {row['cpu'] * share:9.2f} {row['ratio']:6.2f} {row['off']:9.2g}")


def peak(name: str, folder: Path, do: str, seconds: int) -> tuple[float, float]:
    """MB of a process after loading, and at its peak."""
    one = Contestant(name, folder, 1, WORKER)
    answer = one.ask(do, seconds)
    one.end()
    return answer["loaded_mb"], answer["peak_mb"]


def memory(folder: Path, precisions: list[str], works: list[tuple[str, int]]) -> dict[str, Any]:
    """Peak memory of each contestant, and of earmark from a file."""
    done: dict[str, Any] = {}
    print(f"\n{'peak memory, MB':32} {'loaded':>8} {'peak':>8} {'grown':>8}")
    for do, seconds in works:
        asked = [(f"{name} first", do) for name in names(precisions)]
        if do == "scene":
            write(folder / f"{seconds}.wav", seconds)
            asked += [(f"earmark {precision} first", "file") for precision in precisions]
        for name, what in asked:
            loaded, most = peak(name, folder, what, seconds)
            line = f"{what} {seconds} s, {name.removesuffix(' first')}"
            done[line] = (loaded, most)
            print(f"{line:32} {loaded:8.0f} {most:8.0f} {most - loaded:8.0f}", flush=True)
    return done


def write(path: Path, seconds: int) -> None:
    """Sound in a file, ten seconds at a time."""
    import numpy as np
    import soundfile

    draws = np.random.default_rng(0)
    with soundfile.SoundFile(path, "w", RATE, 1, "PCM_16") as file:
        for _ in range(seconds // 10):
            file.write(0.1 * draws.standard_normal(10 * RATE, np.float32))


def rows(peers: Path, seconds: int = 4, rounds: int = 2) -> Rows:
    """Timed embeddings of PaSST-S."""
    name = f"timed HEAR embeddings of PaSST-S, {seconds} s"
    if (released := version("hear21passt", peers)) is None:
        return [Missing(name, "hear21passt not installed")]
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        common(folder, peers)
        pair = [
            Contestant(FIRST, folder, 1, WORKER, peers),
            Contestant("earmark fp32", folder, 1, WORKER),
        ]
        race(pair, "base", 1, 1)  # load and warm up
        answers = race(pair, "base", seconds, rounds)
        for one in pair:
            one.end()
    ours, theirs = ([run["cpu"] for run in answers[one]] for one in ("earmark fp32", FIRST))
    off = summarized(answers)["earmark fp32"]["off"]
    note = f"largest difference of a value {off:.1g}"
    return [paired(name, "core s", ours, theirs, f"hear21passt {released}", note)]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=int, nargs="*", default=[10, 60])
    parser.add_argument("--rounds", type=int, nargs="*", default=[3, 1])
    parser.add_argument("--modules", nargs="+", default=["base", "base2levelmel"])
    parser.add_argument("--precisions", nargs="+", default=["fp32", "bf16", "int8"])
    parser.add_argument("--scene-minutes", type=int, default=20)
    parser.add_argument("--scene-part", type=int, default=15, help="seconds of it that are timed")
    parser.add_argument("--long", action="store_true", help="only memory of 10 minutes and of 2 hours")
    parser.add_argument("--no-memory", action="store_true")
    parser.add_argument("--no-times", action="store_true")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    if given.scene_part <= CLIP:
        parser.error(f"--scene-part is {given.scene_part}; a sound of {CLIP} s is not cut into windows yet")
    done: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        subprocess.run([sys.executable, WORKER, "make", folder], check=True)
        if given.long:
            for seconds in (600, 7200):
                done |= memory_of_files(folder, given.precisions, seconds)
        else:
            if not given.no_times:
                done |= times(folder, given)
            if not given.no_memory:
                works = [(module, seconds) for module in given.modules for seconds in given.seconds]
                done |= memory(folder, given.precisions, [*works, ("scene", 60 * given.scene_minutes)])
    if given.json is not None:
        given.json.write_text(json.dumps(done, indent=2))


def times(folder: Path, given: argparse.Namespace) -> dict[str, Any]:
    """The interleaved run."""
    contestants = [Contestant(name, folder, 1, WORKER) for name in names(given.precisions)]
    done: dict[str, Any] = {}
    for module in given.modules:
        race(contestants, module, 1, 1)  # load and warm up
        for seconds, rounds in zip(given.seconds, given.rounds, strict=True):
            title = f"timestamp embeddings, {module}, {seconds} s: {rounds} rounds"
            done[title] = summarized(race(contestants, module, seconds, rounds))
            show(title, done[title])
    if given.scene_minutes:
        part, whole = windows(given.scene_part), windows(60 * given.scene_minutes)
        race(contestants, "scene", 10, 1)
        results = race(contestants, "scene", given.scene_part, given.rounds[0])
        title = f"scene embedding, {given.scene_minutes} min: {part} of {whole} windows timed"
        done[title] = summarized(results)
        show(title, done[title], whole / part)
    for one in contestants:
        one.end()
    return done


def memory_of_files(folder: Path, precisions: list[str], seconds: int) -> dict[str, Any]:
    """Peak memory of a scene embedding from a file."""
    write(folder / f"{seconds}.wav", seconds)
    done: dict[str, Any] = {}
    for precision in precisions:
        loaded, most = peak(f"earmark {precision} first", folder, "file", seconds)
        done[f"{precision} {seconds}"] = (loaded, most)
        print(f"scene of a file of {seconds // 60} min, {precision}: {most:.0f} MB, {loaded:.0f} loaded")
    return done


if __name__ == "__main__":
    main()
