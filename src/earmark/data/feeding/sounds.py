"""What a trainer reads: clips as 16-bit samples, by index."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Int16

from earmark.data.clips import Clip
from earmark.data.feeding.decoded import Decoded
from earmark.data.feeding.filling import open_cache
from earmark.data.feeding.samples import FULL_SCALE

__all__ = ["FULL_SCALE", "Progress", "Sounds", "open_sounds", "waveform"]

Progress = Callable[[int, int], None]
"""Called with the number of clips that are done and of all."""


@runtime_checkable
class Sounds(Protocol):
    """Clips of one rate by index, decoded ahead or when asked for; may be pickled into other processes.

    A clip that cannot be decoded keeps its place: asking for it raises.

    Attributes:
        sample_rate: Hz, of all clips.
    """

    sample_rate: int

    @property
    def failures(self) -> dict[int, str]:
        """Why clips cannot be decoded, by index: those of which this process knows."""
        ...

    def __len__(self) -> int:
        """How many clips."""
        ...

    def n_samples(self, index: int) -> int:
        """The length of a clip at `sample_rate`.

        Raises:
            AudioError: it cannot be decoded.
        """
        ...

    def read(self, index: int, start: int = 0, count: int | None = None) -> Int16[np.ndarray, "sample"]:
        """A part of a clip, fewer samples at its end; `scale` says what they mean.

        Args:
            index: which clip.
            start: its first sample.
            count: how many; None for all that follow.

        Raises:
            AudioError: it cannot be decoded.
        """
        ...

    def scale(self, index: int) -> float:
        """By how much full scale is exceeded: 1, or the power of two that keeps a louder clip from clipping.

        Raises:
            AudioError: it cannot be decoded.
        """
        ...


def waveform(
    sounds: Sounds, index: int, start: int = 0, count: int | None = None
) -> Float[np.ndarray, "sample"]:
    """A part of a clip as float32, full scale +-1; see `Sounds.read`."""
    samples = sounds.read(index, start, count)
    return samples * np.float32(sounds.scale(index) / FULL_SCALE)


def open_sounds(
    clips: Sequence[Clip],
    sample_rate: int,
    cache: Path | None = None,
    workers: int = 2,
    timeout: float = 60.0,
    progress: Progress | None = None,
) -> Sounds:
    """Make clips readable.

    Args:
        clips: what will be read, by its place here.
        sample_rate: Hz wanted.
        cache: folder for decoded clips, which is filled now with those that are not there yet; other runs,
            folds and corpora share it.  None decodes each clip when it is asked for.
        workers: processes that fill the cache; without a cache each process that reads has one of its own.
            0 decodes in the process that reads, which a bad file then may crash or hang.
        timeout: seconds without progress after which a decoder is killed and its clip given up.
        progress: told how far filling is.

    Returns:
        The clips: the same samples with a cache and without, but for clips of more than a minute, of which
        those read without a cache may differ by one unit, as resampling began elsewhere.

    Raises:
        OSError: the cache cannot be written to, or has too little room; what was decoded is kept.
        ConfigError: a pack among the clips needs a library that is not installed.

    Example:
        >>> import soundfile, tempfile
        >>> path = Path(tempfile.mkdtemp()) / "dog.wav"
        >>> soundfile.write(path, np.zeros(8000), 8000)
        >>> sounds = open_sounds([Clip(path, ("Dog",), start=0.25)], 16000, workers=0)
        >>> len(sounds), sounds.n_samples(0), sounds.read(0, 4000, 10).shape
        (1, 12000, (10,))
    """
    if cache is None:
        return Decoded(clips, sample_rate, timeout, isolated=workers > 0)
    return open_cache(clips, sample_rate, cache, workers, timeout, progress)
