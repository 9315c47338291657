"""Ogg pages: links of a chained file, lost or spoiled pages, and a missing end.

libogg drops a page whose checksum is wrong without a word, and libsndfile decodes only the first link of a
chain, so both are found here.
"""

import struct
import zlib
from dataclasses import dataclass

from earmark.audio.errors import AudioError
from earmark.audio.layout import Layout
from earmark.audio.source import Opened

_FIXED = 27
_LARGEST = _FIXED + 255 + 255 * 255
_FIRST, _LAST = 2, 4
_MOST_LINKS = 1000
_SLACK = 128
_BITS_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
_CODECS = (b"\x01vorbis", b"OpusHead")
"""What libsndfile decodes; it fails on some FLAC in Ogg, which FFmpeg reads, as it does Speex."""


@dataclass(frozen=True)
class _Page:
    start: int
    data: bytes
    kind: int
    serial: int
    sequence: int

    @property
    def stop(self) -> int:
        return self.start + len(self.data)

    @property
    def payload(self) -> bytes:
        return self.data[_FIXED + self.data[26] :]


def ogg(source: Opened) -> Layout:
    """Walk over all pages.

    Raises:
        AudioError: not even one whole page.
    """
    links: list[tuple[int, int]] = []
    last: _Page | None = None
    position, damage, start = 0, "", 0
    while position < source.size and not damage:
        page = _page(source, position)
        if isinstance(page, str):
            damage = page
            break
        if last is None or last.kind & _LAST:
            if not page.kind & _FIRST:
                damage = f"the stream at byte {position} has no beginning"
                break
            start = position
        elif page.serial != last.serial:
            if last.kind & _FIRST and page.kind & _FIRST:  # streams side by side, such as a film
                return Layout("ogg", reader="ffmpeg", ffmpeg_format="ogg")
            damage = f"truncated: another stream begins at byte {position} before the last one ended"
            break
        elif page.sequence != last.sequence + 1:
            damage = f"corrupt: pages are missing before byte {position}"
            break
        position, last = page.stop, page
        if page.kind & _LAST:
            links.append((start, position))
            if len(links) > _MOST_LINKS:
                raise AudioError(source.path, f"more than {_MOST_LINKS} streams follow one another in it")
    return _layout(source, links, last, start, damage)


def _layout(
    source: Opened, links: list[tuple[int, int]], last: _Page | None, start: int, damage: str
) -> Layout:
    if last is None:
        raise AudioError(source.path, damage)
    if not source.at(0, 600)[_FIXED + source.head[26] :].startswith(_CODECS):
        return Layout("ogg", reader="ffmpeg", ffmpeg_format="ogg", damage=damage)
    if damage and last.kind & _LAST and source.size - last.stop <= _SLACK:  # a tag behind the end
        return Layout("ogg", links=tuple(links) if len(links) > 1 else ())
    if last.kind & _LAST:
        whole = not damage and len(links) == 1
        return Layout("ogg", damage=damage, links=() if whole else tuple(links))
    damage = damage or "truncated: the last page of the stream is missing"
    return Layout("ogg", damage=damage, links=(*links, (start, last.stop)), patches=_ended(last))


def _page(source: Opened, position: int) -> _Page | str:
    """The page at a position, or what is wrong there."""
    header = source.at(position, _FIXED + 255)
    if header[:4] != b"OggS":
        return f"corrupt: no Ogg page at byte {position} of {source.size}"
    if len(header) < _FIXED or len(header) < _FIXED + header[26]:
        return f"truncated: the Ogg page at byte {position} is cut"
    size = _FIXED + header[26] + sum(header[_FIXED : _FIXED + header[26]])
    data = source.at(position, size)
    if len(data) < size:
        return f"truncated: the Ogg page at byte {position} is cut"
    kind, serial, sequence, checksum = struct.unpack_from("<xBxxxxxxxxIII", data, 4)
    if checksum != _checksum(data):
        return f"corrupt: the Ogg page at byte {position} has a wrong checksum"
    return _Page(position, data, kind, serial, sequence)


def _checksum(page: bytes) -> int:
    """Ogg's CRC, which is zlib's with all bits reversed and no inversions, with its own field taken as 0."""
    data = (page[:22] + bytes(4) + page[26:]).translate(_BITS_REVERSED)
    reversed_crc = zlib.crc32(data, 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{reversed_crc:032b}"[::-1], 2)


def _ended(page: _Page) -> tuple[tuple[int, bytes], ...]:
    """Patches that mark a page as the last one: without it libsndfile finds no length and gives nothing."""
    data = page.data[:5] + bytes([page.kind | _LAST]) + page.data[6:]
    return (page.start + 5, data[5:6]), (page.start + 22, struct.pack("<I", _checksum(data)))


def with_serial(data: bytes, serial: int) -> bytes:
    """An Ogg file of one stream under another serial number; writers draw one at random.

    Args:
        data: a whole file.
        serial: 0 to 2**32 - 1.

    Example:
        >>> page = b"OggS" + bytes(22) + bytes([1, 2]) + b"hi"
        >>> with_serial(page, 7)[14:18]
        b'\\x07\\x00\\x00\\x00'
    """
    pages: list[bytes] = []
    start = 0
    while start < len(data):
        segments = data[start + _FIXED : start + _FIXED + data[start + 26]]
        stop = start + _FIXED + len(segments) + sum(segments)
        page = data[start : start + 14] + struct.pack("<I", serial) + data[start + 18 : stop]
        pages.append(page[:22] + struct.pack("<I", _checksum(page)) + page[26:])
        start = stop
    return b"".join(pages)
