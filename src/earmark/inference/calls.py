"""What `tag` and `embed` share: one source or many."""

import os
from collections.abc import Callable, Iterable, Iterator
from typing import TypeGuard, TypeVar, cast

import numpy as np

from earmark.audio import Source
from earmark.audio.pool import Pool
from earmark.inference.results import EmbedResult, EventResult, TagResult
from earmark.inference.settings import Run
from earmark.inference.sources import Item, item_of

Result = TypeVar("Result", bound=TagResult | EmbedResult | EventResult)


def is_one(sources: "Source | Iterable[Source | Item]") -> TypeGuard[Source]:
    """Whether this is one source, not many.

    Example:
        >>> is_one("dog.wav"), is_one((np.zeros(10), 16000)), is_one(["dog.wav"]), is_one(("a.wav", "b.wav"))
        (True, True, False, False)
    """
    if isinstance(sources, tuple) and not isinstance(sources, Item):
        pair = cast(tuple[object, ...], sources)
        return len(pair) == 2 and isinstance(pair[1], int | float | np.number)
    if isinstance(sources, str | bytes | bytearray | memoryview | os.PathLike | Item):
        return True
    return hasattr(sources, "read") or hasattr(sources, "__array__")


def many(sources: "Source | Iterable[Source | Item]") -> "Iterable[Source | Item]":
    """The same, where it is known not to be one source."""
    return cast("Iterable[Source | Item]", sources)


def first(results: Iterator[Result]) -> Result:
    """The result for the one source; its failure is raised."""
    result = next(results)
    for _ in results:
        pass
    if result.error is not None:
        raise result.error
    return result


def with_pool(
    sources: "Iterable[Source | Item]",
    run: Run,
    hear: Callable[[Iterator[Item], Pool | None], Iterator[Result]],
) -> Iterator[Result]:
    """Hear many sources beside decoder processes that live as long as the iteration."""
    items = (item_of(source) for source in sources)
    workers = run.decoders(many=True)
    if not workers:
        yield from hear(items, None)
        return
    with Pool(workers, run.timeout) as pool:
        yield from hear(items, pool)
