"""What can be asked for the nearest of many vectors."""

from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float

from earmark.search.exact import nearest
from earmark.search.stored import Stored


class Neighbor(NamedTuple):
    """A stretch that sounds like a query.

    Attributes:
        path: its source.
        start: where it begins, in seconds.
        end: where it ends, in seconds.
        similarity: the cosine of the vectors, -1 to 1.
    """

    path: str
    start: float
    end: float
    similarity: float


@runtime_checkable
class Shelf(Protocol):
    """Vectors of one model.

    Attributes:
        about: the model and the settings that made them; empty where nobody says it.
        dim: their width.
    """

    about: dict[str, Any]
    dim: int

    def vector_of(self, path: str) -> Float[np.ndarray, "dim"] | None:
        """The mean of the vectors of a source; None if it is not here."""
        ...

    def nearest(self, vector: Float[np.ndarray, "dim"], top: int, without: str) -> list[Neighbor]:
        """The stretches that are nearest, nearest first, but for those of one source."""
        ...


class FileShelf:
    """A file of embeddings, of which every vector is looked at.

    Args:
        stored: what is in it.
    """

    def __init__(self, stored: Stored) -> None:
        self.about, self.dim = stored.about, stored.vectors.shape[1]
        self._stored = stored
        self._rows: dict[str, list[int]] = {}
        for row, path in enumerate(stored.paths):
            self._rows.setdefault(path, []).append(row)

    def vector_of(self, path: str) -> Float[np.ndarray, "dim"] | None:
        """See `Shelf`."""
        rows = self._rows.get(path)
        return None if rows is None else self._stored.vectors[rows].mean(axis=0)

    def nearest(self, vector: Float[np.ndarray, "dim"], top: int, without: str) -> list[Neighbor]:
        """See `Shelf`."""
        stored, own = self._stored, self._rows.get(without, [])
        found = nearest(stored.vectors, vector[None], top + len(own))
        told = zip(found.rows[0].tolist(), found.similarities[0].tolist(), strict=True)
        return [
            Neighbor(stored.paths[row], float(stored.starts[row]), float(stored.ends[row]), value)
            for row, value in told
            if stored.paths[row] != without
        ][:top]
