"""Tracks of scores to events: what is heard from when to when."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from earmark.inference.settings import EventSettings

WHOLE = 1_000_000
"""Scores are counted in millionths: sums of integers are the same in whichever pieces they are made."""

MOST_CELLS = 256
"""Cells that are smoothed together; it bounds memory and changes nothing."""


class Span(NamedTuple):
    """An event in samples.

    Attributes:
        label: its index.
        onset: its first sample.
        offset: one past its last sample.
        peak: the highest score in it, after smoothing.
        mean: the mean of its scores, after smoothing.
    """

    label: int
    onset: int
    offset: int
    peak: float
    mean: float


@dataclass(frozen=True)
class Rules:
    """What makes an event, in the units of a track.

    Attributes:
        on: the score, in millionths, that an event reaches somewhere, for each label.
        off: the score below which it is interrupted, for each label.
        reach: cells to either side whose scores a median is taken over.
        min_duration: samples; shorter events are left out.
        min_gap: samples; events of a label with a shorter gap between them are one.
    """

    on: Int[np.ndarray, "class"]
    off: Int[np.ndarray, "class"]
    reach: int = 0
    min_duration: int = 0
    min_gap: int = 0


def rules_for(settings: EventSettings, names: tuple[str, ...], cell: float, sample_rate: int) -> Rules:
    """Settings in seconds as rules for a track.

    Args:
        settings: what was asked for.
        names: the labels of the track.
        cell: samples from one cell of the track to the next.
        sample_rate: in Hz.

    Raises:
        ConfigError: thresholds were chosen for labels that are not there.

    Example:
        >>> rules_for(EventSettings(threshold=0.5, median=0.5), ("Dog", "Rain"), 4000.0, 16000).off
        array([250000, 250000])
    """
    on = settings.scores_from(names)
    off = on / 2 if settings.off_threshold is None else np.minimum(on, settings.off_threshold)
    return Rules(
        _millionths(on),
        _millionths(off),
        int(settings.median * sample_rate / cell / 2 + 1e-9),
        round(settings.min_duration * sample_rate),
        round(settings.min_gap * sample_rate),
    )


def _millionths(scores: Float[np.ndarray, "..."]) -> Int[np.ndarray, "..."]:
    """Scores as integers; infinite ones, which nothing reaches, as 2."""
    return np.rint(np.minimum(scores, 2.0) * WHOLE).astype(np.int64)


@dataclass
class _Run:
    """A stretch of cells that stay at the lower threshold or above."""

    onset: int
    cell: int
    before: int
    offset: int = 0
    cells: int = 0
    total: int = 0
    peak: int = 0


class _Block(NamedTuple):
    """Smoothed cells: their edges, one more than cells; sums of all cells before each edge; their scores."""

    edges: np.ndarray
    sums: np.ndarray
    scores: np.ndarray


class Tracker:
    """Finds the events of a track that is pushed block by block.

    A track has a score for each label in each of its cells, which follow one another without gaps.  After a
    median over neighboring cells (at the ends of the track its end cell is repeated), an event is a longest
    run of cells of at least `off` of which one has at least `on`.  Then events of a label whose gap is less
    than `min_gap` are joined, and then those of less than `min_duration` are left out.  All is computed in
    integers, so that events do not depend on how the track is cut into blocks; and the same backwards.

    What is kept between blocks does not grow: the cells that the median still needs, and for each label a
    run that goes on and an event that may be joined with it.

    Example:
        >>> rules = Rules(on=np.array([500_000]), off=np.array([300_000]), min_gap=20)
        >>> tracker = Tracker(rules)
        >>> scores = np.array([[0.1], [0.4], [0.9], [0.2], [0.2], [0.6]])
        >>> tracker.push(np.array([10, 20, 30, 40, 50, 60]), scores)
        [Span(label=0, onset=10, offset=30, peak=0.9, mean=0.65)]
        >>> tracker.flush(65)
        [Span(label=0, onset=50, offset=65, peak=0.6, mean=0.6)]
    """

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._scores = np.zeros((0, len(rules.on)), np.int64)  # what the median still needs
        self._stops = np.zeros(0, np.int64)
        self._edge = 0
        self._cells = 0
        self._sums = np.zeros(len(rules.on), np.int64)
        self._open: dict[int, _Run] = {}
        self._held: dict[int, _Run] = {}

    def push(self, stops: Int[np.ndarray, "cell"], scores: Float[np.ndarray, "cell class"]) -> list[Span]:
        """Take cells and give the events that no later cell can change.

        Args:
            stops: one past the last sample of each cell; each begins where the one before ends, the first at
                sample 0.
            scores: probabilities, 0 to 1.

        Returns:
            Events by their ends; those that end together by their label's index.
        """
        fresh = _millionths(scores)
        if len(fresh) and not len(self._scores):  # the first cells: there is nothing on their other side
            fresh = np.concatenate([fresh[:1].repeat(self._rules.reach, axis=0), fresh])
        self._scores = np.concatenate([self._scores, fresh])
        self._stops = np.concatenate([self._stops, stops.astype(np.int64)])
        return self._ordered(self._decide())

    def flush(self, stop: int) -> list[Span]:
        """The rest, at the end of the track.

        Args:
            stop: one past the last sample of the sound; the last cell reaches to it.
        """
        last = self._scores[-1:].repeat(self._rules.reach, axis=0)
        self._scores = np.concatenate([self._scores, last])
        spans = self._decide()
        for index, run in list(self._open.items()):
            self._close(index, run, stop, self._cells, int(self._sums[index]))
        for index in list(self._held):
            spans += self._give(index)
        return self._ordered(spans)

    def _ordered(self, spans: list[Span]) -> list[Span]:
        return sorted(spans, key=lambda span: (span.offset, span.label, span.onset))

    def _decide(self) -> list[Span]:
        spans: list[Span] = []
        reach = self._rules.reach
        while (ready := min(MOST_CELLS, len(self._scores) - 2 * reach, len(self._stops))) > 0:
            smooth = _medians(self._scores[: ready + 2 * reach], reach)
            edges = np.concatenate([[self._edge], self._stops[:ready]])
            sums = np.concatenate([self._sums[None], self._sums + smooth.cumsum(axis=0)])
            spans += self._runs(_Block(edges, sums, smooth))
            self._scores, self._stops = self._scores[ready:], self._stops[ready:]
            self._edge, self._sums = int(edges[-1]), sums[-1]
            self._cells += ready
        return spans

    def _runs(self, block: _Block) -> list[Span]:
        """Follow the runs of the labels that have one, or an event that may be joined with one."""
        above = block.scores >= self._rules.off
        busy = {*np.flatnonzero(above.any(axis=0)).tolist(), *self._open, *self._held}
        spans: list[Span] = []
        for index in busy:
            column = np.concatenate([[index in self._open], above[:, index]])
            changes = np.flatnonzero(column[1:] != column[:-1]).tolist()
            spans += self._follow(index, changes, block)
        return spans

    def _follow(self, index: int, changes: list[int], block: _Block) -> Iterator[Span]:
        """One label through a block, from change to change."""
        edges, sums, scores = block.edges, block.sums[:, index], block.scores[:, index]
        since = 0
        for cell in [*changes, len(scores)]:
            run = self._open.get(index)
            if run is None:
                yield from self._settle(index, int(edges[cell]))
                if cell < len(scores):
                    self._open[index] = _Run(int(edges[cell]), self._cells + cell, int(sums[cell]))
            else:
                run.peak = max(run.peak, int(scores[since:cell].max(initial=0)))
                if cell < len(scores):
                    self._close(index, run, int(edges[cell]), self._cells + cell, int(sums[cell]))
            since = cell

    def _settle(self, index: int, until: int) -> Iterator[Span]:
        """Give the event that is held, if nothing was heard since for so long that none can join it."""
        held = self._held.get(index)
        if held is not None and until - held.offset >= self._rules.min_gap:
            yield from self._give(index)

    def _close(self, index: int, run: _Run, offset: int, cell: int, total: int) -> None:
        """End a run: an event, if it came to the upper threshold, and one with the event that is held."""
        del self._open[index]
        if run.peak < self._rules.on[index]:
            return
        held = self._held.setdefault(index, run)
        held.offset, held.cells, held.total = offset, cell - held.cell, total - held.before
        held.peak = max(held.peak, run.peak)

    def _give(self, index: int) -> Iterator[Span]:
        run = self._held.pop(index)
        if run.offset - run.onset >= max(1, self._rules.min_duration):
            mean = run.total / run.cells / WHOLE
            yield Span(index, run.onset, run.offset, run.peak / WHOLE, round(mean, 6))


def _medians(scores: Int[np.ndarray, "_cells class"], reach: int) -> Int[np.ndarray, "_ready class"]:
    """The median over each cell and `reach` cells to either side, for all that have so many."""
    if not reach:
        return scores
    around = np.lib.stride_tricks.sliding_window_view(scores, 2 * reach + 1, axis=0)
    return np.partition(around, reach, axis=-1)[..., reach]


def find_spans(
    stops: Int[np.ndarray, "cell"], scores: Float[np.ndarray, "cell class"], rules: Rules
) -> list[Span]:
    """The events of a whole track, by their onsets; see `Tracker`.

    Args:
        stops: one past the last sample of each cell.
        scores: probabilities, 0 to 1.
        rules: what makes an event.

    Example:
        >>> rules = Rules(on=np.array([500_000]), off=np.array([500_000]), min_duration=20)
        >>> find_spans(np.array([10, 20, 30]), np.array([[0.5], [0.7], [0.4]]), rules)
        [Span(label=0, onset=0, offset=20, peak=0.7, mean=0.6)]
    """
    tracker = Tracker(rules)
    spans = tracker.push(stops, scores)
    spans += tracker.flush(int(stops[-1]) if len(stops) else 0)
    return sorted(spans, key=lambda span: (span.onset, span.offset, span.label))
