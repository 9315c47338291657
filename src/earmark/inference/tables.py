"""Tags as programs read them: text, JSON, CSV, Audacity labels, parquet.

Each function turns results, one after another, into pieces of the output, so that memory stays flat.
"""

import csv
import io
import json
import math
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from earmark.audio import AudioError, displayable
from earmark.audio.errors import one_line
from earmark.config import ConfigError
from earmark.inference import text
from earmark.inference.parquet import opened_parquet, pyarrow
from earmark.inference.parts import parts_of
from earmark.inference.results import Tag, TagResult, TagRow

COLUMNS = ("path", "start", "end", "label", "score", "error")
DIGITS = 6
CHUNK_ROWS = 50_000
Result = TypeVar("Result")


def as_text(results: Iterable[TagResult]) -> Iterator[str]:
    """For people: see `earmark.inference.text`."""
    for result in results:
        yield "\n".join(text.lines(result)) + "\n"


def rows(result: TagResult) -> Iterator[dict[str, Any]]:
    """The JSON rows of a result.

    Example:
        >>> list(rows(TagResult("a.wav", 2.0, (TagRow("a.wav", 0.0, 2.0, (Tag("Dog", 0.5),)),))))
        [{'path': 'a.wav', 'start': 0.0, 'end': 2.0, 'tags': [{'label': 'Dog', 'score': 0.5}]}]
        >>> list(rows(TagResult("b.wav", 0.0, (), AudioError("b.wav", "the file is empty"))))
        [{'path': 'b.wav', 'error': 'the file is empty'}]
    """
    if result.error is not None:
        yield {"path": result.path, "error": reason(result.error)}
    for row in result.rows:
        tags = [{"label": tag.label, "score": round(tag.score, DIGITS)} for tag in row.tags]
        yield {
            "path": row.path,
            "start": round(row.start, DIGITS),
            "end": round(row.end, DIGITS),
            "tags": tags,
        }


def flat(result: TagResult) -> Iterator[tuple[Any, ...]]:
    """Rows of `COLUMNS`, None where there is nothing to say."""
    if result.error is not None:
        yield (result.path, None, None, None, None, reason(result.error))
    for row in result.rows:
        place = (row.path, round(row.start, DIGITS), round(row.end, DIGITS))
        for tag in row.tags:
            yield (*place, tag.label, round(tag.score, DIGITS), None)
        if not row.tags:
            yield (*place, None, None, None)


def as_jsonl(
    results: Iterable[Result], rows_of: Callable[[Result], Iterator[dict[str, Any]]] = rows
) -> Iterator[str]:
    """One JSON row a line."""
    for result in results:
        yield "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows_of(result))


def as_json(
    results: Iterable[Result], rows_of: Callable[[Result], Iterator[dict[str, Any]]] = rows
) -> Iterator[str]:
    """One JSON array of rows."""
    before = "[\n"
    for result in results:
        for row in rows_of(result):
            yield before + json.dumps(row, ensure_ascii=False)
            before = ",\n"
    yield "[]\n" if before == "[\n" else "\n]\n"


