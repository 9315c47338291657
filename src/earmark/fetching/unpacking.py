"""Archives of strangers: unpacked into a new folder, whole or not at all, and never outside it."""

import bz2
import gzip
import io
import lzma
import os
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any, cast

from earmark.fetching.fetched import FetchError
from earmark.fetching.split_zip import SplitZip, SplitZipError
from earmark.files import fsync_folder

MAX_MEMBERS = 1_000_000
BLOCK = 1 << 20
BROKEN = (
    *(zipfile.BadZipFile, tarfile.TarError, SplitZipError),
    *(zlib.error, lzma.LZMAError, gzip.BadGzipFile, EOFError, NotImplementedError),
)
PACKERS = ((b"\x1f\x8b", gzip.open), (b"BZh", bz2.open), (b"\xfd7zXZ", lzma.open))


def unpack(archive: Sequence[Path], folder: Path, max_bytes: int) -> Path:
    """Unpack an archive into a folder that does not exist yet.

    The files go to a temporary folder beside it, which is renamed when everything is there.  Links, devices,
    names that lead out of the folder and more bytes than expected are refused.

    Args:
        archive: a zip or a tar file; or all parts of a zip in order (`x.z01`, `x.z02`, ..., `x.zip`).
        folder: what to make.
        max_bytes: the most that the files may take together: an archive of kilobytes can hold terabytes.

    Returns:
        `folder`.

    Raises:
        FetchError: the archive is damaged or unsafe, or the disk is full; nothing is left behind.
    """
    last = archive[-1]
    unfinished = folder.with_name(f".{folder.name}.unpacking")
    try:
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(parents=True)
        with _cleared_on_failure(unfinished):
            _unpack(archive, unfinished, max_bytes)
            _settle()
            unfinished.rename(folder)
        fsync_folder(folder.parent)
    except BROKEN as error:
        words = str(error) or type(error).__name__
        raise FetchError(last, f"is damaged ({words}); delete it and fetch it again") from None
    except (OSError, RuntimeError) as error:  # zipfile's word for an encrypted file is RuntimeError
        words = getattr(error, "strerror", None) or str(error)
        raise FetchError(last, f"cannot be unpacked into {folder} ({words})") from None
    return folder


@contextmanager
def _cleared_on_failure(folder: Path) -> Generator[None, None, None]:
    try:
        yield
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _settle() -> None:
    """Have the files on the disk before the folder appears under its name."""
    if hasattr(os, "sync"):
        os.sync()


def _unpack(archive: Sequence[Path], folder: Path, max_bytes: int) -> None:
    if len(archive) > 1:
        _from_parts(archive, folder, max_bytes)
    elif zipfile.is_zipfile(archive[0]):
        _from_zip(archive[0], folder, max_bytes)
    else:
        _from_tar(archive[0], folder, max_bytes)


def _from_parts(parts: Sequence[Path], folder: Path, max_bytes: int) -> None:
    with SplitZip(parts) as file:
        budget = _Budget(parts[-1], max_bytes)
        for entry in file.entries:
            budget.take(entry.size)
        budget.check_room(folder)
        for entry in file.entries:
            _check_kind(parts[-1], entry.name, entry.mode)
            target = _inside(parts[-1], folder, entry.name)
            if not entry.name.endswith("/"):
                with target.open("xb") as out:
                    file.copy(entry, out)


def _from_zip(path: Path, folder: Path, max_bytes: int) -> None:
    with zipfile.ZipFile(path) as file:
        budget = _Budget(path, max_bytes)
        for info in file.infolist():
            budget.take(info.file_size)
        budget.check_room(folder)
        for info in file.infolist():
            _check_kind(path, info.filename, info.external_attr >> 16)
            target = _inside(path, folder, info.filename)
            if not info.is_dir():
                with file.open(info) as packed, target.open("xb") as out:
                    shutil.copyfileobj(packed, out, BLOCK)


def _from_tar(path: Path, folder: Path, max_bytes: int) -> None:
    """A stream from first to last byte: a packed tar has no directory to look into beforehand."""
    budget = _Budget(path, max_bytes)
    with _decompressed(path) as stream, tarfile.open(fileobj=cast(Any, stream), mode="r|") as file:
        for member in file:
            budget.take(member.size)
            if not (member.isreg() or member.isdir()):
                raise FetchError(path, f"holds {member.name!r:.200}, which is neither a file nor a folder")
            target = _inside(path, folder, member.name)
            if member.isreg() and target.exists():
                raise FetchError(path, f"holds {member.name!r:.200} twice")
            file.extract(member, folder, set_attrs=False, filter="data")
        while block := stream.read(BLOCK):  # to the very end, where the checksum of the whole stands
            budget.take(len(block))


def _decompressed(path: Path) -> io.BufferedIOBase:
    """A file as it was before it was packed.  Tarfile's own streams do not look at checksums."""
    with path.open("rb") as file:
        head = file.read(6)
    packer = next((packer for magic, packer in PACKERS if head.startswith(magic)), open)
    return cast(io.BufferedIOBase, packer(path, "rb"))


def _check_kind(archive: Path, name: str, mode: int) -> None:
    if mode and stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise FetchError(archive, f"holds {name!r:.200}, which is neither a file nor a folder")


def _inside(archive: Path, folder: Path, name: str) -> Path:
    """Where a member shall lie, its folder made; a name that leads elsewhere is refused.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as place:
        ...     _inside(Path("x.zip"), Path(place), "../x")
        Traceback (most recent call last):
        earmark.fetching.fetched.FetchError: x.zip: holds '../x', a name that leads out of its folder
    """
    parts = [part for part in PurePosixPath(name).parts if part != "."]
    unsafe = name.startswith("/") or ".." in parts or "\\" in name or "\0" in name or ":" in name
    if unsafe or not name:
        raise FetchError(archive, f"holds {name!r:.200}, a name that leads out of its folder")
    target = folder.joinpath(*parts)
    (target if name.endswith("/") else target.parent).mkdir(parents=True, exist_ok=True)
    return target


class _Budget:
    """How much an archive may unpack to."""

    def __init__(self, archive: Path, max_bytes: int) -> None:
        self._archive, self._max_bytes = archive, max_bytes
        self._members = self._bytes = 0

    def take(self, size: int) -> None:
        self._members += 1
        self._bytes += max(0, size)
        if self._members > MAX_MEMBERS:
            raise FetchError(self._archive, f"holds more than {MAX_MEMBERS} files")
        if self._bytes > self._max_bytes:
            raise FetchError(self._archive, f"unpacks to more than the {self._max_bytes} bytes expected")

    def check_room(self, folder: Path) -> None:
        free = shutil.disk_usage(folder).free
        if self._bytes > free:
            raise FetchError(
                self._archive, f"needs {self._bytes} bytes, but {folder.parent} has {free} left; make room"
            )
