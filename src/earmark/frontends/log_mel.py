"""The log-mel spectrogram of PaSST."""

from typing import Literal

import torch
from jaxtyping import Float
from pydantic import Field, model_validator
from torch import Tensor, nn

from earmark.config import Frozen
from earmark.frontends.mel import check_sizes, kaldi_bank


class LogMel(Frozen):
    """PaSST's log-mel: pre-emphasis, power spectrum, Kaldi mel bands, logarithm, fixed normalization.

    The defaults are the published 32 kHz front end of PaSST, hear21passt and EfficientAT.

    Attributes:
        sample_rate: Hz.
        n_fft: transform length in samples.
        win_length: length of the symmetric Hann window in samples, at most n_fft.
        hop_length: samples between frames; 10 ms is 320 at 32 kHz.
        n_mels: number of bands.
        fmin: lower edge of the lowest band in Hz.
        fmax: upper edge of the highest band in Hz.
        fmin_jitter: in training the lower edge moves up by a whole number of Hz below this; 1 is off.
        fmax_jitter: in training the upper edge moves by a whole number of Hz, between
            -(fmax_jitter - fmax_jitter // 2) + 1 and fmax_jitter // 2; 1 is off.
        log_floor: added to the mel power before the logarithm.
        offset: added to the natural logarithm.
        scale: what the sum is divided by.

    Example:
        >>> frontend = LogMel().build()
        >>> frontend(torch.zeros(2, 320000)).shape          # two clips of 10 s
        torch.Size([2, 128, 1000])
    """

    kind: Literal["LogMel"] = "LogMel"
    sample_rate: int = Field(default=32000, ge=1000, le=768000)
    n_fft: int = Field(default=1024, gt=0, le=65536, multiple_of=2)
    win_length: int = Field(default=800, gt=1)
    hop_length: int = Field(default=320, gt=0)
    n_mels: int = Field(default=128, gt=0, le=4096)
    fmin: float = Field(default=0.0, ge=0)
    fmax: float = Field(default=15000.0, gt=0)
    fmin_jitter: int = Field(default=10, ge=1)
    fmax_jitter: int = Field(default=2000, ge=1)
    log_floor: float = Field(default=1e-5, gt=0)
    offset: float = 4.5
    scale: float = Field(default=5.0, gt=0)

    @model_validator(mode="after")
    def _check(self) -> "LogMel":
        check_sizes(self.n_mels, self.n_fft, self.win_length)
        if not self.fmin < self.fmax <= self.sample_rate / 2:
            raise ValueError(
                f"fmin {self.fmin} and fmax {self.fmax} Hz do not fit a sample rate of {self.sample_rate} "
                "Hz; they must satisfy fmin < fmax <= sample_rate / 2"
            )
        return self

    @property
    def n_bands(self) -> int:
        """How many bands an encoder gets."""
        return self.n_mels

    @property
    def min_samples(self) -> int:
        """The shortest waveform: reflection at both ends needs this many samples."""
        return self.n_fft // 2 + 2

    def n_frames(self, n_samples: int) -> int:
        """How many frames `n_samples` samples give."""
        return 1 + (n_samples - 1) // self.hop_length

    def samples_for(self, n_frames: int) -> int:
        """The fewest samples that give `n_frames` frames."""
        return max(self.min_samples, (n_frames - 1) * self.hop_length + 1)

    @property
    def frame_seconds(self) -> float:
        """Seconds from one frame to the next."""
        return self.hop_length / self.sample_rate

    @property
    def first_frame_seconds(self) -> float:
        """Center of the first frame, in seconds from the start of the waveform."""
        return 0.0

    @property
    def log_scale(self) -> tuple[float, float] | None:
        """Offset and scale: features * scale - offset is the natural logarithm of mel power."""
        return self.offset, self.scale

    @property
    def fill(self) -> float:
        """What a masked cell becomes: 0 before the normalization, as the published code masks."""
        return self.offset / self.scale

    def build(self) -> "LogMelFrontend":
        """The module that computes this."""
        return LogMelFrontend(self)


class LogMelFrontend(nn.Module):
    """Computes `LogMel`; see there.

    Frame t is centered on sample t * hop_length + 1 (pre-emphasis eats one sample); the ends are reflected.
    The transform runs in float32 under any autocast.

    Source:
        Koutini et al., arXiv:2110.05069, and the front end published with it; agrees with recorded outputs to
        2e-4.
    """

    window: Tensor
    bank: Tensor

    def __init__(self, config: LogMel) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("window", torch.hann_window(config.win_length, periodic=False), persistent=False)
        self.register_buffer("bank", self.bank_between(config.fmin, config.fmax), persistent=False)

    def forward(self, waveform: Float[Tensor, "batch sample"]) -> Float[Tensor, "batch band frame"]:
        """Features of a batch of waveforms.

        Args:
            waveform: full scale +-1, at `config.sample_rate`, at least `config.min_samples` long.

        Returns:
            Normalized log mel power, about -1 to 3 for audible sound; band 0 is the lowest.

        Raises:
            ValueError: fewer samples than `config.min_samples`.
        """
        if waveform.shape[1] < self.config.min_samples:
            raise ValueError(
                f"a waveform of {waveform.shape[1]} samples is too short for this log-mel; "
                f"pad it to at least {self.config.min_samples}"
            )
        bank = self.bank_between(*self.draw_edges()).to(self.bank.device) if self.training else self.bank
        with torch.autocast(waveform.device.type, enabled=False):
            mel = self._power(waveform.float()) @ bank.float().T
            log = torch.log(mel.add_(self.config.log_floor))
            return log.add_(self.config.offset).div_(self.config.scale).transpose(1, 2)

    def _power(self, waveform: Float[Tensor, "batch sample"]) -> Float[Tensor, "batch frame bin"]:
        """Power spectrum, frames first: the transform then runs along contiguous memory."""
        config = self.config
        emphasized = torch.sub(waveform[:, 1:], waveform[:, :-1], alpha=0.97)
        margin = config.n_fft // 2
        before, after = emphasized[:, 1 : margin + 1].flip(1), emphasized[:, -margin - 1 : -1].flip(1)
        frames = torch.cat([before, emphasized, after], dim=1).unfold(1, config.n_fft, config.hop_length)
        unused = config.n_fft - config.win_length
        window = nn.functional.pad(self.window.float(), (unused // 2, unused - unused // 2))
        spectrum = torch.fft.rfft(frames * window)
        return torch.addcmul(spectrum.real.square(), spectrum.imag, spectrum.imag)

    def draw_edges(self) -> tuple[float, float]:
        """Draw the band edges of a training batch in Hz, in the order of the published code."""
        config = self.config
        up = int(torch.randint(config.fmin_jitter, (1,)))
        down = int(torch.randint(config.fmax_jitter, (1,)))
        return config.fmin + up, min(config.fmax + config.fmax_jitter // 2 - down, config.sample_rate / 2)

    def bank_between(self, fmin: float, fmax: float) -> Float[Tensor, "band bin"]:
        """The mel bank between two edges in Hz."""
        config = self.config
        return kaldi_bank(config.n_mels, config.n_fft, config.sample_rate, fmin, fmax)
