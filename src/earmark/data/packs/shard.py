"""One shard, written whole or not at all; and whether it was written before."""

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from earmark.audio import AudioError, displayable
from earmark.audio.pool import Pool
from earmark.data.packs.encoding import encode
from earmark.data.packs.index import beside, read_beside
from earmark.data.packs.parquet import ParquetShard
from earmark.data.packs.rows import Packing, Row, fields_of
from earmark.data.packs.tars import TarShard
from earmark.files import commit

WRITERS = {"parquet": ParquetShard, "webdataset": TarShard}


class Job(NamedTuple):
    """A shard that shall be there.

    Attributes:
        path: where.
        first: the number of its first row in the pack.
        rows: what is to be in it.
        packing: how.
        fields: what is kept of each row beside its sound.
        made_of: a digest of all this, and of the files.
    """

    path: Path
    first: int
    rows: list[Row]
    packing: Packing
    fields: tuple[str, ...]
    made_of: str


class Written(NamedTuple):
    """What is known of a shard that is there.

    Attributes:
        name: of its file.
        bytes: its size.
        sha256: of its content.
        clips: how many are in it.
        loud: how many of them are kept as float, as they are louder than full scale.
        unreadable: name and reason of each that is not.
    """

    name: str
    bytes: int
    sha256: str
    clips: int
    loud: int
    unreadable: list[tuple[str, str]]


def write_shard(job: Job, pool: Pool | None, step: Callable[[int], None]) -> Written:
    """Write a shard, and then what lies beside it; until then that only says that the shard is ours.

    Args:
        job: which.
        pool: processes that decode; None decodes here.
        step: told each time that so many rows more are done.

    Raises:
        OSError: it cannot be written; nothing of it is there then.
    """
    unreadable: list[tuple[str, str]] = []
    said: list[tuple[Any, ...]] = []
    loud = 0
    known = job.path.with_name(beside(job.path.name))
    with commit(known) as file:  # what it says of an earlier shard would not be true of this one
        file.write(b"{}")
    with commit(job.path) as file:
        with WRITERS[job.packing.to](file, job.first, job.fields) as shard:
            for row, sound in encode(job.rows, job.packing, pool):
                if isinstance(sound, AudioError):
                    unreadable.append((displayable(row.name), str(sound)))
                else:
                    shard.add(row, sound)
                    fields = fields_of(row, sound)
                    said.append((row.name, *(fields[name] for name in job.fields)))
                    loud += sound.loud
                step(1)
        size = file.tell()
    with job.path.open("rb") as written:
        sha256 = hashlib.file_digest(written, "sha256").hexdigest()
    found = Written(job.path.name, size, sha256, len(said), loud, unreadable)
    tree = found._asdict() | {"made_of": job.made_of}
    if job.packing.to == "webdataset":
        listed = [(place, *its) for place, its in zip(shard.rows, said, strict=True)]
        tree |= {"fields": job.fields, "listed": listed}
    with commit(known) as file:
        file.write(json.dumps(tree).encode())
    return found


def finished(job: Job) -> Written | None:
    """What is known of a shard that was written before, if it was, and of the same rows."""
    tree = read_beside(str(job.path.parent), job.path.name)
    try:
        if tree is None or tree["made_of"] != job.made_of or job.path.stat().st_size != tree["bytes"]:
            return None
        unreadable = [(str(name), str(reason)) for name, reason in tree["unreadable"]]
        return Written(job.path.name, tree["bytes"], tree["sha256"], tree["clips"], tree["loud"], unreadable)
    except (OSError, KeyError, TypeError, ValueError):
        return None


def digest(
    rows: Sequence[Row], marks: Sequence[tuple[int, int]], packing: Packing, fields: Sequence[str]
) -> str:
    """What decides the content of a shard.

    Args:
        rows: what is in it.
        marks: size and time of change of the file of each.
        packing: how it is written.
        fields: what is kept of each row.
    """
    found = hashlib.sha256(packing.to_json().encode() + json.dumps(fields).encode())
    for row, mark in zip(rows, marks, strict=True):
        said = (row.name, os.fspath(row.clip.path), *row.clip[1:], *row[2:], mark)
        found.update(json.dumps(said).encode())
    return found.hexdigest()
