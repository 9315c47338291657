"""An order that reads large files from end to end and is still close to random: a shuffle buffer's."""

from typing import Literal

import numpy as np
from jaxtyping import Int64
from pydantic import Field

from earmark.config import Frozen


class Buffered(Frozen):
    """Each clip once; the files of the corpus in random order, and near clips shuffled among each other.

    Where clips lie in packs (shards) that are slow to enter anywhere, such as on disks that turn or in object
    storage, `Shuffled` would jump between all of them for each batch.  Here a buffer is filled from one shard
    after the other, and each clip that is taken out of it, at random, makes room for the next.  The partners
    of mixup are among the `buffer` clips that were heard before.

    The order is a function of the seed and the epoch, so that the state of the buffer need not be saved: a
    run that is resumed finds the same clips in it.

    Attributes:
        buffer: how many clips wait in it.  As many as three shards have make a good mixture.

    Source:
        The shuffle buffers of TensorFlow's and WebDataset's loaders, which lose their state with the process.
    """

    kind: Literal["Buffered"] = "Buffered"
    buffer: int = Field(default=10_000, gt=1, le=10_000_000)


def buffered_order(
    buffer: int, files: Int64[np.ndarray, "clip"], draws: np.random.Generator
) -> Int64[np.ndarray, "clip"]:
    """All clips in the order in which they leave a shuffle buffer.

    Args:
        buffer: clips that it holds.
        files: of each clip, the number of its file; the clips of a file lie in it in their order here.
        draws: source of randomness.

    Example:
        >>> order = buffered_order(2, np.array([0, 0, 0, 1, 1, 1]), np.random.default_rng(0))
        >>> sorted(order.tolist())
        [0, 1, 2, 3, 4, 5]
    """
    rank = draws.permutation(int(files.max(initial=-1)) + 1)
    arriving = np.argsort(rank[files], kind="stable")
    held = arriving[:buffer].tolist()
    places = draws.integers(len(held), size=max(0, len(arriving) - buffer)).tolist()
    leaving: list[int] = []
    for clip, place in zip(arriving[buffer:].tolist(), places, strict=True):
        leaving.append(held[place])
        held[place] = clip
    leaving += draws.permutation(held).tolist()
    return np.array(leaving, dtype=np.int64)
