"""What the encoders that give one vector per stretch of time have in common."""

from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from earmark.encoders.encoding import EncoderDescription, Encoding, Layer, check_size


class SequenceEncoder(EncoderDescription):
    """Base of encoders that read frame after frame: any length, one vector for `frame_stride` frames.

    Attributes:
        n_bands: mel bands that it takes.
        dim: width of a frame and of the summary.
    """

    n_bands: int = Field(default=64, gt=0, le=4096)
    dim: int = Field(default=1024, gt=0, le=16384)

    @property
    def frame_stride(self) -> int:
        """Feature frames from one encoded frame to the next."""
        return 1

    @property
    def first_frame(self) -> float:
        """Center of the first encoded frame, in feature frames."""
        return centered(self.frame_stride)

    @property
    def min_frames(self) -> int:
        """The shortest input: one encoded frame."""
        return self.frame_stride


def frames_first(
    features: Float[Tensor, "batch band frame"], config: SequenceEncoder
) -> Float[Tensor, "batch frame band"]:
    """Turn a batch of spectrograms into sequences of frames.

    Args:
        features: normalized log mel; `config.n_bands` bands, at least `config.min_frames` frames.
        config: the encoder's description.

    Raises:
        ValueError: another number of bands, or too few frames for one encoded frame.
    """
    check_size(features, config)
    return features.transpose(1, 2)


def centered(stride: int) -> float:
    """Center of the first of many stretches of `stride` frames, in frames.

    Example:
        >>> centered(1), centered(4)
        (0.0, 1.5)
    """
    return (stride - 1) / 2


def plain_layer(dim: int, stride: int) -> Layer:
    """A layer that gives frames of width `dim` every `stride` feature frames, and their mean."""
    return Layer(dim, dim, stride, centered(stride))


def with_mean(frames: Float[Tensor, "batch frame dim"]) -> Encoding:
    """Frames, with their mean over time as the summary.

    The published nets have no clip embedding: they classify each frame and pool the probabilities.
    """
    return Encoding(frames=frames, summary=frames.mean(dim=1))
