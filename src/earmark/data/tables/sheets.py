"""Any table file as a header and numbered rows: its content says how it is written, not its name."""

import importlib
import itertools
import json
import stat
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from earmark.config import ConfigError
from earmark.data.packs.contents import contents, is_pack
from earmark.data.packs.index import INDEX
from earmark.data.packs.parquet import is_plain
from earmark.data.tables.columns import plain, says_where
from earmark.data.tables.errors import Mistakes
from earmark.data.tables.rows import read_csv, read_lines
from earmark.storage import exists, inside, is_address, is_folder

_FORMATS = "give a table as CSV, TSV, JSON lines, JSON or Parquet"
_SPREADSHEETS = (".xlsx", ".xlsm", ".xls", ".xlsb", ".ods", ".numbers")
_MAGIC = (
    (b"\xd0\xcf\x11\xe0", "is an Excel file"),
    (b"\x1f\x8b", "is compressed by gzip; unpack it"),
    (b"RIFF", "is a sound and no table"),
    (b"fLaC", "is a sound and no table"),
    (b"OggS", "is a sound and no table"),
    (b"ID3", "is a sound and no table"),
    (b"\x89HDF", "is an HDF5 file and no table"),
    (b"SQLite", "is a database and no table"),
    (b"%PDF", "is a PDF and no table"),
)
_WIDE = (
    (b"\xff\xfe\0\0", "UTF-32"),
    (b"\0\0\xfe\xff", "UTF-32"),
    (b"\xff\xfe", "UTF-16"),
    (b"\xfe\xff", "UTF-16"),
)


class Sheet(NamedTuple):
    """A table that is open for reading.

    Attributes:
        header: the names of the columns, as they are written.
        rows: the number of each row (see `Mistakes.unit`) and its cells: texts, numbers, lists or None.
    """

    header: tuple[str, ...]
    rows: Iterable[tuple[int, Sequence[Any]]]


def open_sheet(table: Path, mistakes: Mistakes) -> Sheet:
    """Open a table.

    Args:
        table: a CSV or TSV file with a header, JSON lines, a JSON list of objects, or a Parquet file.
        mistakes: where rows that cannot be read are noted, while `rows` is iterated.  Its unit is set.

    Raises:
        TableError: the file is missing, is of another kind, is empty, or has no header.
    """
    if is_pack(table):
        return _pack(table, mistakes)
    head = _head(table, mistakes)
    if head.startswith(b"PAR1"):
        return _parquet(table, mistakes)
    first = head.removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
    if first in (b"{", b"["):
        return _json(table, first, mistakes)
    rows = read_csv(table, mistakes)
    header = next(rows, None)
    mistakes.check()  # without its header nothing else can be said of a table
    if header is None:
        mistakes.stop("the file holds blank lines only; write a header and a row for each clip")
    return Sheet(tuple(header[1]), rows)


def folder_of(table: Path) -> Path:
    """What the names of files in a table are relative to: its folder; a pack is such a folder itself."""
    there = is_folder(table) or (is_address(table) and exists(inside(table, INDEX)))
    return table if there else table.parent


def _pack(pack: Path, mistakes: Mistakes) -> Sheet:
    """The clips of a pack; those of one recording, by its name, stay together where no group is said."""
    mistakes.unit = "row"
    try:
        found = contents(pack, learning=True)
    except ConfigError as error:
        mistakes.stop(str(error))
    kept = [
        (place, name)
        for place, name in enumerate(found.fields)
        if not says_where(name) and plain(name) != "group"
    ]
    group = found.fields.index("group") if "group" in found.fields else None

    def rows() -> Iterator[tuple[int, Sequence[Any]]]:
        try:
            for number, one in enumerate(found.clips, start=1):
                own = (None if group is None else one.said[group]) or one.name or None
                shard = PurePosixPath(one.shard).name
                yield number, (shard, one.row, own, *(one.said[place] for place, _ in kept))
        except ConfigError as error:
            mistakes.stop(str(error))

    return Sheet(("path", "row", "group", *(name for _, name in kept)), rows())


def _head(table: Path, mistakes: Mistakes) -> bytes:
    """The first bytes of a file that may be a table."""
    try:
        status = table.stat()
        if not stat.S_ISREG(status.st_mode):
            mistakes.stop(
                f"is {'a folder' if stat.S_ISDIR(status.st_mode) else 'no regular file'}; {_FORMATS}"
            )
        with table.open("rb") as file:
            head = file.read(4096)
    except OSError as error:
        mistakes.stop(f"cannot be read: {(error.strerror or str(error)).lower()}")
    if not head:
        mistakes.stop("the file is empty; write a header and a row for each clip")
    if table.suffix.lower() in _SPREADSHEETS or head.startswith(_MAGIC[0][0]):
        mistakes.stop("is a spreadsheet's own file; save the sheet as CSV UTF-8 and give that")
    if head.startswith(b"PK\x03\x04"):
        mistakes.stop(f"is a zip archive or a spreadsheet; {_FORMATS}")
    for magic, what in _MAGIC:
        if head.startswith(magic):
            mistakes.stop(f"{what}; {_FORMATS}")
    _check_text(head, mistakes)
    return head


