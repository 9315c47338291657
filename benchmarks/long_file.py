"""Peak memory and speed of `earmark tag` on one long file: 30 minutes against 3 hours.

    python benchmarks/long_file.py [--minutes 30 180]

Peak memory is the largest sum of resident memory over the command and its decoders, sampled every 50 ms.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil
import soundfile
from table import Rows, paired

RATE = 44100


def make(path: Path, minutes: float) -> None:
    """A stereo flac of noise bursts and tones, written minute by minute."""
    rng = np.random.default_rng(0)
    ramp = np.arange(60 * RATE) / RATE
    envelope = (np.sin(2 * np.pi * 0.5 * ramp) > 0).astype(np.float32)
    minute = 0.1 * rng.standard_normal((60 * RATE, 2)).astype(np.float32) * envelope[:, None]
    minute += 0.2 * np.sin(2 * np.pi * 440 * ramp, dtype=np.float32)[:, None]
    with soundfile.SoundFile(path, "w", RATE, 2, "PCM_16") as file:
        for _ in range(round(minutes)):
            file.write(minute)


def run(path: Path) -> tuple[float, float]:
    """Wall seconds and peak MB of one command."""
    command = [sys.executable, "-m", "earmark", "tag", str(path), "--format", "jsonl"]
    started = time.perf_counter()
    process = psutil.Popen(command, stdout=subprocess.PIPE)
    peak = 0
    while process.poll() is None:
        total = 0
        for member in (process, *children(process)):
            try:
                total += member.memory_info().rss
            except psutil.Error:
                continue  # it ended in between
        peak = max(peak, total)
        time.sleep(0.05)
    if process.returncode != 0:
        raise SystemExit(f"the command ended with {process.returncode}")
    return time.perf_counter() - started, peak / 1e6


def children(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children(recursive=True)
    except psutil.Error:
        return []


def rows(_: Path, minutes: float = 5, times: int = 6, rounds: int = 2) -> Rows:
    """A long file beside one that is a part of it: memory shall not grow, time only with the length."""
    with tempfile.TemporaryDirectory() as folder:
        long, short = Path(folder) / "long.flac", Path(folder) / "short.flac"
        make(long, minutes * times)
        make(short, minutes)
        pairs = [(run(long), run(short)) for _ in range(rounds)]
    ours, theirs = ([pair[place] for pair in pairs] for place in (0, 1))
    name, peer = f"`earmark tag` of {minutes * times:.0f} min", f"itself on {minutes:.0f} min"
    return [
        paired(f"{name}, most memory", "MB", [one[1] for one in ours], [one[1] for one in theirs], peer),
        paired(
            f"{name}, each hour",
            "s",
            [one[0] / times / minutes * 60 for one in ours],
            [one[0] / minutes * 60 for one in theirs],
            peer,
        ),
    ]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, nargs="+", default=[30, 180])
    lengths = parser.parse_args().minutes
    with tempfile.TemporaryDirectory() as folder:
        for minutes in lengths:
            path = Path(folder) / "long.flac"
            make(path, minutes)
            wall, peak = run(path)
            speed = minutes * 60 / wall
            print(f"{minutes:5.0f} min: {wall:6.1f} s wall, {speed:5.0f} x real time, peak {peak:5.0f} MB")


if __name__ == "__main__":
    main()
