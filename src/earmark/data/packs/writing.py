"""Writing a pack: shards are planned first, and written in any order; taken up again where it stopped."""

import errno
import itertools
import os
import re
import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from earmark.audio import displayable
from earmark.config import ConfigError
from earmark.data.clips import Clip
from earmark.data.packs.crew import write_all
from earmark.data.packs.index import INDEX, Index, Shard, Unreadable, beside, read_index
from earmark.data.packs.rows import Packing, Row, fields_used
from earmark.data.packs.shard import WRITERS, Job, Written, digest, finished
from earmark.fetching import alone
from earmark.files import FULL, commit
from earmark.storage import file_size, is_address, made_folder

SECOND_BYTES = 96_000
"""What a second of a stretch is taken to have: 48 kHz of 16 bits."""
OURS = re.compile(r"data-\d{5,}-of-\d{5,}\.(parquet|tar)")
LEFT = re.compile(r"\.[0-9a-f]{16}\.tmp")

Progress = Callable[[int, int], None]


def write_pack(
    rows: Sequence[Row],
    folder: Path,
    packing: Packing | None = None,
    workers: int = 1,
    source: str = "",
    progress: Progress | None = None,
) -> Index:
    """Pack rows, in their order; a pack that was cut off is taken up where it stopped.

    The bytes of a pack depend on the rows, their files and `packing` alone.

    Args:
        rows: what to pack.
        folder: where to; it is made if it is not there.
        packing: how; None for Parquet with files as they are.
        workers: processes that write shards; 1 writes in this one beside one that decodes, and 0 decodes
            here as well, where a bad file may crash or hang.
        source: what is packed, in words; a folder with a finished pack of another source is not written to.
        progress: told the number of rows that are done, and of all.

    Returns:
        The index, with what could not be read.

    Raises:
        ConfigError: there is nothing to pack, another pack is there, or a library is missing.
        OSError: the folder cannot be written to, or has too little room; finished shards stay.
        WriterError: a process was lost twice with the same shard.
    """
    packing = packing or Packing()
    if not rows:
        raise ConfigError("there are no clips to pack")
    made_folder(folder)
    with alone(folder / INDEX):
        _check_same(folder, source, packing)
        _check_elsewhere(folder, rows)
        _check_ours(folder)
        jobs = _planned(rows, folder, packing)
        known = {job.path.name: found for job in jobs if (found := finished(job)) is not None}
        missing = [job for job in jobs if job.path.name not in known]
        for path in folder.iterdir():
            if LEFT.fullmatch(path.name):  # of a writer that was killed
                path.unlink(missing_ok=True)
        if missing:
            (folder / INDEX).unlink(missing_ok=True)
        try:
            _write(missing, known, workers, len(rows), progress)
            return _commit(folder, jobs, known, source, packing)
        except OSError as error:
            if error.errno not in FULL:
                raise
            words = "the disk is full; finished shards are kept, make room and start again"
            raise OSError(error.errno, words, str(folder)) from None


def _check_same(folder: Path, source: str, packing: Packing) -> None:
    index = read_index(str(folder))
    if index is not None and (index.source, index.packing) != (source, packing):
        what = f"of {index.source!r}" if index.source != source else "with other settings"
        raise ConfigError(
            f"{displayable(folder)} holds a finished pack {what}; give another folder, or delete it"
        )


def _check_elsewhere(folder: Path, rows: Sequence[Row]) -> None:
    here = Path(os.path.realpath(folder))
    if any(Path(os.path.realpath(parent)) == here for parent in {row.clip.path.parent for row in rows}):
        raise ConfigError(f"{displayable(folder)} is where the sounds are; pack into another folder")


def _check_ours(folder: Path) -> None:
    """Files of others may be called as ours are: the hub does."""
    index = read_index(str(folder))
    known = {shard.name for shard in index.shards} if index is not None else set[str]()
    for path in sorted(folder.iterdir()):
        if OURS.fullmatch(path.name) and path.name not in known and not (folder / beside(path.name)).exists():
            raise ConfigError(
                f"{displayable(path)} is called like a file of a pack, but `earmark pack` did not write it; "
                "give another folder, or move it away"
            )


