"""Tag audio of any length."""

import os
from collections.abc import Iterable, Iterator
from typing import Unpack, overload

from earmark.audio import Source
from earmark.config import ConfigError
from earmark.inference.calls import first, is_one, many, with_pool
from earmark.inference.decoding import Pool
from earmark.inference.pipeline import Give, Hearer, Outcome, place, run_through
from earmark.inference.results import TagResult, TagRow, best
from earmark.inference.settings import Run, RunOptions, TagSettings
from earmark.inference.sources import Item, item_of
from earmark.models.zoo import load

Model = str | os.PathLike[str] | Hearer
Sources = Source | Iterable[Source | Item]


@overload
def tag(  # pyright: ignore[reportOverlappingOverload] (a str is an iterable of str; one path it is)
    sources: Source,
    *,
    model: Model = ...,
    top: int = ...,
    threshold: float = ...,
    window: float | None = ...,
    hop: float | None = ...,
    **run: Unpack[RunOptions],
) -> TagResult:
    """One source, one result."""


@overload
def tag(
    sources: Iterable[Source | Item],
    *,
    model: Model = ...,
    top: int = ...,
    threshold: float = ...,
    window: float | None = ...,
    hop: float | None = ...,
    **run: Unpack[RunOptions],
) -> Iterator[TagResult]:
    """Many sources, a result for each."""


def tag(
    sources: Sources,
    *,
    model: Model = "builtin",
    top: int = 5,
    threshold: float = 0.0,
    window: float | None = None,
    hop: float | None = None,
    **run: Unpack[RunOptions],
) -> TagResult | Iterator[TagResult]:
    """Say what is heard.

    Args:
        sources: a path, bytes, an open file or an array with its rate `(samples, sample_rate)`; or many of
            them, as a list or any other iterable.
        model: a name, a checkpoint file, or a model at hand.
        top: at most so many tags in a row, best first.
        threshold: tags of a lower score are left out, 0 to 1.
        window: seconds of audio in a row; None for one row that holds the whole source.
        hop: seconds from the start of one row to the start of the next; the window if None.
        run: where it runs, the fields of `Run`: device, batch, workers, timeout, on_truncated.

    Returns:
        One `TagResult` for one source.  For many: an iterator over one for each, in their order, with little
        in memory; those that failed have their `error` set, and nothing is raised for them.

    Raises:
        AudioError: the one source cannot be heard.
        ConfigError: an impossible option, or no such model.
        CheckpointError: the model's file is damaged.

    Example:
        >>> import numpy as np
        >>> noise = np.random.default_rng(0).normal(0, 0.1, 32000).astype(np.float32)
        >>> len(tag((noise, 32000), top=3).tags)
        3
        >>> [len(result.rows) for result in tag([(noise, 32000), (noise, 16000)], window=0.5)]
        [2, 4]
    """
    settings = TagSettings(top=top, threshold=threshold, window=window, hop=hop)
    where = Run(**run)
    tagger = ready_to_tag(model, where.device)
    if is_one(sources):
        return first(tag_items([item_of(sources)], tagger, settings, where))
    return with_pool(
        many(sources), where, lambda items, pool: tag_items(items, tagger, settings, where, pool)
    )


def ready_to_tag(model: Model, device: str | None) -> Hearer:
    """The model, where it shall compute; see `tag`."""
    tagger = place(model if isinstance(model, Hearer) else load(model), device)
    if not tagger.has_head:
        raise ConfigError(
            "this model has no head and gives embeddings only; embed with it, or tag with another"
        )
    return tagger


def tag_items(
    items: Iterable[Item], model: Hearer, settings: TagSettings, run: Run, pool: Pool | None = None
) -> Iterator[TagResult]:
    """One result for each item, in order; failures are in their `error`."""
    give = Give(lambda waveform: model.probabilities(model(waveform)), len(model.labels))
    for outcome in run_through(items, model, give, cut=settings, run=run, pool=pool):
        yield _result(outcome, model, settings)


def _result(outcome: Outcome, model: Hearer, settings: TagSettings) -> TagResult:
    name, rate = outcome.item.name, model.sample_rate
    rows = tuple(
        TagRow(
            name,
            row.start / rate,
            row.stop / rate,
            best(row.mean(), model.labels.names, settings.top, settings.threshold),
        )
        for row in outcome.rows
    )
    return TagResult(name, outcome.samples / rate, rows, outcome.error)
