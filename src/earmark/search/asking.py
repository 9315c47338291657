"""From the name of a sound to the vector that is looked for."""

import os
from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import Float

from earmark.audio import displayable
from earmark.config import ConfigError
from earmark.inference.digest import weights_digest
from earmark.inference.embedding import embed_items, ready_to_embed
from earmark.inference.placing import Hearer
from earmark.inference.settings import EmbedSettings, Run
from earmark.inference.sources import item_of
from earmark.models.precision import with_precision
from earmark.search.shelf import Neighbor, Shelf


class Asker:
    """Finds what is stored and sounds like a query, by the model that the vectors came from.

    Args:
        shelf: what is searched.
        model: a name, a file or a run folder; None for the one that the vectors say they are from.
        device: where it computes.

    Raises:
        ConfigError: nobody says which model it was, or it has other weights today.
    """

    def __init__(self, shelf: Shelf, model: str | None = None, device: str = "cpu") -> None:
        self.shelf, self.device = shelf, device
        self._named = model is not None
        self.name = model if model is not None else shelf.about.get("model")
        if self._named:
            self._refuse_others()

    def like(self, query: str, top: int) -> list[Neighbor]:
        """The stored stretches that are nearest to a sound, nearest first; never one of its own.

        Args:
            query: a sound that is stored, any other file, or a vector as an .npy file.
            top: how many.

        Raises:
            AudioError: the file cannot be heard.
            ConfigError: it is not stored, and no model is known to hear it with; or another width.
        """
        path, vector = displayable(query), None
        for spelling in (query, os.path.relpath(query), str(Path(query).absolute())):
            if vector is None:
                path, vector = displayable(spelling), self.shelf.vector_of(displayable(spelling))
        if vector is None:
            vector = _read(query) if query.endswith(".npy") else self._heard(query)
        if vector.shape != (self.shelf.dim,):
            raise ConfigError(
                f"{path} has {vector.size} numbers, and those that are stored have {self.shelf.dim}; give "
                "what the same model made, with the same settings"
            )
        return self.shelf.nearest(vector, top, without=path)

    def _heard(self, query: str) -> Float[np.ndarray, "dim"]:
        about = self.shelf.about
        settings = EmbedSettings(
            **{name: about[name] for name in ("level", "mode", "layer", "pool") if name in about}
        )
        run = Run(on_truncated=about.get("on_truncated", "error"))
        (result,) = embed_items([item_of(query)], self._model, settings, run)
        if result.error is not None:
            raise result.error
        return result.embeddings.mean(axis=0)

    def _refuse_others(self) -> None:
        """Refuse a model that is gone or has other weights than those that made the vectors."""
        made_by, digest = self.shelf.about.get("model"), self.shelf.about.get("model_digest")
        today = weights_digest(str(self.name))
        if not digest or today == digest:
            return
        if self._named:
            raise ConfigError(
                f"these embeddings are of {made_by}, and {self.name} has other weights; vectors of different "
                "models cannot be compared: leave the model away, or embed anew"
            )
        if today is None:
            raise ConfigError(
                f"there is no model {self.name} here any more, which made these embeddings; name it where it "
                "is now with --model"
            )
        raise ConfigError(
            f"{self.name} has other weights today than those that made these embeddings; embed anew"
        )

    @cached_property
    def _model(self) -> Hearer:
        if self.name is None:
            raise ConfigError(
                "these embeddings do not say which model made them, and the query is not among them; "
                "name the model with --model"
            )
        if not self._named:
            self._refuse_others()
        precision = self.shelf.about.get("precision", "fp32")
        return with_precision(ready_to_embed(self.name, self.device), precision)


def _read(query: str) -> Float[np.ndarray, "dim"]:
    try:
        return np.load(query, allow_pickle=False).astype(np.float32).reshape(-1)
    except (OSError, ValueError, EOFError) as error:
        raise ConfigError(f"{displayable(query)}: is no vector ({error})") from None
