"""Files of this machine and files elsewhere, by one set of names: a path, or an address that fsspec knows."""

import errno
import os
import posixpath
import re
import shutil
import tempfile
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, cast

from earmark.files import commit

SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/+")  # of two letters or more: not C:/
LOCAL = ("file", "local")
IN_MEMORY = 1 << 24
"""Bytes; what is larger is collected on the disk."""


def is_address(path: str | os.PathLike[str]) -> bool:
    """Whether this is an address such as `s3://bucket/sounds`, and no path of this machine.

    A `Path` tidies `//` to `/`; `s3:/bucket/sounds` is therefore taken for the same.

    Example:
        >>> is_address("s3://bucket/dog.wav"), is_address(Path("s3://bucket/dog.wav")), is_address("dog.wav")
        (True, True, False)
    """
    return SCHEME.match(os.fspath(path)) is not None


def address(path: str | os.PathLike[str]) -> str:
    """A path as it is, an address with both its slashes.

    Example:
        >>> address(Path("s3://bucket/dog.wav")), address("sounds/dog.wav")
        ('s3://bucket/dog.wav', 'sounds/dog.wav')
    """
    text = os.fspath(path)
    found = SCHEME.match(text)
    if found is None:
        return text
    scheme = found[1].lower()
    return f"{scheme}://{'/' if scheme in LOCAL else ''}{text[found.end() :]}"


def inside(folder: str | os.PathLike[str], name: str) -> str:
    """The path or address of a file in a folder.

    Example:
        >>> inside("s3:/bucket/pack/", "pack.json"), inside("packs/a", "pack.json")
        ('s3://bucket/pack/pack.json', 'packs/a/pack.json')
    """
    return f"{address(folder).rstrip('/')}/{name}"


class Entry(NamedTuple):
    """A file that `listed` found.

    Attributes:
        path: where it is; a path, or an address.
        size: bytes, if that is known without reading it.
    """

    path: str
    size: int | None


def read_bytes(path: str | os.PathLike[str]) -> bytes:
    """The whole file.

    Raises:
        OSError: as `opened_file`.
    """
    with opened_file(path) as file:
        return file.read()


@contextmanager
def opened_file(path: str | os.PathLike[str]) -> Generator[BinaryIO, None, None]:
    """Open a file that can be read at any offset; of one elsewhere only what is read is fetched.

    Raises:
        OSError: it cannot be opened, here or there; or what reads such addresses is not installed.
    """
    if not is_address(path):
        with open(path, "rb") as file:
            yield file
        return
    with _asked(path) as (system, inner):
        file = system.open(inner, "rb")
    with file:
        yield file


@contextmanager
def local_copy(path: str | os.PathLike[str]) -> Generator[Path, None, None]:
    """A file as one of this machine: itself, or a copy that is removed afterwards.

    Raises:
        OSError: as `opened_file`.
    """
    if not is_address(path):
        yield Path(path)
        return
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / (posixpath.basename(address(path)) or "file")
        with opened_file(path) as file, copy.open("wb") as here:
            shutil.copyfileobj(file, here)
        yield copy


def file_size(path: str | os.PathLike[str]) -> int:
    """How many bytes a file has.

    Raises:
        OSError: it is not there, or the other side does not say.
    """
    if not is_address(path):
        return Path(path).stat().st_size
    with _asked(path) as (system, inner):
        size = system.info(inner).get("size")
    if not isinstance(size, int):
        raise OSError(f"{address(path)}: the other side does not say how large it is")
    return size


def exists(path: str | os.PathLike[str]) -> bool:
    """Whether there is a file or folder.

    Raises:
        OSError: the other side cannot be asked.
    """
    if not is_address(path):
        return Path(path).exists()
    with _asked(path) as (system, inner):
        return bool(system.exists(inner))


def is_folder(path: str | os.PathLike[str]) -> bool:
    """Whether there is a folder; elsewhere that is a name with something below it.

    Raises:
        OSError: the other side cannot be asked.
    """
    if not is_address(path):
        return Path(path).is_dir()
    with _asked(path) as (system, inner):
        return bool(system.isdir(inner))


def listed(folder: str | os.PathLike[str], ending: str = "") -> list[Entry]:
    """The files directly in a folder whose names end so, sorted by name.

    Raises:
        OSError: the folder cannot be listed.
    """
    if not is_address(folder):
        found = [path for path in sorted(Path(folder).iterdir()) if path.name.endswith(ending)]
        return [Entry(str(path), path.stat().st_size) for path in found if path.is_file()]
    with _asked(folder) as (system, inner):
        entries = [entry for entry in system.ls(inner, detail=True) if entry["type"] == "file"]
        named = {str(system.unstrip_protocol(entry["name"])): entry.get("size") for entry in entries}
    return [Entry(name, named[name]) for name in sorted(named) if name.endswith(ending)]


def folders_in(folder: str | os.PathLike[str]) -> list[str]:
    """The folders directly in a folder, sorted.

    Raises:
        OSError: the folder cannot be listed.
    """
    if not is_address(folder):
        return [str(path) for path in sorted(Path(folder).iterdir()) if path.is_dir()]
    with _asked(folder) as (system, inner):
        entries = [entry for entry in system.ls(inner, detail=True) if entry["type"] == "directory"]
        return sorted(str(system.unstrip_protocol(entry["name"])) for entry in entries)


def found_below(folder: str) -> Iterator[str]:
    """The addresses of all files below one, sorted.

    Raises:
        OSError: it cannot be listed.
    """
    with _asked(folder) as (system, inner):
        yield from sorted(str(system.unstrip_protocol(name)) for name in system.find(inner))


def made_folder(path: Path) -> Path:
    """A folder of this machine, made if it is not there.

    Raises:
        OSError: it cannot be made; or it is an address, where nothing can be changed bit by bit.

    Example:
        >>> made_folder(Path("s3://bucket/run"))
        Traceback (most recent call last):
        OSError: s3://bucket/run is an address; give a folder of this machine, and copy it there
    """
    if is_address(path):
        raise OSError(f"{address(path)} is an address; give a folder of this machine, and copy it there")
    path.mkdir(parents=True, exist_ok=True)
    return path


@contextmanager
def committed(path: str | os.PathLike[str]) -> Generator[BinaryIO, None, None]:
    """Open a file for writing that appears whole or not at all.

    Here that is `files.commit`.  What goes elsewhere is collected here first and sent when it is complete;
    object stores show an object when its last byte has come.

    Raises:
        OSError: it cannot be written.
    """
    if not is_address(path):
        with commit(path) as file:
            yield file
        return
    with tempfile.SpooledTemporaryFile(IN_MEMORY) as collected:
        yield cast(BinaryIO, collected)
        collected.seek(0)
        with _asked(path) as (system, inner):
            system.makedirs(posixpath.dirname(inner), exist_ok=True)
            with system.open(inner, "wb") as file:
                shutil.copyfileobj(collected, file)


@contextmanager
def _asked(path: str | os.PathLike[str]) -> Generator[tuple[Any, str], None, None]:
    """The system that knows an address, and how it calls the file; its errors become OSErrors."""
    import fsspec  # slow to import, and few need it

    name = address(path)
    try:
        yield fsspec.core.url_to_fs(name)
    except ImportError as error:
        raise OSError(f"{name} needs another package: {error}") from None
    except FileNotFoundError:
        raise FileNotFoundError(errno.ENOENT, "there is no such file", name) from None
    except Exception as error:  # each system has its own
        raise OSError(f"{name}: {type(error).__name__}: {error}") from None
