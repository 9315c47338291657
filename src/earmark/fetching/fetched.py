"""Files that were fetched: the lock under which they are made, and the record by which they are checked."""

import hashlib
import json
import logging
import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, cast

from earmark.files import commit

try:
    import fcntl
except ImportError:  # Windows has no such locks; two processes may then disturb each other
    fcntl = None

_log = logging.getLogger(__name__)


BLOCK = 1 << 20


class FetchError(ValueError):
    """A file that cannot be had, or is not what it should be; the sentence names it and says what to do.

    Attributes:
        name: what the file is called.
        reason: a sentence without the name.
    """

    def __init__(self, name: str | os.PathLike[str], reason: str) -> None:
        super().__init__(str(name), reason)
        self.name, self.reason = str(name), reason

    def __str__(self) -> str:
        return f"{self.name}: {self.reason}"


class Remote(NamedTuple):
    """A file somewhere else.

    Attributes:
        name: what errors call it.
        url: https or http.
        size: bytes, if known beforehand.
        sha256: if known beforehand.
        md5: if known beforehand, where nothing better is published; it tells damage, not malice.
        otherwise: what people can do where it cannot be fetched.
    """

    name: str
    url: str
    size: int | None = None
    sha256: str | None = None
    md5: str | None = None
    otherwise: str = "download it yourself"

    @property
    def pinned(self) -> bool:
        """Whether a digest is known beforehand."""
        return self.sha256 is not None or self.md5 is not None


def failure(remote: Remote, reason: str) -> FetchError:
    """The error for a remote file that cannot be had, with the way out."""
    return FetchError(remote.name, f"cannot be had from {remote.url}: {reason}; or {remote.otherwise}")


@contextmanager
def alone(target: Path) -> Generator[None, None, None]:
    """Hold the lock on a file that is to be made; another process that makes it is waited for."""
    with target.with_name(f".{target.name}.lock").open("ab") as lock:
        if fcntl is not None:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                _log.warning("waiting for another process that is making %s", target.name)
                fcntl.flock(lock, fcntl.LOCK_EX)
            except OSError:
                pass  # a file system without locks
        yield


def check(remote: Remote, target: Path) -> None:
    """Check a file that was fetched before, against what is pinned and what was recorded.

    Raises:
        FetchError: it is another file; or its record is damaged.
        OSError: it cannot be read.
    """
    known = _recorded(target)
    if not known:
        record(remote, target, target)
        return
    size, digest = _verified(remote, target)
    if (size, digest) != (known.get("bytes"), known.get("sha256")):
        raise FetchError(
            target,
            f"has changed since it was fetched: its SHA-256 is {digest} but {known.get('sha256')} is "
            f"recorded in {_record(target).name}; delete both and try again",
        )


def record(remote: Remote, path: Path, target: Path) -> None:
    """Check the file at `path` against what is pinned, and note its size and digest beside `target`.

    Raises:
        FetchError: it is not the file that is pinned; it is removed.
        OSError: it cannot be read, or the record cannot be written.
    """
    size, digest = _verified(remote, path)
    with commit(_record(target)) as file:
        tree = {"url": remote.url, "bytes": size, "sha256": digest}
        file.write(json.dumps(tree, indent=1).encode())


def recorded_digest(target: Path) -> str | None:
    """The SHA-256 that was recorded when a file was fetched; None if there is no record.

    Raises:
        FetchError: the record is damaged.
    """
    digest = _recorded(target).get("sha256")
    return digest if isinstance(digest, str) else None


def _record(target: Path) -> Path:
    return target.with_name(f"{target.name}.json")


def _verified(remote: Remote, path: Path) -> tuple[int, str]:
    """Size and SHA-256 of a file, which must be what is pinned; if not, it is removed."""
    found, md5, size = hashlib.sha256(), hashlib.md5(usedforsecurity=False), 0
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            found.update(block)
            size += len(block)
            if remote.md5 is not None:
                md5.update(block)
    digest = found.hexdigest()
    if remote.size not in (None, size) or remote.sha256 not in (None, digest):
        expected = f"{remote.size or 'any number'} and {remote.sha256 or 'any'}"
    elif remote.md5 not in (None, md5.hexdigest()):
        digest, expected = f"{digest} (MD5 {md5.hexdigest()})", f"MD5 {remote.md5}"
    else:
        return size, digest
    path.unlink()
    raise failure(
        remote,
        f"what came has {size} bytes and SHA-256 {digest}, but {expected} were expected; it was removed, "
        "try again",
    )


def _recorded(target: Path) -> dict[str, Any]:
    try:
        text = _record(target).read_bytes()
    except FileNotFoundError:
        return {}
    try:
        tree = json.loads(text)
    except (ValueError, RecursionError):
        tree = None
    if not isinstance(tree, dict) or not tree:
        raise FetchError(_record(target), "is damaged; delete it and the file beside it, and try again")
    return cast(dict[str, Any], tree)
