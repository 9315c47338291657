"""Clips decoded when they are asked for: for corpora that are too large to be kept decoded."""

import logging
import os
import threading
import weakref
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Int16

from earmark.audio import AudioError
from earmark.audio.pool import Pool
from earmark.data.clips import Clip
from earmark.data.feeding.decoding import NOTHING_THERE, Block, Decoding, Places, joined, processes
from earmark.data.feeding.samples import CLIPPED, LONG_SCALE, LONG_SECONDS, exceeds, quantized, quantized_at

log = logging.getLogger(__name__)

BEYOND = 1 << 40
"""A sample behind the end of any sound: what is read from there on is nothing, but all is counted."""
OF_ONE_PROCESS = ("_held", "_pool", "_owner", "_lock")


class _Short(NamedTuple):
    """A whole clip of up to `LONG_SECONDS`."""

    clip: int
    samples: Int16[np.ndarray, "sample"]
    scale: float


class Decoded:
    """Each clip decoded when it is asked for; see `Sounds`.

    A clip of up to a minute is decoded whole, and the last one is held, so that asking for its length and
    then for a part of it costs one decoding.  Of a longer one no more is decoded than the part that is asked
    for, where its format can be entered anywhere; its samples are those of the whole clip to one unit.

    Args:
        clips: what can be asked for.
        sample_rate: Hz.
        timeout: seconds without progress after which a decoder is killed and its clip given up.
        isolated: decode in a process of its own, one for each process that asks, so that a clip that hangs
            or kills its decoder costs nothing but itself; else in this process, without a time limit.
    """

    def __init__(
        self, clips: Sequence[Clip], sample_rate: int, timeout: float = 60.0, isolated: bool = True
    ) -> None:
        self.sample_rate = sample_rate
        self._places = Places(clips, sample_rate)
        self._timeout, self._isolated = timeout, isolated
        self._reasons: dict[int, str] = {}
        self._lengths: dict[int, int | None] = {}  # of long clips; None as long as nobody asked
        self._loud: set[int] = set()
        self._begin()

    def _begin(self) -> None:
        self._held: _Short | None = None
        self._pool: Pool | None = None
        self._owner = 0
        self._lock = threading.RLock()

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name not in OF_ONE_PROCESS}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._begin()

    def __len__(self) -> int:
        return len(self._places)

    @property
    def failures(self) -> dict[int, str]:
        """Why clips could not be decoded, by index: those that this process asked for."""
        return {index: str(AudioError(self._places[index].name, why)) for index, why in self._reasons.items()}

    def n_samples(self, index: int) -> int:
        """The length of a clip; a long one whose format does not declare it is decoded once for this.

        Raises:
            AudioError: it cannot be decoded.
        """
        with self._lock:
            short = self._short(index)
            if short is not None:
                return len(short.samples)
            length = self._lengths[index]
            if length is None:
                decoding = self._decoding(index, BEYOND, None)
                joined(self._heard(index, decoding))
                length = self._lengths[index] = self._length(index, decoding.total or 0)
            return length

    def read(self, index: int, start: int = 0, count: int | None = None) -> Int16[np.ndarray, "sample"]:
        """A part of a clip, fewer samples at its end.

        Raises:
            AudioError: it cannot be decoded.
        """
        check_part(start, count)
        with self._lock:
            short = self._short(index)
            if short is not None:
                return short.samples[start : None if count is None else start + count]
            sound = joined(self._heard(index, self._decoding(index, start, count)))
            if index not in self._loud and exceeds(sound, LONG_SCALE):
                self._loud.add(index)
                log.warning(CLIPPED, self._places[index].name)
            return quantized_at(sound, LONG_SCALE)

    def scale(self, index: int) -> float:
        """What full scale of a clip's samples means.

        Raises:
            AudioError: it cannot be decoded.
        """
        with self._lock:
            short = self._short(index)
            return LONG_SCALE if short is None else short.scale

    def _short(self, index: int) -> _Short | None:
        """A clip of up to `LONG_SECONDS`, whole; None for a longer one."""
        if index in self._reasons:
            raise AudioError(self._places[index].name, self._reasons[index])
        if index in self._lengths:
            return None
        if self._held is None or self._held.clip != index:
            sound = self._whole(index)
            if sound is None:
                return None
            self._held = _Short(index, *quantized(sound))
        return self._held

    def _whole(self, index: int) -> Block | None:
        """A clip decoded; None, and noted, if it is a long one."""
        most = LONG_SECONDS * self.sample_rate
        length = self._places[index].length
        longest = most if length is None or length > most else None
        decoding = self._decoding(index, 0, most + 1, longest)
        sound = joined(self._heard(index, decoding))
        if decoding.too_long or len(sound) > most:
            self._lengths[index] = None if decoding.total is None else self._length(index, decoding.total)
            return None
        if not len(sound):
            raise self._failed(index, AudioError(decoding.place.name, NOTHING_THERE))
        return sound

    def _length(self, index: int, total: int) -> int:
        """The length of a clip in a sound of so many samples."""
        place = self._places[index]
        left = total - place.start
        return max(0, left if place.length is None else min(left, place.length))

    def _decoding(self, index: int, start: int, count: int | None, longest: int | None = None) -> Decoding:
        place = self._places[index].within(start, count)
        return Decoding(place, self.sample_rate, self._processes(), longest)

    def _heard(self, index: int, decoding: Decoding) -> Iterator[Block]:
        try:
            yield from decoding.blocks()
        except AudioError as error:
            raise self._failed(index, error) from None

    def _failed(self, index: int, error: AudioError) -> AudioError:
        self._reasons[index] = error.reason
        log.warning("%s", error)
        return error

    def _processes(self) -> Pool | None:
        """The decoder of this process; one that was inherited by a fork is another's."""
        if self._isolated and self._owner != os.getpid():
            self._pool, self._owner = processes(1, self._timeout), os.getpid()
            if self._pool is not None:
                weakref.finalize(self, _close, self._pool, self._owner)
        return self._pool


def _close(pool: Pool, owner: int) -> None:
    if owner == os.getpid():
        pool.close()


def check_part(start: int, count: int | None) -> None:
    """Refuse a part of a clip that cannot be.

    Raises:
        ValueError: it begins before the clip, or has less than no samples.
    """
    if start < 0 or (count is not None and count < 0):
        raise ValueError(f"samples from {start} on, {count} of them; give 0 or more")
