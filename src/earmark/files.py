"""The one routine by which anything that is kept reaches the disk."""

import errno
import os
import secrets
import stat
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
"""No room: a system that says so while a file is written does not say of which."""


@contextmanager
def commit(path: str | os.PathLike[str]) -> Generator[BinaryIO, None, None]:
    """Open a file for writing that appears under its name whole, or not at all.

    The bytes go to a temporary name in the same folder, are fsynced, renamed over `path`, and the folder is
    fsynced, so that neither a crash nor a full disk leaves half a file where a reader looks.  On any
    exception the temporary file is removed and `path` stays as it was.

    An existing file keeps its permissions, and a symbolic link keeps pointing at what is written.

    Args:
        path: where the file shall be; its folder must exist.

    Raises:
        OSError: the folder is missing, read-only or full, or the path is a pipe or a device; nothing was
            changed.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with commit(Path(folder) / "answer.txt") as file:
        ...         _ = file.write(b"42")
        ...     (Path(folder) / "answer.txt").read_text()
        '42'
    """
    target = settled(path)
    temporary = target.with_name(f".{secrets.token_hex(8)}.tmp")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
    try:
        descriptor = os.open(temporary, flags, 0o666)
    except OSError as error:  # under the name that the caller knows
        raise OSError(error.errno, error.strerror, os.fspath(path)) from None
    try:
        with open(descriptor, "wb") as file:
            with suppress(OSError):
                temporary.chmod(stat.S_IMODE(target.stat().st_mode))
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
    except BaseException as error:
        with suppress(OSError):
            temporary.unlink()
        if isinstance(error, OSError) and error.filename is None and error.errno in FULL:
            raise OSError(error.errno, error.strerror, os.fspath(path)) from None
        raise
    fsync_folder(target.parent)


def settled(path: str | os.PathLike[str]) -> Path:
    """Where a file by this name really lies, if one can be written there: links lead to their target.

    Args:
        path: a file that exists or not.

    Raises:
        OSError: something that a file must not replace is there, such as a pipe or a device.

    Example:
        >>> settled("answer.txt")
        PosixPath('answer.txt')
    """
    found = Path(path)
    with suppress(FileNotFoundError):
        mode = found.stat().st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, "is a folder; give the name of a file")
        if not stat.S_ISREG(mode):
            reason = "is no regular file; give the name of a file, existing or new"
            raise OSError(errno.EINVAL, reason)
    return Path(os.path.realpath(found)) if found.is_symlink() else found


def fsync_folder(folder: str | os.PathLike[str]) -> None:
    """Make a rename in `folder` survive a power cut; a no-op where folders cannot be opened."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
