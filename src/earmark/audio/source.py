"""Opening: a path, bytes or a file object becomes bytes that can be read at any offset."""

import io
import os
import stat
import tempfile
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import IO, Any, Protocol, runtime_checkable

import numpy as np

from earmark.audio.errors import AudioError, displayable
from earmark.storage import address, is_address, opened_file


@runtime_checkable
class BinaryFile(Protocol):
    """Anything with a `read` that gives bytes, such as an open file, a pipe or a `BytesIO`."""

    def read(self, size: int = -1, /) -> bytes:
        """Up to `size` bytes."""
        ...


Source = str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryFile | tuple[np.ndarray, int | float]
"""What can be heard: a path or an address (`s3://bucket/dog.wav`), the bytes of a file, a binary file object,
or `(samples, sample_rate)`."""

_HEAD = 4096
MAX_COPY_BYTES = 8 << 30
"""What a pipe may bring: it is copied to the disk, as readers go back and forth."""


@dataclass(frozen=True)
class Opened:
    """An open source.

    Attributes:
        path: what errors call it.
        size: bytes.
        descriptor: the system's number of the open file, if we opened it.
        read: `read(offset, count)` gives at most `count` bytes.
        head: the first bytes.
    """

    path: str
    size: int
    descriptor: int | None
    read: Callable[[int, int], bytes]
    head: bytes

    def at(self, offset: int, count: int) -> bytes:
        """`count` bytes from `offset` on, fewer at the end of the file."""
        if offset >= 0 and offset + count <= len(self.head):
            return self.head[offset : offset + count]
        try:
            data = self.read(offset, count)
            while 0 < len(data) < count and (more := self.read(offset + len(data), count - len(data))):
                data += more
        except Exception as error:  # a caller's file object may raise anything
            raise AudioError(self.path, f"reading failed at byte {offset}: {error}") from error
        return data


class Excerpt(io.RawIOBase):
    """A part of an opened source as a file object, with some bytes read differently from how they are stored.

    The decoders call it from C, where an exception would be printed and lost; it is kept in
    `failure` instead.

    Args:
        source: what to read.
        start: first byte.
        stop: the byte after the last.
        patches: `(offset, bytes)` pairs, offsets counted in the source.
    """

    def __init__(
        self,
        source: Opened,
        start: int = 0,
        stop: int | None = None,
        patches: tuple[tuple[int, bytes], ...] = (),
    ) -> None:
        self.failure: AudioError | None = None
        self._source, self._patches = source, patches
        self._start, self._stop = start, source.size if stop is None else stop
        self._position = 0

    def readable(self) -> bool:
        """Always."""
        return True

    def seekable(self) -> bool:
        """Always."""
        return True

    def tell(self) -> int:
        """The position in bytes from the start of the excerpt."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Move as `io.IOBase.seek` does."""
        base = (0, self._position, self._stop - self._start)[whence]
        self._position = max(0, base + offset)
        return self._position

    def readinto(self, buffer: Any, /) -> int:
        """Fill the buffer with the next bytes and say how many there were."""
        view = memoryview(buffer).cast("B")
        offset = self._start + self._position
        count = min(len(view), self._stop - offset)
        if count <= 0:
            return 0
        try:
            data = self._source.at(offset, count)
        except AudioError as error:
            self.failure = error
            return 0
        view[: len(data)] = data
        for place, patch in self._patches:
            if offset < place + len(patch) and place < offset + len(data):
                for index, value in enumerate(patch, place - offset):
                    if 0 <= index < len(data):
                        view[index] = value
        self._position += len(data)
        return len(data)


@contextmanager
def opened(source: object) -> Generator[Opened]:
    """Open a path, bytes or a binary file object for reading; arrays are not files and do not come here.

    Args:
        source: what to open.  A file object is read from its start, and left open.

    Raises:
        AudioError: missing, unreadable, empty, or no regular file.
        TypeError: not a source at all.
    """
    if isinstance(source, bytes | bytearray | memoryview):
        yield _from_bytes(bytes(source))
    elif isinstance(source, str | os.PathLike):
        if is_address(source):
            with _elsewhere(source) as found:
                yield found
            return
        path = displayable(source)
        descriptor = _descriptor(source, path)
        try:
            yield _from_descriptor(descriptor, path)
        finally:
            os.close(descriptor)
    elif hasattr(source, "read"):
        with _seekable(source) as (file, path):
            yield _from_file(file, path)
    else:
        raise TypeError(_no_source(source))


