"""Text to numbered rows of cells: CSV with any delimiter, quotes and line ends, line by line."""

import csv
import itertools
import re
from collections import deque
from collections.abc import Iterator
from pathlib import Path

from earmark.data.tables.columns import count_known
from earmark.data.tables.errors import Mistakes

DELIMITERS = (",", "\t", ";", "|")
LONGEST_RECORD = 20
"""Lines that a quoted cell may go over; where it ends later, or never, its quote was not closed."""

_ESCAPED = re.compile("[\udc80-\udcff]")


def read_lines(table: Path, mistakes: Mistakes) -> Iterator[tuple[int, str]]:
    """The lines of a UTF-8 text with their numbers, from 1; those that are no text are noted and left out.

    Args:
        table: the file; a byte order mark at its start is skipped.
        mistakes: where lines with other bytes, or with zero bytes, are noted.
    """
    with table.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        for number, line in enumerate(file, start=1):
            if not line.isascii() and (escaped := _ESCAPED.search(line)):
                mistakes.add("bytes", number, _no_utf8(line, escaped.start()))
            elif "\0" in line:
                mistakes.add("zero", number, "holds a zero byte, which no text has; write the line anew")
            else:
                yield number, line


def read_csv(table: Path, mistakes: Mistakes) -> Iterator[tuple[int, list[str]]]:
    """The header and the rows of a CSV or TSV file, each with the number of its first line.

    The delimiter is the one that makes most known names of the header.  Blank lines are skipped; rows with
    another number of cells than the header and quotes that are never closed are noted and left out.

    Args:
        table: the file.
        mistakes: where they are noted.

    Returns:
        Rows of as many cells as the header has, the header first; nothing if the file is blank.
    """
    lines = _Lines(read_lines(table, mistakes))
    first = next(((number, line) for number, line in lines if line.strip()), None)
    if first is None:
        return
    number, line = first
    delimiter = max(DELIMITERS, key=lambda mark: _score(_cells(line, mark)))
    header = [name.strip() for name in _cells(line, delimiter) or ()]
    yield number, header
    for number, line in lines:
        if '"' not in line:
            cells = line.rstrip("\r\n").split(delimiter)
        elif (cells := _cells(line, delimiter)) is None:
            cells = _gathered(number, line, lines, delimiter, len(header))
            if cells is None:
                mistakes.add("quote", number, f"a quote is opened and not closed, in {_shown(line)}")
                continue
        if not (cells[0] or any(cell.strip() for cell in cells)):
            continue  # blank, with or without delimiters
        cells = _trimmed(cells, len(header))
        if len(cells) == len(header):
            yield number, cells
        else:
            mistakes.add("ragged", number, _ragged(cells, header, delimiter))


class _Lines:
    """Numbered lines, some of which may be given back."""

    def __init__(self, lines: Iterator[tuple[int, str]]) -> None:
        self._lines = lines
        self.returned: deque[tuple[int, str]] = deque()

    def __iter__(self) -> Iterator[tuple[int, str]]:
        return self

    def __next__(self) -> tuple[int, str]:
        return self.returned.popleft() if self.returned else next(self._lines)


def _cells(text: str, delimiter: str) -> list[str] | None:
    """The cells of a record; None if a quoted one does not end in it."""
    try:
        return next(csv.reader([text], delimiter=delimiter, skipinitialspace=True, strict=True), [])
    except csv.Error as error:
        if "unexpected end" in str(error):
            return None
    try:  # quotes in odd places: as lenient as other readers are
        return next(csv.reader([text], delimiter=delimiter, skipinitialspace=True), [])
    except csv.Error:  # a cell beyond the reader's limit
        return text.rstrip("\r\n").split(delimiter)


def _gathered(number: int, line: str, lines: _Lines, delimiter: str, width: int) -> list[str] | None:
    """The cells of a record that goes over several lines; None, and lines given back, if it never ends."""
    taken: list[tuple[int, str]] = []
    for further in itertools.islice(lines, LONGEST_RECORD - 1):
        taken.append(further)
        if '"' in further[1]:
            cells = _cells(line + "".join(text for _, text in taken), delimiter)
            if cells is not None and len(cells) == width and not _swallowed(cells, delimiter, width):
                return cells
            if cells is not None:
                break
    lines.returned.extendleft(reversed(taken))
    return None


def _swallowed(cells: list[str], delimiter: str, width: int) -> bool:
    """Whether a cell holds what looks like whole rows: then its quote was meant to end before them."""
    if width < 2:
        return False
    rows = (row for cell in cells if "\n" in cell for row in cell.split("\n")[1:])
    return any(row.count(delimiter) == width - 1 for row in rows)


def _score(cells: list[str] | None) -> tuple[int, int]:
    return (count_known(cells), len(cells)) if cells is not None else (-1, 0)


def _trimmed(cells: list[str], width: int) -> list[str]:
    """Without empty cells behind the last column, as spreadsheets write them."""
    return cells[:width] if len(cells) > width and not any(map(str.strip, cells[width:])) else cells


def _ragged(cells: list[str], header: list[str], delimiter: str) -> str:
    count = f"{len(cells)} cell{'s' * (len(cells) != 1)}"
    mark = {"\t": "tab"}.get(delimiter, delimiter)
    more = len(cells) > len(header)
    what = f"put quotes around a cell that holds {mark!r}" if more else "add the missing ones"
    return f"has {count} where the header has {len(header)} columns ({', '.join(header)}); {what}"


def _no_utf8(line: str, place: int) -> str:
    """Which byte is no UTF-8, and what it may have been meant to be."""
    byte = ord(line[place]) - 0xDC00
    raw = line.encode("utf-8", "surrogateescape")
    word = re.search(rb"[^,;\t|\s]*$", raw[: len(line[:place].encode("utf-8", "surrogateescape"))])
    start = word.start() if word else 0
    meant = re.split(rb"[,;\t|\r\n]", raw[start:])[0].decode("latin-1")[:40]
    return (
        f"the byte {byte:02X} at character {place + 1} is no UTF-8 text; in Latin-1 it would be {meant!r}: "
        "save the table as UTF-8"
    )


def _shown(line: str) -> str:
    text = line.rstrip("\r\n")
    return repr(text if len(text) <= 60 else text[:57] + "...")
