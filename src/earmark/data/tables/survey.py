"""All that a table says, checked: the clips on their sides, and the mistakes, of all kinds at once."""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from earmark.data.holding_out import DEALT, deal
from earmark.data.tables.columns import Columns
from earmark.data.tables.entries import Entries, read_entries
from earmark.data.tables.errors import Mistakes
from earmark.data.tables.files import (
    TOLERANCE,
    find_audio,
    lengths,
    missing_files,
    note_missing,
    paths_of,
    same_files,
)
from earmark.data.tables.placed import Placement, Reading, TableClip, place
from earmark.data.tables.sheets import folder_of
from earmark.data.tables.sides import note_groups, note_leaks, note_unlearnt


class Wanted(NamedTuple):
    """What the caller knows of a table; see the fields of `Table`, which have the same names."""

    columns: Columns
    separator: str | None
    audio: str | None
    names: tuple[str, ...]
    exclusive: bool | None
    fold: int | None
    allow_unlabelled: bool
    allow_missing: bool


class Survey(NamedTuple):
    """What a table says.

    Attributes:
        columns: which column holds what.
        separator: between labels in a cell.
        audio: the folder of the files, seen from the table's.
        names: the labels.
        exclusive: whether one of them holds for each clip.
        by: `split`, `fold` or `dealt`: what decides on a clip's side.
        folds: the numbers of the folds; empty if there are none.
        clips: each once, on their sides.
        paths: whole names of the files, by the clips' index.
        missing: files that are not there, where that is allowed.
        notes: sentences that a user should see.
    """

    columns: Columns
    separator: str
    audio: str
    names: tuple[str, ...]
    exclusive: bool
    by: str
    folds: tuple[int, ...]
    clips: list[TableClip]
    paths: list[str]
    missing: list[str]
    notes: list[str]


def survey(table: Path, wanted: Wanted, mistakes: Mistakes) -> Survey:
    """Read and check a table.

    Args:
        table: the file.
        wanted: what the caller knows.
        mistakes: where all that is wrong is noted; the caller raises.

    Raises:
        TableError: nothing sensible can be read at all.
    """
    entries = read_entries(table, wanted.columns, mistakes)
    by, notes = _deciding(entries, wanted), list[str]()
    audio, paths, missing = _found(folder_of(table), entries, wanted, mistakes)
    entries.merge_files(same_files(paths))
    reading = Reading(wanted.separator, wanted.exclusive, wanted.names, wanted.allow_unlabelled, by)
    placement = place(entries, reading, mistakes)
    clips = [clip for clip in placement.clips if clip.file not in missing] if missing else placement.clips
    clips = within_files(clips, entries.files, paths, mistakes)
    if by == "dealt":
        clips = _dealt(clips, entries.files, notes)
    else:
        note_leaks(clips, entries.files, mistakes, notes)
        note_groups(clips, notes)
        note_unlearnt(placement.clips, entries, mistakes)
    if entries.has_labels and not wanted.names:
        _note_names(placement, entries, mistakes)
    _tell(placement, missing, notes, mistakes.unit)
    folds = _folds(entries, by)
    if wanted.fold is not None and wanted.fold not in folds:
        there = f"there are {', '.join(map(str, folds))}" if folds else "the table has no column of folds"
        mistakes.add("held", 0, f"no fold {wanted.fold} to hold out; {there}")
    if by == "fold" and len(folds) == 1 and not wanted.names:
        mistakes.add("held", 0, f"all clips are in fold {folds[0]}; without it nothing is left to learn from")
    names = [entries.files[index] for index in missing]
    return Survey(
        entries.columns,
        placement.separator,
        audio,
        placement.names,
        placement.exclusive,
        by,
        folds,
        clips,
        paths,
        names,
        notes,
    )


def _deciding(entries: Entries, wanted: Wanted) -> str:
    """What decides on sides: the split, unless a fold is asked for; the fold; or we do."""
    columns = entries.columns
    if columns.fold and (wanted.fold is not None or not columns.split or entries.has_bare_folds):
        return "fold"
    return "split" if columns.split else "dealt"


def _folds(entries: Entries, by: str) -> tuple[int, ...]:
    if by == "dealt":
        return tuple(range(1, DEALT + 1))
    return tuple(sorted({row.fold for row in entries.rows if row.fold is not None}))


