"""Events of sound that is still coming in, and of files, by the same path."""

from collections.abc import Iterable, Iterator
from typing import Unpack, overload

from earmark.audio import Source
from earmark.inference.calls import first, is_one, many, with_pool
from earmark.inference.results import EventResult
from earmark.inference.settings import EventSettings, Run, RunOptions
from earmark.inference.sources import Item, item_of
from earmark.inference.tagging import Model, Sources, ready_to_tag
from earmark.inference.tracking import EventStream, event_items

USUAL = EventSettings()


class TagStream(EventStream):
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
        >>> import numpy as np
        >>> noise = np.random.default_rng(0).normal(0, 0.1, 48000).astype(np.float32)
        >>> stream.push(noise[:20000]), stream.push(noise[20000:])
        ([], [])
        >>> events = stream.flush()
        >>> len(events), events[0].onset, events[0].offset
        (70, 0.0, 3.0)
    """

    def __init__(self, model: Model, settings: EventSettings = USUAL, batch: int = 1) -> None:
        super().__init__(ready_to_tag(model, None), settings, batch)


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
        >>> import numpy as np
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
