"""What every way of embedding offers."""

from collections.abc import Iterator
from typing import Protocol, runtime_checkable

from jaxtyping import Float, Float64
from torch import Tensor

from earmark.hear.rolling import Rolling
from earmark.models import Tagger

Sounds = Float[Tensor, "sound sample"]
Vectors = Float[Tensor, "n dim"]
Timed = tuple[Float64[Tensor, "time"], Float[Tensor, "time dim"]]
"""Points in time, in seconds, and what is there."""


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

    def scene_of(self, sound: Rolling, batch: int) -> Float[Tensor, "dim"]:
        """The vector of one sound that comes in blocks: that of `scenes`."""
        ...

    def timestamps_of(self, sound: Rolling, batch: int) -> Iterator[Timed]:
        """The vectors of one sound that comes in blocks, a stretch after the other: those of `timestamps`."""
        ...
