"""Files through a model: decoded ahead, cut, batched with their neighbors, and sorted out again."""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float

from earmark.audio import AudioError
from earmark.audio.pool import Pool
from earmark.inference.cutting import Cutter, Window, samples_of
from earmark.inference.decoding import decode
from earmark.inference.hearing import ArrayGive, Clipped
from earmark.inference.settings import Cut, Run
from earmark.inference.sources import Item


@dataclass
class Row:
    """A row in the making: a running sum over its windows, or the frames that were kept."""

    start: int
    stop: int
    total: np.ndarray | None = None
    weight: int = 0
    frames: list[np.ndarray] = field(default_factory=list)
    centers: list[np.ndarray] = field(default_factory=list)

    def add(self, values: Float[np.ndarray, "dim"], weight: int) -> None:
        """Count the values of a window by how much new audio it brought."""
        weighted = values.astype(np.float64) * weight
        self.total = weighted if self.total is None else self.total + weighted
        self.weight += weight

    def mean(self) -> Float[np.ndarray, "dim"]:
        """The weighted mean over windows."""
        return np.zeros(0) if self.total is None else self.total / self.weight


@dataclass
class Outcome:
    """What became of one item.

    Attributes:
        item: the item.
        samples: its length at the model's rate.
        rows: its rows in order; empty after an error.
        error: why there are none.
    """

    item: Item
    samples: int = 0
    rows: list[Row] = field(default_factory=list)
    error: Exception | None = None
    waiting: int = 0
    closed: bool = False

    @property
    def done(self) -> bool:
        """Whether nothing is missing any more."""
        return self.closed and not self.waiting

    def expect(self, window: Window) -> None:
        """Make room for the values of a window that is on its way."""
        if window.row == len(self.rows):
            self.rows.append(Row(window.row_start, window.stop))
        row = self.rows[window.row]
        row.stop = max(row.stop, window.stop)
        self.samples = max(self.samples, window.stop)
        self.waiting += 1

    def fail(self, error: Exception) -> None:
        """Give the item up."""
        self.error, self.rows = self.error or error, []


class Batcher:
    """Collects windows of equal length, whichever files they are from, and computes them together."""

    def __init__(self, rate: int, give: ArrayGive, batch: int) -> None:
        self._rate, self._give, self._batch = rate, give, batch
        self._waiting: dict[int, list[tuple[Outcome, Window]]] = {}
        self.held = 0

    def add(self, outcome: Outcome, window: Window) -> None:
        """Take a window; compute when its batch is full."""
        length = len(window.samples)
        self._waiting.setdefault(length, []).append((outcome, window))
        self.held += length
        if len(self._waiting[length]) == self._batch:
            self._flush(length)

    def finish(self, outcome: Outcome) -> None:
        """Compute whatever an outcome still waits for."""
        for length in list(self._waiting):
            if any(waiting is outcome for waiting, _ in self._waiting[length]):
                self._flush(length)

    def flush_fullest(self) -> None:
        """Compute the batch that holds most samples."""
        if self._waiting:
            self._flush(max(self._waiting, key=lambda length: length * len(self._waiting[length])))

    def _flush(self, length: int) -> None:
        entries = self._waiting.pop(length)
        self.held -= length * len(entries)
        try:
            values = self._give.compute(np.stack([window.samples for _, window in entries]))
        except (
            ValueError
        ) as error:  # the model's word on sound that it cannot take: of this length, all of it
            for outcome, _ in entries:
                outcome.waiting -= 1
                outcome.fail(AudioError(outcome.item.name, f"the model cannot take it: {error}"))
            return
        for (outcome, window), value in zip(entries, values, strict=True):
            outcome.waiting -= 1
            if not np.isfinite(value).all():
                outcome.fail(AudioError(outcome.item.name, "the model's output for it is not finite"))
            elif outcome.error is None:
                self._keep(outcome.rows[window.row], window, value)

    def _keep(self, row: Row, window: Window, value: np.ndarray) -> None:
        if self._give.spacing is None:
            row.add(value, window.stop - window.fresh)
            return
        kept, centers = frames_of(window, self._give, len(value), self._rate)
        row.frames.append(value[kept])
        row.centers.append(centers[kept])


def frames_of(
    window: Window, give: ArrayGive, count: int, sample_rate: int
) -> tuple[Bool[np.ndarray, "frame"], Float[np.ndarray, "frame"]]:
    """Which frames of a window count, because no earlier window of its row has them, and all their centers.

    Args:
        window: what was computed.
        give: the grid of its frames.
        count: how many there are.
        sample_rate: in Hz.

    Returns:
        Whether each counts; where it is, in seconds from the start of the file.
    """
    centers = window.start / sample_rate + give.first + (give.spacing or 0.0) * np.arange(count)
    kept = (centers >= window.fresh / sample_rate) & (centers < window.stop / sample_rate)
    if not kept.any() and window.fresh == window.row_start:
        kept[0] = True  # a sound that ends before the first center still has a frame, in its own middle
        centers[0] = (window.fresh + window.stop) / 2 / sample_rate
    return kept, centers


def run_through(
    items: Iterable[Item],
    model: Clipped,
    give: ArrayGive,
    *,
    cut: Cut,
    run: Run,
    pool: Pool | None = None,
) -> Iterator[Outcome]:
    """Hear items and give one outcome for each, in their order.

    Windows of different files share batches.  What is in memory does not grow with the length of a file (its
    rows aside) or with their number: a bounded number of files is under way at any time.

    Args:
        items: what to hear.
        model: how sounds are cut for it.
        give: what it computes: vectors, averaged over each row; or frames.
        cut: how a file becomes rows.
        run: batch size and what to do with truncated files.
        pool: decoder processes; None decodes in this process.
    """
    cutter = cutter_for(model, cut)
    batcher = Batcher(model.sample_rate, give, run.batch)
    under_way: deque[Outcome] = deque()
    for item, blocks in decode(items, model.sample_rate, run, pool):
        outcome = Outcome(item)
        under_way.append(outcome)
        _hear(outcome, cutter.cut(blocks), batcher, hold=2 * run.batch * cutter.clip)
        if len(under_way) > 4 * run.batch:
            batcher.finish(under_way[0])
        while under_way and under_way[0].done:
            yield under_way.popleft()
    while under_way:
        batcher.finish(under_way[0])
        yield under_way.popleft()


def _hear(outcome: Outcome, windows: Iterator[Window], batcher: Batcher, hold: int) -> None:
    while (window := _next(windows, outcome)) is not None:
        if outcome.error is not None:
            continue  # given up, but what is decoded must be read to its end
        outcome.expect(window)
        batcher.add(outcome, window)
        if batcher.held > hold:
            batcher.flush_fullest()
    outcome.closed = True


def _next(windows: Iterator[Window], outcome: Outcome) -> Window | None:
    """The next window; None at the end, and where the source fails."""
    try:
        return next(windows, None)
    except (AudioError, TypeError) as error:  # TypeError: an array without its rate, and the like
        outcome.fail(error)
        return None


def cutter_for(model: Clipped, cut: Cut) -> Cutter:
    """What cuts files for a model."""
    row, hop = samples_of(cut, model.sample_rate)
    return Cutter(
        sample_rate=model.sample_rate,
        clip=max(1, round(model.clip_seconds * model.sample_rate)),
        padding=model.padding,
        shortest=model.min_samples,
        row=row,
        hop=hop,
    )
