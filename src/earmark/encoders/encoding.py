"""What every encoder returns."""

from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor

from earmark.config import Frozen


class Encoding(NamedTuple):
    """An encoded batch of clips.

    Attributes:
        frames: what is heard when, earliest first, on the grid that the encoder's config states
            (`frame_dim`, `frame_stride`, `first_frame`).  In training with patchout: the
            tokens that were kept.
        summary: one vector for the whole clip.
    """

    frames: Float[Tensor, "batch frame frame_dim"]
    summary: Float[Tensor, "batch dim"]


class Layer(NamedTuple):
    """What an encoder gives when it stops after one of its layers.

    Attributes:
        dim: width of the summary.
        frame_dim: width of a frame.
        frame_stride: feature frames from one encoded frame to the next.
        first_frame: center of the first encoded frame, in feature frames.
    """

    dim: int
    frame_dim: int
    frame_stride: int
    first_frame: float


class EncoderDescription(Frozen):
    """Base of every encoder's description: what it gives, read off its last layer unless it says otherwise.

    A description also has `n_bands` (bands that it takes), `dim` (width of the summary) and `build()` (the
    module that computes it).
    """

    @property
    def layers(self) -> tuple[Layer, ...]:
        """What each layer gives, first to last."""
        raise NotImplementedError

    @property
    def frame_dim(self) -> int:
        """Width of a frame."""
        return self.layers[-1].frame_dim

    @property
    def frame_stride(self) -> int:
        """Feature frames from one encoded frame to the next."""
        return self.layers[-1].frame_stride

    @property
    def first_frame(self) -> float:
        """Center of the first encoded frame, in feature frames."""
        return self.layers[-1].first_frame

    @property
    def min_frames(self) -> int:
        """The shortest input, in feature frames."""
        return 1

    @property
    def longest(self) -> int | None:
        """The longest input, in feature frames; None if there is no bound."""
        return None


def layers_until(layer: int | None, count: int) -> int:
    """How many of `count` layers run.

    Args:
        layer: index of the last one, from 0, or from -1 backwards; None runs all.
        count: how many there are.

    Raises:
        ValueError: there is no such layer.

    Example:
        >>> layers_until(None, 12), layers_until(0, 12), layers_until(-2, 12)
        (12, 1, 11)
    """
    if layer is None:
        return count
    if not -count <= layer < count:
        raise ValueError(f"layer is {layer} but the encoder has {count}; give {-count} to {count - 1}")
    return layer % count + 1
