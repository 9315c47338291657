"""The zip archive around a stranger's weights.

It must be laid out as `torch.save` lays it out and in no other way, so that every reader of zip archives sees
the same entries in it: those that were checked are those that torch will read.
"""

import struct
import zipfile
from io import BufferedReader

from earmark.models.pickle_scan import MAX_BYTES as MAX_PICKLE_BYTES

MAGIC = b"PK\x03\x04"
MAX_ENTRIES = 20_000
MAX_DIRECTORY_BYTES = 256 * MAX_ENTRIES

_END = struct.Struct("<4s4H2IH")
_END_64 = struct.Struct("<4sQ2H2I4Q")
_LOCATOR = struct.Struct("<4sIQI")
_LOCAL = struct.Struct("<4s5H3I2H")
_DESCRIPTORS = {0, 12, 16, 20, 24}  # bytes behind an entry that repeat its checksum and sizes
_CODE = ("constants.pkl", "code")


class RefusedError(ValueError):
    """A sentence about a stranger's file, before the file's name is put to it."""


def read_pickle(file: BufferedReader, size: int) -> bytes:
    """The pickle of an archive of `torch.save`, after all of the archive was checked.

    Args:
        file: the archive.
        size: its length in bytes.

    Raises:
        RefusedError: it is cut off or damaged, or was not written by `torch.save`.
    """
    try:
        count, directory = _end(file, size)
        file.seek(0)
        with zipfile.ZipFile(file) as archive:
            entries = archive.infolist()
            if len(entries) != count:
                raise RefusedError(f"is damaged: it says that it has {count} entries but has {len(entries)}")
            pickle_name = _check_names(entries)
            _check_places(file, entries, directory)
            pickle = archive.read(pickle_name)
            bad = archive.testzip()
    except zipfile.BadZipFile as error:
        raise RefusedError(f"is a zip archive that is cut off or damaged ({error})") from None
    if bad is not None:
        raise RefusedError(f"is damaged: the checksum of {bad!r:.100} does not match")
    return pickle


def _end(file: BufferedReader, size: int) -> tuple[int, int]:
    """Number of entries, and where their directory begins; the records at the end must agree with each other.

    This comes before zipfile reads the directory: it would take whatever memory a long one asks for.
    """
    end = size - _END.size
    sign, _, _, _, count, length, begin, comment = _END.unpack(_at(file, end, _END.size))
    if sign != b"PK\x05\x06" or comment:
        raise RefusedError("is a zip archive that is cut off or damaged: it does not end as one")
    told = (count, length, begin)
    if _at(file, end - _LOCATOR.size, 4) == b"PK\x06\x07":
        locator = _LOCATOR.unpack(_at(file, end - _LOCATOR.size, _LOCATOR.size))
        end -= _LOCATOR.size + _END_64.size
        sign, rest, *_, count, length, begin = _END_64.unpack(_at(file, end, _END_64.size))
        if (sign, rest, locator[2]) != (b"PK\x06\x06", _END_64.size - 12, end):
            raise RefusedError("is a zip archive that is cut off or damaged: its end is not where it says")
        if told != (min(count, 0xFFFF), min(length, 0xFFFFFFFF), min(begin, 0xFFFFFFFF)):
            raise RefusedError("is a zip archive that is damaged: its two ends differ")
    if count > MAX_ENTRIES or length > MAX_DIRECTORY_BYTES:
        raise RefusedError(f"is an archive of {count} entries; {MAX_ENTRIES} are allowed")
    if begin + length != end:
        raise RefusedError("is a zip archive that is cut off or damaged: its directory is not at its end")
    return count, begin


def _check_names(entries: list[zipfile.ZipInfo]) -> str:
    """Check what the directory says of the entries; returns the name of the pickle."""
    for entry in entries:
        if entry.compress_type != zipfile.ZIP_STORED or entry.compress_size != entry.file_size:
            raise RefusedError(
                f"has the compressed entry {entry.filename!r:.100}; torch.save compresses nothing"
            )
        odd = entry.filename != entry.orig_filename or not entry.filename.isprintable()
        if entry.flag_bits & 1 or odd or ".." in entry.filename.split("/") or entry.filename.startswith("/"):
            raise RefusedError(
                f"has an entry with the odd name {entry.orig_filename!r:.100}, or an encrypted one"
            )
    names = [entry.filename for entry in entries]
    if len({name.lower() for name in names}) != len(names):  # torch's reader does not tell cases apart
        raise RefusedError("has two entries of the same name")
    if any(name.split("/")[1:2] == [part] for name in names for part in _CODE):
        raise RefusedError(
            "is a program for TorchScript, which is never run; save the state_dict() of its model instead"
        )
    folders = {name.partition("/")[0] for name in names}
    pickle_name = f"{folders.pop()}/data.pkl" if len(folders) == 1 else ""
    if pickle_name not in names:
        raise RefusedError(
            "is a zip archive, but not one of torch.save: it has no data.pkl in its one folder"
        )
    if next(entry.file_size for entry in entries if entry.filename == pickle_name) > MAX_PICKLE_BYTES:
        raise RefusedError(f"is refused: its pickle is larger than {MAX_PICKLE_BYTES} bytes")
    return pickle_name


def _check_places(file: BufferedReader, entries: list[zipfile.ZipInfo], directory: int) -> None:
    """Refuse entries that overlap, leave room for others, or have another name where they are."""
    end = 0
    for entry in sorted(entries, key=lambda entry: entry.header_offset):
        sign, _, _, method, *_, name_length, extra = _LOCAL.unpack(
            _at(file, entry.header_offset, _LOCAL.size)
        )
        coding = "utf-8" if entry.flag_bits & 0x800 else "cp437"
        name = _at(file, entry.header_offset + _LOCAL.size, name_length).decode(coding, "replace")
        if entry.header_offset - end not in (_DESCRIPTORS if end else {0}):
            raise RefusedError("is damaged: its entries overlap, or there is something between them")
        if (sign, method, name) != (MAGIC, zipfile.ZIP_STORED, entry.filename):
            raise RefusedError(f"is damaged: {entry.filename!r:.100} is not where its directory says")
        end = entry.header_offset + _LOCAL.size + name_length + extra + entry.file_size
    if directory - end not in _DESCRIPTORS:
        raise RefusedError("is damaged: its entries overlap, or there is something behind them")


def _at(file: BufferedReader, place: int, length: int) -> bytes:
    """So many bytes from a place; shorter ones are an error."""
    file.seek(max(place, 0))
    found = file.read(length)
    if place < 0 or len(found) != length:
        raise RefusedError("is a zip archive that is cut off or damaged: it is too short")
    return found
