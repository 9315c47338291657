"""Decoded blocks to the windows that a model hears, and back to rows."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float

from earmark.audio import Windows, pad, windows
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
        cutting = self.begin()
        for block in blocks:
            yield from cutting.push(block)
        yield from cutting.flush()

    def begin(self) -> "Cutting":
        """The same for a file whose blocks are pushed one by one."""
        return Cutting(self)

    def heard(self, row: "RowOfWindows", start: int, samples: Float[np.ndarray, "_"]) -> Window:
        """The next window of a row: what starts there, filled up at its front by what came before."""
        fresh = row.start + start
        stop = fresh + len(samples)
        if row.before is not None and len(samples) < self.clip:
            samples = np.concatenate([row.before[len(samples) :], samples])
        row.before = samples
        return Window(row.index, row.start, stop - len(samples), fresh, stop, self._padded(samples))

    def _padded(self, samples: Float[np.ndarray, "_"]) -> Float[np.ndarray, "_"]:
        if self.padding != "none":
            samples = pad(samples, self.clip, self.padding)
        return pad(samples, self.shortest, "zeros")


@dataclass
class RowOfWindows:
    """A row that is being cut: its place, and what its last window held."""

    index: int
    start: int
    before: np.ndarray | None = None


class Cutting:
    """A file that is being cut; see `Cutter`.

    Example:
        >>> cutting = Cutter(sample_rate=10, clip=20, padding="none", shortest=1, row=10, hop=5).begin()
        >>> [(w.row, w.start) for w in cutting.push(np.zeros(18, np.float32))]
        [(0, 0), (1, 5)]
        >>> [(w.row, w.start, w.stop) for w in cutting.flush()]
        [(2, 10, 18)]
    """

    def __init__(self, cutter: Cutter) -> None:
        self._cutter = cutter
        self._row = RowOfWindows(-1, 0) if cutter.row is not None else RowOfWindows(0, 0)
        self._windows = Windows(cutter.row or cutter.clip, cutter.hop or cutter.row or cutter.clip)

    def push(self, block: Float[np.ndarray, "_"]) -> Iterator[Window]:
        """The windows that a block completes; they must be read to their end before the next block."""
        return self._cut(self._windows.push(block))

    def flush(self) -> Iterator[Window]:
        """The windows at the end of the file."""
        return self._cut(self._windows.flush())

    def _cut(self, pieces: Iterator[tuple[int, Float[np.ndarray, "_"]]]) -> Iterator[Window]:
        cutter = self._cutter
        for start, samples in pieces:
            if cutter.row is None:
                yield cutter.heard(self._row, start, samples)
                continue
            self._row = RowOfWindows(self._row.index + 1, start)
            for offset, part in windows([samples], cutter.clip, cutter.clip):
                yield cutter.heard(self._row, offset, part)


def samples_of(cut: Cut, sample_rate: int) -> tuple[int | None, int | None]:
    """Window and hop in samples, at least one.

    Example:
        >>> samples_of(Cut(window=2.0, hop=0.5), 32000)
        (64000, 16000)
    """
    if cut.window is None or cut.hop_seconds is None:
        return None, None
    return max(1, round(cut.window * sample_rate)), max(1, round(cut.hop_seconds * sample_rate))
