"""What every encoder returns."""

from typing import NamedTuple, Protocol, runtime_checkable

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


@runtime_checkable
class Sized(Protocol):
    """A description that says how large its input is."""

    @property
    def n_bands(self) -> int:
        """Bands that it takes."""
        ...

    @property
    def min_frames(self) -> int:
        """The shortest input, in feature frames."""
        ...


def check_size(
    features: Float[Tensor, "*batch band frame"],
    config: Sized,
    longest: int | None = None,
    remedy: str = "pad or cut the features",
) -> None:
    """Refuse features of another size than an encoder takes.

    Args:
        features: what the encoder got.
        config: the encoder's description.
        longest: the longest input, in feature frames; None if there is no bound.
        remedy: what to do about a wrong number of frames.

    Raises:
        ValueError: another number of bands, or too few or too many frames.

    Example:
        >>> import torch
        >>> from earmark.encoders import ResidualCNN
        >>> check_size(torch.zeros(1, 40, 9), ResidualCNN())     # doctest: +ELLIPSIS
        Traceback (most recent call last):
        ValueError: ResidualCNN got 40 bands x 9 frames; it takes 64 bands and at least 1 frames; ...
    """
    bands, frames = features.shape[-2:]
    shortest = config.min_frames
    if bands != config.n_bands:
        remedy = "give it features of a front end with as many bands"
    elif shortest <= frames and (longest is None or frames <= longest):
        return
    allowed = f"at least {shortest}"
    if longest is not None:
        allowed = f"{shortest} to {longest}" if shortest < longest else f"{longest}"
    raise ValueError(
        f"{type(config).__name__} got {bands} bands x {frames} frames; it takes {config.n_bands} bands and "
        f"{allowed} frames; {remedy}"
    )


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
    if not count:
        raise ValueError(f"layer is {layer} but the encoder has none; leave the layer away")
    if not -count <= layer < count:
        raise ValueError(f"layer is {layer} but the encoder has {count}; give {-count} to {count - 1}")
    return layer % count + 1
