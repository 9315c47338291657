"""Samples as they are kept: 16 bits, and for each clip a scale that keeps it from clipping."""

import numpy as np
from jaxtyping import Float, Int16

FULL_SCALE = 32768
"""The 16-bit value of full scale: 16-bit recordings at the wanted rate stay as they are, bit for bit."""

LONG_SECONDS = 60
"""Longer clips are never held whole, so that their loudest sample is not known when they are read."""

LONG_SCALE = 2.0
"""The scale of long clips: room for what lossy codecs and resampling add to a loud recording."""

CLIPPED = "%s: is longer than a minute and louder than twice full scale, where it is clipped; normalize it"


def quantized(sound: Float[np.ndarray, "sample"]) -> tuple[Int16[np.ndarray, "sample"], float]:
    """A whole clip as 16-bit samples, and its scale: 1, or the least power of two that it does not exceed.

    Example:
        >>> quantized(np.array([0.5, -1, 3], np.float32))
        (array([ 4096, -8192, 24576], dtype=int16), 4.0)
    """
    peak = float(max(sound.max(initial=0.0), -sound.min(initial=0.0)))
    scale = 1.0
    while peak > scale:
        scale *= 2
    return quantized_at(sound, scale), scale


def quantized_at(sound: Float[np.ndarray, "sample"], scale: float) -> Int16[np.ndarray, "sample"]:
    """Samples at a given scale; what exceeds it is clipped.

    Example:
        >>> quantized_at(np.array([0.5, -1, 3], np.float32), 2.0)
        array([  8192, -16384,  32767], dtype=int16)
    """
    values = sound * np.float32(FULL_SCALE / scale)
    np.rint(values, out=values)
    np.clip(values, -FULL_SCALE, FULL_SCALE - 1, out=values)
    return values.astype(np.int16)


def exceeds(sound: Float[np.ndarray, "sample"], scale: float) -> bool:
    """Whether a sound is clipped at a scale.

    Example:
        >>> exceeds(np.array([0.5, -1, 3], np.float32), 2.0)
        True
    """
    return bool(sound.max(initial=0.0) > scale or sound.min(initial=0.0) < -scale)
