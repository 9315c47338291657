"""Samples, pushed block by block, to a track of scores: of windows, or of a model's frames."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from earmark.inference.cutting import Window
from earmark.inference.hearing import ArrayGive, Ear
from earmark.inference.pipeline import Row, cutter_for, frames_of
from earmark.inference.settings import Cut, EventSettings
from earmark.inference.thresholds import calibrated

WINDOW, HOP = 1.0, 0.25
"""Seconds, where neither a window is asked for nor the model scores frames."""


class Cells(NamedTuple):
    """A stretch of a track.

    Attributes:
        stops: one past the last sample of each cell; it begins where the one before ends.
        scores: probabilities, 0 to 1.
    """

    stops: Int[np.ndarray, "cell"]
    scores: Float[np.ndarray, "cell class"]


class Scorer:
    """Computes a track.

    The score of a window stands for the hop in its middle, so that the cells of a track follow one another
    without gaps; the first cell begins with the sound and the last ends with it.  A last window that is
    shorter than half of the others is not scored, as it would be mostly padding.  A frame stands for half the
    way to the next on both sides.

    Windows lie on a grid that begins with the first sample, and so do batches of them: the same numbers are
    computed however the sound is cut into blocks.

    Args:
        ear: what computes scores.
        settings: window, hop and calibration.
        batch: windows that go through the model together.

    Attributes:
        samples: how many were pushed.
        cell: samples from one cell to the next.
        frames: whether cells are frames of the model.
        lag: samples, pushed after the end of a cell, by which its score is surely there.
    """

    def __init__(self, ear: Ear, settings: EventSettings, batch: int) -> None:
        self.samples = 0
        self._ear, self._batch = ear, batch
        self._temperature = 1.0 if settings.chosen is None else settings.chosen.temperature
        self._give, cut = _what_is_scored(ear, settings)
        self._cutter = cutter_for(ear, cut)
        self._cutting = self._cutter.begin()
        self.frames = self._give.spacing is not None
        self._waiting: list[Window] = []
        self._row: Row | None = None
        window, hop = self._cutter.row, self._cutter.hop
        if window is None or hop is None:
            self.cell = (self._give.spacing or 0.0) * ear.sample_rate
            self.lag = batch * self._cutter.clip + 1
        else:
            self.cell = float(hop)
            self.lag = (batch - 1) * hop + (window - hop + 1) // 2 + 1

    def push(self, samples: Float[np.ndarray, "sample"]) -> Iterator[Cells]:
        """The cells that a block makes known; they must be read to their end before the next block.

        Raises:
            ValueError: the model cannot take the sound, or gives for it what is not finite.
        """
        self.samples += len(samples)
        for window in self._cutting.push(samples):
            yield from self._take(window)

    def flush(self) -> Iterator[Cells]:
        """The cells at the end of the sound.

        Raises:
            ValueError: as `push`.
        """
        for window in self._cutting.flush():
            row = self._cutter.row
            if row is None or not window.row or 2 * (self.samples - window.row_start) >= row:
                yield from self._take(window)
        yield from self._compute()
        if self._row is not None:
            yield self._cells([self._row])

    def _take(self, window: Window) -> Iterator[Cells]:
        if self._waiting and len(self._waiting[0].samples) != len(window.samples):
            yield from self._compute()
        self._waiting.append(window)
        if len(self._waiting) == self._batch:
            yield from self._compute()

    def _compute(self) -> Iterator[Cells]:
        windows, self._waiting = self._waiting, []
        if not windows:
            return
        values = self._values(np.stack([window.samples for window in windows]))
        if not np.isfinite(values).all():
            raise ValueError("the model's output for it is not finite")
        if self._give.spacing is None:
            rows = list(self._rows(windows, values))
            if rows:
                yield self._cells(rows)
            return
        for window, value in zip(windows, values, strict=True):
            rate = self._ear.sample_rate
            kept, centers = frames_of(window, self._give, len(value), rate)
            stops = np.rint(centers[kept] * rate + self.cell / 2).astype(np.int64)
            yield Cells(stops, self._calibrated(value[kept]))

    def _rows(self, windows: list[Window], values: Float[np.ndarray, "window class"]) -> Iterator[Row]:
        """Rows that are complete; one of several windows may end in another batch."""
        for window, value in zip(windows, values, strict=True):
            row = self._row = self._row or Row(window.row_start, window.stop)
            row.add(value, window.stop - window.fresh)
            if window.stop == window.row_start + (self._cutter.row or 0):
                self._row = None
                yield row

    def _cells(self, rows: list[Row]) -> Cells:
        middle = ((self._cutter.row or 0) + (self._cutter.hop or 0)) // 2
        stops = np.array([row.start + middle for row in rows], np.int64)
        return Cells(stops, self._calibrated(np.stack([row.mean() for row in rows])))

    def _calibrated(self, scores: Float[np.ndarray, "cell class"]) -> Float[np.ndarray, "cell class"]:
        return calibrated(scores, self._temperature, self._ear.labels.exclusive)

    def _values(self, waveforms: Float[np.ndarray, "batch sample"]) -> Float[np.ndarray, "batch ..."]:
        try:
            return self._give.compute(waveforms)
        except ValueError as error:
            raise ValueError(f"the model cannot take it: {error}") from None


def _what_is_scored(ear: Ear, settings: EventSettings) -> tuple[ArrayGive, Cut]:
    if settings.window is None and ear.frames is not None:
        return ear.frames, Cut()
    if settings.window is None:
        return ear.clips, Cut(window=WINDOW, hop=HOP)
    return ear.clips, Cut(window=settings.window, hop=settings.hop_seconds)
