"""A table's entries become clips: labels separated, rows of one clip merged, one label each or several."""

# ruff: noqa: SIM905
import itertools
import math
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from earmark.config import did_you_mean
from earmark.data.tables.cells import find_separator, parts_of, separated
from earmark.data.tables.columns import plain
from earmark.data.tables.entries import Entries, Entry, Labels
from earmark.data.tables.errors import Mistakes

PLURALS = frozenset(
    (
        "labels classes categories tags class_names label_names class_labels display_names event_labels "
        "annotations positive_labels events instruments targets"
    ).split()
)
"""Columns of these names may hold several labels in a cell; any may if the caller gives a separator."""

Side = str | int | None
"""A part such as `train`, or a fold; None where the row does not say."""


class TableClip(NamedTuple):
    """A clip, before its file was looked for.

    Attributes:
        line: where it is named first.
        file: index of its file.
        start: in seconds.
        end: in seconds; infinite for the end of the file.
        labels: what is heard.
        unknown: what nobody knows.
        side: its part or fold.
        group: what it must stay together with.
        row: its place in a pack.
        fold: its fold, also where its side is something else.
    """

    line: int
    file: int
    start: float
    end: float
    labels: tuple[str, ...]
    unknown: tuple[str, ...]
    side: Side
    group: str
    row: int | None
    fold: int | None = None


class Reading(NamedTuple):
    """How a table is read.

    Attributes:
        separator: between labels in a cell; None to find it, empty for none.
        exclusive: whether one label holds for each clip; None to find it.
        names: all labels; empty if the table's own are.
        allow_unlabelled: whether clips without a label are clips in which nothing is heard.
        by: whether the column of splits, that of folds or none decides on a clip's side; with `both` its
            side is its split, and the folds of its rows must agree as well.
    """

    separator: str | None
    exclusive: bool | None
    names: tuple[str, ...]
    allow_unlabelled: bool
    by: str


class Placement(NamedTuple):
    """What became of the rows.

    Attributes:
        clips: each once.
        separator: what was found, or given.
        exclusive: whether one label holds for each clip.
        names: the labels in the order of a model's outputs.
        repeated: lines that say again what an earlier one says.
    """

    clips: list[TableClip]
    separator: str
    exclusive: bool
    names: tuple[str, ...]
    repeated: list[int]


def place(entries: Entries, reading: Reading, mistakes: Mistakes) -> Placement:
    """Make clips of a table's rows.

    Args:
        entries: the rows.
        reading: how to.
        mistakes: where impossible labels and clips that are on two sides are noted.
    """
    raws = dict.fromkeys(entry.labels for entry in (*entries.rows, *entries.astray))
    separator = reading.separator
    if separator is None:
        several = plain(entries.columns.label or "") in PLURALS
        separator = find_separator(raws) if several else ""
    labels = _separator_of(raws, separator)
    parts = parts_of(dict.fromkeys(entry.split for entry in entries.rows))

    def side(entry: Entry) -> Side:
        if reading.by == "fold" and entry.fold is not None:
            return entry.fold
        return parts.get(entry.split)

    merger = _Merger(entries.files, reading.by == "both", mistakes)
    for entry in entries.rows:
        merger.take(entry, labels(entry.labels), labels(entry.unknown), side(entry))
    clips = list(merger.clips.values())
    exclusive = _exclusive(reading, merger, clips, plain(entries.columns.label or "") in PLURALS)
    if entries.has_labels and (exclusive or not reading.allow_unlabelled):
        rows = itertools.chain(entries.rows, entries.astray)
        empty = (row for row in rows if not (labels(row.labels) or (labels(row.unknown) and not exclusive)))
        _note_empty(sorted(row.line for row in empty), reading.exclusive, mistakes)
    if exclusive:
        merger.note_conflicts()
    names = reading.names or _sorted({name for clip in clips for name in (*clip.labels, *clip.unknown)})
    if reading.names:
        _note_strangers(clips, reading.names, mistakes)
    return Placement(clips, separator, exclusive, names, merger.repeated)


def described(file: str, start: float, end: float) -> str:
    """A clip in words.

    Example:
        >>> described("a.wav", 1.0, 2.5), described("a.wav", 0.0, math.inf)
        ("'a.wav' from 1 s to 2.5 s", "'a.wav'")
    """
    if start == 0 and end == math.inf:
        return repr(file)
    return f"{file!r} from {start:g} s to " + ("its end" if end == math.inf else f"{end:g} s")


def side_name(side: Side) -> str:
    """A part or a fold in words.

    Example:
        >>> side_name(3), side_name("train")
        ('fold 3', 'train')
    """
    return f"fold {side}" if isinstance(side, int) else str(side)


