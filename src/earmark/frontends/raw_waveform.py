"""The waveform itself, for encoders that learn their own front end."""

from typing import Literal

from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from earmark.config import Frozen


class RawWaveform(Frozen):
    """The waveform as one band whose frames are its samples; nothing is normalized.

    Attributes:
        sample_rate: Hz.

    Example:
        >>> import torch
        >>> RawWaveform().build()(torch.zeros(2, 16000)).shape      # two clips of 1 s
        torch.Size([2, 1, 16000])
    """

    kind: Literal["RawWaveform"] = "RawWaveform"
    sample_rate: int = Field(default=16000, ge=1000, le=768000)

    @property
    def n_bands(self) -> int:
        """How many bands an encoder gets."""
        return 1

    @property
    def min_samples(self) -> int:
        """The shortest waveform."""
        return 1

    def n_frames(self, n_samples: int) -> int:
        """How many frames `n_samples` samples give."""
        return n_samples

    def samples_for(self, n_frames: int) -> int:
        """The fewest samples that give `n_frames` frames."""
        return n_frames

    @property
    def frame_seconds(self) -> float:
        """Seconds from one frame to the next."""
        return 1 / self.sample_rate

    @property
    def first_frame_seconds(self) -> float:
        """Center of the first frame, in seconds from the start of the waveform."""
        return 0.0

    @property
    def log_scale(self) -> tuple[float, float] | None:
        """Offset and scale that give the logarithm of mel power: a waveform is none."""
        return None

    @property
    def fill(self) -> float:
        """What a masked cell becomes."""
        return 0.0

    def build(self) -> "RawWaveformFrontend":
        """The module that computes this."""
        return RawWaveformFrontend(self)


class RawWaveformFrontend(nn.Module):
    """Computes `RawWaveform`; see there."""

    def __init__(self, config: RawWaveform) -> None:
        super().__init__()
        self.config = config

    def forward(self, waveform: Float[Tensor, "batch sample"]) -> Float[Tensor, "batch 1 sample"]:
        """The waveform with an axis for its one band."""
        return waveform[:, None]
