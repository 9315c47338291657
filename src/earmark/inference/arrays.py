"""Embeddings as programs read them: npz, safetensors, parquet.

The first two say their size before their content, so results are gone through more than once; what is in
memory at any time is one result and, for safetensors, the names of the sources.
"""

import json
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from earmark.audio import AudioError, displayable
from earmark.config import ConfigError
from earmark.inference.parquet import opened_parquet, pyarrow
from earmark.inference.parts import parts_of
from earmark.inference.results import EmbedResult
from earmark.inference.tables import CHUNK_ROWS, reason

Again = Callable[[], Iterable[EmbedResult]]
"""Gives all results from the first, as often as it is called."""
About = Mapping[str, object] | None
"""Which model and settings made vectors, as plain values."""
COLUMNS = ("path", "start", "end", "embedding", "error")


class Size(NamedTuple):
    """How much there is of everything, which headers want to know first."""

    rows: int
    dim: int
    letters: int
    errors: int
    error_letters: int


def measure(results: Iterable[EmbedResult]) -> Size:
    """Count rows, columns and the longest texts."""
    rows = dim = letters = errors = error_letters = 0
    for result in results:
        letters = max(letters, len(result.path))
        if result.error is not None:
            errors += 1
            error_letters = max(error_letters, len(reason(result.error)))
        else:
            rows, dim = rows + len(result.embeddings), result.embeddings.shape[1]
    return Size(rows, dim, max(1, letters), errors, max(1, error_letters))


def write_npz(file: BinaryIO, results: Again, about: About = None) -> None:
    """Arrays `path`, `start`, `end`, `embedding` (row, dim), by row; `error_path`, `error` for failures; and
    `about`, JSON."""
    size = measure(results())
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        path = np.dtype(f"<U{size.letters}")
        _member(
            archive, "path", path, (size.rows,), (np.full(len(r.starts), r.path, path) for r in results())
        )
        _member(archive, "start", np.dtype("<f8"), (size.rows,), (r.starts for r in results()))
        _member(archive, "end", np.dtype("<f8"), (size.rows,), (r.ends for r in results()))
        _member(
            archive, "embedding", np.dtype("<f4"), (size.rows, size.dim), (r.embeddings for r in results())
        )
        failed = np.dtype(f"<U{size.error_letters}")
        _member(
            archive, "error_path", path, (size.errors,), (np.array(r.path, path) for r in _failed(results()))
        )
        _member(
            archive,
            "error",
            failed,
            (size.errors,),
            (np.array(reason(e), failed) for e in _errors(results())),
        )
        told = np.array(json.dumps(about or {}))
        _member(archive, "about", told.dtype, (), [told])


def _failed(results: Iterable[EmbedResult]) -> Iterator[EmbedResult]:
    return (result for result in results if result.error is not None)


def _errors(results: Iterable[EmbedResult]) -> Iterator[Exception]:
    return (result.error for result in results if result.error is not None)


def _member(
    archive: zipfile.ZipFile, name: str, dtype: np.dtype, shape: tuple[int, ...], parts: Iterable[np.ndarray]
) -> None:
    info = zipfile.ZipInfo(f"{name}.npy")  # no time of day: the same results are the same bytes
    header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    with archive.open(info, "w", force_zip64=True) as member:
        np.lib.format.write_array_header_1_0(member, header)
        for part in parts:
            member.write(np.ascontiguousarray(part, dtype).tobytes())


def write_safetensors(file: BinaryIO, results: Again, about: About = None) -> None:
    """Tensors `embedding` (row, dim), `start`, `end`, and `file`: each row's source as an index into `paths`.

    `paths`, `errors` (source to reason) and `about` stand in the header's metadata, as JSON.
    """
    size = measure(results())
    good = [result.path for result in results() if result.error is None]
    errors = {result.path: reason(result.error) for result in results() if result.error is not None}
    shapes = {
        "start": ("F64", [size.rows], 8 * size.rows),
        "end": ("F64", [size.rows], 8 * size.rows),
        "file": ("I64", [size.rows], 8 * size.rows),
        "embedding": ("F32", [size.rows, size.dim], 4 * size.rows * size.dim),
    }
    told = {"paths": json.dumps(good), "errors": json.dumps(errors), "about": json.dumps(about or {})}
    header: dict[str, object] = {"__metadata__": told}
    offset = 0
    for name, (dtype, shape, count) in shapes.items():
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [offset, offset + count]}
        offset += count
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    file.write(len(text).to_bytes(8, "little") + text)
    _write_all(file, (result.starts for result in results()), "<f8")
    _write_all(file, (result.ends for result in results()), "<f8")
    counts = (len(result.starts) for result in results() if result.error is None)
    _write_all(file, (np.full(count, index) for index, count in enumerate(counts)), "<i8")
    _write_all(file, (result.embeddings for result in results()), "<f4")


