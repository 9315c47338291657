"""A pack as files again, with a table of them."""

import csv
import io
import json
import re
import unicodedata
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from earmark.audio import AudioError, displayable
from earmark.config import ConfigError
from earmark.data.feeding.decoding import Place, encoded
from earmark.data.packs.contents import Listed, contents, fault
from earmark.data.packs.rows import Origin
from earmark.data.tables.columns import says_where
from earmark.files import commit
from earmark.storage import made_folder

TABLE = "clips.csv"
LONGEST = 200
"""Bytes of a part of a path; file systems end at 255."""
FORBIDDEN = re.compile(r'[\x00-\x1f\x7f<>:"|?*]')
"""What some system's names cannot hold."""
RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
LISTS = ("labels", "unknown")


class Unpacked(NamedTuple):
    """What came out of a pack.

    Attributes:
        clips: how many.
        unreadable: a sentence for each that did not.
    """

    clips: int
    unreadable: list[str]


def unpack_pack(place: str | Path, folder: Path, step: Callable[[], None] | None = None) -> Unpacked:
    """Write the clips of a pack as files, and a table of them that `earmark pack` and `earmark train` read.

    Files are called as their clips are, inside the folder whatever the pack says; of two alike names the
    second one gets a number.  A file that is there already is left alone if it is the same.

    Args:
        place: the pack, here or at an address.
        folder: where to; it is made if it is not there.
        step: called for each clip.

    Raises:
        ConfigError: it is no pack; or another file is in the way.
        OSError: the folder cannot be written to; what was written stays, and the same call goes on.
    """
    found = contents(place)
    made_folder(folder)
    own = ("encoded", "source_start", "source_end") if found.ours else ()
    fields = [name for name in found.fields if name not in own]
    taken: set[str] = {_folded(TABLE)}
    rows: list[list[Any]] = []
    unreadable: list[str] = []
    for one in found.clips:
        said = found.said(one)
        name = _free(_file_name(one, found.origin(one)), taken)
        try:
            data = encoded(Place(one.shard, one.row, 0, None))
        except AudioError as error:
            unreadable.append(fault(one, error))
            continue
        _put(folder / name, data if isinstance(data, bytes) else b"")
        rows.append([name, *(_cell(field, said[field]) for field in fields)])
        if step is not None:
            step()
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([["path", *_columns(fields)], *rows])
    _put(folder / TABLE, text.getvalue().encode())
    return Unpacked(len(rows), unreadable)


def _cell(field: str, value: Any) -> Any:
    """Lists are written as JSON, which a table reads."""
    if field in LISTS:
        value = value or []
    return json.dumps(value, ensure_ascii=False, default=str) if isinstance(value, list) else value


def _columns(fields: list[str]) -> list[str]:
    """Names of the columns beside that of the files; what a pack says of places holds for no file here.

    Example:
        >>> _columns(["label", "path", "start"])
        ['label', 'pack_path', 'pack_start']
    """
    taken = set(fields)
    named: list[str] = []
    for field in fields:
        name = field
        while says_where(name) or (name != field and name in taken):
            name = f"pack_{name}"
        named.append(name)
    return named


def _file_name(one: Listed, origin: Origin) -> str:
    """A path inside the folder; a stretch says which it is; what was encoded anew ends as it is."""
    name = safe_name(one.name) or f"clip-{one.row:09d}"
    path = PurePosixPath(name)
    ending = f".{origin.encoded}" if origin.encoded else path.suffix
    if origin.start is None:
        return str(path.with_suffix(ending)) if origin.encoded else name
    stretch = f"{origin.start:g}-{'' if origin.end is None else f'{origin.end:g}'}"
    return str(path.with_name(f"{path.stem}_{stretch}{ending}"))


def safe_name(name: str) -> str:
    """A relative path that any system can have, and that leads nowhere else; empty if nothing is left.

    Example:
        >>> safe_name("../../etc/passwd"), safe_name("C:\\\\sounds\\\\dog.wav"), safe_name("a/b.wav")
        ('etc/passwd', 'C_/sounds/dog.wav', 'a/b.wav')
    """
    parts = [_safe_part(part) for part in name.replace("\\", "/").split("/") if part not in ("", ".", "..")]
    return "/".join(parts)


def _safe_part(part: str) -> str:
    part = FORBIDDEN.sub("_", part).rstrip(" .") or "_"
    if RESERVED.fullmatch(part) or part.startswith("."):
        part = f"_{part}"
    if len(part.encode("utf-8", "replace")) > LONGEST:
        stem, dot, ending = part.rpartition(".")
        short = (stem if dot else part).encode("utf-8", "replace")[: LONGEST - 20].decode("utf-8", "ignore")
        part = short + dot + ending[:16] if dot else short
    return part


def _free(name: str, taken: set[str]) -> str:
    """A name that no other clip has, also where capitals do not count."""
    path, number, free = PurePosixPath(name), 1, name
    while _folded(free) in taken:
        number += 1
        free = str(path.with_name(f"{path.stem}_{number}{path.suffix}"))
    taken.add(_folded(free))
    return free


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def _put(path: Path, data: bytes) -> None:
    """Write a file, unless the same is there."""
    if path.exists():
        if path.is_file() and path.stat().st_size == len(data) and path.read_bytes() == data:
            return
        raise ConfigError(f"{displayable(path)} is there already, and another; give an empty folder")
    path.parent.mkdir(parents=True, exist_ok=True)
    with commit(path) as file:
        file.write(data)