def _planned(rows: Sequence[Row], folder: Path, packing: Packing) -> list[Job]:
    """The shards, with the sizes of the files alone for a measure."""
    marks = _marks(rows)
    sizes = _sizes(rows, marks)
    if packing.encode == "as-is":
        _check_room(folder, sum(sizes))
    bounds, room = [0], packing.shard_mb * 1e6
    for number, size in enumerate(sizes):
        room -= size
        if room < 0 and bounds[-1] < number:
            bounds.append(number)
            room = packing.shard_mb * 1e6 - size
    bounds.append(len(rows))
    fields = fields_used(rows, packing)
    jobs: list[Job] = []
    for number, (start, stop) in enumerate(itertools.pairwise(bounds)):
        name = f"data-{number:05d}-of-{len(bounds) - 1:05d}{WRITERS[packing.to].ENDING}"
        made_of = digest(rows[start:stop], marks[start:stop], packing, fields)
        jobs.append(Job(folder / name, start, list(rows[start:stop]), packing, fields, made_of))
    return jobs


def _marks(rows: Sequence[Row]) -> list[tuple[int, int]]:
    """Size and time of change of the file of each row; zeros where there is none."""
    paths = list({row.clip.path for row in rows})
    with ThreadPoolExecutor(8) as pool:  # at addresses each takes a question and an answer
        marks = dict(zip(paths, pool.map(_mark, paths), strict=True))
    return [marks[row.clip.path] for row in rows]


def _mark(path: Path) -> tuple[int, int]:
    with suppress(OSError, ValueError):
        if is_address(path):
            return file_size(path), 0
        status = path.stat()
        return status.st_size, status.st_mtime_ns
    return 0, 0


def _sizes(rows: Sequence[Row], marks: Sequence[tuple[int, int]]) -> list[float]:
    """About how many bytes of its file each row has; rows of a pack share it evenly."""
    sharing = Counter(row.clip.path for row in rows if row.clip.row is not None)
    return [
        _size(row.clip, size / max(1, sharing[row.clip.path]))
        for row, (size, _) in zip(rows, marks, strict=True)
    ]


def _size(clip: Clip, size: float) -> float:
    return size if clip.end is None else min(size, (clip.end - clip.start) * SECOND_BYTES)


def _check_room(folder: Path, need: float) -> None:
    there = sum(path.stat().st_size for path in folder.iterdir() if OURS.fullmatch(path.name))
    free = shutil.disk_usage(folder).free + there
    if need > free:
        reason = (
            f"the pack takes about {need:.0f} bytes and {free} are free; make room, or give another folder"
        )
        raise OSError(errno.ENOSPC, reason, str(folder))


def _write(
    jobs: Sequence[Job], known: dict[str, Written], workers: int, total: int, progress: Progress | None
) -> None:
    """Write what is missing; `known` grows."""
    done = total - sum(len(job.rows) for job in jobs)

    def step(count: int) -> None:
        nonlocal done
        done += count
        if progress is not None:
            progress(done, total)

    for written in write_all(jobs, workers, step):
        known[written.name] = written


def _commit(
    folder: Path, jobs: Sequence[Job], known: dict[str, Written], source: str, packing: Packing
) -> Index:
    """Write the index; then shards of an earlier plan go."""
    written = [known[job.path.name] for job in jobs]
    index = Index(
        source=source,
        packing=packing,
        fields=jobs[0].fields,
        clips=sum(one.clips for one in written),
        loud=sum(one.loud for one in written),
        shards=tuple(Shard(name=w.name, bytes=w.bytes, sha256=w.sha256, clips=w.clips) for w in written),
        unreadable=tuple(Unreadable(name=n, reason=why) for one in written for n, why in one.unreadable),
    )
    with commit(folder / INDEX) as file:
        file.write(index.model_dump_json(indent=1).encode())
    for path in sorted(folder.iterdir()):
        shard = path.name[1:].removesuffix(".json")
        if OURS.fullmatch(shard) and path.name == beside(shard) and shard not in known:
            (folder / shard).unlink(missing_ok=True)
            path.unlink()
    return index
