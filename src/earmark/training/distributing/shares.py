"""Which part of a batch a process gets."""

import numpy as np
from jaxtyping import Int64


def rank_share(batch: Int64[np.ndarray, "clip"], rank: int, world: int) -> Int64[np.ndarray, "share"]:
    """The part of a batch that one of several processes gets.

    The parts follow one another and are cut at even places, so that neighbors that are mixed with one another
    stay together.

    Args:
        batch: clips.
        rank: of the process, from 0.
        world: how many processes there are.

    Example:
        >>> [rank_share(np.arange(7), rank, 2).tolist() for rank in (0, 1)]
        [[0, 1, 2, 3], [4, 5, 6]]
    """
    pairs = -(-len(batch) // 2)
    first, last = (-(-pairs * r // world) for r in (rank, rank + 1))
    return batch[2 * first : 2 * last]