def _found(
    folder: Path, entries: Entries, wanted: Wanted, mistakes: Mistakes
) -> tuple[str, list[str], dict[int, str]]:
    """Where the files lie, their whole names, and those that are allowed to be missing."""
    audio = find_audio(folder, entries.files) if wanted.audio is None else wanted.audio
    root = folder / audio
    paths = paths_of(root, entries.files)
    missing = missing_files(paths)
    if not (wanted.allow_missing and len(missing) < len(paths)):
        note_missing(root, entries.files, missing, entries.first_lines, mistakes)
    return audio, paths, missing


def within_files(
    clips: list[TableClip], files: Sequence[str], paths: Sequence[str], mistakes: Mistakes
) -> list[TableClip]:
    """Clips that end within their files; those that end a rounding later end with the file.

    Args:
        clips: of a table.
        files: names as they stand in the table, by the clips' index.
        paths: whole names.
        mistakes: where clips that begin or end beyond their files are noted.
    """
    cut = {clip.file: paths[clip.file] for clip in clips if clip.start > 0 or clip.end < math.inf}
    if not cut:
        return clips
    seconds = lengths(cut)
    within: list[TableClip] = []
    for clip in clips:
        length = seconds.get(clip.file, math.inf)
        if clip.start >= length or (clip.end > length + TOLERANCE and clip.end < math.inf):
            word, time = ("start", clip.start) if clip.start >= length else ("end", clip.end)
            mistakes.add(
                "beyond",
                clip.line,
                f"{word} {time:g} lies beyond {files[clip.file]!r}, which is {length:g} s long; correct it, "
                f"or pass the column over by --set corpus.columns.{word}= if it is something else",
            )
        within.append(clip._replace(end=math.inf) if clip.end > length else clip)
    return within


def _dealt(clips: list[TableClip], files: Sequence[str], notes: list[str]) -> list[TableClip]:
    """Sides for clips of a table that names none; clips of a file, or of a group, stay together."""
    group_of: dict[tuple[int, int | None], str] = {}
    labels: defaultdict[str, set[str]] = defaultdict(set)
    for clip in clips:
        own = files[clip.file] if clip.row is None else f"{files[clip.file]}:{clip.row}"
        group = group_of.setdefault((clip.file, clip.row), clip.group or own)
        labels[group].update(clip.labels)
    folds = deal({group: sorted(names) for group, names in labels.items()}, DEALT)
    dealt = [clip._replace(side=folds.get(group_of[clip.file, clip.row])) for clip in clips]
    always = sorted({name for clip in dealt if clip.side is None for name in clip.labels})
    if always:
        notes.append(
            f"{listed_labels(always)}: all its clips are of one recording or group, so they are learned from "
            "and never held out; find more"
        )
    return dealt


def _note_names(placement: Placement, entries: Entries, mistakes: Mistakes) -> None:
    """Note a table of one class, if that is certain: rows that cannot be read may name another."""
    astray = {entry.labels for entry in entries.astray} - {placement.names[:1], *placement.names}
    unsure = astray or mistakes.counts.keys() & {"bytes", "zero", "ragged", "quote", "json", "label"}
    if unsure or len(placement.names) > 1 or not placement.clips:
        return
    if placement.exclusive or all(clip.labels for clip in placement.clips):
        label = f"of one class, {placement.names[0]!r}" if placement.names else "without a class"
        mistakes.add("classes", 0, f"all clips are {label}; a model needs two or more to tell them apart")


def _tell(placement: Placement, missing: Mapping[int, str], notes: list[str], unit: str) -> None:
    if placement.repeated:
        lines = ", ".join(map(str, placement.repeated[:5])) + ", ..." * (len(placement.repeated) > 5)
        notes.append(f"{len(placement.repeated)} rows repeat an earlier one and count once ({unit} {lines})")
    if missing:
        notes.append(f"{len(missing)} files are missing; their clips were left out")
    alike: defaultdict[str, list[str]] = defaultdict(list)
    for name in placement.names:
        alike[" ".join(name.casefold().replace("_", " ").replace("-", " ").split())].append(name)
    for names in alike.values():
        if len(names) > 1:
            notes.append(
                f"{listed_labels(names)} are different labels; if they are meant alike, write them alike"
            )
    odd = next((name for name in placement.names if ";" in name or "|" in name), None)
    if odd is not None:
        notes.append(
            f"{odd!r} was read as one label; if it is several, give the mark between them, such as "
            "--set 'corpus.separator=;'"
        )


def listed_labels(names: Sequence[str]) -> str:
    """Labels for a sentence, at most five of them."""
    return ", ".join(repr(name) for name in names[:5]) + (f" and {len(names) - 5} more" * (len(names) > 5))
