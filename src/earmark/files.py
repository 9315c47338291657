"""The one routine by which anything that is kept reaches the disk."""

import os
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO


@contextmanager
def commit(path: str | os.PathLike[str]) -> Generator[BinaryIO, None, None]:
    """Open a file for writing that appears under its name whole, or not at all.

    The bytes go to a temporary name in the same folder, are fsynced, renamed over `path`, and the folder is
    fsynced, so that neither a crash nor a full disk leaves half a file where a reader looks.  On any
    exception the temporary file is removed and `path` stays as it was.

    Args:
        path: where the file shall be; its folder must exist.

    Raises:
        OSError: the folder is missing, read-only or full; nothing was changed.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with commit(Path(folder) / "answer.txt") as file:
        ...         _ = file.write(b"42")
        ...     (Path(folder) / "answer.txt").read_text()
        '42'
    """
    target = Path(path)
    temporary = target.with_name(f".{target.name[:200]}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise
    fsync_folder(target.parent)


def fsync_folder(folder: str | os.PathLike[str]) -> None:
    """Make a rename in `folder` survive a power cut; a no-op where folders cannot be opened."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
