"""One file from the network to the disk: resumed, checked, locked, and there whole or not at all."""

import os
import time
from collections.abc import Callable
from http.client import HTTPException, HTTPMessage
from pathlib import Path
from typing import BinaryIO, NamedTuple, NoReturn
from urllib.error import HTTPError, URLError

from earmark.fetching.fetched import Remote, alone, check, failure, record
from earmark.fetching.web import Response, UnsafeAddressError, get
from earmark.files import commit, fsync_folder

MAX_BYTES = 4 * 1024**3
BLOCK = 1024 * 1024
AGAIN = {408, 425, 429, 500, 502, 503, 504}

Progress = Callable[[int, int | None], None]
"""Called with the bytes that are there and those that there will be, None where the server does not say."""


class Patience(NamedTuple):
    """How long to wait for a server.

    Attributes:
        stall_seconds: without a byte, before the connection is given up.
        retries: further attempts after a cut, a stall or a server that says "later".
        pause_seconds: before the first of them; doubled each time.
        longest_pause_seconds: whatever the server asks for.
    """

    stall_seconds: float = 30.0
    retries: int = 3
    pause_seconds: float = 1.0
    longest_pause_seconds: float = 30.0


USUAL = Patience()


class _TryLaterError(Exception):
    """An attempt failed in a way that another may not."""

    def __init__(self, reason: str, pause: float = 0.0) -> None:
        super().__init__(reason)
        self.pause = pause


