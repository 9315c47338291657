"""A stretch of a long file, decoding little more than what is asked for."""

import os
from collections import OrderedDict
from collections.abc import Iterator
from math import gcd

import numpy as np
from jaxtyping import Float

from earmark.audio.decoder import Decoder
from earmark.audio.errors import AudioError
from earmark.audio.layout import Layout
from earmark.audio.pieces import PIECE_FRAMES, Checked, block_frames, decoding, resampled
from earmark.audio.sniff import sniff
from earmark.audio.source import Opened, Source

_RUN_UP = 1 << 15
"""Sample frames decoded before a stretch: codecs that borrow bits from earlier frames need up to 16384."""
_FILTER = 256
"""What the resampler sees of either side, at most, in samples of the lower rate."""
_REMEMBERED = 1024
_layouts: "OrderedDict[tuple[int, int, int, int], Layout]" = OrderedDict()


class Stretch:
    """Samples of a sound from one place to another, at one rate.

    They are those of `load(source, sample_rate)[start : start + count]`, to 2e-6 of the loudest sample: what
    the resampler and mp3 decoders round depends on where they begin.  Where neither is at work, or the file
    can only be decoded from its start, they are the same bits.

    Args:
        source: a path, bytes, a binary file object, or `(samples, sample_rate)`.
        sample_rate: Hz wanted, 1000 to 768000.
        start: first sample, counted at `sample_rate`.
        count: how many; None for all up to the end.
        longest: where surely more than so many samples follow `start`, none is given, and none decoded.

    Attributes:
        total: samples of the whole sound; None as long as only decoding to its end could tell.
        too_long: whether nothing was given on account of `longest`.

    Example:
        >>> stretch = Stretch((np.arange(9, dtype=np.float32), 8000), 8000, start=2, count=3)
        >>> np.concatenate(list(stretch))
        array([2., 3., 4.], dtype=float32)
        >>> stretch.total
        9
    """

    def __init__(
        self,
        source: Source,
        sample_rate: int,
        start: int = 0,
        count: int | None = None,
        longest: int | None = None,
    ) -> None:
        self.total: int | None = None
        self.too_long = False
        self._source, self._rate, self._longest = source, sample_rate, longest
        self._start, self._stop = start, None if count is None else start + count

    def __iter__(self) -> Iterator[Float[np.ndarray, "sample"]]:
        """The blocks of the stretch; empty ones are a sign of life while what lies before it is decoded.

        Raises:
            AudioError: as `stream` does, for the part that is decoded.
        """
        try:
            yield from self._blocks(enter=True)
        except _ShutError:
            yield from self._blocks(enter=False)

    def _blocks(self, enter: bool) -> Iterator[Float[np.ndarray, "sample"]]:
        with decoding(self._source, "error", _remembered) as (path, decoder, damage):
            self.total = _declared(decoder, self._rate)
            if self.total is not None and self._start >= self.total:
                return
            if self._longest is not None and _at_least(decoder, self._rate) - self._start > self._longest:
                self.too_long = True
                return
            frame, done = _entry(decoder, self._rate, self._start) if enter else (0, 0)
            if frame and not (decoder.enter and decoder.enter(frame)):
                raise _ShutError
            size = block_frames(decoder, self._rate, PIECE_FRAMES)
            checked = Checked(path, decoder, size, damage, frame)
            for piece in resampled(checked.mono(), decoder.info.sample_rate, self._rate):
                stop = len(piece) if self._stop is None else max(0, self._stop - done)
                yield piece[max(0, self._start - done) : stop]
                done += len(piece)
                if self._stop is not None and done >= self._stop:
                    return
            if checked.damage:
                raise AudioError(path, checked.damage)
            self.total = done


class _ShutError(Exception):
    """The file cannot be entered there."""


def _entry(decoder: Decoder, sample_rate: int, start: int) -> tuple[int, int]:
    """A frame of the file some way before a sample, and the sample that falls on it exactly."""
    if decoder.enter is None:
        return 0, 0
    before = decoder.info.sample_rate
    shared = gcd(before, sample_rate)
    run_up = _RUN_UP + _FILTER * -(-before // sample_rate)
    periods = max(0, start * before // sample_rate - run_up) // (before // shared)
    return periods * (before // shared), periods * (sample_rate // shared)


def _declared(decoder: Decoder, sample_rate: int) -> int | None:
    """The samples that decoding gives, where the header decides that and decoding only confirms it."""
    if not decoder.frames or decoder.tolerance or decoder.more_is_fine:
        return None
    before = decoder.info.sample_rate
    return max(1, (2 * decoder.frames * sample_rate + before) // (2 * before))  # as the resampler rounds


def _at_least(decoder: Decoder, sample_rate: int) -> int:
    """Samples that are there if the sound is not damaged."""
    return max(0, (decoder.frames or 0) - decoder.tolerance) * sample_rate // decoder.info.sample_rate


def _remembered(file: Opened) -> Layout:
    """The layout of a file: an ogg or mp3 is walked over from end to end, which need not be done twice."""
    if file.descriptor is None:
        return sniff(file)
    status = os.fstat(file.descriptor)
    key = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
    layout = _layouts.pop(key, None) or sniff(file)
    _layouts[key] = layout
    if len(_layouts) > _REMEMBERED:
        _layouts.popitem(last=False)
    return layout