class _Merger:
    """Rows of the same stretch of the same file are one clip."""

    def __init__(self, files: Sequence[str], folds: bool, mistakes: Mistakes) -> None:
        self.clips: dict[tuple[int, int | None, float, float], TableClip] = {}
        self.repeated: list[int] = []
        self.merged: list[tuple[int, TableClip, tuple[str, ...]]] = []
        self._files, self._folds, self._mistakes = files, folds, mistakes

    def take(self, entry: Entry, labels: tuple[str, ...], unknown: tuple[str, ...], side: Side) -> None:
        """Add a row."""
        line, file, start, end = entry[:4]
        if unknown:
            unknown = tuple(name for name in unknown if name not in labels)
        clip = TableClip(line, file, start, end, labels, unknown, side, entry.group, entry.row, entry.fold)
        key = (file, entry.row, start, end)
        known = self.clips.setdefault(key, clip)
        if known is clip:
            return
        pairs: list[tuple[Side, Side]] = [(known.side, side), (known.fold, entry.fold)]
        apart = [pair for pair in pairs[: 1 + self._folds] if None not in pair and pair[0] != pair[1]]
        for before, here in apart:
            self._note_two_sides(known, clip, before, here)
        if not apart and set(labels) == set(known.labels):
            self.repeated.append(line)
        if set(labels) == set(known.labels):
            return
        self.merged.append((line, known, labels))
        together = tuple(dict.fromkeys((*known.labels, *labels)))
        unknown = tuple(name for name in (*known.unknown, *unknown) if name not in together)
        self.clips[key] = known._replace(labels=together, unknown=tuple(dict.fromkeys(unknown)))

    def note_conflicts(self) -> None:
        """Each clip has one label, so others in its row or in rows of the same clip contradict the first."""
        merged = {known.line for _, known, _ in self.merged}
        for clip in self.clips.values():
            if len(clip.labels) > 1 and clip.line not in merged:
                self._mistakes.add(
                    "several",
                    clip.line,
                    f"there are {len(clip.labels)} labels, {_joined(clip.labels)}; keep one, or allow "
                    "several by --set corpus.exclusive=false",
                )
        for line, known, labels in self.merged:
            if labels and known.labels:
                self._mistakes.add(
                    "conflict",
                    line,
                    f"{self._what(known)} is {_joined(labels)} here and {_joined(known.labels)} in "
                    f"{self._mistakes.unit} {known.line}; remove one, or allow several labels by --set "
                    "corpus.exclusive=false",
                )

    def _note_two_sides(self, known: TableClip, clip: TableClip, before: Side, here: Side) -> None:
        self._mistakes.add(
            "duplicate",
            clip.line,
            f"{self._what(clip)} is in {side_name(here)} here and in {side_name(before)} in "
            f"{self._mistakes.unit} {known.line}; a clip must be on one side only: remove one of them",
        )

    def _what(self, clip: TableClip) -> str:
        return described(self._files[clip.file], clip.start, clip.end)


def _separator_of(raws: Iterable[Labels], separator: str) -> Callable[[Labels], tuple[str, ...]]:
    """A function that separates, and keeps what it did: most cells occur many times."""
    kept: dict[Labels, tuple[str, ...]] = {raw: separated(raw, separator) for raw in raws}

    def labels(raw: Labels) -> tuple[str, ...]:
        known = kept.get(raw)
        if known is None:
            known = kept[raw] = separated(raw, separator)
        return known

    return labels


def _exclusive(reading: Reading, merger: _Merger, clips: Sequence[TableClip], plural: bool) -> bool:
    """Whether one label holds for each clip.

    A few rows that give a clip a second label, in a column for one, are more likely mistakes than meant.
    """
    if reading.exclusive is not None:
        return reading.exclusive
    merged = {clip.line for _, clip, labels in merger.merged if labels and clip.labels}
    several = sum(len(clip.labels) > 1 for clip in clips)
    if several > len(merged) or any(clip.unknown for clip in clips):
        return False
    if merged:
        few = max(len(clips) // 20, min(len(clips) // 5, 5))
        return len(merged) <= few and not plural and reading.separator is None
    return not (reading.allow_unlabelled and any(not clip.labels for clip in clips))


def _note_empty(lines: Iterable[int], exclusive: bool | None, mistakes: Mistakes) -> None:
    remedy = "write its label"
    if not exclusive:
        remedy += ", or say that nothing is heard in such clips by --set corpus.allow_unlabelled=true"
    for line in lines:
        mistakes.add("label", line, f"there is no label; {remedy}")


def _note_strangers(clips: Iterable[TableClip], names: Sequence[str], mistakes: Mistakes) -> None:
    known = frozenset(names)
    for clip in clips:
        if not (known.issuperset(clip.labels) and known.issuperset(clip.unknown)):
            name = next(name for name in (*clip.labels, *clip.unknown) if name not in known)
            hint = did_you_mean(name, names, f"there are {len(names)} labels, none of this name")
            mistakes.add("stranger", clip.line, f"{name!r} is none of the labels; {hint}")


def _sorted(names: Iterable[str]) -> tuple[str, ...]:
    """By number if all are numbers, else by letters, capital or small."""
    names = list(names)
    if all(name.isascii() and name.isdigit() for name in names):
        return tuple(sorted(names, key=lambda name: (int(name), name)))
    return tuple(sorted(names, key=lambda name: (name.casefold(), name)))


def _joined(labels: Sequence[str]) -> str:
    return " and ".join(repr(label) for label in labels)
