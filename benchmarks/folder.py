"""A folder of short clips: the whole command against decoding alone plus the model alone.

    python benchmarks/folder.py [--clips 2000] [--rounds 3]

The pipeline hides decoding if the command takes no longer than both parts one after the other.  All three are
measured in turn, round by round; medians are printed.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile
import torch

import earmark
from earmark import audio
from earmark.models import Tagger

RATE, SECONDS = 44100, 5


def make(folder: Path, clips: int) -> list[Path]:
    """Clips of band-limited noise with an envelope, as Ogg Vorbis, like ESC-10's."""
    rng = np.random.default_rng(0)
    paths = []
    for index in range(clips):
        noise = rng.standard_normal(RATE * SECONDS).astype(np.float32)
        envelope = np.linspace(0, 1, len(noise)) ** (index % 3)
        wave = 0.1 * np.convolve(noise, np.ones(8) / 8, mode="same") * envelope
        paths.append(folder / f"{index:05d}.ogg")
        soundfile.write(paths[-1], wave, RATE)
    return paths


def decode(paths: list[Path], sample_rate: int) -> float:
    started = time.perf_counter()
    for path in paths:
        audio.load(path, sample_rate)
    return time.perf_counter() - started


def forward(model: Tagger, clips: int, batch: int = 16) -> float:
    waveform = torch.randn(batch, model.sample_rate * SECONDS) * 0.1
    started = time.perf_counter()
    with torch.inference_mode():
        for _ in range(clips // batch):
            model(waveform)
    return time.perf_counter() - started


def command(folder: Path) -> float:
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as out:
        arguments = ["tag", str(folder), "--out", f"{out}/tags.jsonl"]
        subprocess.run([sys.executable, "-m", "earmark", *arguments], check=True)
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--clips", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    model = earmark.load("builtin")
    with tempfile.TemporaryDirectory() as folder:
        paths = make(Path(folder), options.clips)
        rounds = [
            (decode(paths, model.sample_rate), forward(model, options.clips), command(Path(folder)))
            for _ in range(options.rounds)
        ]
    decoding, computing, whole = (statistics.median(column) for column in zip(*rounds, strict=True))
    ratio = statistics.median(whole / (a + b) for a, b, whole in rounds)
    threads = torch.get_num_threads()
    print(f"{options.clips} clips of {SECONDS} s, {threads} threads, median of {options.rounds}:")
    print(f"decoding alone (one process)   {decoding:6.1f} s")
    print(f"the model alone                {computing:6.1f} s")
    print(f"earmark tag FOLDER, all in all {whole:6.1f} s = {ratio:.2f} x the sum of both")


if __name__ == "__main__":
    main()
