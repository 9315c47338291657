"""Tag audio of any length."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Unpack, overload

from earmark.audio import Source, displayable
from earmark.config import ConfigError
from earmark.inference.calls import first, is_one, many, with_pool
from earmark.inference.hearing import Ear
from earmark.inference.onnx_ear import open_onnx
from earmark.inference.placing import Hearer, ear_of, place
from earmark.inference.results import TagResult
from earmark.inference.settings import Cut, Run, RunOptions, TagSettings
from earmark.inference.sources import Item, item_of
from earmark.inference.tags import tag_items
from earmark.inference.thresholds import AUTO, FILE, Thresholds, read_thresholds
from earmark.models.precision import Precision, with_precision
from earmark.models.zoo import load, members_of, resolve
from earmark.onnx_file import is_onnx

Model = str | os.PathLike[str] | Hearer
Sources = Source | Iterable[Source | Item]
Threshold = float | str | os.PathLike[str]


@overload
def tag(  # pyright: ignore[reportOverlappingOverload] (a str is an iterable of str; one path it is)
    sources: Source,
    *,
    model: Model = ...,
    top: int = ...,
    threshold: Threshold = ...,
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
    threshold: Threshold = ...,
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
    threshold: Threshold = 0.0,
    window: float | None = None,
    hop: float | None = None,
    **run: Unpack[RunOptions],
) -> TagResult | Iterator[TagResult]:
    """Say what is heard.

    Args:
        sources: a path, bytes, an open file or an array with its rate `(samples, sample_rate)`; or many of
            them, as a list or any other iterable.
        model: a name, a checkpoint file, an .onnx file that `earmark export` wrote, or a model at hand.
        top: at most so many tags in a row, best first.
        threshold: tags of a lower score are left out, 0 to 1; or a file of thresholds, one for each label,
            that `earmark evaluate` chose, or "auto" for the one beside the model: then scores are calibrated,
            too.
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
    settings = tag_settings(model, threshold, Cut(window=window, hop=hop), top)
    where = Run(**run)
    tagger = ready_to_tag(model, where.device)
    if is_one(sources):
        return first(tag_items([item_of(sources)], tagger, settings, where))
    return with_pool(
        many(sources), where, lambda items, pool: tag_items(items, tagger, settings, where, pool)
    )


def tag_settings(model: Model, threshold: Threshold, cut: Cut, top: int) -> TagSettings:
    """What a tagging run shall give, with the thresholds that were named read from their file.

    Raises:
        ConfigError: an impossible option, or no such thresholds.
    """
    if isinstance(threshold, float | int):
        return TagSettings(top=top, threshold=threshold, window=cut.window, hop=cut.hop)
    chosen = find_thresholds(model) if threshold == AUTO else read_thresholds(threshold)
    return TagSettings(top=top, chosen=chosen, window=cut.window, hop=cut.hop)


def find_thresholds(model: Model) -> Thresholds:
    """The thresholds that lie beside a model, in its run folder.

    Args:
        model: how the model was named.

    Raises:
        ConfigError: there are none, or the model has no file.
    """
    how = f"`earmark evaluate MODEL --data ... --out FOLDER` chooses some: give that FOLDER, not {AUTO!r}"
    if not isinstance(model, str | os.PathLike) or members_of(model) is not None:
        raise ConfigError(
            f"a model at hand, or several, have no file that thresholds could lie beside; {how}"
        )
    folder = resolve(model).parent
    if not (folder / FILE).is_file():
        raise ConfigError(f"there is no {FILE} in {displayable(folder)}; {how}")
    return read_thresholds(folder)


def ready_to_tag(model: Model, device: str | None, precision: Precision = "fp32") -> Ear:
    """The model, where it shall compute and in so many bits; see `tag`."""
    if is_onnx(model):
        return open_onnx(Path(str(model)), device)
    tagger = place(model if isinstance(model, Hearer) else load(model), device)
    if not tagger.has_head:
        raise ConfigError(
            "this model has no head and gives embeddings only; embed with it, or tag with another"
        )
    return ear_of(with_precision(tagger, precision))
