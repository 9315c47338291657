"""Archives made by hand, whole and in parts."""

import io
import struct
import tarfile
import zipfile
from pathlib import Path

import numpy as np

FILES = {"top/a.txt": b"a" * 5000, "top/deep/b.bin": bytes(np.random.default_rng(0).bytes(9000)), "c": b""}


def write_zip(path: Path, files: dict[str, bytes] = FILES, method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as file:
        file.mkdir("top")
        for name, data in files.items():
            file.writestr(name, data)
    return path


def write_tar(path: Path, files: dict[str, bytes] = FILES, mode: str = "w:gz") -> Path:
    with tarfile.open(path, mode) as file:
        for name, data in files.items():
            add(file, name, data)
    return path


def add(file: tarfile.TarFile, name: str, data: bytes = b"", **fields: object) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    for field, value in fields.items():
        setattr(info, field, value)
    file.addfile(info, io.BytesIO(data))


def content(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


def split(whole: Path, size: int, wide: bool = False) -> list[Path]:
    """A zip as `zip -s` would have written it: parts, and a directory that counts within them."""
    data = bytearray(b"PK\x07\x08" + whole.read_bytes())
    end = data.rfind(b"PK\x05\x06")
    count, length, offset = struct.unpack("<HLL", data[end + 10 : end + 20])
    place = offset + 4
    for _ in range(count):
        start = struct.unpack("<L", data[place + 42 : place + 46])[0] + 4
        data[place + 34 : place + 36] = struct.pack("<H", start // size)
        data[place + 42 : place + 46] = struct.pack("<L", start % size)
        place += 46 + sum(struct.unpack("<HHH", data[place + 28 : place + 34]))
    last = (len(data) + (76 if wide else 0)) // size
    disk, within = divmod(offset + 4, size)
    numbers = struct.pack("<4H2L", last, disk, count, count, length, within)
    if wide:
        record = struct.pack(
            "<4sQHHLL4Q", b"PK\x06\x06", 44, 45, 45, last, disk, count, count, length, within
        )
        locator = struct.pack("<4sLQL", b"PK\x06\x07", end // size, end % size, last + 1)
        numbers = struct.pack("<4H2L", *[0xFFFF] * 4, *[0xFFFFFFFF] * 2)
        data[end:end] = record + locator
        end += len(record) + len(locator)
    data[end + 4 : end + 20] = numbers
    parts = [data[start : start + size] for start in range(0, len(data), size)]
    names = [whole.with_suffix(f".z{number:02d}") for number in range(1, len(parts))] + [whole]
    for name, part in zip(names, parts, strict=True):
        name.write_bytes(part)
    return names