def fetch(remote: Remote, target: Path, progress: Progress | None = None, patience: Patience = USUAL) -> Path:
    """Have a remote file at `target`, from the network if it is not there yet.

    What came before a cut is kept as `NAME.part` and is taken up again, now or by the next call, if the
    server says that the file is still the same.  Size and digest are checked against `remote` where it has
    them; always they are recorded in `NAME.json`, and from then on the file is checked against that record.

    Args:
        remote: what to fetch.
        target: where it shall be; folders are made.
        progress: is told how far it is.
        patience: how long to wait.

    Returns:
        `target`.

    Raises:
        FetchError: it cannot be had, or is not what it should be; the sentence says what to do.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with alone(target):
            if target.exists():
                check(remote, target)
            else:
                _fetch(remote, target, progress or _silent, patience)
    except OSError as error:
        raise failure(remote, f"{target.parent} cannot be written ({error.strerror or error})") from None
    return target


def _silent(done: int, total: int | None) -> None:
    pass


def _part(target: Path) -> Path:
    return target.with_name(f"{target.name}.part")


def _validator(target: Path) -> Path:
    return target.with_name(f"{target.name}.part.etag")


def _fetch(remote: Remote, target: Path, progress: Progress, patience: Patience) -> None:
    """Attempt after attempt, then the checks, the record and the rename."""
    pause = patience.pause_seconds
    for attempt in range(patience.retries + 1):
        try:
            _attempt(remote, target, progress, patience.stall_seconds)
            break
        except _TryLaterError as error:
            if attempt == patience.retries:
                kept = (
                    "what came is kept, try again to go on" if _part(target).exists() else "try again later"
                )
                raise failure(remote, f"{error}, after {attempt + 1} attempts; {kept}") from None
            time.sleep(min(max(pause, error.pause), patience.longest_pause_seconds))
            pause *= 2
    record(remote, _part(target), target)
    _part(target).replace(target)
    _validator(target).unlink(missing_ok=True)
    fsync_folder(target.parent)


def _attempt(remote: Remote, target: Path, progress: Progress, stall_seconds: float) -> None:
    """One request for what is missing; returns when the part is complete."""
    start, headers = _resumption(target)
    try:
        response = get(remote.url, headers, stall_seconds)
    except UnsafeAddressError as error:
        raise failure(remote, str(error)) from None
    except HTTPError as error:
        error.close()
        _explain_status(remote, target, error)
    except URLError as error:
        if isinstance(error.reason, ConnectionError | TimeoutError):
            raise _TryLaterError(f"no answer ({error.reason})") from None
        raise failure(remote, f"{error.reason}") from None
    except (OSError, HTTPException) as error:
        raise _TryLaterError(f"the connection broke ({type(error).__name__} {error})") from None
    with response:
        if response.status != 206:
            start = 0  # the whole file: it has changed, or the server knows no ranges
        elif _first_byte(response) != start:
            _part(target).unlink(missing_ok=True)
            raise _TryLaterError("the server goes on at another place than asked")
        total = _length(remote, response, start)
        if start == 0:
            _remember(target, response.headers)
        with _part(target).open("r+b" if start else "wb") as part:
            part.seek(start)
            _receive(remote, response, part, total, progress)
            os.fsync(part.fileno())


def _resumption(target: Path) -> tuple[int, dict[str, str]]:
    """Where to go on, and the headers that ask for it; from the start unless the server can tell a change."""
    try:
        size, validator = _part(target).stat().st_size, _validator(target).read_text("utf-8")
    except (OSError, ValueError):
        return 0, {}
    if size == 0 or not validator.isprintable() or not validator:
        return 0, {}
    return size, {"Range": f"bytes={size}-", "If-Range": validator}


def _remember(target: Path, headers: HTTPMessage) -> None:
    """Keep what identifies this version of the file, so that its rest can be asked for."""
    tag = headers.get("ETag", "")
    validator = tag if tag.startswith('"') else headers.get("Last-Modified", "")
    _part(target).unlink(missing_ok=True)
    with commit(_validator(target)) as file:
        file.write(validator.encode())


def _explain_status(remote: Remote, target: Path, error: HTTPError) -> NoReturn:
    reason = f"the server answers {error.code} {error.reason}".partition("\n")[0][:300]
    if error.code == 416:  # the part is longer than the file, or another file's
        _part(target).unlink(missing_ok=True)
        raise _TryLaterError(reason)
    if error.code in AGAIN:
        asked = error.headers.get("Retry-After", "")
        raise _TryLaterError(reason, float(asked) if asked.isdecimal() and len(asked) < 6 else 0.0)
    raise failure(remote, reason)


def _first_byte(response: Response) -> int | None:
    first = response.headers.get("Content-Range", "").removeprefix("bytes ").partition("-")[0]
    return int(first) if first.isdecimal() and len(first) < 20 else None


def _length(remote: Remote, response: Response, start: int) -> int | None:
    """How long the whole file will be, from the headers; None if only the end of its body will tell."""
    length = response.headers.get("Content-Length", "")
    if response.headers.get("Content-Encoding", "identity") != "identity":
        raise failure(remote, "the server sends the file in a compressed form")
    total = start + int(length) if length.isdecimal() and len(length) < 20 else None
    chunked = response.headers.get("Transfer-Encoding", "").lower() == "chunked"
    if total is None and not chunked and remote.size is None and not remote.pinned:
        raise failure(
            remote, "the server does not say how long the file is, so that a cut could go unnoticed"
        )
    if (total or 0) > MAX_BYTES:
        raise failure(remote, f"the server's file has {total} bytes; {MAX_BYTES} are allowed")
    if total is not None and remote.size not in (None, total):
        raise failure(remote, f"the server's file has {total} bytes but {remote.size} were expected")
    return remote.size if total is None else total


def _receive(
    remote: Remote, response: Response, part: BinaryIO, total: int | None, progress: Progress
) -> None:
    """Copy the body to the part, and notice when it ends early, stalls or never ends."""
    done = part.tell()
    progress(done, total)
    while True:
        try:
            block = response.read1(BLOCK)
        except (OSError, HTTPException) as error:
            raise _TryLaterError(
                f"the connection broke at {done} bytes ({type(error).__name__} {error})"
            ) from None
        if not block:
            break
        part.write(block)
        done += len(block)
        if done > MAX_BYTES:
            raise failure(remote, f"the server sends more than {MAX_BYTES} bytes")
        progress(done, total)
    part.flush()
    if total is not None and done != total:
        raise _TryLaterError(f"the connection ended at {done} of {total} bytes")
