"""Decoding ahead of the model: items are decoded by a pool of processes, or here, and come in order."""

import warnings
from collections import deque
from collections.abc import Iterable, Iterator

import numpy as np
from jaxtyping import Float

from earmark.audio import AudioError, AudioWarning, Source, stream
from earmark.audio.pool import Job, Pool
from earmark.inference.settings import Run
from earmark.inference.sources import Item

Block = Float[np.ndarray, "sample"]


def decode(
    items: Iterable[Item], sample_rate: int, run: Run, pool: Pool | None
) -> Iterator[tuple[Item, Iterator[Block]]]:
    """Each item with its blocks, in order; a bounded number of files is decoded ahead.

    The blocks of an item must be read to their end before the next item is asked for.  Reading them raises
    `AudioError` under the item's name.

    Args:
        items: what to decode.  Paths go through the pool; arrays, bytes and open files are decoded here.
        sample_rate: rate of the blocks, in Hz.
        run: of which `on_truncated` is used.
        pool: decoder processes; None decodes everything in this process.
    """
    ahead: deque[tuple[Item, Job | None]] = deque()
    depth = 0 if pool is None else 16 + 4 * pool.workers
    for item in items:
        job = None
        if pool is not None and isinstance(item.source, str):
            job = pool.submit(item.source, sample_rate, run.on_truncated)
        ahead.append((item, job))
        if len(ahead) > depth:
            yield _blocks(*ahead.popleft(), sample_rate, run, pool)
    while ahead:
        yield _blocks(*ahead.popleft(), sample_rate, run, pool)


def _blocks(
    item: Item, job: Job | None, sample_rate: int, run: Run, pool: Pool | None
) -> tuple[Item, Iterator[Block]]:
    if item.error is not None or item.source is None:
        return item, _failed(item)
    if job is not None and pool is not None:
        return item, _from_pool(item, job, pool)
    return item, _from_here(item, item.source, sample_rate, run)


def _failed(item: Item) -> Iterator[Block]:
    raise AudioError(item.name, item.error or "there is nothing to read")
    yield


def _from_pool(item: Item, job: Job, pool: Pool) -> Iterator[Block]:
    yield from pool.read(job)
    for note in job.notes:
        warnings.warn(AudioWarning(note), stacklevel=2)
    if job.reason is not None:
        raise AudioError(item.name, job.reason)


def _from_here(item: Item, source: Source, sample_rate: int, run: Run) -> Iterator[Block]:
    try:
        yield from stream(source, sample_rate, on_truncated=run.on_truncated)
    except AudioError as error:
        raise AudioError(item.name, error.reason) from None
