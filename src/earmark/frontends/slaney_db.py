"""The spectrogram of 64 bands in decibels of AudioTagging Done Right."""

import math
from typing import Literal

import torch
from jaxtyping import Float
from pydantic import Field, model_validator
from torch import Tensor

from earmark.frontends.mel import check_sizes, slaney_bank
from earmark.frontends.normalized import Normalized, NormalizedFrontend


class SlaneyDb(Normalized):
    """Power spectrum of centered frames, mel bands of equal area on Slaney's scale, decibels.

    The defaults are those of AudioTagging Done Right for 64 bands without masks and mixup, but for the scale
    of its decibels, and for `length`, which is 400 there: 10 s give 401 frames, and the last is cut.

    Attributes:
        sample_rate: Hz.
        n_mels: number of bands, from 0 Hz to half the sample rate.
        n_fft: transform length in samples.
        win_length: length of the periodic Hann window in samples, at most n_fft.
        hop_length: samples between frames.
        decibels: "power" is 10 log10 of power.  "doubled" reproduces the published 20 log10 of power, which
            a misplaced argument caused: take it for published weights, whose means and deviations are on that
            scale and twice as large.
        mean: of the decibels, over a corpus; `earmark stats` measures it.
        std: their standard deviation.
        deviations: what is left after the mean is divided by this many standard deviations.
        length: each clip gets exactly this many frames, 0 is off; see `Normalized`.

    Example:
        >>> frontend = SlaneyDb(length=400).build()
        >>> frontend(torch.zeros(2, 160000)).shape          # two clips of 10 s
        torch.Size([2, 64, 400])
    """

    kind: Literal["SlaneyDb"] = "SlaneyDb"
    n_mels: int = Field(default=64, gt=0, le=4096)
    n_fft: int = Field(default=4096, gt=0, le=65536, multiple_of=2)
    win_length: int = Field(default=1024, gt=2, le=65536, multiple_of=2)
    hop_length: int = Field(default=400, gt=0, le=65536)
    decibels: Literal["power", "doubled"] = "power"
    mean: float = -19.096977
    std: float = Field(default=22.9010715, gt=0)

    @model_validator(mode="after")
    def _check(self) -> "SlaneyDb":
        check_sizes(self.n_mels, self.n_fft, self.win_length)
        return self

    @property
    def min_samples(self) -> int:
        """The shortest waveform: both ends are padded with silence."""
        return 1

    @property
    def log_unit(self) -> float:
        """Natural logarithms of power in a decibel."""
        return math.log(10) / self.decibels_per_decade

    @property
    def decibels_per_decade(self) -> float:
        """How many decibels ten times the power are."""
        return 20.0 if self.decibels == "doubled" else 10.0

    def _frames(self, n_samples: int) -> int:
        return 1 + n_samples // self.hop_length

    def _samples(self, n_frames: int) -> int:
        return max(1, (n_frames - 1) * self.hop_length)

    @property
    def first_frame_seconds(self) -> float:
        """Center of the first frame, in seconds from the start of the waveform."""
        return 0.0

    def build(self) -> "SlaneyDbFrontend":
        """The module that computes this."""
        return SlaneyDbFrontend(self)


class SlaneyDbFrontend(NormalizedFrontend):
    """Computes `SlaneyDb`; see there.

    Frame t is centered on sample t * hop_length.

    Source:
        Li et al., arXiv:2203.13448, and the code published with it (torchaudio's `MelSpectrogram`); agrees
        with recorded outputs to 3e-4.  Deviations: decibels are right by default; the mean of the waveform is
        taken off as there; more than one surplus frame is refused instead of cut off silently; only the
        win_length samples under the window are cut out and transformed, because a shift within the
        zero-padded frame changes phases, not powers.
    """

    config: SlaneyDb
    window: Tensor
    bank: Tensor

    def __init__(self, config: SlaneyDb) -> None:
        super().__init__(config)
        bank = slaney_bank(config.n_mels, config.n_fft, config.sample_rate, 0.0, config.sample_rate / 2)
        self.register_buffer("window", torch.hann_window(config.win_length), persistent=False)
        self.register_buffer("bank", bank, persistent=False)

    def log_mel(self, waveform: Float[Tensor, "batch sample"]) -> Float[Tensor, "batch frame band"]:
        """Mel power in decibels, at least that of 1e-10."""
        config = self.config
        margin = config.win_length // 2
        waveform = waveform - waveform.mean(dim=1, keepdim=True)
        frames = torch.nn.functional.pad(waveform, (margin, margin)).unfold(
            1, config.win_length, config.hop_length
        )
        spectrum = torch.fft.rfft(frames * self.window.float(), n=config.n_fft)
        power = torch.addcmul(spectrum.real.square(), spectrum.imag, spectrum.imag)
        return config.decibels_per_decade * (power @ self.bank.float().T).clamp(min=1e-10).log10()
