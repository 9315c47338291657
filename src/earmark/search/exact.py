"""The nearest of all vectors, found by looking at each."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

BLOCK = 65_536
"""Rows that are compared at once: what is in memory beside the vectors stays small."""


class Nearest(NamedTuple):
    """The rows that are nearest to queries, nearest first; ties by row.

    Attributes:
        rows: indices.
        similarities: the cosines, -1 to 1.
    """

    rows: Int[np.ndarray, "query top"]
    similarities: Float[np.ndarray, "query top"]


def nearest(
    vectors: Float[np.ndarray, "row dim"], queries: Float[np.ndarray, "query dim"], top: int
) -> Nearest:
    """Compare queries with all rows by the cosine of the angle between them.

    Args:
        vectors: what is searched.
        queries: what is looked for.
        top: rows for each query; all if there are fewer.

    Raises:
        ValueError: vectors and queries differ in width, or top is below 1.

    Example:
        >>> found = nearest(np.array([[1.0, 0.0], [0.0, 2.0], [1.0, 1.0]]), np.array([[0.0, 1.0]]), 2)
        >>> found.rows, found.similarities.round(3)
        (array([[1, 2]]), array([[1.   , 0.707]]))
    """
    if vectors.shape[1] != queries.shape[1] or top < 1:
        raise ValueError(
            f"vectors have {vectors.shape[1]} numbers, queries {queries.shape[1]}, and top is {top}; give "
            "equal widths, and a top of 1 or more"
        )
    wanted = unit(queries)
    rows = np.zeros((len(queries), 0), np.int64)
    similarities = np.zeros((len(queries), 0), wanted.dtype)
    for first in range(0, len(vectors), BLOCK):
        block = wanted @ unit(vectors[first : first + BLOCK]).T
        similarities = np.concatenate([similarities, block], axis=1)
        numbers = np.broadcast_to(np.arange(first, first + block.shape[1]), block.shape)
        rows = np.concatenate([rows, numbers], axis=1)
        order = np.lexsort((rows, -similarities), axis=1)[:, :top]
        rows = np.take_along_axis(rows, order, axis=1)
        similarities = np.take_along_axis(similarities, order, axis=1)
    return Nearest(rows, similarities)


def unit(vectors: Float[np.ndarray, "row dim"]) -> Float[np.ndarray, "row dim"]:
    """Vectors of length 1; those of length 0 stay, and are like nothing.

    Example:
        >>> unit(np.array([[3.0, 4.0], [0.0, 0.0]]))
        array([[0.6, 0.8],
               [0. , 0. ]])
    """
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(lengths > 0, lengths, 1)