@contextmanager
def _elsewhere(source: str | os.PathLike[str]) -> Generator[Opened]:
    """A file at an address such as `s3://bucket/dog.wav`; only the bytes that are read are fetched."""
    path = displayable(address(source))
    with ExitStack() as stack:
        try:
            file = stack.enter_context(opened_file(source))
        except OSError as error:
            raise AudioError(path, f"cannot be opened: {error}") from None
        yield _from_file(file, path)


def _no_source(source: object) -> str:
    if hasattr(source, "shape") or isinstance(source, list):
        return "an array of samples does not say its rate; give the pair (samples, sample_rate)"
    if isinstance(source, tuple):
        return "a pair must be (samples, sample_rate) with a numpy array and a rate in Hz"
    kinds = "a path, bytes, a binary file object, or (samples, sample_rate)"
    return f"{type(source).__name__} is no source of audio; give {kinds}"


def _from_bytes(data: bytes) -> Opened:
    if not data:
        raise AudioError("<bytes>", "there are no bytes")

    def read(offset: int, count: int) -> bytes:
        return data[offset : offset + count]

    return Opened("<bytes>", len(data), None, read, data[:_HEAD])


def _descriptor(source: str | os.PathLike[str], path: str) -> int:
    """Open by descriptor, never waiting: a FIFO without a writer would block for ever otherwise."""
    flags = os.O_RDONLY
    for name in ("O_NONBLOCK", "O_CLOEXEC", "O_NOCTTY", "O_BINARY"):
        flags |= getattr(os, name, 0)
    try:
        return os.open(source, flags)
    except FileNotFoundError:
        raise AudioError(path, "there is no such file") from None
    except OSError as error:
        raise AudioError(path, f"cannot be opened: {(error.strerror or str(error)).lower()}") from None
    except ValueError:
        raise AudioError(path, "no file can have this name: a zero byte, or no encodable text") from None


def _from_descriptor(descriptor: int, path: str) -> Opened:
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        raise AudioError(path, f"is {_kind(status.st_mode)}; give a regular file")
    if not status.st_size:
        raise AudioError(path, "the file is empty")

    def read(offset: int, count: int) -> bytes:
        return os.pread(descriptor, count, offset)

    return Opened(path, status.st_size, descriptor, read, _head(read, path))


def _head(read: Callable[[int, int], bytes], path: str) -> bytes:
    try:
        return read(0, _HEAD)
    except OSError as error:
        raise AudioError(path, f"cannot be read: {error.strerror or error}") from error


def _kind(mode: int) -> str:
    kinds = (
        (stat.S_ISDIR, "a directory"),
        (stat.S_ISFIFO, "a named pipe"),
        (stat.S_ISSOCK, "a socket"),
        (stat.S_ISCHR, "a device"),
        (stat.S_ISBLK, "a device"),
    )
    return next((name for test, name in kinds if test(mode)), "no regular file")


@contextmanager
def _seekable(file: Any) -> Generator[tuple[Any, str]]:
    """The file object itself, or a copy on disk of one that cannot seek, such as a pipe."""
    name = getattr(file, "name", None)
    path = displayable(name) if isinstance(name, str | bytes) and name else "<file>"
    try:
        text = isinstance(file.read(0), str)
        seekable = bool(file.seekable())
    except Exception as error:  # a caller's file object may raise anything
        raise AudioError(path, f"the file object cannot be read: {error}") from error
    if text:
        raise TypeError(f"{path} is open as text; open it in binary mode, as open(path, 'rb') does")
    if seekable:
        yield file, path
        return
    with tempfile.TemporaryFile() as copy:
        try:
            whole = _copied(file, copy)
        except Exception as error:  # a caller's file object may raise anything
            raise AudioError(path, f"the file object cannot be read: {error}") from error
        if not whole:
            raise AudioError(
                path, f"brings more than {MAX_COPY_BYTES} bytes; save it to a file, and give that"
            )
        yield copy, path


def _copied(file: Any, copy: IO[bytes]) -> bool:
    """Copy a stream to its end; whether it had one within `MAX_COPY_BYTES`."""
    count = 0
    while data := file.read(1 << 20):
        count += len(data)
        if count > MAX_COPY_BYTES:
            return False
        copy.write(data)
    return True


def _from_file(file: Any, path: str) -> Opened:
    def read(offset: int, count: int) -> bytes:
        file.seek(offset)
        return file.read(count)

    try:
        size = int(file.seek(0, io.SEEK_END))
        head = read(0, _HEAD)
    except Exception as error:  # a caller's file object may raise anything
        raise AudioError(path, f"the file object cannot be read: {error}") from error
    if not size:
        raise AudioError(path, "the file is empty")
    return Opened(path, size, None, read, head)
