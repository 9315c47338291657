"""Clips decoded once and kept as 16-bit samples."""

import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from jaxtyping import Int16

from earmark import audio
from earmark.data.clips import Clip

log = logging.getLogger(__name__)


def decode(
    clips: Sequence[Clip], sample_rate: int, max_seconds: float, workers: int = 2
) -> list[Int16[np.ndarray, "sample"] | None]:
    """Decode clips to int16 at one rate, in order; None for a clip that cannot be decoded.

    Sixteen bits halve the memory of float32 and lie below the noise of any recording.  A clip that fails is
    logged with its file and reason; the caller decides how many failures it can bear.

    Args:
        clips: what to decode.
        sample_rate: Hz.
        max_seconds: longer clips are an error here: cutting them would be silent.
        workers: threads; the decoders release the interpreter's lock.
    """

    def one(clip: Clip) -> Int16[np.ndarray, "sample"] | None:
        try:
            waveform = audio.load(clip.path, sample_rate)
        except audio.AudioError as error:
            log.warning("%s", error)
            return None
        if len(waveform) > max_seconds * sample_rate:
            log.warning("%s: longer than %g s; cut it into clips", clip.path, max_seconds)
            return None
        return np.round(waveform.clip(-1, 1) * 32767).astype(np.int16)

    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(one, clips))
