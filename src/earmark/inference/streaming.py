"""Events of sound that is still coming in, and of files, by the same path."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Unpack, overload

import numpy as np
from jaxtyping import Float

from earmark.audio import AudioError, Source
from earmark.audio.pool import Pool
from earmark.inference.calls import first, is_one, many, with_pool
from earmark.inference.decoding import Block, decode
from earmark.inference.events import Span, Tracker, rules_for
from earmark.inference.pipeline import Hearer
from earmark.inference.results import Event, EventResult
from earmark.inference.scoring import Cells, Scorer
from earmark.inference.settings import EventSettings, Run, RunOptions
from earmark.inference.sources import Item, item_of
from earmark.inference.tagging import Model, Sources, ready_to_tag

USUAL = EventSettings()


class TagStream:
    """Finds events in a sound that is pushed block by block.

    Each event comes once, and all of them together are those of the whole sound pushed at once, bit for bit,
    for any way to cut it: windows and batches lie on a grid that begins with the first sample.  What is kept
    in memory does not grow with the sound.

    Args:
        model: a name, a checkpoint file, or a model at hand; one at hand stays where it is.
        settings: what makes an event.
        batch: windows that go through the model together; each beyond the first is a hop of latency, and less
            work.

    Raises:
        ConfigError: no such model, one without a head, or thresholds that are not for its labels.

    Example:
        >>> stream = TagStream("builtin", EventSettings(window=0.5, threshold=0.0, off_threshold=0.0))
        >>> noise = np.random.default_rng(0).normal(0, 0.1, 48000).astype(np.float32)
        >>> stream.push(noise[:20000]), stream.push(noise[20000:])
        ([], [])
        >>> events = stream.flush()
        >>> len(events), events[0].onset, events[0].offset
        (70, 0.0, 3.0)
    """

    def __init__(self, model: Model, settings: EventSettings = USUAL, batch: int = 1) -> None:
        self._model = ready_to_tag(model, None)
        self._scorer = Scorer(self._model, settings, Run(batch=batch).batch)
        names, rate = self._model.labels.names, self._model.sample_rate
        self._rules = rules_for(settings, names, self._scorer.cell, rate)
        self._tracker = Tracker(self._rules)
        self._ended = False

    @property
    def sample_rate(self) -> int:
        """The rate that samples must have, in Hz."""
        return self._model.sample_rate

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
        names, rate = self._model.labels.names, self.sample_rate
        return [
            Event(names[span.label], span.onset / rate, span.offset / rate, span.peak, span.mean)
            for span in spans
        ]


@overload
def find_events(  # pyright: ignore[reportOverlappingOverload] (a str is an iterable of str; one path it is)
    sources: Source, *, model: Model = ..., settings: EventSettings = ..., **run: Unpack[RunOptions]
) -> EventResult:
    """One source, one result."""


@overload
def find_events(
    sources: Iterable[Source | Item],
    *,
    model: Model = ...,
    settings: EventSettings = ...,
    **run: Unpack[RunOptions],
) -> Iterator[EventResult]:
    """Many sources, a result for each."""


def find_events(
    sources: Sources,
    *,
    model: Model = "builtin",
    settings: EventSettings = USUAL,
    **run: Unpack[RunOptions],
) -> EventResult | Iterator[EventResult]:
    """Say what is heard from when to when.

    Args:
        sources: one source or many, as for `earmark.tag`.
        model: a name, a checkpoint file, or a model at hand.
        settings: what makes an event.
        run: where it runs, the fields of `Run`: device, batch, workers, timeout, on_truncated.

    Returns:
        One `EventResult` for one source; an iterator over them for many, failures in their `error`.  What is
        in memory does not grow with the length of a source, its events aside.

    Raises:
        AudioError: the one source cannot be heard.
        ConfigError: an impossible option, or no such model.
        CheckpointError: the model's file is damaged.

    Example:
        >>> noise = np.random.default_rng(0).normal(0, 0.1, 32000).astype(np.float32)
        >>> find_events((noise, 32000), settings=EventSettings(threshold=1.0))
        <array>  0:01  no events
    """
    where = Run(**run)
    tagger = ready_to_tag(model, where.device)
    if is_one(sources):
        return first(event_items([item_of(sources)], tagger, settings, where))
    return with_pool(
        many(sources), where, lambda items, pool: event_items(items, tagger, settings, where, pool)
    )


def event_items(
    items: Iterable[Item], model: Hearer, settings: EventSettings, run: Run, pool: Pool | None = None
) -> Iterator[EventResult]:
    """One result for each item, in order; failures are in their `error`."""
    for item, blocks in decode(items, model.sample_rate, run, pool):
        yield _heard(item, blocks, TagStream(model, settings, run.batch))


def _heard(item: Item, blocks: Iterator[Block], stream: TagStream) -> EventResult:
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
