"""Sound, pushed block by block, through an ear to events."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial

import numpy as np
from jaxtyping import Float

from earmark.audio import AudioError
from earmark.audio.pool import Pool
from earmark.inference.decoding import Block, decode
from earmark.inference.events import Span, Tracker, rules_for
from earmark.inference.hearing import Ear
from earmark.inference.results import Event, EventResult
from earmark.inference.scoring import Cells, Scorer
from earmark.inference.settings import EventSettings, Run
from earmark.inference.sources import Item


class EventStream:
    """Finds events in a sound that is pushed block by block; `TagStream` says what it promises.

    Args:
        ear: what computes scores.
        settings: what makes an event.
        batch: windows that are computed together.
    """

    def __init__(self, ear: Ear, settings: EventSettings, batch: int) -> None:
        self._ear = ear
        self._scorer = Scorer(ear, settings, Run(batch=batch).batch)
        self._rules = rules_for(settings, ear.labels.names, self._scorer.cell, ear.sample_rate)
        self._tracker = Tracker(self._rules)
        self._ended = False

    @property
    def sample_rate(self) -> int:
        """The rate that samples must have, in Hz."""
        return self._ear.sample_rate

    @property
    def seconds(self) -> float:
        """How much was pushed."""
        return self._scorer.samples / self.sample_rate

    @property
    def latency_seconds(self) -> float:
        """How much sound after the end of an event has to be pushed, at most, for it to be given.

        It is the half of a window that lies after the hop that its score stands for, the half of the median,
        the gap that could still be closed, and what waits for a batch to be full.  Longer it takes only where
        within that gap, scores rise above the lower threshold again: then it is open whether that will be the
        same event for as long as they stay there.
        """
        cell, rules = self._scorer.cell, self._rules
        cells = rules.reach + max(1.0, -(-rules.min_gap // cell))
        if self._scorer.frames:
            cells += 2  # where one window's frames end and the next one's begin, they are not evenly spaced
        return (cells * cell + self._scorer.lag) / self.sample_rate

    def push(self, samples: Float[np.ndarray, "sample"]) -> list[Event]:
        """Take the next samples, and give the events that are final now.

        Args:
            samples: mono float32 at `sample_rate`, full scale +-1; any number of them.

        Returns:
            Events in the order of their ends.

        Raises:
            ValueError: samples that are not finite, or that the model cannot take; or the stream has ended.
        """
        if not np.isfinite(samples).all():
            raise ValueError("the samples are not all finite; replace them by silence before they come here")
        fresh = np.array(samples, dtype=np.float32)  # a copy: callers like to use their buffer again
        return self._events(self._scorer.push(fresh))

    def flush(self) -> list[Event]:
        """End the sound, and give the rest.

        Raises:
            ValueError: as `push`.
        """
        events = self._events(self._scorer.flush())
        self._ended = True
        return events + self._named(self._tracker.flush(self._scorer.samples))

    def _events(self, scored: Iterator[Cells]) -> list[Event]:
        if self._ended:
            raise ValueError("this stream has ended, by flush() or by an error; begin another")
        self._ended = True  # after an error halfway, what was pushed is lost
        spans = [span for cells in scored for span in self._tracker.push(cells.stops, cells.scores)]
        self._ended = False
        return self._named(spans)

    def _named(self, spans: list[Span]) -> list[Event]:
        names, rate = self._ear.labels.names, self.sample_rate
        return [
            Event(names[span.label], span.onset / rate, span.offset / rate, span.peak, span.mean)
            for span in spans
        ]


def event_items(
    items: Iterable[Item], ear: Ear, settings: EventSettings, run: Run, pool: Pool | None = None
) -> Iterator[EventResult]:
    """One result for each item, in order; failures are in their `error`."""
    for item, blocks in decode(items, ear.sample_rate, run, pool):
        yield _heard(item, blocks, EventStream(ear, settings, run.batch))


def _heard(item: Item, blocks: Iterator[Block], stream: EventStream) -> EventResult:
    events: list[Event] = []
    error: Exception | None = None

    def keep(work: Callable[[], list[Event]]) -> None:
        nonlocal error
        try:
            events.extend(work())
        except ValueError as failure:
            error = AudioError(item.name, str(failure))

    while (block := _next(blocks)) is not None:  # also of one that is given up: it must be read to its end
        if isinstance(block, Exception):
            error = error or block
        elif error is None:
            keep(partial(stream.push, block))
    if error is None:
        keep(stream.flush)
    if error is not None:
        return EventResult(item.name, 0.0, (), stream.sample_rate, error)
    events.sort(key=lambda event: (event.onset, event.offset))
    return EventResult(item.name, stream.seconds, tuple(events), stream.sample_rate)


def _next(blocks: Iterator[Block]) -> Block | Exception | None:
    """The next block, or why there is none; None at the end."""
    try:
        return next(blocks, None)
    except (AudioError, TypeError) as error:  # TypeError: an array without its rate, and the like
        return error
