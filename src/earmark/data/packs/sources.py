"""What can be packed, as rows: a table of clips, a folder of recordings, a known corpus, another pack."""

import math
import os
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from earmark.audio import displayable
from earmark.config import ConfigError
from earmark.data import CORPORA
from earmark.data.class_folders import look
from earmark.data.clips import Clip
from earmark.data.finding import find_corpus
from earmark.data.packs.contents import contents, is_pack
from earmark.data.packs.hdf5 import SUFFIXES
from earmark.data.packs.rows import Row
from earmark.data.preparation.preparing import place as placed
from earmark.data.table import Table
from earmark.data.tables.entries import read_entries
from earmark.data.tables.errors import Mistakes, TableError
from earmark.data.tables.files import find_audio, missing_files, note_missing, places_of, same_files
from earmark.data.tables.placed import Reading, place
from earmark.data.tables.sheets import folder_of
from earmark.data.tables.sides import note_leaks
from earmark.data.tables.survey import within_files
from earmark.data.unlabeled import Unlabeled
from earmark.storage import is_address


class Found(NamedTuple):
    """What is there to be packed.

    Attributes:
        rows: the clips.
        notes: sentences that a user should see.
    """

    rows: list[Row]
    notes: list[str]


def rows_of(source: Path, corpus: str | None = None, table: Table | None = None) -> Found:
    """Look at what shall be packed.

    Args:
        source: a table, a folder, or a pack; here or, for a pack, at an address.
        corpus: the name of a known corpus; None for the user's own clips.
        table: how a table is to be read, as far as the caller knows.

    Raises:
        TableError: what is wrong with the table, all at once.
        ConfigError: it is nothing of all this.
    """
    if corpus in CORPORA:
        return _of_corpus(source, corpus)
    if is_pack(source):
        return _of_pack(source, table or Table())
    found, root = find_corpus(source, corpus)
    return _of_table(root, table or Table()) if isinstance(found, Table) else _of_folder(root)


def _of_corpus(root: Path, corpus: str) -> Found:
    chosen, root = find_corpus(root, corpus)
    split, clips = placed(chosen, root)
    names = _named([os.path.relpath(one.clip.path, root) for one in clips])
    rows = [
        Row(name if one.clip.row is None else f"{name}/{one.clip.row:09d}", one.clip, one.split, one.fold)
        for name, one in zip(names, clips, strict=True)
    ]
    gone = f"{len(split.missing)} clips are listed but not here, such as "
    return Found(rows, [gone + split.missing[0]] if split.missing else [])


def _of_folder(root: Path) -> Found:
    """Folders of classes as training reads them; else all recordings, without labels."""
    mistakes = Mistakes(root)
    notes: list[str] = []
    try:
        found = look(root, (), None, mistakes)
        mistakes.check()
    except TableError as error:
        notes.append(f"packed without labels, as the folders are no classes: {error.sentences[-1]}")
        clips = Unlabeled().read(root).train
        return Found([Row(_under(root, clip.path), clip) for clip in clips], notes)
    rows: list[Row] = []
    for sound in found.sounds:
        split, fold = (sound.side, None) if isinstance(sound.side, str) else (None, sound.side)
        rows.append(Row(_under(root, sound.path), Clip(sound.path, (sound.label,)), split, fold))
    return Found(rows, found.notes)


def _of_pack(pack: Path, table: Table) -> Found:
    found = contents(pack)
    if str(pack).lower().endswith(SUFFIXES) and not found.fields:
        raise ConfigError(
            f"{displayable(pack)}: its targets are of no corpus that is known here, so that labels would "
            "be lost; give a table with the columns path, row and labels"
        )
    inside = list(found.clips)
    rows: list[Row] = []
    for row, line in _read(pack, table):
        one = inside[line - 1]
        name = displayable(one.name or f"{PurePosixPath(one.shard).stem}/{one.row:09d}")
        group = str(found.said(one).get("group") or "")
        rows.append(row._replace(name=name, group=group, origin=found.origin(one)))
    return Found(rows, [])


def _of_table(table: Path, wanted: Table) -> Found:
    rows = [row for row, _ in _read(table, wanted)]
    names = _named([row.name for row in rows])
    return Found([row._replace(name=name) for row, name in zip(rows, names, strict=True)], [])


def _read(table: Path, wanted: Table) -> list[tuple[Row, int]]:
    """The clips of a table with their lines; what only hinders learning, as a missing label, is let pass."""
    mistakes = Mistakes(table)
    entries = read_entries(table, wanted.columns, mistakes, needed=("path",))
    root = folder_of(table)
    root = root / (find_audio(root, entries.files) if wanted.audio is None else wanted.audio)
    paths = places_of(root, entries.files)
    entries.merge_files(same_files(paths))
    missing = missing_files(paths)
    if len(missing) == len(paths):  # of some, each is told of when it is read
        note_missing(root, entries.files, missing, entries.first_lines, mistakes)
    reading = Reading(wanted.separator, wanted.exclusive, wanted.names, True, "both")
    clips = within_files(place(entries, reading, mistakes).clips, entries.files, paths, mistakes)
    sided = clips if entries.columns.split else [one._replace(side=one.fold) for one in clips]
    note_leaks(sided, entries.files, mistakes, [])  # of a pack it could not be seen any more
    mistakes.check()
    rows: list[tuple[Row, int]] = []
    for one in clips:
        end = None if one.end == math.inf else one.end
        clip = Clip(Path(paths[one.file]), one.labels, one.start, end, one.unknown, one.row)
        name = entries.files[one.file] + ("" if one.row is None else f"/{one.row:09d}")
        split = one.side if isinstance(one.side, str) else None
        rows.append((Row(name, clip, split, one.fold, one.group), one.line))
    return rows


def _under(root: Path, path: Path) -> str:
    return displayable(path.relative_to(root).as_posix())


def _named(names: list[str]) -> list[str]:
    """Names as they are, or where some lead out of their folder, all from the one that holds them all."""
    if any(name.startswith(("/", "../")) or is_address(name) for name in names):
        whole = [os.path.normpath(f"/{name.replace(':', '')}") for name in names]
        above = os.path.commonpath([os.path.dirname(name) for name in whole])  # noqa: PTH120 (of many)
        names = [os.path.relpath(name, above) for name in whole]
    return [displayable(name) for name in names]
