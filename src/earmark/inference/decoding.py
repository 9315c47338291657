"""Decoding ahead of the model: items are decoded by a pool of processes, or here, and come in order."""

import warnings
from collections import deque
from collections.abc import Iterable, Iterator

import numpy as np
from jaxtyping import Float

from earmark.audio import AudioError, AudioWarning, Source, stream
from earmark.audio.pool import Job, Pool
from earmark.inference.settings import Run
from earmark.inference.sources import Item, Part

Block = Float[np.ndarray, "sample"]


def decode(
    items: Iterable[Item], sample_rate: int, run: Run, pool: Pool | None
) -> Iterator[tuple[Item, Iterator[Block]]]:
    """Each item with its blocks, in order; a bounded number of files is decoded ahead.

    The blocks of an item must be read to their end before the next item is asked for.  Reading them raises
    `AudioError` under the item's name.

    Args:
        items: what to decode.  Paths, bytes and parts go through the pool; arrays and open files are decoded
            here.
        sample_rate: rate of the blocks, in Hz.
        run: of which `on_truncated` is used.
        pool: decoder processes; None decodes everything in this process.
    """
    ahead: deque[tuple[Item, Iterator[Block]]] = deque()
    depth = 0 if pool is None else 16 + 4 * pool.workers
    for item in items:
        ahead.append((item, _begun(item, sample_rate, run, pool)))
        if len(ahead) > depth:
            yield ahead.popleft()
    yield from ahead


def _begun(item: Item, sample_rate: int, run: Run, pool: Pool | None) -> Iterator[Block]:
    """The blocks of an item; those that the pool decodes are on their way from now on."""
    if item.error is not None or item.source is None:
        return _failed(item, item.error or "there is nothing to read")
    source = item.source
    if isinstance(source, Part):
        from earmark.data.feeding.decoding import Decoding, encoded, place_of  # late: few need it

        place = place_of(source.path, source.row, source.start, source.end, sample_rate)
        if place.start or place.length is not None:
            return _of_stretch(item, Decoding(place, sample_rate, pool).blocks())
        try:
            source = encoded(place)
        except AudioError as error:
            return _failed(item, error.reason)
    if pool is not None and isinstance(source, str | bytes):
        return _from_pool(item, pool.submit(source, sample_rate, run.on_truncated), pool)
    return _from_here(item, source, sample_rate, run)


def _failed(item: Item, reason: str) -> Iterator[Block]:
    raise AudioError(item.name, reason)
    yield


def _of_stretch(item: Item, blocks: Iterator[Block]) -> Iterator[Block]:
    count = 0
    try:
        for block in blocks:
            count += len(block)
            yield block
    except AudioError as error:
        raise AudioError(item.name, error.reason) from None
    if not count:
        raise AudioError(item.name, "the stretch begins where the sound has ended")


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
