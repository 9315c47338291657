"""A table's rows as entries: which file, from when to when, with which labels, on which side."""

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from earmark.data.packs.index import PACKED
from earmark.data.tables.cells import Unreadable, fold_number, is_part, raw_labels, seconds, text_of
from earmark.data.tables.columns import Columns, find_columns
from earmark.data.tables.errors import Mistakes
from earmark.data.tables.sheets import open_sheet

Labels = str | tuple[str, ...]


class Entry(NamedTuple):
    """One row.

    Attributes:
        line: its number.
        file: index of its file in `Entries.files`.
        start: where the clip begins, in seconds.
        end: where it ends; infinite for the end of the file.
        labels: as they are written, see `cells.raw_labels`.
        unknown: the same of those that nobody knows.
        split: the word for its split; empty where there is none, or none that is known.
        fold: its fold; None where there is none, or none that can be read.
        group: what it must stay together with; empty for its file alone.
        row: its place in a pack; None where the file is one sound.
    """

    line: int
    file: int
    start: float
    end: float
    labels: Labels
    unknown: Labels
    split: str
    fold: int | None
    group: str
    row: int | None


class Entries:
    """The rows of a table.

    Attributes:
        columns: which column held what; an empty text for none.
        files: the names of the files, each once, as they are written (with slashes for backslashes).
        first_lines: where each file is named first.
        rows: those that can be placed: they name a file, and their times are possible.
        astray: labels of the others, as they are written, with split and fold; a label of theirs is no
            less there.
        has_labels: there is a column of labels.
        has_bare_folds: rows without a split have a fold instead.
    """

    def __init__(self, columns: Columns) -> None:
        self.columns = columns
        self.files: list[str] = []
        self.first_lines: list[int] = []
        self.rows: list[Entry] = []
        self.astray: list[Entry] = []
        self.has_labels = True
        self.has_bare_folds = False

    def merge_files(self, same: Mapping[int, int]) -> None:
        """Let rows that name a file in another way name it as the first one does.

        Args:
            same: the index of a file's first name, by that of another one.
        """
        if same:
            self.rows = [row._replace(file=same.get(row.file, row.file)) for row in self.rows]


def read_entries(
    table: Path, columns: Columns, mistakes: Mistakes, needed: Sequence[str] = ("path", "label")
) -> Entries:
    """Read a table.

    Args:
        table: the file.
        columns: names of columns, as far as the caller knows them.
        mistakes: where all that is wrong with single rows is noted.
        needed: the columns that must be there, by their roles.

    Raises:
        TableError: the file is no table, or a needed column is missing.
    """
    sheet = open_sheet(table, mistakes)
    found = find_columns(sheet.header, columns, mistakes, needed)
    reader = _Reader(found, sheet.header, mistakes)
    for number, cells in sheet.rows:
        reader.read(number, cells)
    if not (reader.entries.rows or mistakes.counts):
        mistakes.stop("there is a header but no clip below it; write a row for each clip")
    return reader.entries


