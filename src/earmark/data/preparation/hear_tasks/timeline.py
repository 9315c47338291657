"""A task of events: real clips placed on a timeline, over noise, so that all times are known exactly."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from earmark import audio
from earmark.audio import displayable
from earmark.config import ConfigError
from earmark.data.clips import Clip
from earmark.data.finding import find_corpus
from earmark.data.preparation.hear_tasks.corpus import by_split, of_file
from earmark.data.preparation.hear_tasks.reading import Reader
from earmark.data.preparation.hear_tasks.sketch import Entry, Event, Making, Sketch, Sound
from earmark.data.preparation.preparing import place

SECONDS = 20.0
SHARES = {"train": 0.6, "valid": 0.2, "test": 0.2}
"""Of the recordings."""
METRICS = ("event_onset_200ms_fms", "segment_1s_er")
LONGEST, SHORTEST = 2.0, 0.3
"""Seconds of a clip that are placed."""
RATE = 16000
"""Hz at which clips are looked at, and background noise is drawn."""
FLOOR = 0.03
"""Of the loudest 10 ms of a clip: below is silence."""
GAP = 30
"""So many hundredths of a second of silence end what is placed."""
SILENCE = 1e-10
"""Power below which a clip is never loud."""
FADE = 0.005
"""Seconds at both ends of what is placed."""
QUIET = 0.01
"""Level of the noise."""


class Sounding(NamedTuple):
    """A stretch of a clip in which it can be heard.

    Attributes:
        clip: its place among the clips.
        label: of the clip.
        start: in seconds from the start of the clip.
        seconds: how long it is.
    """

    clip: int
    label: str
    start: float
    seconds: float


class Placing(NamedTuple):
    """A stretch on a timeline, from a time in seconds on, at a level in dB above the noise."""

    sounding: Sounding
    onset: float
    level: float

    @property
    def end(self) -> float:
        """When it ends, in seconds."""
        return self.onset + self.sounding.seconds


def timeline(data: Path, making: Making) -> Sketch:
    """Recordings of 20 s on which clips of one label begin every 0.6 to 2.6 s, and sometimes overlap.

    Clips of a part or fold of the corpus stay on one side: the last fold is tested on, the one before it
    chosen by.  Levels are 6 to 18 dB above pink noise.

    Args:
        data: folder or table of a corpus with one label a clip; ESC-50 and ESC-10 are known as such.
        making: how many recordings, their length, and the seed.

    Raises:
        ConfigError: the corpus cannot be read, its clips have several labels, or recordings are too short.
    """
    seconds = making.seconds or SECONDS
    found, root = find_corpus(data, _known(data))
    split, placed = place(found, root)
    if not split.labels.exclusive or seconds < 2 * LONGEST:
        raise ConfigError(
            f"{displayable(data)}: a timeline needs clips of one label each, and recordings of "
            f"{2 * LONGEST:g} s or more"
        )
    sides = _sides(by_split(placed, data))
    splits: dict[str, list[Entry]] = {}
    for number, (part, share) in enumerate(SHARES.items()):
        reader = Reader(sides[part])
        splits[part] = [
            _entry(f"{part}_{index:04d}", reader, (making.seed, number, index), seconds)
            for index in range(max(1, round(share * making.recordings)))
        ]
    heard = {label for entries in splits.values() for one in entries for label, *_ in one.labels}
    labels = tuple(name for name in split.labels.names if name in heard)
    if not labels:
        raise ConfigError(f"{displayable(data)}: no clip of it can be heard, so nothing was placed")
    return Sketch(making.name or "timeline", "event", False, labels, METRICS, splits, seconds)


def _known(data: Path) -> str | None:
    """The name of a corpus whose classes have better names than its table says."""
    tables = (data / name for name in ("meta/esc50.csv", "esc50.csv", "metadata.csv"))
    table = next((path for path in tables if path.is_file()), None)
    if table is None:
        return None
    header = table.read_text(encoding="utf-8", errors="replace").partition("\n")[0].strip().split(",")
    return "esc50" if table.name == "esc50.csv" else "esc10" if "esc50_target" in header else None


def _sides(parts: dict[str, list[Clip]]) -> dict[str, list[Clip]]:
    """Three sides of parts, or of folds."""
    if set(parts) == set(SHARES):
        return parts
    names = sorted(parts)
    learned = [clip for name in names[:-2] for clip in parts[name]]
    return {"train": learned, "valid": parts[names[-2]], "test": parts[names[-1]]}


def _entry(name: str, reader: Reader, seeds: tuple[int, ...], seconds: float) -> Entry:
    draw = np.random.default_rng(seeds)
    placings: list[Placing] = []
    onset = draw.uniform(0.2, 1.5)
    while onset < seconds - LONGEST:
        index, level = int(draw.integers(len(reader.clips))), draw.uniform(6, 18)
        label = reader.clips[index].labels[0]
        if all(one.sounding.label != label or one.end < onset for one in placings):
            sounding = _sounding(reader, index)
            if sounding is not None:
                placings.append(Placing(sounding, float(onset), float(level)))
        onset += draw.uniform(0.6, 2.6)
    events = tuple(Event(one.sounding.label, 1000 * one.onset, 1000 * one.end) for one in placings)
    clips = [reader.clips[one.sounding.clip] for one in placings]
    files = [(clip.path.name, *of_file(clip.path)) for clip in clips]
    return Entry(name, repr((files, placings)), partial(mixture, reader, placings, (seeds, seconds)), events)


def _sounding(reader: Reader, index: int) -> Sounding | None:
    """From where a clip is loud to where it is silent again; None if it cannot be read or is never loud."""
    try:
        sound = reader.whole(index, RATE)
    except audio.AudioError:
        return None
    step = RATE // 100
    power = np.square(sound[: len(sound) // step * step].reshape(-1, step).astype(np.float64)).mean(axis=1)
    loud = (power > FLOOR**2 * power.max(initial=0.0)).nonzero()[0]
    if not len(loud) or power.max() < SILENCE:
        return None
    gaps = np.append(np.diff(loud), GAP + 1)
    first, last = int(loud[0]), int(loud[(gaps > GAP).argmax()]) + 1
    length = min(max((last - first) / 100, SHORTEST), LONGEST, len(sound) / RATE - first / 100)
    return Sounding(index, reader.clips[index].labels[0], first / 100, length)


def mixture(
    reader: Reader, placings: Sequence[Placing], made: tuple[tuple[int, ...], float], rate: int
) -> Sound:
    """The sound of a timeline.

    Args:
        reader: of the clips.
        placings: what begins when.
        made: seeds of the noise, and the length in seconds.
        rate: in Hz.

    Raises:
        AudioError: a clip cannot be read.
    """
    found = QUIET * _noise(*made, rate)
    fade = round(FADE * rate)
    for one in placings:
        index, _, start, seconds = one.sounding
        sound = reader.stretch(index, start, seconds, rate).astype(np.float64)
        ramp = np.minimum(1, np.arange(1, len(sound) + 1) / fade)
        sound *= np.minimum(ramp, ramp[::-1])
        sound *= QUIET * 10 ** (one.level / 20) / max(1e-9, float(np.sqrt(np.square(sound).mean())))
        first = round(one.onset * rate)
        found[first : first + len(sound)] += sound[: len(found) - first]
    return (found / max(1.0, float(np.abs(found).max()))).astype(np.float32)


def _noise(seeds: tuple[int, ...], seconds: float, rate: int) -> Sound:
    """Pink noise of unit power up to 8 kHz, the same at every rate."""
    n_samples = round(seconds * RATE)
    white = np.fft.rfft(np.random.default_rng((*seeds, 1)).standard_normal(n_samples))
    hertz = np.fft.rfftfreq(n_samples, 1 / RATE)
    pink = np.fft.irfft(white / np.sqrt(np.maximum(hertz, 50)), n_samples)
    pink /= np.sqrt(np.square(pink).mean())
    wanted = round(seconds * rate)
    sound = audio.load((pink.astype(np.float32), RATE), rate)[:wanted]
    return np.pad(sound, (0, wanted - len(sound))).astype(np.float64)