def _check_text(head: bytes, mistakes: Mistakes) -> None:
    for mark, name in _WIDE:
        if head.startswith(mark):
            shown = mark.hex(" ").upper()
            mistakes.stop(f"the bytes {shown} begin a text in {name}; save the table as UTF-8", 1)
    zeros = head.count(0)
    if not head.startswith(b"PAR1") and zeros > len(head) // 4:
        even = head[::2].count(0) > head[1::2].count(0)
        pair = head[:2].hex(" ").upper()
        order = "big" if even else "little"
        if zeros <= len(head) * 5 // 8 and max(head[::2].count(0), head[1::2].count(0)) > len(head) // 4:
            mistakes.stop(
                f"every other byte is zero (it begins {pair}), as in UTF-16 of {order} end first; "
                "save the table as UTF-8",
                1,
            )
        mistakes.stop(f"most of its bytes are zero, so it is no text; {_FORMATS}")


def _json(table: Path, first: bytes, mistakes: Mistakes) -> Sheet:
    """JSON lines, or one JSON list; `{` begins either a line or the whole."""
    if first == b"{":
        lines = (line for _, line in read_lines(table, Mistakes(table)) if line.strip())
        objects = [_object(line) for line in itertools.islice(lines, 10)]
        first_is_whole = not objects or objects[0] is not None
        if first_is_whole or (any(objects) and _object(table.read_text("utf-8-sig", "replace")) is None):
            _refuse_ast(objects[0] if objects else None, mistakes)
            return _table_of(_objects(table, mistakes), mistakes)
    mistakes.unit = "entry"
    tree = _whole(table, mistakes)
    _refuse_ast(tree, mistakes)
    if not isinstance(tree, list):
        mistakes.stop("is one JSON object; write a list of objects, or an object in each line, for each clip")
    return _table_of(_dicts(tree, mistakes), mistakes)


def _whole(table: Path, mistakes: Mistakes) -> Any:
    try:
        return json.loads(table.read_text(encoding="utf-8-sig"))
    except RecursionError:
        mistakes.stop("the JSON is nested too deeply")
    except UnicodeDecodeError as error:
        byte = error.object[error.start]
        line = error.object[: error.start].count(b"\n") + 1
        mistakes.unit = "line"
        mistakes.stop(f"the byte {byte:02X} is no UTF-8 text; save the table as UTF-8", line)
    except ValueError as error:
        mistakes.unit = "line"
        mistakes.stop(f"is no JSON: {error}", getattr(error, "lineno", 0))


def _refuse_ast(tree: object, mistakes: Mistakes) -> None:
    if isinstance(tree, dict) and isinstance(tree.get("data"), list):
        mistakes.stop("is a JSON manifest of AST's form ('data'); read it by --corpus audioset")


def _object(text: str) -> dict[str, Any] | None:
    try:
        tree = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return tree if isinstance(tree, dict) else None


def _objects(table: Path, mistakes: Mistakes) -> Iterator[tuple[int, dict[str, Any]]]:
    """The objects of a file of JSON lines."""
    for number, line in read_lines(table, mistakes):
        if not line.strip():
            continue
        try:
            tree = json.loads(line)
        except (ValueError, RecursionError) as error:
            mistakes.add("json", number, f"is no JSON: {error}; write one object in each line")
            continue
        if isinstance(tree, dict):
            yield number, tree
        else:
            mistakes.add("json", number, "is JSON but no object; write {...} with a name for each value")


def _dicts(tree: list[Any], mistakes: Mistakes) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, entry in enumerate(tree, start=1):
        if isinstance(entry, dict):
            yield number, entry
        else:
            mistakes.add("json", number, "is no object; write {...} with a name for each value")


def _table_of(entries: Iterable[tuple[int, dict[str, Any]]], mistakes: Mistakes) -> Sheet:
    """Objects as rows: the columns are all names that any of them has."""
    columns: dict[str, int] = {}
    rows: list[tuple[int, list[Any]]] = []
    for number, entry in entries:
        for name in entry:
            columns.setdefault(name, len(columns))
        cells: list[Any] = [None] * len(columns)
        for name, value in entry.items():
            cells[columns[name]] = value
        rows.append((number, cells))
    if not rows:
        mistakes.check()
        mistakes.stop("there are no clips in it")
    width = len(columns)
    return Sheet(tuple(columns), ((number, cells + [None] * (width - len(cells))) for number, cells in rows))


def _parquet(table: Path, mistakes: Mistakes) -> Sheet:
    try:
        parquet = importlib.import_module("pyarrow.parquet")
    except ImportError:
        mistakes.stop("Parquet needs pyarrow; pip install 'earmark[data]'")
    mistakes.unit = "row"
    try:
        file = parquet.ParquetFile(table)
        schema = file.schema_arrow
    except Exception as error:  # Arrow has many of its own for damaged files
        mistakes.stop(f"is a damaged Parquet file: {error}")
    names = [field.name for field in schema if is_plain(field.type)]
    return Sheet(tuple(names), _parquet_rows(file, names, mistakes))


def _parquet_rows(file: Any, names: list[str], mistakes: Mistakes) -> Iterator[tuple[int, Sequence[Any]]]:
    number = 0
    try:
        with file:
            for batch in file.iter_batches(columns=names):
                columns = [batch.column(name).to_pylist() for name in names]
                for cells in zip(*columns, strict=True):
                    number += 1
                    yield number, cells
    except Exception as error:  # Arrow has many of its own for damaged files
        mistakes.stop(f"is a damaged Parquet file: {error}", number + 1)