def as_csv(
    results: Iterable[Result],
    columns: tuple[str, ...] = COLUMNS,
    lines_of: Callable[[Result], Iterator[tuple[Any, ...]]] = flat,
) -> Iterator[str]:
    """One line for each path, range and tag; a range without tags has a line without label."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(columns)
    for result in results:
        writer.writerows(lines_of(result))
        yield buffer.getvalue()
        buffer.seek(0)
        buffer.truncate()
    yield buffer.getvalue()


def as_audacity(results: Iterable[TagResult], single: bool) -> Iterator[str]:
    """A label track: start, end, label, by tabs.

    Audacity knows one track a file: with several sources each label begins with the source's name.  Sources
    that failed have no line.
    """
    for result in results:
        before = "" if single else one_line(result.path) + ": "
        yield "".join(
            f"{row.start:.6f}\t{row.end:.6f}\t{before}{one_line(tag.label)}\n"
            for row in result.rows
            for tag in row.tags
        )


def write_parquet(file: BinaryIO, results: Iterable[TagResult]) -> None:
    """A parquet file of `COLUMNS`, in row groups of bounded size."""
    arrow, parquet = pyarrow()
    types = (
        arrow.string(),
        arrow.float64(),
        arrow.float64(),
        arrow.string(),
        arrow.float64(),
        arrow.string(),
    )
    schema = arrow.schema(list(zip(COLUMNS, types, strict=True)))
    with parquet.ParquetWriter(file, schema) as writer:
        for chunk in chunks((row for result in results for row in flat(result)), CHUNK_ROWS):
            columns = [
                arrow.array(column, kind)
                for column, kind in zip(zip(*chunk, strict=True), types, strict=True)
            ]
            writer.write_table(arrow.Table.from_arrays(columns, schema=schema))


def read_jsonl(path: Path) -> Iterator[TagResult]:
    """Results back from JSON lines; of a torn last line its whole source is dropped, as it was not finished.

    Raises:
        ConfigError: a line that is no such row.
    """
    with path.open(encoding="utf-8", errors="replace", newline="\n") as file:
        yield from _grouped(_parsed(path, file))


def read_parquet(path: Path) -> Iterator[TagResult]:
    """Results back from parquet: from a file, or from a folder of parts.

    Raises:
        ConfigError: not a parquet file of `COLUMNS`.
    """
    yield from _grouped(_unflattened(path))


def _parsed(path: Path, lines: Iterable[str]) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(lines, 1):
        try:
            row: dict[str, Any] = json.loads(line)
            valid = _is_row(row)
        except (ValueError, KeyError, TypeError, RecursionError):
            if not line.endswith("\n"):
                yield {"torn": True}
                return
            row, valid = {}, False
        if not valid:
            raise ConfigError(
                f"{displayable(path)}: line {number} is no row of earmark's; it cannot be resumed"
            )
        yield row


def _is_row(row: dict[str, Any]) -> bool:
    """Whether it is what `rows` gives."""
    if not isinstance(row["path"], str) or "error" in row:
        return isinstance(row["path"], str) and isinstance(row["error"], str)
    tags = [(tag["label"], tag["score"]) for tag in row["tags"]]
    numbers = [row["start"], row["end"], *(score for _, score in tags)]
    return all(isinstance(label, str) for label, _ in tags) and all(
        isinstance(number, int | float) and math.isfinite(number) for number in numbers
    )


def _unflattened(path: Path) -> Iterator[dict[str, Any]]:
    """JSON rows from flat ones."""
    try:
        for part in parts_of(path):
            with opened_parquet(part, COLUMNS) as file:
                entries = (entry for batch in file.iter_batches() for entry in batch.to_pylist())
                for row in map(_unflat, _neighbors(entries)):
                    if not _is_row(row):
                        raise ValueError("its values are others")
                    yield row
    except (ValueError, TypeError, OSError) as error:
        raise ConfigError(
            f"{displayable(path)}: is no parquet file of earmark's ({error}); it cannot be resumed"
        ) from None


def _neighbors(entries: Iterable[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """Flat rows of one range of one source; a label comes once in it, so that one twice is a source twice."""
    held: list[dict[str, Any]] = []
    for entry in entries:
        last = held[-1] if held else entry
        same = all(entry[name] == last[name] for name in ("path", "start", "end"))
        if held and (not same or entry["label"] in (None, *(one["label"] for one in held))):
            yield held
            held = []
        held.append(entry)
    if held:
        yield held


def _unflat(members: list[dict[str, Any]]) -> dict[str, Any]:
    first = members[0]
    if first["error"] is not None:
        return {"path": first["path"], "error": first["error"]}
    tags = [{"label": one["label"], "score": one["score"]} for one in members if one["label"] is not None]
    return {"path": first["path"], "start": first["start"], "end": first["end"], "tags": tags}


def _grouped(entries: Iterator[dict[str, Any]]) -> Iterator[TagResult]:
    """Rows to results: a new one where the path changes or time jumps back."""
    held: list[TagRow] = []
    for entry in entries:
        if "torn" in entry:
            return
        row = None if "error" in entry else _row(entry)
        if held and (row is None or row.path != held[0].path or row.start <= held[-1].start):
            yield TagResult(held[0].path, held[-1].end, tuple(held))
            held = []
        if row is None:
            yield TagResult(entry["path"], 0.0, (), AudioError(entry["path"], entry["error"]))
        else:
            held.append(row)
    if held:
        yield TagResult(held[0].path, held[-1].end, tuple(held))


def _row(entry: dict[str, Any]) -> TagRow:
    tags = tuple(Tag(tag["label"], tag["score"]) for tag in entry["tags"])
    return TagRow(entry["path"], entry["start"], entry["end"], tags)


def reason(error: Exception) -> str:
    """Why, without the path."""
    return getattr(error, "reason", str(error))


def chunks(items: Iterable[Any], size: int) -> Iterator[list[Any]]:
    """Lists of up to `size` items.

    Example:
        >>> list(chunks("abcde", 2))
        [['a', 'b'], ['c', 'd'], ['e']]
    """
    chunk: list[Any] = []
    for item in items:
        chunk.append(item)
        if len(chunk) == size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
