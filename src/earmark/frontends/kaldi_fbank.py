"""The log-mel spectrogram of AST and PSLA, as Kaldi computes it."""

from typing import Literal

import torch
from jaxtyping import Float
from pydantic import Field, model_validator
from torch import Tensor

from earmark.frontends.mel import check_sizes, kaldi_bank
from earmark.frontends.normalized import Normalized, NormalizedFrontend


class KaldiFbank(Normalized):
    """Kaldi's filter bank: each frame without its mean, pre-emphasis, power spectrum, mel bands, logarithm.

    The defaults are those of AST on AudioSet, but for `length`, which is 1024 there.  Others:
    ESC-50 is `length=512, mean=-6.6268077, std=5.358466`, Speech Commands `length=128, mean=-6.845978,
    std=5.5654526`, and PSLA on AudioSet `length=1056, mean=-4.6476, std=4.5699, deviations=1.0`.

    Attributes:
        sample_rate: Hz.
        n_mels: number of bands; with 128 at 16 kHz band 3 lies between two bins and is always at the floor.
        win_length: length of the symmetric Hann window in samples; the transform is the next power of two.
        hop_length: samples between frames.
        fmin: lower edge of the lowest band in Hz; the upper edge of the highest is half the sample rate.
        mean: of the natural logarithm of mel power, over a corpus; `earmark stats` measures it.
        std: its standard deviation.
        deviations: what is left after the mean is divided by this many standard deviations.
        length: each clip gets exactly this many frames, 0 is off; see `Normalized`.

    Example:
        >>> frontend = KaldiFbank(length=1024).build()
        >>> frontend(torch.zeros(2, 160000)).shape          # two clips of 10 s, 998 frames and 26 of padding
        torch.Size([2, 128, 1024])
    """

    kind: Literal["KaldiFbank"] = "KaldiFbank"
    fmin: float = Field(default=20.0, ge=0)
    mean: float = -4.2677393
    std: float = Field(default=4.5689974, gt=0)

    @model_validator(mode="after")
    def _check(self) -> "KaldiFbank":
        check_sizes(self.n_mels, self.n_fft, self.win_length)
        if self.fmin >= self.sample_rate / 2:
            raise ValueError(
                f"fmin is {self.fmin:g} Hz but the bands end at {self.sample_rate / 2:g} Hz, half the sample "
                "rate; it must lie below"
            )
        return self

    @property
    def n_fft(self) -> int:
        """Transform length in samples: the window's, rounded up to a power of two."""
        return 1 << (self.win_length - 1).bit_length()

    @property
    def min_samples(self) -> int:
        """The shortest waveform: one window."""
        return self.win_length

    @property
    def log_unit(self) -> float:
        """The features are natural logarithms of power before normalization."""
        return 1.0

    def _frames(self, n_samples: int) -> int:
        return max(0, 1 + (n_samples - self.win_length) // self.hop_length)

    def _samples(self, n_frames: int) -> int:
        return self.win_length + (n_frames - 1) * self.hop_length

    @property
    def first_frame_seconds(self) -> float:
        """Center of the first frame: it begins where the waveform does."""
        return self.win_length / 2 / self.sample_rate

    def build(self) -> "KaldiFbankFrontend":
        """The module that computes this."""
        return KaldiFbankFrontend(self)


class KaldiFbankFrontend(NormalizedFrontend):
    """Computes `KaldiFbank`; see there.

    Source:
        Kaldi's `compute-fbank-feats` (no dither, no energy, HTK order), with the choices of Gong et al.,
        AST (arXiv:2104.01778) and PSLA (arXiv:2102.01243), and of their loaders: the mean of the waveform is
        taken off, the padding is 0 before normalization.  Agrees with recorded outputs within their own
        rounding.  Deviation: more than one surplus frame is refused instead of cut off silently.
    """

    config: KaldiFbank
    window: Tensor
    bank: Tensor

    def __init__(self, config: KaldiFbank) -> None:
        super().__init__(config)
        window = torch.hann_window(config.win_length, periodic=False)
        bank = kaldi_bank(
            config.n_mels, config.n_fft, config.sample_rate, config.fmin, config.sample_rate / 2
        )
        self.register_buffer("window", window, persistent=False)
        self.register_buffer("bank", bank, persistent=False)

    def log_mel(self, waveform: Float[Tensor, "batch sample"]) -> Float[Tensor, "batch frame band"]:
        """The natural logarithm of mel power, at least that of float32's epsilon."""
        config = self.config
        size, step = config.win_length, config.hop_length
        waveform = waveform - waveform.mean(dim=1, keepdim=True)
        # Pre-emphasis of a frame without its mean is pre-emphasis of the waveform less 0.03 means, but for
        # the frame's first sample, and that one has no weight under a symmetric Hann window.
        emphasized = torch.sub(waveform[:, 1:], waveform[:, :-1], alpha=0.97)
        emphasized = torch.nn.functional.pad(emphasized, (1, 0))
        means = waveform.unfold(1, size, step).mean(dim=2, keepdim=True)
        frames = (emphasized.unfold(1, size, step) - 0.03 * means) * self.window.float()
        spectrum = torch.fft.rfft(frames, n=config.n_fft)
        power = torch.addcmul(spectrum.real.square(), spectrum.imag, spectrum.imag)
        return (power @ self.bank.float().T).clamp(min=torch.finfo(torch.float32).eps).log()
