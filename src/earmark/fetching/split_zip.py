"""A zip archive in several parts (`x.z01`, `x.z02`, ..., `x.zip`), read where it lies.

Python's own zipfile reads no such archives: each entry says on which part it begins, and where in that part.
Here the parts are read as one long file, and each entry is found in it.
"""

import io
import struct
import zlib
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate
from pathlib import Path
from typing import IO, Any, NamedTuple

MAX_DIRECTORY_BYTES = 256 * 1024**2
BLOCK = 1 << 18
STORED, DEFLATED = 0, 8
END, END64, LOCATOR64 = b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07"
ENTRY, LOCAL = b"PK\x01\x02", b"PK\x03\x04"
FULL16, FULL32 = 0xFFFF, 0xFFFFFFFF


class SplitZipError(ValueError):
    """The parts are no archive that can be read; the sentence says why."""


class Entry(NamedTuple):
    """One file of the archive.

    Attributes:
        name: with `/` between folders, as the archive has it.
        size: bytes when unpacked.
        packed: bytes in the archive.
        crc: checksum of the unpacked bytes.
        method: 0 as it is, 8 deflated.
        flags: bit 0 says encrypted.
        mode: Unix mode, 0 where there is none.
        start: where its header begins, counted through all parts.
    """

    name: str
    size: int
    packed: int
    crc: int
    method: int
    flags: int
    mode: int
    start: int


class _End(NamedTuple):
    """What the end of the archive says: which part the directory begins on, where, its size, its length."""

    disk: int
    offset: int
    size: int
    n_entries: int


class _Joined(io.RawIOBase):
    """The parts as one file that can be read anywhere."""

    def __init__(self, parts: Sequence[Path]) -> None:
        self._files = [part.open("rb") for part in parts]
        self.starts = list(accumulate((part.stat().st_size for part in parts), initial=0))
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        base = (0, self._position, self.starts[-1])[whence]
        self._position = max(0, base + offset)
        return self._position

    def tell(self) -> int:
        return self._position

    def readinto(self, buffer: Any, /) -> int:
        index = bisect_right(self.starts, self._position) - 1
        if index >= len(self._files):
            return 0
        view = memoryview(buffer).cast("B")[: self.starts[index + 1] - self._position]
        self._files[index].seek(self._position - self.starts[index])
        count = self._files[index].readinto(view)
        self._position += count
        return count

    def close(self) -> None:
        for file in self._files:
            file.close()
        super().close()


