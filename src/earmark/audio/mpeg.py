"""MPEG audio (mp3) and ADTS (aac): a walk over the frame headers counts what is there and finds a cut end.

The decoders skip what they do not understand and stop early without a word.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from earmark.audio.layout import Layout
from earmark.audio.source import Opened

_PIECE = 1 << 20
_SLACK = 128
_MOST_TAGS = 100
_MOST_PADDING = 1 << 16
_BITRATES = {  # kbit/s by (MPEG 1?, layer)
    (True, 1): (0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (True, 2): (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, 3): (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, 1): (0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (False, 2): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (False, 3): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_RATES = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}
_FREE_FORMAT = -1


@dataclass(frozen=True)
class _Walk:
    frames: int
    stop: int
    cut: bool
    varies: bool = False


def tag_end(source: Opened) -> int:
    """Where the ID3v2 tags at the start of a file end, and the zeros that some writers leave behind them."""
    position = 0
    for _ in range(_MOST_TAGS):
        header = source.at(position, 10)
        if header[:3] != b"ID3" or len(header) < 10:
            break
        position += _tag_bytes(header)
    if position:
        padding = source.at(position, _MOST_PADDING)
        position += len(padding) - len(padding.lstrip(b"\0"))
    return position


def _tag_bytes(header: bytes) -> int:
    """The size of an ID3v2 tag with its header and footer; 7 bits of each byte count."""
    size = sum((byte & 0x7F) << shift for byte, shift in zip(header[6:], (21, 14, 7, 0), strict=False))
    return 10 + size + (10 if len(header) > 5 and header[5] & 0x10 else 0)


def mp3(source: Opened, start: int) -> Layout | None:
    """The layout of an mp3 file whose first frame is at `start`; None if there is no such frame."""
    first = source.at(start, 4)
    if not _length_mp3(first):
        return None
    if _length_mp3(first) == _FREE_FORMAT:
        return Layout("mp3", tolerance=1 << 62)
    walk = _walk(source, start, first, _length_mp3)
    if walk.frames < 2 and source.size - walk.stop > _SLACK:  # two chance bytes of something else
        return None
    per_frame = _samples_in(first)
    declared = _declared(source.at(start, 200), first)
    damage = _ending(source, walk)
    links = ((0, walk.stop),) if damage.startswith("corrupt") else ()  # the decoder gives up there
    if declared is None and walk.varies and not damage:
        # libsndfile takes the length from the first frame's bit rate, and stops there
        return Layout(
            "mp3",
            reader="ffmpeg",
            ffmpeg_format="mp3",
            frames=walk.frames * per_frame,
            tolerance=4 * per_frame,
        )
    if not damage and declared is not None and abs(declared - walk.frames) > 2:
        word = "truncated" if declared > walk.frames else "the header lies about its length"
        damage = f"{word}: it declares {declared} frames, the file has {walk.frames}"
    # encoders state a delay and a padding that the decoder cuts off: up to 4 frames
    return Layout("mp3", damage=damage, links=links, frames=walk.frames * per_frame, tolerance=4 * per_frame)


def adts(source: Opened, start: int) -> Layout | None:
    """The layout of an aac file whose first ADTS frame is at `start`; None if there is no such frame."""
    first = source.at(start, 6)
    if not _length_adts(first):
        return None
    walk = _walk(source, start, first, _length_adts)
    if walk.frames < 2 and source.size - walk.stop > _SLACK:
        return None
    return Layout("adts", reader="ffmpeg", ffmpeg_format="aac", damage=_ending(source, walk))


def _walk(source: Opened, start: int, first: bytes, length_of: Callable[[bytes], int]) -> _Walk:
    """Follow the frames from one to the next, through pieces of the file."""
    position, frames, width = start, 0, len(first)
    piece, offset = b"", 0
    tags, varies = 0, False
    while position < source.size:
        index = position - offset
        if index + 10 > len(piece):
            piece, offset, index = source.at(position, _PIECE), position, 0
        header = piece[index : index + width]
        length = length_of(header)
        if not length or not _same_stream(header, first):
            skipped = _tag_between(source, position)
            if not skipped or tags == _MOST_TAGS:
                break
            position, tags = position + skipped, tags + 1
            continue
        if position + length > source.size:
            return _Walk(frames, position, True, varies)
        varies = varies or (width == 4 and header[2] >> 4 != first[2] >> 4)
        position += length
        frames += 1
    return _Walk(frames, min(position, source.size), False, varies)


def _tag_between(source: Opened, position: int) -> int:
    """Bytes of a tag that ends one file of several that were joined; 0 if there is none."""
    head = source.at(position, 32)
    if head[:3] == b"ID3" and len(head) >= 10:
        return _tag_bytes(head)
    if head[:3] == b"TAG":
        return 128
    if head[:8] == b"APETAGEX" and len(head) == 32:
        return 32 + int.from_bytes(head[12:16], "little")
    return 0


def _same_stream(header: bytes, first: bytes) -> bool:
    return header[1] & 0xFE == first[1] & 0xFE and header[2] & 0x0C == first[2] & 0x0C


def _ending(source: Opened, walk: _Walk) -> str:
    if walk.cut:
        return f"truncated: the last frame, at byte {walk.stop} of {source.size}, is cut"
    rest = source.at(walk.stop, _MOST_PADDING)
    tags = (b"TAG", b"APETAGEX", b"LYRICSBEGIN", b"3DI")
    if len(rest) <= _SLACK or rest.startswith(tags) or not any(rest):
        return ""
    return f"corrupt: no frame at byte {walk.stop} of {source.size}"


@lru_cache(maxsize=4096)
def _length_mp3(header: bytes) -> int:
    """Bytes of the frame with this header; 0 if it is none, -1 if only the stream can tell."""
    if len(header) < 4 or header[0] != 0xFF or header[1] & 0xE0 != 0xE0:
        return 0
    version, layer = header[1] >> 3 & 3, 4 - (header[1] >> 1 & 3)
    bitrate, rate, padding = header[2] >> 4, header[2] >> 2 & 3, header[2] >> 1 & 1
    if version == 1 or layer == 4 or bitrate == 15 or rate == 3:
        return 0
    bits = 1000 * _BITRATES[version == 3, layer][bitrate]
    if not bits:
        return _FREE_FORMAT
    if layer == 1:
        return (12 * bits // _RATES[version][rate] + padding) * 4
    return _samples_in(header) // 8 * bits // _RATES[version][rate] + padding


def _samples_in(header: bytes) -> int:
    version, layer = header[1] >> 3 & 3, 4 - (header[1] >> 1 & 3)
    return {1: 384, 2: 1152, 3: 1152 if version == 3 else 576}[layer]


def _length_adts(header: bytes) -> int:
    if len(header) < 6 or header[0] != 0xFF or header[1] & 0xF6 != 0xF0 or header[2] >> 2 & 15 > 12:
        return 0
    length = (header[3] & 3) << 11 | header[4] << 3 | header[5] >> 5
    return length if length >= 7 else 0


def _declared(frame: bytes, header: bytes) -> int | None:
    """How many frames the Xing, Info or VBRI tag in the first frame says there are."""
    mono, mpeg1 = header[3] >> 6 == 3, header[1] >> 3 & 3 == 3
    side = (17 if mono else 32) if mpeg1 else (9 if mono else 17)
    for place in (4 + side, 6 + side):  # with and without a checksum
        if frame[place : place + 4] in (b"Xing", b"Info") and len(frame) >= place + 12:
            flags, count = struct.unpack(">II", frame[place + 4 : place + 12])
            return count if flags & 1 else None
    if frame[36:40] == b"VBRI" and len(frame) >= 54:
        return struct.unpack(">I", frame[50:54])[0]
    return None
