"""Arrays as a source: integers are scaled to full scale, the longer axis is time."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from jaxtyping import Float, Shaped

from earmark.audio.decoder import AudioInfo, Decoder
from earmark.audio.errors import AudioError
from earmark.audio.limits import MAX_CHANNELS, check_format

_PATH = "<array>"


def decoder(samples: Shaped[np.ndarray, "..."], sample_rate: object) -> Decoder:
    """Read an array as if it were a file.

    Args:
        samples: `(sample,)`, or two axes of which the longer is time and the shorter, at most 64, channels;
            integers of any width, which are scaled to full scale, or floats, which are taken as they are.
        sample_rate: Hz, a whole number.

    Raises:
        AudioError: no samples, another kind of numbers or of axes, or a rate beyond the limits.

    Example:
        >>> decoder(np.zeros((2, 8000), np.int16), 8000).info.seconds
        1.0
    """
    frames = _frames_first(samples)
    rate = _whole(sample_rate)
    check_format(_PATH, rate, frames.shape[1])
    info = AudioInfo(len(frames) / rate, rate, frames.shape[1], "array", str(samples.dtype))

    def blocks(size: int) -> Iterator[Float[np.ndarray, "frame channel"]]:
        for start in range(0, len(frames), size):
            yield _as_float32(frames[start : start + size])

    return Decoder(info, blocks, len(frames))


def _whole(rate: Any) -> int:
    if isinstance(rate, bool | np.bool_) or not isinstance(rate, int | float | np.integer | np.floating):
        raise AudioError(_PATH, f"the sample rate is {rate!r}; give a whole number of Hz")
    if not np.isfinite(rate) or rate != int(rate):
        raise AudioError(_PATH, f"the sample rate is {rate} Hz; give a whole number")
    return int(rate)


def _frames_first(samples: Shaped[np.ndarray, "..."]) -> Shaped[np.ndarray, "frame channel"]:
    if isinstance(samples, np.ma.MaskedArray):
        raise AudioError(_PATH, "masked samples have no value; fill them first")
    if samples.dtype.kind not in "iuf":
        raise AudioError(_PATH, f"samples of type {samples.dtype} are no sound; give integers or floats")
    if not samples.size:
        raise AudioError(_PATH, "there are no samples in it")
    if samples.ndim == 1:
        return samples[:, None]
    if samples.ndim != 2:
        raise AudioError(_PATH, f"the array has {samples.ndim} axes; give (sample,) or (channel, sample)")
    short, long = sorted(samples.shape)
    if short == long:
        raise AudioError(
            _PATH, f"{short} x {long} samples: time and channels cannot be told apart; give one axis"
        )
    if short > MAX_CHANNELS:
        allowed = f"at most {MAX_CHANNELS} are read"
        raise AudioError(_PATH, f"{short} x {long} samples would be {short} channels; {allowed}")
    return samples if samples.shape[0] == long else samples.T


def _as_float32(block: Shaped[np.ndarray, "frame channel"]) -> Float[np.ndarray, "frame channel"]:
    kind = block.dtype.kind
    if kind == "f":
        with np.errstate(over="ignore", invalid="ignore"):  # becomes infinite, which is refused a step later
            return block.astype(np.float32)
    half = 2.0 ** (8 * block.dtype.itemsize - 1)
    values = block.astype(np.float64)
    return ((values - half if kind == "u" else values) / half).astype(np.float32)