class _Reader:
    """Reads row by row; whatever occurs often is converted and kept once."""

    def __init__(self, columns: Columns, header: Sequence[str], mistakes: Mistakes) -> None:
        self.entries, self.mistakes = Entries(columns), mistakes
        self._file_of: dict[str, int] = {}
        self._labels: dict[str, Labels] = {}
        self._sides: dict[tuple[str, str], tuple[str, int | None]] = {}
        self._groups: dict[str, str] = {}

        def place(name: str | None) -> int | None:  # None as well for one that is missing, which was noted
            return header.index(name) if name and name in header else None  # pandas' index has no name

        self._path, self._label = place(columns.path), place(columns.label)
        self.entries.has_labels = self._label is not None
        self._start, self._end, self._duration = (
            place(columns.start),
            place(columns.end),
            place(columns.duration),
        )
        self._unknown, self._split = place(columns.unknown), place(columns.split)
        self._fold, self._group, self._row = place(columns.fold), place(columns.group), place(columns.row)

    def read(self, line: int, cells: Sequence[Any]) -> None:
        """Read a row; each of its cells, so that all its mistakes are noted at once."""
        file = None if self._path is None else self._read_path(line, cells[self._path])
        times = self._read_times(line, cells)
        split, fold = self._read_side(line, cells)
        entry = Entry(
            line,
            -1 if file is None else file,
            *(times or (0.0, math.inf)),
            () if self._label is None else self._read_labels(cells[self._label]),
            () if self._unknown is None else raw_labels(cells[self._unknown]),
            split,
            fold,
            "" if self._group is None else self._kept(self._groups, text_of(cells[self._group])),
            None if self._row is None or file is None else self._read_row(line, file, cells[self._row]),
        )
        (self.entries.astray if file is None or times is None else self.entries.rows).append(entry)

    def _read_path(self, line: int, cell: Any) -> int | None:
        index = self._file_of.get(cell) if type(cell) is str else None
        if index is not None:
            return index
        name = cell.strip() if isinstance(cell, str) else ""
        if not name or "\0" in name or "\n" in name:
            found = "the cell goes over several lines, so a quote was not closed" if "\n" in name else ""
            found = found or ("the cell is empty" if not text_of(cell) else f"{cell!r} is no name of a file")
            self.mistakes.add("path", line, f"{found} in the column {self.entries.columns.path!r} of files")
            return None
        index = self._file_of[name] = self._file(name, line)
        return index

    def _file(self, name: str, line: int) -> int:
        """The index of a file by a tidy name: other spellings of it may have been there before."""
        tidy = name.replace("\\", "/")
        if ("//" in tidy or "./" in tidy) and "://" not in tidy:
            tidy = str(Path(tidy))
        known = self._file_of.get(tidy)
        if known is not None:
            return known
        index = self._file_of[tidy] = len(self.entries.files)
        self.entries.files.append(tidy)
        self.entries.first_lines.append(line)
        return index

    def _read_times(self, line: int, cells: Sequence[Any]) -> tuple[float, float] | None:
        """Start and end; None where they are impossible."""
        if self._start is None and self._end is None:
            return 0.0, math.inf
        start = self._time(line, cells, self._start, 0.0)
        end = self._time(line, cells, self._end, math.inf)
        duration = self._time(line, cells, self._duration, math.inf)
        if start is None or end is None or duration is None:
            return None
        end = min(end, start + duration)
        if start < 0:
            self.mistakes.add("negative", line, f"start {start:g} lies before the file; write 0 or more")
        elif start >= end:
            self.mistakes.add(
                "order", line, f"start {start:g} is not before end {end:g}; a clip must have a length"
            )
        else:
            return start, end
        return None

    def _time(self, line: int, cells: Sequence[Any], place: int | None, empty: float) -> float | None:
        return (
            empty
            if place is None
            else self._tried(line, cells[place], "number", lambda text: seconds(text, empty))
        )

    def _tried(self, line: int, cell: Any, kind: str, convert: Callable[[Any], Any]) -> Any:
        try:
            return convert(cell)
        except Unreadable as reason:
            self.mistakes.add(kind, line, f"{reason}")
            return None

    def _read_labels(self, cell: Any) -> Labels:
        if not isinstance(cell, str):
            return raw_labels(cell)
        known = self._labels.get(cell)
        if known is None:
            known = self._labels[cell] = raw_labels(cell)
        return known

    def _read_side(self, line: int, cells: Sequence[Any]) -> tuple[str, int | None]:
        """Split and fold; where there are both columns, one of them may be empty."""
        if self._split is None and self._fold is None:
            return "", None
        key = (self._side_key(cells, self._split), self._side_key(cells, self._fold))
        known = self._sides.get(key)
        if known is None:
            before = self.mistakes.counts.total()
            known = self._new_side(line, cells)
            if self.mistakes.counts.total() == before:
                self._sides[key] = known
        return known

    @staticmethod
    def _side_key(cells: Sequence[Any], place: int | None) -> str:
        cell = None if place is None else cells[place]
        return cell if isinstance(cell, str) else text_of(cell)

    def _new_side(self, line: int, cells: Sequence[Any]) -> tuple[str, int | None]:
        split = None if self._split is None else text_of(cells[self._split])
        fold = None if self._fold is None else text_of(cells[self._fold])
        if split == "" and fold:
            split, self.entries.has_bare_folds = None, True
        if fold == "" and split:
            fold = None
        return (
            "" if split is None else self._read_split(line, split),
            None if fold is None else self._tried(line, fold, "fold", fold_number),
        )

    def _read_row(self, line: int, file: int, cell: Any) -> int | None:
        """A place in a pack; other tables count their rows in such a column."""
        if not self.entries.files[file].lower().endswith(PACKED):
            return None
        text = text_of(cell)
        if not text.isdigit():
            self.mistakes.add("row", line, f"{text[:40]!r} is no row of a pack; write a whole number from 0")
            return None
        return int(text)

    def _read_split(self, line: int, word: str) -> str:
        if is_part(word):
            return word
        what = f"{word[:40]!r} is no split" if word else "the split is empty"
        self.mistakes.add("split", line, f"{what}; write train, validation or test")
        return ""

    @staticmethod
    def _kept(kept: dict[str, str], text: str) -> str:
        return kept.setdefault(text, text)
