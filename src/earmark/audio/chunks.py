"""Containers made of chunks (wav, RIFX, RF64, W64, aiff, caf, au): where the samples lie, and if all do.

libsndfile shortens a truncated file without a word and ignores what lies behind the samples that a header
declares.  So the declared lengths are compared with the file here, before it is decoded.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from earmark.audio.errors import AudioError
from earmark.audio.layout import Layout, truncated
from earmark.audio.limits import check_format
from earmark.audio.source import Opened

_MOST_CHUNKS = 10_000
_SLACK = 128
"""Bytes behind the last chunk that are let pass: padding, or an ID3v1 tag."""
_MOST_PADDING = 1 << 16
_ANOTHER_SOUND = {b"RIFF", b"RIFX", b"RF64", b"FORM", b"data", b"SSND", b"BODY", b"caff"}


@dataclass(frozen=True)
class Chunk:
    """One chunk: its name, where its size is written, where its body starts, and its declared size."""

    name: bytes
    size_at: int
    body: int
    size: int


@dataclass(frozen=True)
class Grammar:
    """How chunks are written: the layout of a header, and the alignment of the next one."""

    header: str
    align: int = 2
    name_bytes: int = 4
    size_counts_header: bool = False

    def size_field(self, size: int) -> bytes:
        """A size as it is written in a chunk's header."""
        own = struct.calcsize(self.header) if self.size_counts_header else 0
        return struct.pack(self.header[0] + self.header[-1], size + own)


_RIFF, _IFF, _CAF = Grammar("<4sI"), Grammar(">4sI"), Grammar(">4sq", align=1)
_W64 = Grammar("<16sQ", align=8, name_bytes=16, size_counts_header=True)
_UNKNOWN_32 = {0, 0x7FFFF000, 0x7FFFFFFF}


def wav(source: Opened) -> Layout:
    """RIFF, RIFX, RF64 and W64."""
    magic = source.head[:4]
    if magic == b"riff":
        container, grammar, first = "w64", _W64, 40
    else:
        container = "rf64" if magic in (b"RF64", b"BW64") else "wav"
        grammar, first = (_IFF if magic == b"RIFX" else _RIFF), 12
    order = grammar.header[0]
    size_of_rf64: int | None = None
    for chunk in _walk(source, first, grammar):
        if chunk.name == b"fmt ":
            fields = source.at(chunk.body, 8)
            if len(fields) == 8:
                _, channels, rate = struct.unpack(order + "HHI", fields)
                check_format(source.path, rate, channels)
        elif chunk.name == b"ds64":
            fields = source.at(chunk.body + 8, 8)
            size_of_rf64 = struct.unpack("<Q", fields)[0] if len(fields) == 8 else None
        elif chunk.name == b"data":
            return _wav_data(source, container, grammar, chunk, size_of_rf64)
    raise AudioError(source.path, f"the {container} file has no data chunk, so no sound")


def _wav_data(source: Opened, container: str, grammar: Grammar, data: Chunk, size64: int | None) -> Layout:
    size = data.size
    if container == "rf64" and size == 0xFFFFFFFF and size64 is not None:
        size = 0 if size64 == 0xFFFFFFFFFFFFFFFF else size64
        data = Chunk(data.name, 28, data.body, size)
        if size == 0:  # ds64 holds the size, in 64 bits
            return Layout(container, patches=((28, struct.pack("<Q", source.size - data.body)),))
    unknown = size in _UNKNOWN_32 or size >= 0xFFFFFF00 if grammar.header[-1] == "I" else size >= 1 << 62
    if container == "rf64" and size64 is not None:
        unknown = False
    return _data_layout(source, container, grammar, Chunk(data.name, data.size_at, data.body, size), unknown)


def _data_layout(source: Opened, container: str, grammar: Grammar, data: Chunk, unknown: bool) -> Layout:
    """Compare the declared end of the samples with the file."""
    left = source.size - data.body
    if data.size == 0 and _only_chunks_from(source, data.body, grammar):
        unknown = False
    if unknown and (data.size <= 0 or data.size > left):
        return Layout(container, patches=((data.size_at, grammar.size_field(left)),))
    if data.size > left:
        return Layout(container, damage=truncated(data.body + data.size, source.size))
    end = data.body + data.size
    aligned = end + -end % grammar.align
    if not (_only_chunks_from(source, aligned, grammar) or _only_chunks_from(source, end, grammar)):
        return Layout(container, damage=_lies(data.size, source.size - end))
    return Layout(container)


def _lies(declared: int, behind: int) -> str:
    return f"the header lies about its length: it declares {declared} bytes of sound, {behind} more follow"


