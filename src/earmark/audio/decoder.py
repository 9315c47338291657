"""What both readers give: a description, and blocks of samples."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float


@dataclass(frozen=True)
class AudioInfo:
    """What a file says about its sound, without decoding it.

    Attributes:
        seconds: the length; None where the container does not say.
        sample_rate: Hz, of the file.
        channels: how many the file has; earmark mixes them to one.
        container: such as `wav`, `flac`, `ogg` or `mp4`; `array` for samples in memory.
        codec: such as `pcm_16`, `vorbis` or `aac`.
    """

    seconds: float | None
    sample_rate: int
    channels: int
    container: str
    codec: str


@dataclass(frozen=True)
class Decoder:
    """An open source that is ready to be decoded once, from start to end.

    Attributes:
        info: rate and channels, within the limits.
        blocks: `blocks(n)` gives float32 blocks of at most about `n` sample frames, until the sound ends.
        frames: how many sample frames the header declares; None if it does not say.
        tolerance: sample frames by which the decoded length may differ from `frames`.
        more_is_fine: the decoder does not stop at the declared length, so that nothing is lost beyond it.
        enter: `enter(frame)` has the blocks begin at a sample frame, and says whether that could be done;
            codecs need some of what lies before it until they give the right samples.  None where the
            source can only be decoded from its start.
    """

    info: AudioInfo
    blocks: Callable[[int], Iterator[Float[np.ndarray, "frame channel"]]]
    frames: int | None
    tolerance: int = 0
    more_is_fine: bool = False
    enter: Callable[[int], bool] | None = None


class Damaged(Exception):  # noqa: N818 (an event inside the room, which callers see as AudioError or AudioWarning)
    """The decoder found the rest of the file unreadable; what it gave before stands."""
