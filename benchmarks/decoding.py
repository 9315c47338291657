"""Files to mono samples at another rate: `earmark.audio.load` beside soundfile and soxr alone.

    python -m benchmarks decoding

Both read the same file, take the mean of its channels and resample it in soxr's high quality.
"""

import tempfile
from pathlib import Path

import numpy as np
import soundfile
import soxr
from table import Rows, in_turn, paired, version

from earmark import audio

RATE = 32000
SECONDS = 60
KINDS = {"wav": 44100, "flac": 44100, "ogg": 48000, "mp3": 44100}
"""Suffixes of files, and their rates."""


def made(folder: Path, suffix: str, rate: int) -> Path:
    """A stereo file of tones and noise."""
    draw, ramp = np.random.default_rng(0), np.arange(rate) / rate
    tone = 0.2 * np.sin(2 * np.pi * 440 * ramp)[:, None]
    path = folder / f"sound.{suffix}"
    with soundfile.SoundFile(path, "w", rate, 2) as file:
        for _ in range(SECONDS):
            file.write(tone + 0.05 * draw.standard_normal((rate, 2)))
    return path


def alone(path: Path) -> np.ndarray:
    """The same by soundfile and soxr."""
    samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    return soxr.resample(samples.mean(axis=1), rate, RATE)


def rows(_: Path) -> Rows:
    """One for each kind of file."""
    peer = f"soundfile {version('soundfile')} + soxr {version('soxr')}"
    found: Rows = []
    with tempfile.TemporaryDirectory() as folder:
        for suffix, rate in KINDS.items():
            path = made(Path(folder), suffix, rate)
            ours, theirs = audio.load(path, RATE), alone(path)
            length = min(len(ours), len(theirs))
            note = f"largest difference {np.abs(ours[:length] - theirs[:length]).max():.1g}"
            times = in_turn(lambda path=path: audio.load(path, RATE), lambda path=path: alone(path))
            name = f"{suffix} of {SECONDS} s, {rate} Hz stereo, to {RATE} Hz mono"
            found.append(paired(name, "core ms", *times, peer, note))
    return found
