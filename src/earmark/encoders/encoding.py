"""What every encoder returns."""

from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor


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
