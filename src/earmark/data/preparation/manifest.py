"""A checked archive as one table: a line of JSON for each clip, which `Table` reads."""

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from earmark.data.preparation.preparing import Measured, Placed
from earmark.files import commit

COLUMNS = ("path", "row", "start", "end", "labels", "unknown", "split", "fold", "seconds", "sample_rate")
ALWAYS = ("path", "labels")


def write_manifest(path: Path, placed: Sequence[Placed], measured: Sequence[Measured]) -> int:
    """Write the clips that can be read, whole or not at all.

    A file under the manifest's own folder is named relative to it, so that both can be moved; any other by
    its full path.  Columns that are empty for all clips are left out.

    Args:
        path: the file to write, `.jsonl`.
        placed: the clips.
        measured: what was found out about each.

    Returns:
        How many clips were written.

    Raises:
        OSError: it cannot be written; an earlier one stays as it was.
    """
    folder = Path(os.path.realpath(path.parent))
    rows = [
        _row(folder, one, found) for one, found in zip(placed, measured, strict=True) if found.error is None
    ]
    used = [name for name in COLUMNS if name in ALWAYS or any(row[name] not in (None, []) for row in rows)]
    with commit(path) as file:
        file.writelines(_lines(rows, used))
    return len(rows)


def _lines(rows: list[dict[str, Any]], used: list[str]) -> Iterator[bytes]:
    for row in rows:
        text = json.dumps({name: row[name] for name in used}, ensure_ascii=False)
        yield text.encode("utf-8", "surrogateescape") + b"\n"


def _row(folder: Path, placed: Placed, found: Measured) -> dict[str, Any]:
    clip = placed.clip
    return {
        "path": _path(folder, clip.path),
        "row": clip.row,
        "start": clip.start or None,
        "end": clip.end,
        "labels": list(clip.labels),
        "unknown": list(clip.unknown),
        "split": placed.split,
        "fold": placed.fold,
        "seconds": None if found.seconds is None else round(found.seconds, 6),
        "sample_rate": found.sample_rate,
    }


def _path(folder: Path, path: Path) -> str:
    whole = Path(os.path.abspath(path))  # noqa: PTH100  (resolve would follow links that are part of the name)
    real = Path(os.path.realpath(path.parent)) / path.name
    if real.is_relative_to(folder):
        return real.relative_to(folder).as_posix()
    return whole.as_posix()