class SplitZip:
    """An open archive in parts.

    Args:
        parts: all of them in order, the `.zip` last.

    Attributes:
        entries: its files and folders, in the order of its directory.

    Raises:
        SplitZipError: it is no zip archive of these parts, or damaged.
    """

    def __init__(self, parts: Sequence[Path]) -> None:
        joined = _Joined(parts)
        self._starts = joined.starts
        self._file = io.BufferedReader(joined, BLOCK)
        try:
            self.entries = list(self._directory(len(parts)))
        except (struct.error, IndexError, UnicodeDecodeError) as error:
            self._file.close()
            raise SplitZipError(f"its directory is damaged ({error})") from None
        except SplitZipError:
            self._file.close()
            raise

    def __enter__(self) -> "SplitZip":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def copy(self, entry: Entry, out: IO[bytes]) -> None:
        """Unpack one file; never more than the bytes that its entry declares.

        Raises:
            SplitZipError: it is damaged, encrypted, or packed in an unknown way.
        """
        if entry.flags & 1 or entry.method not in (STORED, DEFLATED):
            raise SplitZipError(f"{entry.name!r:.200} is encrypted, or packed by method {entry.method}")
        header = self._at(entry.start, 30)
        if header[:4] != LOCAL:
            raise SplitZipError(f"{entry.name!r:.200} is not where the directory says")
        name, extra = struct.unpack("<HH", header[26:30])
        self._file.seek(entry.start + 30 + name + extra)
        crc, left = 0, entry.size
        for block in self._unpacked(entry):
            left -= len(block)
            if left < 0:
                break
            crc = zlib.crc32(block, crc)
            out.write(block)
        if left or crc != entry.crc:
            raise SplitZipError(f"{entry.name!r:.200} is damaged: its checksum or its length is wrong")

    def _unpacked(self, entry: Entry) -> Iterator[bytes]:
        inflate = zlib.decompressobj(-zlib.MAX_WBITS) if entry.method == DEFLATED else None
        left = entry.packed
        while left and (block := self._file.read(min(BLOCK, left))):
            left -= len(block)
            try:
                while inflate is not None and block:
                    yield inflate.decompress(block, BLOCK)
                    block = inflate.unconsumed_tail
            except zlib.error as error:
                raise SplitZipError(f"{entry.name!r:.200} is damaged ({error})") from None
            if block:
                yield block
        if inflate is not None:
            yield inflate.flush()

    def _at(self, offset: int, count: int) -> bytes:
        self._file.seek(offset)
        data = self._file.read(count)
        if len(data) != count:
            raise SplitZipError("it is cut off")
        return data

    def _directory(self, n_parts: int) -> Iterator[Entry]:
        end = self._end(n_parts)
        if end.size > MAX_DIRECTORY_BYTES:
            raise SplitZipError(f"its directory has {end.size} bytes; {MAX_DIRECTORY_BYTES} are allowed")
        directory = self._at(self._starts[end.disk] + end.offset, end.size)
        position = 0
        for _ in range(end.n_entries):
            if directory[position : position + 4] != ENTRY:
                raise SplitZipError("its directory is damaged")
            fields = struct.unpack("<6H3L5H2L", directory[position + 4 : position + 46])
            lengths = fields[9:12]
            names = directory[position + 46 : position + 46 + sum(lengths)]
            yield self._entry(fields, names[: lengths[0]], names[lengths[0] : sum(lengths[:2])])
            position += 46 + sum(lengths)

    def _entry(self, fields: tuple[int, ...], name: bytes, extra: bytes) -> Entry:
        flags, method, crc, disk = fields[2], fields[3], fields[6], fields[12]
        wide = _wide(extra)
        size = next(wide) if fields[8] == FULL32 else fields[8]
        packed = next(wide) if fields[7] == FULL32 else fields[7]
        offset = next(wide) if fields[15] == FULL32 else fields[15]
        disk = next(wide) & FULL32 if disk == FULL16 else disk
        if disk >= len(self._starts) - 1:
            raise SplitZipError(f"it says that it has more parts than {len(self._starts) - 1}")
        text = name.decode("utf-8" if flags & 0x800 else "cp437")
        return Entry(text, size, packed, crc, method, flags, fields[14] >> 16, self._starts[disk] + offset)

    def _end(self, n_parts: int) -> _End:
        """The end record, and its wide form where the numbers need one."""
        length = min(self._starts[-1], 22 + FULL16 + 20)
        tail = self._at(self._starts[-1] - length, length)
        place = tail.rfind(END)
        if place < 0:
            raise SplitZipError("it has no end: the last part is missing, or it is no zip archive")
        last, disk, _, count, size, offset = struct.unpack("<4H2L", tail[place + 4 : place + 20])
        if FULL16 in (last, disk, count) or FULL32 in (size, offset):
            found = tail.rfind(LOCATOR64, 0, place)
            if found < 0:
                raise SplitZipError("its end is damaged")
            on, at = struct.unpack("<LQ", tail[found + 4 : found + 16])
            record = self._at(self._starts[on] + at, 56)
            if record[:4] != END64:
                raise SplitZipError("its end is damaged")
            last, disk, _, count, size, offset = struct.unpack("<2L4Q", record[16:56])
        if last != n_parts - 1:
            raise SplitZipError(f"it says that it has {last + 1} parts, but {n_parts} are here")
        return _End(disk, offset, size, count)


def _wide(extra: bytes) -> Iterator[int]:
    """The 64-bit numbers that stand in for those that do not fit into 32."""
    position = 0
    while position + 4 <= len(extra):
        kind, length = struct.unpack("<HH", extra[position : position + 4])
        if kind == 1:
            data = extra[position + 4 : position + 4 + length]
            for start in range(0, len(data), 8):
                yield int.from_bytes(data[start : start + 8], "little")
        position += 4 + length
    raise SplitZipError("its directory is damaged: a large number is missing")
