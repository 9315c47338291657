"""The 8 kHz log-mel spectrogram of the minimal AST, standardized clip by clip."""

from typing import Literal

import torch
from jaxtyping import Float
from pydantic import Field, model_validator
from torch import Tensor, nn

from earmark.config import Frozen
from earmark.frontends.mel import check_sizes, kaldi_bank

_LEAST_DEVIATION = 1e-3  # of a clip; below is the rounding of float32, as in digital silence


class MagnitudeMel(Frozen):
    """Magnitude spectrum (not power), mel bands, logarithm; each clip is brought to mean 0 and deviation 1.

    The defaults are those of ikiskin's AST and CNN on ESC-50.  A constant gain changes nothing, and silence
    is 0 everywhere.  A clip is whatever a waveform holds: the same sound among others has other features.

    Attributes:
        sample_rate: Hz.
        n_fft: transform length in samples.
        win_length: length of the periodic Hann window in samples, at most n_fft.
        hop_length: samples between frames.
        n_mels: number of bands, from 0 Hz to half the sample rate.
        log_floor: added to the mel magnitude of samples in units of 1/32767 before the logarithm.
        int16: cut samples to whole units of 1/32767 toward zero, as the published code does to store them.
            That adds a noise of half a unit, and makes the faintest sound exactly silent.

    Example:
        >>> frontend = MagnitudeMel().build()
        >>> frontend(torch.zeros(2, 40000)).shape           # two clips of 5 s
        torch.Size([2, 128, 498])
    """

    kind: Literal["MagnitudeMel"] = "MagnitudeMel"
    sample_rate: int = Field(default=8000, ge=1000, le=768000)
    n_fft: int = Field(default=512, gt=0, le=65536, multiple_of=2)
    win_length: int = Field(default=200, gt=1)
    hop_length: int = Field(default=80, gt=0)
    n_mels: int = Field(default=128, gt=0, le=4096)
    log_floor: float = Field(default=1e-10, gt=0)
    int16: bool = False

    @model_validator(mode="after")
    def _check(self) -> "MagnitudeMel":
        check_sizes(self.n_mels, self.n_fft, self.win_length)
        return self

    @property
    def n_bands(self) -> int:
        """How many bands an encoder gets."""
        return self.n_mels

    @property
    def min_samples(self) -> int:
        """The shortest waveform: one window."""
        return self.win_length

    def n_frames(self, n_samples: int) -> int:
        """How many frames `n_samples` samples give."""
        return max(0, 1 + (n_samples - self.win_length) // self.hop_length)

    def samples_for(self, n_frames: int) -> int:
        """The fewest samples that give `n_frames` frames."""
        return self.win_length + (n_frames - 1) * self.hop_length

    @property
    def frame_seconds(self) -> float:
        """Seconds from one frame to the next."""
        return self.hop_length / self.sample_rate

    @property
    def first_frame_seconds(self) -> float:
        """Center of the first frame: it begins where the waveform does."""
        return self.win_length / 2 / self.sample_rate

    @property
    def log_scale(self) -> tuple[float, float] | None:
        """None: the level of a clip is lost when it is standardized."""
        return None

    @property
    def fill(self) -> float:
        """What a masked cell becomes: the mean of its clip."""
        return 0.0

    def build(self) -> "MagnitudeMelFrontend":
        """The module that computes this."""
        return MagnitudeMelFrontend(self)


class MagnitudeMelFrontend(nn.Module):
    """Computes `MagnitudeMel`; see there.

    The mel scale is written 2595 log10(1 + f / 700) in the published code.  Filters that are linear in mel
    and evenly spaced do not depend on the factor, so they are Kaldi's; at 0 Hz they are 0, as there.

    Source:
        The features published with ikiskin's audio_spectrogram_transformer; with `int16` they agree with
        recorded outputs to 2e-4.  Deviations: `int16` is off; a clip without any deviation is 0, not NaN.
    """

    bank: Tensor

    def __init__(self, config: MagnitudeMel) -> None:
        super().__init__()
        self.config = config
        bank = kaldi_bank(config.n_mels, config.n_fft, config.sample_rate, 0.0, config.sample_rate / 2)
        self.register_buffer("bank", bank, persistent=False)

    def forward(self, waveform: Float[Tensor, "batch sample"]) -> Float[Tensor, "batch band frame"]:
        """Features of a batch of waveforms; single precision under any autocast.

        Args:
            waveform: full scale +-1, at `config.sample_rate`, at least `config.min_samples` long.

        Returns:
            Log mel magnitude less its mean over all cells of the clip, over its deviation; band 0 is the
            lowest.

        Raises:
            ValueError: fewer samples than `config.min_samples`.
        """
        if waveform.shape[1] < self.config.min_samples:
            raise ValueError(
                f"a waveform of {waveform.shape[1]} samples is too short for this log-mel; "
                f"pad it to at least {self.config.min_samples}"
            )
        with torch.autocast(waveform.device.type, enabled=False):
            log = self.log_mel(waveform.float())
            deviation, mean = torch.std_mean(log, dim=(1, 2), correction=0, keepdim=True)
            return ((log - mean) / deviation.clamp(min=_LEAST_DEVIATION)).transpose(1, 2)

    def log_mel(self, waveform: Float[Tensor, "batch sample"]) -> Float[Tensor, "batch frame band"]:
        """The natural logarithm of mel magnitude, before the clip is standardized."""
        # In float32 the rounding of a loud tone would hide what lies beside it; Apple's chips have no more.
        samples = self.samples(waveform).to(torch.float32 if waveform.device.type == "mps" else torch.float64)
        frames = samples.unfold(1, self.config.win_length, self.config.hop_length) * self.window(samples)
        spectrum = torch.fft.rfft(frames, n=self.config.n_fft)
        magnitude = torch.addcmul(spectrum.real.square(), spectrum.imag, spectrum.imag).sqrt().float()
        return (magnitude @ self.bank.float().T + self.config.log_floor).log()

    def window(self, samples: Float[Tensor, "batch sample"]) -> Float[Tensor, "window"]:
        """The periodic Hann window, as precise as the samples and where they are."""
        return torch.hann_window(self.config.win_length, dtype=samples.dtype, device=samples.device)

    def samples(self, waveform: Float[Tensor, "batch sample"]) -> Float[Tensor, "batch sample"]:
        """Samples in units of 1/32767, cut to whole ones if the description says so."""
        scaled = waveform * 32767.0
        return scaled.trunc().clamp(-32768.0, 32767.0) if self.config.int16 else scaled
