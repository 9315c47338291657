"""Clips from their files and packs to samples: in processes that may be lost, or in this one."""

import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from earmark.audio import AudioError
from earmark.audio.pool import Job, Pool
from earmark.audio.stretch import Stretch
from earmark.config import ConfigError
from earmark.data.clips import Clip
from earmark.data.packs.hdf5 import read_row as read_hdf5
from earmark.data.packs.parquet import read_row as read_parquet
from earmark.data.packs.tars import read_member
from earmark.storage import is_address

Block = Float[np.ndarray, "_sample"]

NOTHING_THERE = "the clip begins where the sound has ended"


class Place(NamedTuple):
    """Where a clip's samples are.

    Attributes:
        path: the file, or the pack.
        row: the place in the pack; None where the file itself is the sound.
        start: the first sample of the clip in the sound.
        length: how many it has at most; None for all that follow.
    """

    path: str
    row: int | None
    start: int
    length: int | None

    @property
    def name(self) -> str:
        """What errors call it."""
        return self.path if self.row is None else f"{self.path}, row {self.row}"

    def within(self, start: int, count: int | None) -> "Place":
        """A part of the clip."""
        if self.length is not None:
            left = max(0, self.length - start)
            count = left if count is None else min(count, left)
        return self._replace(start=self.start + start, length=count)


def place_of(path: str, row: int | None, start: float, end: float | None, sample_rate: int) -> Place:
    """Where a stretch in seconds is.

    Example:
        >>> place_of("dog.wav", None, 0.5, 2.0, 16000)
        Place(path='dog.wav', row=None, start=8000, length=24000)
    """
    first = round(start * sample_rate)
    return Place(path, row, first, None if end is None else max(0, round(end * sample_rate) - first))


class Places(Sequence[Place]):
    """The places of many clips, in little memory: each path once, and numbers.

    Args:
        clips: in seconds.
        sample_rate: Hz, of the samples that are counted.
    """

    def __init__(self, clips: Sequence[Clip], sample_rate: int) -> None:
        numbers: dict[str, int] = {}
        self._path = np.array(
            [numbers.setdefault(os.fspath(clip.path), len(numbers)) for clip in clips], dtype=np.int64
        )
        self.paths = list(numbers)
        ends = [np.inf if clip.end is None else clip.end * sample_rate for clip in clips]
        self._row = np.array([-1 if clip.row is None else clip.row for clip in clips], dtype=np.int64)
        self._start = np.array([round(clip.start * sample_rate) for clip in clips], dtype=np.int64)
        self._stop = np.rint(np.array(ends, dtype=np.float64))

    def __len__(self) -> int:
        return len(self._path)

    def __getitem__(self, index: int) -> Place:  # pyright: ignore[reportIncompatibleMethodOverride] (no slices)
        row, start, stop = int(self._row[index]), int(self._start[index]), float(self._stop[index])
        length = None if stop == np.inf else max(0, int(stop) - start)
        return Place(self.paths[self._path[index]], None if row < 0 else row, start, length)


class Decoding:
    """One clip on its way.

    Args:
        place: which one.
        sample_rate: Hz.
        pool: decoder processes; None decodes here, when the blocks are read.
        longest: a clip of more samples may be given up, see `Stretch`.

    Attributes:
        place: which one.
        total: samples of the whole sound that it lies in, if known when its blocks were read.
        too_long: it was given up, as it is longer than `longest`.
        lost: the decoder was lost with it, which may be no fault of the clip.
    """

    def __init__(self, place: Place, sample_rate: int, pool: Pool | None, longest: int | None = None) -> None:
        self.place = place
        self.total: int | None = None
        self.too_long = self.lost = False
        self._pool = pool
        self._failure: AudioError | None = None
        self._job: Job | None = None
        self._stretch: Stretch | None = None
        try:
            source = encoded(place)
        except AudioError as error:
            self._failure = error
            return
        if pool is None:
            self._stretch = Stretch(source, sample_rate, place.start, place.length, longest)
        else:
            self._job = pool.submit_stretch(source, sample_rate, place.start, place.length, longest)

    def blocks(self) -> Iterator[Block]:
        """The samples, in blocks of any length, once.

        Raises:
            AudioError: under the name of the clip.
        """
        if self._failure is not None:
            raise AudioError(self.place.name, self._failure.reason)
        if self._stretch is not None:
            try:
                yield from self._stretch
            except AudioError as error:
                raise AudioError(self.place.name, error.reason) from None
            self.total, self.too_long = self._stretch.total, self._stretch.too_long
        if self._pool is not None and self._job is not None:
            yield from self._pool.read(self._job)
            self.total, self.too_long, self.lost = self._job.total, self._job.too_long, self._job.lost
            if self._job.reason is not None:
                raise AudioError(self.place.name, self._job.reason)


def encoded(place: Place) -> str | bytes:
    """What a decoder is given: the path of a file, or the bytes in a pack.

    Raises:
        AudioError: the pack cannot be read there.
    """
    if place.row is None:
        return place.path
    path = Path(place.path)
    readers = {".tar": read_member, ".parquet": read_parquet}
    read = readers.get(path.suffix.lower(), read_hdf5)
    if not is_address(path):
        return read(path, place.row)
    try:
        return read(path, place.row)
    except (AudioError, ConfigError):
        raise
    except Exception as error:  # what serves the address has its own
        raise AudioError(place.name, f"cannot be read there: {type(error).__name__}: {error}") from None


def decode_ahead(places: Iterable[Place], sample_rate: int, pool: Pool | None) -> Iterator[Decoding]:
    """Begin clips in order, some ahead of the one that is handed out; its blocks must be read first.

    Args:
        places: the clips.
        sample_rate: Hz.
        pool: decoder processes; None decodes here, when blocks are read.
    """
    ahead: deque[Decoding] = deque()
    depth = 0 if pool is None else 16 + 4 * pool.workers
    for place in places:
        ahead.append(Decoding(place, sample_rate, pool))
        if len(ahead) > depth:
            yield ahead.popleft()
    yield from ahead


def processes(workers: int, timeout: float) -> Pool | None:
    """Decoder processes, where there can be some."""
    if not workers or os.name != "posix":
        return None  # time limits rest on poll(), which other systems do not have for pipes
    return Pool(workers, timeout)


def joined(blocks: Iterable[Block]) -> Block:
    """Blocks as one; none at all are an empty one."""
    held = [block for block in blocks if len(block)]
    return held[0] if len(held) == 1 else np.concatenate([np.zeros(0, np.float32), *held])
