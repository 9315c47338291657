"""What every way of embedding offers."""

from typing import Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor

from earmark.models import Tagger

Sounds = Float[Tensor, "sound sample"]
Vectors = Float[Tensor, "n dim"]


@runtime_checkable
class Embedder(Protocol):
    """A model that embeds sounds and points in time.

    Attributes:
        model: computes it.
        scene_size: width of a scene's embedding.
        timestamp_size: width of a timestamp's.
    """

    model: Tagger
    scene_size: int
    timestamp_size: int

    def scenes(self, audio: Sounds, batch: int) -> Float[Tensor, "sound dim"]:
        """One vector for each sound."""
        ...

    def times(self, n_samples: int) -> list[float]:
        """The points in time of sounds of this length, in seconds, without computing anything."""
        ...

    def timestamps(self, audio: Sounds, batch: int) -> Float[Tensor, "sound time dim"]:
        """A vector for each point in time."""
        ...
