"""From the name of a sound to the vector that is looked for."""

from collections import defaultdict
from functools import cached_property
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from earmark.audio import displayable
from earmark.config import ConfigError
from earmark.inference.digest import weights_digest
from earmark.inference.embedding import embed_items, ready_to_embed
from earmark.inference.placing import Hearer
from earmark.inference.settings import EmbedSettings, Run
from earmark.inference.sources import item_of
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


class Asker:
    """Finds what is stored and sounds like a query, by the model that the vectors came from.

    Args:
        stored: what is searched.
        model: a name, a file or a run folder; None for the one that the vectors say they are from.
        device: where it computes.

    Raises:
        ConfigError: nobody says which model it was, or it has other weights today.
    """

    def __init__(self, stored: Stored, model: str | None = None, device: str = "cpu") -> None:
        self.stored, self.device = stored, device
        about = stored.about
        self.name = model if model is not None else about.get("model")
        digest = about.get("model_digest")
        if model is not None and digest and weights_digest(model) != digest:
            raise ConfigError(
                f"these embeddings are of {about.get('model')}, and {model} has other weights; vectors of "
                "different models cannot be compared: leave the model away, or embed anew"
            )
        self._rows: dict[str, list[int]] = defaultdict(list)
        for row, path in enumerate(stored.paths):
            self._rows[path].append(row)

    def like(self, query: str, top: int) -> list[Neighbor]:
        """The stored stretches that are nearest to a sound, nearest first; never one of its own.

        Args:
            query: a sound that is stored, or any file.
            top: how many.

        Raises:
            AudioError: the file cannot be heard.
            ConfigError: it is not stored, and no model is known to hear it with.
        """
        own = np.array(self._rows.get(displayable(query), []), np.int64)
        vector = self._mean(own) if len(own) else self._heard(query)
        found = nearest(self.stored.vectors, vector[None], top + len(own))
        told = zip(found.rows[0].tolist(), found.similarities[0].tolist(), strict=True)
        return [self._neighbor(row, value) for row, value in told if row not in set(own.tolist())][:top]

    def _mean(self, rows: Int[np.ndarray, "row"]) -> Float[np.ndarray, "dim"]:
        return self.stored.vectors[rows].mean(axis=0)

    def _neighbor(self, row: int, similarity: float) -> Neighbor:
        stored = self.stored
        return Neighbor(stored.paths[row], float(stored.starts[row]), float(stored.ends[row]), similarity)

    def _heard(self, query: str) -> Float[np.ndarray, "dim"]:
        about = self.stored.about
        settings = EmbedSettings(
            **{name: about[name] for name in ("level", "mode", "layer", "pool") if name in about}
        )
        (result,) = embed_items([item_of(query)], self._model, settings, Run())
        if result.error is not None:
            raise result.error
        vector = result.embeddings.mean(axis=0)
        if len(vector) != self.stored.vectors.shape[1]:
            raise ConfigError(
                f"{self.name} gives {len(vector)} numbers, and those that are stored have "
                f"{self.stored.vectors.shape[1]}; give the model that they were made with"
            )
        return vector

    @cached_property
    def _model(self) -> Hearer:
        if self.name is None:
            raise ConfigError(
                "these embeddings do not say which model made them, and the query is not among them; "
                "name the model with --model"
            )
        digest = self.stored.about.get("model_digest")
        if digest and weights_digest(self.name) != digest:
            raise ConfigError(
                f"{self.name} has other weights today than those that made these embeddings; embed anew"
            )
        return ready_to_embed(self.name, self.device)
