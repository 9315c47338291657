"""Decoded blocks to the windows that a model hears, and back to rows."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float

from earmark.audio import pad, windows
from earmark.inference.settings import Cut


class Window(NamedTuple):
    """A stretch of a file as the model hears it.

    Attributes:
        row: the row that it counts for.
        row_start: first sample of that row, in the file.
        start: first sample of the window, in the file.
        fresh: first sample that no earlier window of this row held.
        stop: one past the last sample.
        samples: what is heard, padded by the model's rule.
    """

    row: int
    row_start: int
    start: int
    fresh: int
    stop: int
    samples: Float[np.ndarray, "sample"]


@dataclass(frozen=True)
class Cutter:
    """Cuts files for one model.

    A row, whether a whole file or a stretch of one, is heard in windows of the length that the model was
    trained on, one after the other; the last is moved back to end where the row ends, so that no padding is
    heard in it.  A row shorter than that is padded by the model's rule.  So a row scores as the same stretch
    saved as a file of its own would.

    Attributes:
        sample_rate: of the blocks, in Hz.
        clip: samples that the model was trained on.
        padding: how a shorter sound is brought to that length.
        shortest: samples that the model needs at least; zeros fill up to it whatever the rule.
        row: samples in a row; None for one row that holds the file.
        hop: samples from row to row.

    Example:
        >>> cutter = Cutter(sample_rate=10, clip=20, padding="none", shortest=1)
        >>> [(w.start, w.fresh, w.stop) for w in cutter.cut([np.zeros(50, np.float32)])]
        [(0, 0, 20), (20, 20, 40), (30, 40, 50)]
    """

    sample_rate: int
    clip: int
    padding: Literal["none", "zeros", "loop"]
    shortest: int
    row: int | None = None
    hop: int | None = None

    def cut(self, blocks: Iterable[Float[np.ndarray, "_"]]) -> Iterator[Window]:
        """All windows of a file, in order; a window (and a row, where rows are asked for) is in memory."""
        if self.row is None:
            yield from self._row(0, 0, blocks)
            return
        for index, (start, samples) in enumerate(windows(blocks, self.row, self.hop or self.row)):
            yield from self._row(index, start, [samples])

    def _row(self, row: int, row_start: int, blocks: Iterable[Float[np.ndarray, "_"]]) -> Iterator[Window]:
        before: np.ndarray | None = None
        for offset, samples in windows(blocks, self.clip, self.clip):
            fresh = row_start + offset
            stop = fresh + len(samples)
            if before is not None and len(samples) < self.clip:
                samples = np.concatenate([before[len(samples) :], samples])
            before = samples
            yield Window(row, row_start, stop - len(samples), fresh, stop, self._padded(samples))

    def _padded(self, samples: Float[np.ndarray, "_"]) -> Float[np.ndarray, "_"]:
        if self.padding != "none":
            samples = pad(samples, self.clip, self.padding)
        return pad(samples, self.shortest, "zeros")


def samples_of(cut: Cut, sample_rate: int) -> tuple[int | None, int | None]:
    """Window and hop in samples, at least one.

    Example:
        >>> samples_of(Cut(window=2.0, hop=0.5), 32000)
        (64000, 16000)
    """
    if cut.window is None or cut.hop_seconds is None:
        return None, None
    return max(1, round(cut.window * sample_rate)), max(1, round(cut.hop_seconds * sample_rate))
