"""What a run has done so far, in a file that survives any end of it.

Results of a run with an output file go first to `OUT.part`, a log of records that is only ever appended to.
When all is done it is rendered into the final format and goes.  A killed run leaves it behind: `--resume`
reads it, ignores a torn last record, and goes on.  A source that ended in an error is done too.
"""

import hashlib
import json
import os
import struct
import time
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from earmark.audio import displayable
from earmark.config import ConfigError
from earmark.files import settled

try:
    import fcntl
except ImportError:  # not POSIX: no locks
    fcntl = None

FRAME = struct.Struct("<III")
"""Before each record: bytes of its JSON head, bytes of its body, CRC-32 of both."""
SYNC_SECONDS = 1.0
NO_LINKS = getattr(os, "O_NOFOLLOW", 0)
LONGEST_NAME = 255
"""Bytes that common file systems allow in a name."""


class OutputError(Exception):
    """Results cannot be written; the sentence names the file and the reason."""


class Record(NamedTuple):
    """One entry: plain JSON values, and bytes for what would be clumsy in JSON."""

    head: dict[str, Any]
    body: bytes = b""


class Journal:
    """The log beside an output file; locked, so that two runs cannot share it.

    Args:
        out: the output file; its folder must exist.
        settings: plain JSON values that must be the same when a run is resumed.
        resume: go on with what is there; else it is replaced by the first record.

    Attributes:
        done: how many times each path is in the log, under its key `path`.
        failed: how many of them are errors.
        found: whether the log of an earlier run was found (only with `resume`).

    Raises:
        OutputError: the folder is missing or read-only, or another run writes the same file.
        ConfigError: the log was made with other settings.

    Example:
        >>> import tempfile
        >>> out = Path(tempfile.mkdtemp()) / "tags.jsonl"
        >>> with Journal(out, {"top": 5}, resume=False) as journal:
        ...     journal.append(Record({"path": "dog.wav"}))
        >>> with Journal(out, {"top": 5}, resume=True) as journal:
        ...     journal.done["dog.wav"], [record.head["path"] for record in journal.records()]
        (1, ['dog.wav'])
    """

    def __init__(self, out: Path, settings: dict[str, Any], resume: bool) -> None:
        self.part = part_of(out)
        self.done: Counter[str] = Counter()
        self.failed = 0
        self.found = False
        self._settings = settings
        self._file = _locked(out, self.part)
        self._started = False
        self._synced = time.monotonic()
        if resume:
            try:
                self._recover()
            except BaseException:
                self._file.close()
                raise

    def __enter__(self) -> "Journal":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def append(self, record: Record) -> None:
        """Add a record; it survives the end of this process at once, and that of the machine soon.

        Raises:
            OutputError: the disk is full or fails; the records before stay readable.
        """
        if not self._started:
            self.begin()
        try:
            self._write(record)
            self._file.flush()
            self._count(record)
            if time.monotonic() - self._synced > SYNC_SECONDS:
                self.sync()
        except OSError as error:
            raise failure(self.part, error) from None

    def begin(self, earlier: Iterable[Record] = ()) -> None:
        """Start anew: an old log is replaced, by the records of an earlier output if there are any."""
        try:
            earlier = list(earlier)
            self._file.seek(0)
            self._file.truncate()
            self.done.clear()
            self.failed = 0
            self._write(Record({"settings": self._settings, "earlier": len(earlier)}))
            for record in earlier:
                self._write(record)
                self._count(record)
            self.sync()
        except OSError as error:
            raise failure(self.part, error) from None
        self._started = True

    def records(self) -> Iterator[Record]:
        """All records in the log, from the first; call it again to read again."""
        self._file.flush()
        with self.part.open("rb") as file:
            entries = _entries(file)
            next(entries, None)
            for record, _ in entries:
                yield record

    def sync(self) -> None:
        """Have everything on the disk."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._synced = time.monotonic()

    def close(self) -> None:
        """Let go; what was appended stays, a log that nothing was written to goes."""
        with suppress(OSError, ValueError):
            self.sync()
        with suppress(OSError, ValueError):
            if not os.fstat(self._file.fileno()).st_size:
                self.part.unlink()
        with suppress(OSError):
            self._file.close()

    def discard(self) -> None:
        """Remove the log: the output that it led to is committed."""
        with suppress(OSError):
            self.part.unlink()
        self.close()

    def _write(self, record: Record) -> None:
        head = json.dumps(record.head, ensure_ascii=True, separators=(",", ":")).encode()
        crc = zlib.crc32(record.body, zlib.crc32(head))
        self._file.write(FRAME.pack(len(head), len(record.body), crc) + head + record.body)

    def _count(self, record: Record) -> None:
        self.done[record.head["path"]] += 1
        self.failed += "error" in record.head

    def _recover(self) -> None:
        """Find out what is done, and cut a torn record off."""
        with self.part.open("rb") as file:
            entries = _entries(file)
            first = next(entries, None)
            if first is None or "settings" not in first[0].head:
                return
            refuse_others(self.part, first[0].head["settings"], self._settings)
            end, count = first[1], 0
            for record, end in entries:  # noqa: B007  (the last end is used below)
                self._count(record)
                count += 1
        if (
            count < first[0].head["earlier"]
        ):  # killed while it took over an earlier output: take it over again
            self.done.clear()
            self.failed = 0
            return
        self._file.seek(end)
        self._file.truncate()
        self.found = self._started = True


def refuse_others(
    begun: str | os.PathLike[str],
    earlier: dict[str, Any],
    now: dict[str, Any],
    instead: str = "leave out --resume to start anew",
) -> None:
    """See that a run goes on with what it was begun with.

    Raises:
        ConfigError: it does not.
    """
    names = {**earlier, **now}
    other = [name for name in names if earlier.get(name) != now.get(name)]
    if other:
        was = ", ".join(f"{name}={earlier.get(name)}" for name in other)
        has = ", ".join(f"{name}={now.get(name)}" for name in other)
        raise ConfigError(
            f"{displayable(begun)} was begun with {was}, this run has {has}; "
            f"resume with the same settings, or {instead}"
        )


def part_of(out: Path) -> Path:
    """The log's name beside the output: two names of one file, by a link, have the same log.

    Raises:
        OutputError: no file can be written there.

    Example:
        >>> part_of(Path("tags.csv"))
        PosixPath('tags.csv.part')
    """
    try:
        target = settled(out)
    except OSError as error:
        raise failure(out, error) from None
    name = target.name + ".part"
    if len(os.fsencode(name)) > LONGEST_NAME:
        name = hashlib.sha256(os.fsencode(target.name)).hexdigest() + ".part"
    return target.with_name(name)


def failure(path: Path, error: OSError) -> OutputError:
    """The sentence for a write that failed."""
    return OutputError(f"{displayable(path)}: cannot be written: {(error.strerror or str(error)).lower()}")


def _locked(out: Path, part: Path) -> BinaryIO:
    try:
        while True:
            file = open(os.open(part, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | NO_LINKS, 0o666), "r+b")  # noqa: SIM115  (held as long as the journal)
            if not _lock(file):
                file.close()
                raise OutputError(
                    f"{displayable(out)}: another run is writing it; wait for its end, or give another file"
                )
            if part.exists() and os.path.samestat(os.fstat(file.fileno()), part.stat()):
                return file
            file.close()  # the run that held it finished, and removed it, in this very moment
    except OSError as error:
        raise failure(out, error) from None


def _lock(file: BinaryIO) -> bool:
    if fcntl is None:
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True  # a file system without locks
    return True


def _entries(file: BinaryIO) -> Iterator[tuple[Record, int]]:
    """Whole records, each with the offset of its end; a torn or damaged one ends the log."""
    while len(frame := file.read(FRAME.size)) == FRAME.size:
        head_size, body_size, crc = FRAME.unpack(frame)
        if head_size + body_size > os.fstat(file.fileno()).st_size - file.tell():
            return
        head, body = file.read(head_size), file.read(body_size)
        if zlib.crc32(body, zlib.crc32(head)) != crc:
            return
        yield Record(json.loads(head), body), file.tell()
