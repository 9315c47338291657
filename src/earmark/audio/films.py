"""Containers that FFmpeg reads (mp4, matroska, avi, flv, mpeg-ts, asf): is all there that they declare?"""

import re
import struct

from earmark.audio.layout import Layout, truncated
from earmark.audio.source import Opened

_MOST_BOXES = 1_000_000
_MOST_INDEX = 1 << 26
_EBML, _SEGMENT = b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67"
_ASF = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
_ASF_FILE = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")


def film(source: Opened) -> Layout | None:
    """The layout of a container for the second reader; None if it is none of them."""
    head = source.head
    if head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"):
        return _layout("mp4", "mov", _mp4(source))
    if head[:4] == _EBML:
        return _layout("matroska", "matroska", _matroska(source))
    if head[:4] == b"RIFF" and head[8:12] == b"AVI ":
        end = 8 + int.from_bytes(head[4:8], "little")
        return _layout("avi", "avi", truncated(end, source.size) if end > source.size else "")
    if head[:4] == b"FLV\x01":
        return _layout("flv", "flv", _flv(source))
    if head[:16] == _ASF:
        return _layout("asf", "asf", _asf(source))
    if len(head) > 376 and head[0] == head[188] == head[376] == 0x47:
        cut = source.size % 188
        damage = f"truncated: the last packet has {cut} of 188 bytes" if cut else ""
        return _layout("mpegts", "mpegts", damage)
    return None


def _layout(container: str, ffmpeg_format: str, damage: str) -> Layout:
    return Layout(container, reader="ffmpeg", ffmpeg_format=ffmpeg_format, damage=damage)


def _mp4(source: Opened) -> str:
    """Each box must end within the file, and one of them must be the index."""
    position, index = 0, False
    for _ in range(_MOST_BOXES):
        header = source.at(position, 16)
        if len(header) < 8:
            break
        size, name = struct.unpack(">I4s", header[:8])
        if size == 1 and len(header) == 16:
            size = struct.unpack(">Q", header[8:])[0]
        elif size == 0:
            size = source.size - position
        if size < 8 or not all(32 <= byte < 127 or byte == 169 for byte in name):
            return "" if index else f"corrupt: no box at byte {position}"
        index = index or name == b"moov"
        if name in (b"moov", b"moof") and _too_many_samples(source, position, size):
            return "corrupt: its index counts more samples than the file has bytes"
        position += size
        if position > source.size:
            return truncated(position, source.size)
    return "" if index else "truncated: the index of the samples (moov) is missing"


def _too_many_samples(source: Opened, position: int, size: int) -> bool:
    """Whether an index would have the decoder make room for samples that cannot be there."""
    box = source.at(position, min(size, _MOST_INDEX))
    for table in re.finditer(rb"stsz|trun", box):
        fields = box[table.end() : table.end() + 12]
        if len(fields) < 12:
            continue
        _, first, second = struct.unpack(">III", fields)
        held = max(first, 1) * second if table[0] == b"stsz" else first
        if held > source.size:
            return True
    return False


def _matroska(source: Opened) -> str:
    """The segment must end within the file; a live recording may leave its size open."""
    position = 0
    for expected in (_EBML, _SEGMENT):
        name = source.at(position, 4)
        first = source.at(position + 4, 1)
        if name != expected or not first or not first[0]:
            return ""  # the decoder will say more
        width = 9 - first[0].bit_length()
        size = int.from_bytes(source.at(position + 4, width), "big") & ((1 << 7 * width) - 1)
        if size == (1 << 7 * width) - 1:
            return ""
        position += 4 + width + size
        if position > source.size:
            return truncated(position, source.size)
    return ""


def _flv(source: Opened) -> str:
    position = 13
    while position < source.size:
        header = source.at(position, 11)
        end = position + 15 + int.from_bytes(header[1:4], "big")
        if len(header) < 11 or end > source.size:
            return f"truncated: the tag at byte {position} is cut"
        if header[0] & 0x1F not in (8, 9, 18):
            return f"corrupt: no tag at byte {position}"
        position = end
    return ""


def _asf(source: Opened) -> str:
    position = 30
    for _ in range(100):
        header = source.at(position, 24)
        if len(header) < 24:
            break
        size = struct.unpack("<Q", header[16:])[0]
        if header[:16] == _ASF_FILE:
            declared = int.from_bytes(source.at(position + 40, 8), "little")
            return truncated(declared, source.size) if declared > source.size else ""
        if size < 24:
            break
        position += size
    return ""
