"""What is clustered: the features of an encoder at three locations."""

from typing import Literal, NamedTuple

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from earmark.encoders.dbert import DBERT, DBERTEncoder

Location = Literal["conv", "summary", "output"]
LOCATIONS: tuple[Location, ...] = ("conv", "summary", "output")


class Features(NamedTuple):
    """Features of a batch at each location; the names are those of `encoders.clusters.Clusters`.

    Attributes:
        conv: of each frame, before the transformer.
        summary: of each clip.
        output: of each frame, behind the transformer and its projection.
    """

    conv: Float[Tensor, "batch frame dim"]
    summary: Float[Tensor, "batch summary_dim"]
    output: Float[Tensor, "batch frame dim"]


class Sound(NamedTuple):
    """A batch as the encoder takes it.

    Attributes:
        waveform: what the front end gives.
        valid: frames that are no padding; None if all are, which attention computes faster.
    """

    waveform: Float[Tensor, "batch 1 sample"]
    valid: Bool[Tensor, "batch frame"] | None

    def part(self, start: int, size: int) -> "Sound":
        """Some of its clips."""
        cut = slice(start, start + size)
        return Sound(self.waveform[cut], None if self.valid is None else self.valid[cut])

    @property
    def lengths(self) -> Int64[Tensor, "batch"] | None:
        """Frames of each clip; None if nothing is padding."""
        return None if self.valid is None else self.valid.sum(dim=1)


def valid_frames(
    config: DBERT, n_samples: int, lengths: Int64[Tensor, "batch"]
) -> Bool[Tensor, "batch frame"]:
    """Which frames of padded clips are sound.

    A frame is, if all its samples are; a clip shorter than that has one frame.

    Args:
        config: of the encoder.
        n_samples: of the padded clips.
        lengths: samples of each that are sound.

    Example:
        >>> valid_frames(DBERT(), 1200, torch.tensor([1200, 719, 720, 5])).int()
        tensor([[1, 1, 1],
                [1, 0, 0],
                [1, 1, 0],
                [1, 0, 0]], dtype=torch.int32)
    """
    frames = 1 + (lengths - config.min_frames).div(config.frame_stride, rounding_mode="floor")
    return torch.arange(config.n_frames(n_samples), device=lengths.device) < frames.clamp(min=1)[:, None]


def features_of(encoder: DBERTEncoder, sound: Sound) -> Features:
    """Features as they are, nothing masked, in float32."""
    conv = encoder.conv_features(sound.waveform)
    encoding = encoder.contextualize(conv, lengths=sound.lengths)
    return Features(conv.float(), encoding.summary.float(), encoding.frames.float())


def no_features(config: DBERT, n_frames: int, device: torch.device) -> Features:
    """Features of no clips, for a process whose share of a batch is empty."""
    frames = torch.zeros(0, n_frames, config.conv_dim, device=device)
    return Features(frames, torch.zeros(0, config.summary_dim, device=device), frames)
