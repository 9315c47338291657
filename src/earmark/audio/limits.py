"""What earmark accepts as sound; anything beyond is a broken header or a broken file."""

from earmark.audio.errors import AudioError

MIN_SAMPLE_RATE = 1_000
"""Hz."""
MAX_SAMPLE_RATE = 768_000
"""Hz."""
MAX_CHANNELS = 64
"""Channels; they are mixed to one."""
MAX_AMPLITUDE = 1e4
"""In units of full scale; float files may exceed 1, but not without bound."""
MAX_BLOCK_BYTES = 4 << 20
"""Bytes of float32 in one decoded block, all channels together: the header cannot choose the memory."""


def check_format(path: str, sample_rate: float | int, channels: int) -> None:
    """Refuse rates and channel counts that no recording has, before anything is allocated.

    Args:
        path: named in the error.
        sample_rate: Hz.
        channels: how many.

    Raises:
        AudioError: outside the limits.

    Example:
        >>> check_format("dog.wav", 0, 2)
        Traceback (most recent call last):
        earmark.audio.errors.AudioError: dog.wav: the sample rate is 0 Hz; 1000 to 768000 Hz are read
    """
    if not MIN_SAMPLE_RATE <= sample_rate <= MAX_SAMPLE_RATE:
        allowed = f"{MIN_SAMPLE_RATE} to {MAX_SAMPLE_RATE} Hz are read"
        raise AudioError(path, f"the sample rate is {sample_rate:g} Hz; {allowed}")
    if not 1 <= channels <= MAX_CHANNELS:
        raise AudioError(path, f"there are {channels} channels; 1 to {MAX_CHANNELS} are read")