def _write_all(file: BinaryIO, parts: Iterable[np.ndarray], dtype: str) -> None:
    for part in parts:
        file.write(np.ascontiguousarray(part, dtype).tobytes())


def write_parquet(file: BinaryIO, results: Again, about: About = None) -> None:
    """A parquet file of `COLUMNS`, the embedding as a list; a failed source has a row with its error only.

    `about` stands in the schema's metadata, as JSON.
    """
    arrow, parquet = pyarrow()
    number = arrow.float64()
    types = (arrow.string(), number, number, arrow.list_(arrow.float32()), arrow.string())
    schema = arrow.schema(list(zip(COLUMNS, types, strict=True)), {"earmark": json.dumps(about or {})})
    with parquet.ParquetWriter(file, schema) as writer:
        for chunk in _chunks(results()):
            rows = [row for result in chunk for row in _flat(result)]
            columns = [
                arrow.array(column, kind) for column, kind in zip(zip(*rows, strict=True), types, strict=True)
            ]
            writer.write_table(arrow.Table.from_arrays(columns, schema=schema))


def about_of(path: Path) -> dict[str, Any]:
    """Which model and settings a parquet file says it is of; nothing if it does not."""
    try:
        with opened_parquet(str(path)) as file:
            told = json.loads((file.schema_arrow.metadata or {}).get(b"earmark", b"{}"))
    except (ValueError, OSError):
        return {}  # what it is instead is said when it is read
    return told if isinstance(told, dict) else {}


def _chunks(results: Iterable[EmbedResult]) -> Iterator[list[EmbedResult]]:
    """Results until their numbers fill a row group: rows count by their width."""
    chunk: list[EmbedResult] = []
    held = 0
    for result in results:
        chunk.append(result)
        held += 6 + result.embeddings.size
        if held > CHUNK_ROWS * 50:
            yield chunk
            chunk, held = [], 0
    if chunk:
        yield chunk


def _flat(result: EmbedResult) -> Iterator[tuple[object, ...]]:
    if result.error is not None:
        yield (result.path, None, None, None, reason(result.error))
        return
    for start, end, embedding in zip(result.starts, result.ends, result.embeddings, strict=True):
        yield (result.path, float(start), float(end), embedding, None)


def read_parquet(path: Path) -> Iterator[EmbedResult]:
    """Results back from parquet: from a file, or from a folder of parts.

    Raises:
        ConfigError: not a parquet file of `COLUMNS`.
    """
    try:
        for part in parts_of(path):
            with opened_parquet(part, COLUMNS) as file:
                yield from _grouped(row for batch in file.iter_batches(1024) for row in batch.to_pylist())
    except (ValueError, TypeError, OSError) as error:
        raise ConfigError(
            f"{displayable(path)}: is no parquet file of earmark's ({error}); it cannot be resumed"
        ) from None


def _grouped(rows: Iterable[dict[str, object]]) -> Iterator[EmbedResult]:
    held: list[dict[str, object]] = []
    for row in rows:
        if held and (row["path"] != held[0]["path"] or row["error"] or _not_after(row, held[0])):
            yield _joined(held)
            held = []
        held.append(row)
    if held:
        yield _joined(held)


def _not_after(row: dict[str, object], first: dict[str, object]) -> bool:
    """Whether a row cannot belong to the source that began with this one: the first is the earliest."""
    return first["error"] is not None or float(str(row["start"])) <= float(str(first["start"]))


def _joined(rows: list[dict[str, object]]) -> EmbedResult:
    path, error = str(rows[0]["path"]), rows[0]["error"]
    if error is not None:
        return failed(path, str(error))
    starts = np.array([row["start"] for row in rows], np.float64)
    ends = np.array([row["end"] for row in rows], np.float64)
    embeddings = np.array([row["embedding"] for row in rows], np.float32)
    return EmbedResult(path, float(ends[-1]), embeddings, starts, ends)


def failed(path: str, why: str) -> EmbedResult:
    """The result for a source that could not be heard."""
    return EmbedResult(
        path, 0.0, np.zeros((0, 0), np.float32), np.zeros(0), np.zeros(0), AudioError(path, why)
    )
