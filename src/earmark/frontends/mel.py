"""Mel filter banks."""

import math
from functools import lru_cache

import torch
from jaxtyping import Float
from torch import Tensor

MOST_WEIGHTS = 10_000_000
"""Of a bank: 256 bands of 65536 samples are 8.4 million."""

_SLANEY_STEP = math.log(6.4) / 27.0  # of the natural logarithm of frequency, above 1000 Hz


def hz_to_mel(frequency: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
    """HTK's mel scale with a natural logarithm, as Kaldi writes it: 1127 ln(1 + f / 700)."""
    return 1127.0 * (1.0 + frequency / 700.0).log()


@lru_cache(maxsize=16)
def kaldi_bank(
    n_mels: int, n_fft: int, sample_rate: int, fmin: float, fmax: float
) -> Float[Tensor, "band {n_fft//2+1}"]:
    """Triangular filters that are linear in mel, peak 1, without area normalization.

    The last column, the Nyquist bin, is zero, as in Kaldi.  Do not write into the result: it is cached.

    Args:
        n_mels: number of filters.
        n_fft: transform length in samples, even.
        sample_rate: Hz.
        fmin: lower edge of the first filter in Hz, 0 or more.
        fmax: upper edge of the last filter in Hz, at most half the sample rate.

    Raises:
        ValueError: the edges are not 0 <= fmin < fmax <= sample_rate / 2.

    Source:
        Kaldi's `get_mel_banks` (vtln off), whose values PaSST and AST use; agrees with them to 1e-5.

    Example:
        >>> bank = kaldi_bank(128, 1024, 32000, 0.0, 15000.0)
        >>> bank.shape, bool((bank.sum(dim=1) > 0).all())
        (torch.Size([128, 513]), True)
    """
    _check_edges(fmin, fmax, sample_rate)
    # Single precision, as the published banks were computed; and on the CPU whatever the device context is,
    # because the cache must not hold what it would make.
    cpu = torch.device("cpu")
    lowest, highest = hz_to_mel(torch.tensor([fmin, fmax], dtype=torch.float64, device=cpu)).tolist()
    width = (highest - lowest) / (n_mels + 1)
    index = torch.arange(n_mels, device=cpu)[:, None]
    left, center, right = (lowest + (index + step) * width for step in (0.0, 1.0, 2.0))
    bins = hz_to_mel(torch.arange(n_fft // 2, device=cpu) * (sample_rate / n_fft))[None]
    triangles = torch.minimum((bins - left) / (center - left), (right - bins) / (right - center)).clamp(
        min=0.0
    )
    return torch.nn.functional.pad(triangles, (0, 1))


def slaney_to_hz(mel: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
    """Slaney's mel scale in Hz: straight up to 15, which is 1000 Hz, and exponential above."""
    return torch.where(mel < 15.0, mel * (200.0 / 3.0), 1000.0 * torch.exp((mel - 15.0) * _SLANEY_STEP))


@lru_cache(maxsize=16)
def slaney_bank(
    n_mels: int, n_fft: int, sample_rate: int, fmin: float, fmax: float
) -> Float[Tensor, "band {n_fft//2+1}"]:
    """Triangular filters that are linear in Hz, evenly spaced on Slaney's scale, and all of area 1 in Hz.

    Do not write into the result: it is cached.

    Args:
        n_mels: number of filters.
        n_fft: transform length in samples, even.
        sample_rate: Hz.
        fmin: lower edge of the first filter in Hz, 0 or more.
        fmax: upper edge of the last filter in Hz, at most half the sample rate.

    Raises:
        ValueError: the edges are not 0 <= fmin < fmax <= sample_rate / 2.

    Source:
        Slaney, Auditory Toolbox (1998), as librosa and torchaudio compute it with norm "slaney".

    Example:
        >>> bank = slaney_bank(64, 4096, 16000, 0.0, 8000.0)
        >>> bank.shape, round(float(bank[0].sum()) * 16000 / 4096, 2)
        (torch.Size([64, 2049]), 1.0)
    """
    _check_edges(fmin, fmax, sample_rate)
    cpu = torch.device("cpu")
    lowest, highest = (_hz_to_slaney(edge) for edge in (fmin, fmax))
    steps = torch.linspace(lowest, highest, n_mels + 2, dtype=torch.float64, device=cpu)
    edges = slaney_to_hz(steps)[:, None]
    left, center, right = edges[:-2], edges[1:-1], edges[2:]
    bins = torch.arange(n_fft // 2 + 1, dtype=torch.float64, device=cpu)[None] * (sample_rate / n_fft)
    triangles = torch.minimum((bins - left) / (center - left), (right - bins) / (right - center))
    return (triangles.clamp(min=0.0) * 2.0 / (right - left)).float()


def _hz_to_slaney(frequency: float) -> float:
    if frequency < 1000.0:
        return frequency * 3.0 / 200.0
    return 15.0 + math.log(frequency / 1000.0) / _SLANEY_STEP


def check_sizes(n_mels: int, n_fft: int, win_length: int) -> None:
    """Refuse a description whose window is longer than its transform, or whose bank would fill the memory.

    Raises:
        ValueError: `win_length` is above `n_fft`, or bands times bins are more than `MOST_WEIGHTS`.

    Example:
        >>> check_sizes(256, 65536, 800)
    """
    if win_length > n_fft:
        raise ValueError(f"win_length is {win_length} but n_fft is {n_fft}; it must not be longer")
    weights = n_mels * (n_fft // 2 + 1)
    if weights > MOST_WEIGHTS:
        raise ValueError(
            f"{n_mels} bands of a transform of {n_fft} samples make {weights} weights; at most "
            f"{MOST_WEIGHTS} are allowed; take fewer bands or a shorter transform"
        )


def _check_edges(fmin: float, fmax: float, sample_rate: int) -> None:
    if not 0 <= fmin < fmax <= sample_rate / 2:
        raise ValueError(
            f"mel bands from {fmin} to {fmax} Hz at a sample rate of {sample_rate} Hz; "
            "the edges must satisfy 0 <= fmin < fmax <= sample_rate / 2"
        )
