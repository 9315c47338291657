"""Pitches of tones that are rendered: no recording is needed, and no timbre is heard twice."""

from functools import partial
from pathlib import Path

import numpy as np

from earmark.data.preparation.hear_tasks.corpus import OF_PITCH
from earmark.data.preparation.hear_tasks.sketch import Entry, Making, Sketch, Sound

PITCHES = range(36, 96)
"""MIDI numbers: C2 to B6, five octaves."""
EACH = {"train": 10, "valid": 3, "test": 3}
"""Tones of a pitch in each part."""


def tones(data: Path, making: Making) -> Sketch:
    """Sixty pitches, each tone of a timbre of its own; no data are needed.

    Spectral slope, odd and even harmonics, attack, decay, vibrato, mistuning by up to 20 cents and noise are
    drawn for each tone, so that a pitch must be known from other timbres.

    Args:
        data: is not looked at.
        making: the seed, and the length if other than 1 s.
    """
    seconds = making.seconds or 1.0
    splits: dict[str, list[Entry]] = {}
    for split, count in EACH.items():
        splits[split] = [
            _entry(
                f"{split}_{pitch:03d}_{number:02d}", pitch, (making.seed, len(splits), pitch, number), seconds
            )
            for pitch in PITCHES
            for number in range(count)
        ]
    labels = tuple(map(str, PITCHES))
    return Sketch(making.name or "tones_pitch", "scene", True, labels, OF_PITCH, splits, seconds)


def _entry(name: str, pitch: int, seeds: tuple[int, ...], seconds: float) -> Entry:
    return Entry(name, repr((seeds, seconds)), partial(tone, pitch, seeds, seconds), (str(pitch),))


def tone(pitch: int, seeds: tuple[int, ...], seconds: float, rate: int) -> Sound:
    """A tone of a drawn timbre.

    Args:
        pitch: MIDI number; 69 is 440 Hz.
        seeds: of all that is drawn.
        seconds: its length.
        rate: in Hz; harmonics up to .45 of it are there, and none above 15 kHz.

    Example:
        >>> tone(69, (0,), 0.5, 16000).shape
        (8000,)
    """
    draw = np.random.default_rng(seeds)
    slope, even, attack, decay = (
        draw.uniform(0.5, 2.0),
        draw.uniform(0, 1),
        draw.uniform(2, 80),
        draw.uniform(0.5, 6),
    )
    cents, swing, speed = draw.uniform(-20, 20), draw.uniform(0, 15), draw.uniform(4, 7)
    level, noise = draw.uniform(0.05, 0.5), draw.uniform(0.001, 0.05)
    phases, colors = draw.uniform(0, 2 * np.pi, 256), draw.uniform(0.3, 1, 256)
    time = np.arange(round(seconds * rate)) / rate
    hertz = 440 * 2 ** ((pitch - 69 + (cents + swing * np.sin(2 * np.pi * speed * time)) / 100) / 12)
    turns = 2 * np.pi * np.cumsum(hertz) / rate
    wave = np.zeros(len(time))
    for place in range(256):
        if (place + 1) * hertz.max() > min(0.45 * rate, 15_000):
            break
        strength = colors[place] * (place + 1) ** -slope * (even if place % 2 else 1.0)
        wave += strength * np.sin((place + 1) * turns + phases[place])
    wave *= (1 - np.exp(-time * 1000 / attack)) * np.exp(-decay * time)
    found = level * wave / np.abs(wave).max() + noise * level * draw.standard_normal(len(time))
    return found.astype(np.float32)