def aiff(source: Opened) -> Layout:
    """AIFF, AIFC and the Amiga's 8SVX and 16SV."""
    container = {b"AIFF": "aiff", b"AIFC": "aifc"}.get(source.head[8:12], "svx")
    body_name = b"BODY" if container == "svx" else b"SSND"
    common: Chunk | None = None
    data: Chunk | None = None
    for chunk in _walk(source, 12, _IFF):
        if chunk.name == b"COMM":
            common = chunk
            channels, _, _, rate = _comm(source, chunk)
            check_format(source.path, rate, channels)
        elif chunk.name == body_name:
            data = chunk
            break
    if data is None:
        raise AudioError(source.path, f"the {container} file has no {body_name.decode()} chunk, so no sound")
    layout = _data_layout(source, container, _IFF, data, data.size in _UNKNOWN_32 or data.size >= 0xFFFFFF00)
    if common is None:
        return layout
    channels, frames, bits, _ = _comm(source, common)
    if layout.patches:  # a streamed file: the count of frames is open as well
        frames = (source.size - data.body - 8) // max(1, channels * ((bits + 7) // 8))
        form = (4, struct.pack(">I", source.size - 8))
        count = (common.body + 2, struct.pack(">I", frames))
        return Layout(container, patches=(*layout.patches, form, count))
    packed = container == "aifc" and source.at(common.body + 18, 4) in (b"ima4", b"GSM ", b"DWVW", b"dwvw")
    return Layout(container, damage=layout.damage, frames=None if packed else frames)


def _comm(source: Opened, chunk: Chunk) -> tuple[int, int, int, float]:
    """Channels, frames, bits and the rate, which is an 80-bit float, of the COMM chunk."""
    fields = source.at(chunk.body, 18)
    if len(fields) < 18:
        raise AudioError(source.path, "truncated inside the COMM chunk")
    channels, frames, bits, exponent, mantissa = struct.unpack(">HIHHQ", fields)
    power = (exponent & 0x7FFF) - 16383 - 63
    rate = float(mantissa) * 2.0**power if -200 < power < 200 else 0.0
    return channels, frames, bits, -rate if exponent & 0x8000 else rate


def caf(source: Opened) -> Layout:
    """Apple's Core Audio Format."""
    for chunk in _walk(source, 8, _CAF):
        if chunk.name == b"desc":
            fields = source.at(chunk.body, 32)
            if len(fields) == 32:
                rate, channels = struct.unpack(">d16xI4x", fields)
                check_format(source.path, rate, channels)
        elif chunk.name == b"data":
            return _data_layout(source, "caf", _CAF, chunk, chunk.size in (-1, 0))
    raise AudioError(source.path, "the caf file has no data chunk, so no sound")


def au(source: Opened) -> Layout:
    """Sun's and NeXT's format: one header, then samples."""
    order = ">" if source.head[:4] == b".snd" else "<"
    if len(source.head) < 24:
        raise AudioError(source.path, "truncated inside the header")
    body, size, _, rate, channels = struct.unpack(order + "5I", source.head[4:24])
    check_format(source.path, rate, channels)
    left = source.size - body
    if left > 0 and size in (0, 0xFFFFFFFF):
        return Layout("au", patches=((8, struct.pack(order + "I", left)),))
    if size > left:
        return Layout("au", damage=truncated(body + size, source.size))
    if not _negligible(source, body + size):
        return Layout("au", damage=_lies(size, left - size))
    return Layout("au")


def _walk(source: Opened, start: int, grammar: Grammar) -> Iterator[Chunk]:
    """The chunks from `start` on, as long as their headers lie within the file."""
    header_bytes = struct.calcsize(grammar.header)
    own = header_bytes if grammar.size_counts_header else 0
    for _ in range(_MOST_CHUNKS):
        header = source.at(start, header_bytes)
        if len(header) < header_bytes:
            return
        name, size = struct.unpack(grammar.header, header)
        chunk = Chunk(name[:4], start + grammar.name_bytes, start + header_bytes, size - own)
        yield chunk
        if chunk.size < 0:
            return
        start = chunk.body + chunk.size
        start += -start % grammar.align


def _only_chunks_from(source: Opened, start: int, grammar: Grammar) -> bool:
    """Whether nothing but whole, silent chunks (tags, notes, padding) lies from `start` to the end."""
    for chunk in _walk(source, start, grammar):
        readable = all(32 <= byte < 127 for byte in chunk.name)
        if not readable or chunk.size < 0 or chunk.body + chunk.size > source.size:
            break
        if chunk.name in _ANOTHER_SOUND:
            return False
        start = chunk.body + chunk.size
        start += -start % grammar.align
    return _negligible(source, start)


def _negligible(source: Opened, start: int) -> bool:
    left = source.size - start
    return left <= _SLACK or (left <= _MOST_PADDING and not any(source.at(start, left)))
