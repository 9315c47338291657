"""What the front ends of AST, PSLA and AudioTagging Done Right share: measured statistics, a fixed length."""

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from earmark.config import Frozen


class Normalized(Frozen):
    """A logarithmic mel spectrogram in a unit of its own, normalized by the statistics of a corpus.

    Attributes:
        sample_rate: Hz.
        n_mels: number of bands.
        win_length: length of the window in samples.
        hop_length: samples between frames.
        mean: of the features before normalization, over a corpus; `earmark stats` measures it.
        std: their standard deviation.
        deviations: what is left after the mean is divided by this many standard deviations.
        length: each clip gets exactly this many frames, 0 is off.  A shorter one ends in cells of 0 before
            normalization, as the published loaders pad; one surplus frame is cut; more are refused.
    """

    sample_rate: int = Field(default=16000, ge=1000, le=768000)
    n_mels: int = Field(default=128, gt=0, le=4096)
    win_length: int = Field(default=400, gt=2, le=65536)
    hop_length: int = Field(default=160, gt=0, le=65536)
    mean: float = 0.0
    std: float = Field(default=1.0, gt=0)
    deviations: float = Field(default=2.0, gt=0)
    length: int = Field(default=0, ge=0, le=65536)

    @property
    def min_samples(self) -> int:
        """The shortest waveform."""
        raise NotImplementedError

    @property
    def max_samples(self) -> int | None:
        """The longest waveform; None for any."""
        return self._samples(self.length + 2) - 1 if self.length else None

    @property
    def log_unit(self) -> float:
        """What one unit of the features before normalization is in natural logarithms of power."""
        raise NotImplementedError

    def _frames(self, n_samples: int) -> int:
        """How many frames `n_samples` samples give of themselves."""
        raise NotImplementedError

    def _samples(self, n_frames: int) -> int:
        """The fewest samples that give `n_frames` frames of themselves."""
        raise NotImplementedError

    def build(self) -> "NormalizedFrontend":
        """The module that computes this."""
        raise NotImplementedError

    @property
    def n_bands(self) -> int:
        """How many bands an encoder gets."""
        return self.n_mels

    def n_frames(self, n_samples: int) -> int:
        """How many frames `n_samples` samples give.

        Raises:
            ValueError: more samples than `length` has room for.
        """
        if self.max_samples is None:
            return self._frames(n_samples)
        if n_samples > self.max_samples:
            raise ValueError(
                f"{n_samples} samples give {self._frames(n_samples)} frames but frontend.length is "
                f"{self.length}; take at most {self.max_samples / self.sample_rate:g} s, a greater length, "
                "or 0, which gives as many frames as there are"
            )
        return self.length

    def samples_for(self, n_frames: int) -> int:
        """The fewest samples that give `n_frames` frames.

        Raises:
            ValueError: more frames than `length`.
        """
        if not self.length:
            return self._samples(n_frames)
        if n_frames > self.length:
            raise ValueError(
                f"{n_frames} frames are asked for but frontend.length is {self.length}; take a greater "
                "length or 0, which gives as many frames as there are"
            )
        return self.min_samples

    @property
    def frame_seconds(self) -> float:
        """Seconds from one frame to the next."""
        return self.hop_length / self.sample_rate

    @property
    def log_scale(self) -> tuple[float, float] | None:
        """Offset and scale: features * scale - offset is the natural logarithm of mel power."""
        return -self.mean * self.log_unit, self.deviations * self.std * self.log_unit

    @property
    def fill(self) -> float:
        """What a masked cell becomes: 0 before the normalization, as the published code masks and pads."""
        return -self.mean / (self.deviations * self.std)


class NormalizedFrontend(nn.Module):
    """Brings a logarithmic mel spectrogram to its length and its scale; what it is, a front end says."""

    def __init__(self, config: Normalized) -> None:
        super().__init__()
        self.config = config

    def log_mel(self, waveform: Float[Tensor, "batch sample"]) -> Float[Tensor, "batch frame band"]:
        """Mel power on the logarithmic scale of this front end, neither padded nor normalized."""
        raise NotImplementedError

    def forward(self, waveform: Float[Tensor, "batch sample"]) -> Float[Tensor, "batch band frame"]:
        """Features of a batch of waveforms; float32 under any autocast.

        Args:
            waveform: full scale +-1, at `config.sample_rate`, at least `config.min_samples` long and at most
                `config.max_samples`.

        Returns:
            Normalized log mel power; band 0 is the lowest.

        Raises:
            ValueError: too few or too many samples.
        """
        config, samples = self.config, waveform.shape[1]
        if samples < config.min_samples:
            raise ValueError(
                f"a waveform of {samples} samples is too short for this log-mel; "
                f"pad it to at least {config.min_samples}"
            )
        frames = config.n_frames(samples)
        with torch.autocast(waveform.device.type, enabled=False):
            log = self.log_mel(waveform.float())[:, :frames]
            if log.shape[1] < frames:
                log = nn.functional.pad(log, (0, 0, 0, frames - log.shape[1]))
            return ((log - config.mean) / (config.deviations * config.std)).transpose(1, 2)
