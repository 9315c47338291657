"""What inference knows of a model, however that computes: nothing here needs torch."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Literal, Protocol, TypeVar, runtime_checkable

import numpy as np

from earmark.labels import LabelSet

Array = TypeVar("Array")


@dataclass(frozen=True)
class Give(Generic[Array]):
    """What a model shall give for each window.

    Attributes:
        compute: waveforms to values: one vector for each, or one for each encoded frame.
        dim: width of a vector.
        spacing: seconds from one frame to the next; None where there is one vector for each window.
        first: center of the first frame, in seconds from the start of the window.
    """

    compute: Callable[[Array], Array]
    dim: int
    spacing: float | None = None
    first: float = 0.0


ArrayGive = Give[np.ndarray]
"""From arrays to arrays; other programs than torch compute so."""


@runtime_checkable
class Clipped(Protocol):
    """How sounds are cut for a model."""

    @property
    def sample_rate(self) -> int:
        """In Hz."""
        ...

    @property
    def clip_seconds(self) -> float:
        """Length of the windows that longer sounds are cut into."""
        ...

    @property
    def padding(self) -> Literal["none", "zeros", "loop"]:
        """How a shorter sound is brought to that length."""
        ...

    @property
    def min_samples(self) -> int:
        """The shortest window."""
        ...


@dataclass(frozen=True)
class Ear:
    """A model that tags, ready to compute.

    Attributes:
        sample_rate: in Hz.
        clip_seconds: length of the windows that longer sounds are cut into.
        padding: how a shorter sound is brought to that length.
        min_samples: the shortest window.
        labels: what its scores are of.
        clips: probabilities of windows.
        frames: probabilities of frames; None where it has none.
    """

    sample_rate: int
    clip_seconds: float
    padding: Literal["none", "zeros", "loop"]
    min_samples: int
    labels: LabelSet
    clips: ArrayGive
    frames: ArrayGive | None = None
