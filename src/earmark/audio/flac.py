"""FLAC's header: the declared count of samples is taken from the decoder, so that we can compare."""

from earmark.audio.errors import AudioError
from earmark.audio.layout import Layout
from earmark.audio.limits import check_format
from earmark.audio.source import Opened


def flac(source: Opened, start: int) -> Layout:
    """The layout of a flac file that begins at `start`, behind any tags.

    libsndfile stops at the declared count even if more follows; with an open count, which FLAC writes as 0,
    it goes on to the end.
    """
    fields = source.at(start + 8, 18)
    if len(fields) < 18:
        raise AudioError(source.path, "truncated inside the header")
    packed = int.from_bytes(fields[10:18], "big")
    rate, channels, frames = packed >> 44, (packed >> 41 & 7) + 1, packed & ((1 << 36) - 1)
    check_format(source.path, rate, channels)
    if not frames:
        return Layout("flac")
    open_count = bytes([fields[13] & 0xF0]) + bytes(4)
    return Layout("flac", patches=((start + 8 + 13, open_count),), frames=frames)
