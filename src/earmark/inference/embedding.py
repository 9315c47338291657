"""Embed audio of any length."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Literal, Unpack, overload

import numpy as np

from earmark.audio import Source
from earmark.audio.pool import Pool
from earmark.inference.calls import first, is_one, many, with_pool
from earmark.inference.giving import what_to_give
from earmark.inference.hearing import ArrayGive
from earmark.inference.pipeline import Outcome, run_through
from earmark.inference.placing import Hearer, on_arrays, place
from earmark.inference.results import EmbedResult
from earmark.inference.settings import EmbedOptions, EmbedSettings, Place, Pooling, Run, RunOptions, as_layer
from earmark.inference.sources import Item, item_of
from earmark.inference.tagging import Model, Sources
from earmark.models.zoo import load


@overload
def embed(  # pyright: ignore[reportOverlappingOverload] (a str is an iterable of str; one path it is)
    sources: Source,
    *,
    model: Model = ...,
    **options: Unpack[EmbedOptions],
) -> EmbedResult:
    """One source, one result."""


@overload
def embed(
    sources: Iterable[Source | Item],
    *,
    model: Model = ...,
    **options: Unpack[EmbedOptions],
) -> Iterator[EmbedResult]:
    """Many sources, a result for each."""


def embed(
    sources: Sources,
    *,
    model: Model = "builtin",
    level: Literal["clip", "frame"] = "clip",
    mode: Literal["embedding", "logits", "all"] = "embedding",
    layer: int | str | Sequence[Place] | None = None,
    pool: Pooling = "summary",
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
        mode: "embedding", "logits", or both in one vector, logits first ("all"), as hear21passt has it.
        layer: embed with what this layer of the encoder gives, counted from 0, or from -1 backwards; None for
            the encoder's end.  Several stand behind one another in a clip's vector, "bands" (the front end's)
            and "end" may be among them; each is a pass of its own as far as that layer.
        pool: how a clip's frames become one vector: as the model sums them up ("summary"), their "mean" over
            time, or "mean+deviation".
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
    settings = EmbedSettings(
        level=level,
        mode=mode,
        layer=as_layer(layer),
        pool=pool,
        window=window,
        hop=hop,
    )
    where = Run(**run)
    encoder = ready_to_embed(model, where.device)
    if is_one(sources):
        return first(embed_items([item_of(sources)], encoder, settings, where))
    return with_pool(
        many(sources), where, lambda items, pool: embed_items(items, encoder, settings, where, pool)
    )


def ready_to_embed(model: Model, device: str | None) -> Hearer:
    """The model, where it shall compute; see `embed`."""
    return place(model if isinstance(model, Hearer) else load(model), device)


def embed_items(
    items: Iterable[Item], model: Hearer, settings: EmbedSettings, run: Run, pool: Pool | None = None
) -> Iterator[EmbedResult]:
    """One result for each item, in order; failures are in their `error`."""
    give, rate = on_arrays(model, what_to_give(model, settings)), model.sample_rate
    for outcome in run_through(items, model, give, cut=settings, run=run, pool=pool):
        yield _of_rows(outcome, give, rate) if give.spacing is None else _of_frames(outcome, give, rate)


def _of_rows(outcome: Outcome, give: ArrayGive, rate: int) -> EmbedResult:
    vectors = [row.mean().astype(np.float32) for row in outcome.rows]
    return EmbedResult(
        outcome.item.name,
        outcome.samples / rate,
        np.stack(vectors) if vectors else _nothing(give),
        np.array([row.start / rate for row in outcome.rows]),
        np.array([row.stop / rate for row in outcome.rows]),
        outcome.error,
    )


def _of_frames(outcome: Outcome, give: ArrayGive, rate: int) -> EmbedResult:
    """Frames row by row; each reaches half a frame to both sides of its center, within its row."""
    half = (give.spacing or 0.0) / 2
    parts = [
        (np.concatenate(row.frames), np.concatenate(row.centers), row.start / rate, row.stop / rate)
        for row in outcome.rows
    ]
    return EmbedResult(
        outcome.item.name,
        outcome.samples / rate,
        np.concatenate([frames for frames, *_ in parts]) if parts else _nothing(give),
        np.concatenate(
            [np.clip(centers - half, start, stop) for _, centers, start, stop in parts] or [np.zeros(0)]
        ),
        np.concatenate(
            [np.clip(centers + half, start, stop) for _, centers, start, stop in parts] or [np.zeros(0)]
        ),
        outcome.error,
    )


def _nothing(give: ArrayGive) -> np.ndarray:
    return np.zeros((0, give.dim), np.float32)
