"""What a container says about itself, read by us before any decoder sees the file."""

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class Layout:
    """A container, who reads it, and whether what it declares is there.

    Attributes:
        container: its name, such as `wav`.
        reader: the library that decodes it.
        damage: why the file is not whole, as a sentence; empty if nothing speaks against it.
        patches: `(offset, bytes)` to present to the decoder, where a header leaves its length open.
        links: `(start, stop)` in bytes of streams that follow one another in one file; empty for one stream.
        frames: sample frames that the header declares, where the decoder cannot be trusted to compare.
        tolerance: sample frames by which decoded and declared length may differ.
        ffmpeg_format: the demuxer for the second reader.
    """

    container: str
    reader: Literal["libsndfile", "ffmpeg"] = "libsndfile"
    damage: str = ""
    patches: tuple[tuple[int, bytes], ...] = ()
    links: tuple[tuple[int, int], ...] = field(default=())
    frames: int | None = None
    tolerance: int = 0
    ffmpeg_format: str = ""


def truncated(declared: int, present: int) -> str:
    """The sentence for a file that ends too early, both in bytes.

    Example:
        >>> truncated(44144, 20000)
        'truncated: the header declares 44144 bytes, the file has 20000'
    """
    return f"truncated: the header declares {declared} bytes, the file has {present}"
