"""Embed audio of any length."""

from collections.abc import Iterable, Iterator
from typing import Literal, Unpack, overload

import numpy as np

from earmark.audio import Source
from earmark.inference.calls import first, is_one, many, with_pool
from earmark.inference.decoding import Pool
from earmark.inference.pipeline import Outcome, place, run_through
from earmark.inference.results import EmbedResult
from earmark.inference.settings import EmbedSettings, Run, RunOptions
from earmark.inference.sources import Item, item_of
from earmark.inference.tagging import Model, Sources
from earmark.models.tagger import Tagger
from earmark.models.zoo import load


@overload
def embed(  # pyright: ignore[reportOverlappingOverload] (a str is an iterable of str; one path it is)
    sources: Source,
    *,
    model: Model = ...,
    level: Literal["clip", "frame"] = ...,
    window: float | None = ...,
    hop: float | None = ...,
    **run: Unpack[RunOptions],
) -> EmbedResult:
    """One source, one result."""


@overload
def embed(
    sources: Iterable[Source | Item],
    *,
    model: Model = ...,
    level: Literal["clip", "frame"] = ...,
    window: float | None = ...,
    hop: float | None = ...,
    **run: Unpack[RunOptions],
) -> Iterator[EmbedResult]:
    """Many sources, a result for each."""


def embed(
    sources: Sources,
    *,
    model: Model = "builtin",
    level: Literal["clip", "frame"] = "clip",
    window: float | None = None,
    hop: float | None = None,
    **run: Unpack[RunOptions],
) -> EmbedResult | Iterator[EmbedResult]:
    """Turn sound into vectors.

    Args:
        sources: one source or many, as for `earmark.tag`.
        model: a name, a checkpoint file, or a model at hand.
        level: "clip" for one vector for each row: the mean of the summaries of its windows.  "frame" for one
            for each encoded frame, centered on its time.
        window: seconds of audio in a row; None for one row that holds the whole source.
        hop: seconds from the start of one row to the start of the next; the window if None.
        run: where it runs, the fields of `Run`: device, batch, workers, timeout, on_truncated.

    Returns:
        One `EmbedResult` for one source; an iterator over them for many, failures in their `error`.

    Raises:
        AudioError: the one source cannot be heard.
        ConfigError: an impossible option, or no such model.
        CheckpointError: the model's file is damaged.

    Example:
        >>> noise = np.random.default_rng(0).normal(0, 0.1, 32000).astype(np.float32)
        >>> result = embed((noise, 32000), window=0.5)
        >>> result.starts, len(result.embeddings)
        (array([0. , 0.5]), 2)
    """
    settings = EmbedSettings(level=level, window=window, hop=hop)
    where = Run(**run)
    encoder = ready_to_embed(model, where.device)
    if is_one(sources):
        return first(embed_items([item_of(sources)], encoder, settings, where))
    return with_pool(
        many(sources), where, lambda items, pool: embed_items(items, encoder, settings, where, pool)
    )


def ready_to_embed(model: Model, device: str | None) -> Tagger:
    """The model, where it shall compute; see `embed`."""
    return place(model if isinstance(model, Tagger) else load(model), device)


def embed_items(
    items: Iterable[Item], model: Tagger, settings: EmbedSettings, run: Run, pool: Pool | None = None
) -> Iterator[EmbedResult]:
    """One result for each item, in order; failures are in their `error`."""
    give = "summary" if settings.level == "clip" else "frames"
    for outcome in run_through(items, model, give, cut=settings, run=run, pool=pool):
        yield _of_frames(outcome, model) if give == "frames" else _of_rows(outcome, model)


def _of_rows(outcome: Outcome, model: Tagger) -> EmbedResult:
    rate = model.sample_rate
    vectors = [row.mean().astype(np.float32) for row in outcome.rows]
    return EmbedResult(
        outcome.item.name,
        outcome.samples / rate,
        np.stack(vectors) if vectors else _nothing(model),
        np.array([row.start / rate for row in outcome.rows]),
        np.array([row.stop / rate for row in outcome.rows]),
        outcome.error,
    )


def _of_frames(outcome: Outcome, model: Tagger) -> EmbedResult:
    """Frames row by row; each reaches half a frame to both sides of its center, within its row."""
    half, rate = model.frame_seconds / 2, model.sample_rate
    parts = [
        (np.concatenate(row.frames), np.concatenate(row.centers), row.start / rate, row.stop / rate)
        for row in outcome.rows
    ]
    return EmbedResult(
        outcome.item.name,
        outcome.samples / rate,
        np.concatenate([frames for frames, *_ in parts]) if parts else _nothing(model),
        np.concatenate(
            [np.clip(centers - half, start, stop) for _, centers, start, stop in parts] or [np.zeros(0)]
        ),
        np.concatenate(
            [np.clip(centers + half, start, stop) for _, centers, start, stop in parts] or [np.zeros(0)]
        ),
        outcome.error,
    )


def _nothing(model: Tagger) -> np.ndarray:
    return np.zeros((0, model.embedding_dim), np.float32)
