"""Parquet shards in the hub's layout: a column `audio` of encoded bytes and names, and what is said of them.

Row groups are small, so that any clip is read without its neighbors.
"""

import json
import os
import zlib
from bisect import bisect_right
from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import lru_cache
from itertools import accumulate
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any, BinaryIO, NamedTuple

from earmark.audio import AudioError
from earmark.config import ConfigError
from earmark.data.packs.rows import Encoded, Row, fields_of
from earmark.storage import is_address, opened_file

GROUP_BYTES = 1 << 18
"""A row group that has so many bytes takes no further row: what is read to hear one clip."""
KEPT_OPEN = 16
"""Files, in each process: their footers take some megabytes each."""


class SoundColumn(NamedTuple):
    """Where the sounds of a Parquet file are.

    Attributes:
        name: of the column.
        has_paths: whether each sound has a name beside it.
    """

    name: str
    has_paths: bool


class ParquetShard:
    """A shard that is being written; the same rows are the same bytes.

    Args:
        file: where to; it is not closed.
        first: the number of the first row in the pack; rows of Parquet have none.
        fields: what is kept of each row beside its sound.

    Raises:
        ConfigError: pyarrow is missing.
    """

    ENDING = ".parquet"

    def __init__(self, file: BinaryIO, first: int, fields: tuple[str, ...]) -> None:
        self.rows: list[int] = []
        arrow, parquet = library()
        self._arrow = arrow
        self._schema = _schema(arrow, fields)
        self._writer = parquet.ParquetWriter(
            file, self._schema, compression="NONE", use_dictionary=False, write_statistics=False
        )
        self._waiting: list[dict[str, Any]] = []
        self._bytes = 0

    def __enter__(self) -> "ParquetShard":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None
    ) -> None:
        if kind is None:
            self._write_and_close()
        else:
            self._give_up()

    def add(self, row: Row, sound: Encoded) -> None:
        """Write a clip."""
        said = fields_of(row, sound)
        audio = {"bytes": sound.data, "path": row.name}
        self._waiting.append(
            said | {"audio": audio, "seconds": sound.seconds, "crc32": zlib.crc32(sound.data)}
        )
        self.rows.append(len(self.rows))
        self._bytes += len(sound.data)
        if self._bytes >= GROUP_BYTES:
            self._write()

    def _write_and_close(self) -> None:
        try:
            self._write()
            self._writer.close()
        except BaseException:
            self._give_up()
            raise

    def _give_up(self) -> None:
        """Close the writer, or else it closes itself later, when its file is gone."""
        with suppress(OSError, ValueError):  # Arrow's own are these; another error is on its way
            self._writer.close()

    def _write(self) -> None:
        if self._waiting:
            self._writer.write_table(self._arrow.Table.from_pylist(self._waiting, schema=self._schema))
        self._waiting, self._bytes = [], 0


def _schema(arrow: ModuleType, fields: tuple[str, ...]) -> Any:
    """The columns, and the word to Hugging Face's datasets that one of them is sound."""
    kinds = {
        "audio": (arrow.struct({"bytes": arrow.binary(), "path": arrow.string()}), {"_type": "Audio"}),
        "labels": _strings(arrow),
        "unknown": _strings(arrow),
        "split": _plain(arrow.string()),
        "fold": _plain(arrow.int64()),
        "group": _plain(arrow.string()),
        "source_start": _plain(arrow.float64()),
        "source_end": _plain(arrow.float64()),
        "encoded": _plain(arrow.string()),
        "seconds": _plain(arrow.float64()),
        "crc32": _plain(arrow.int64()),
    }
    names = ["audio", *fields, "seconds", "crc32"]
    features = {name: kinds[name][1] for name in names}
    told = {"huggingface": json.dumps({"info": {"features": features}})}
    return arrow.schema([(name, kinds[name][0]) for name in names], metadata=told)


def _plain(kind: Any) -> tuple[Any, dict[str, Any]]:
    return kind, {"dtype": str(kind).replace("double", "float64"), "_type": "Value"}


def _strings(arrow: ModuleType) -> tuple[Any, dict[str, Any]]:
    return arrow.list_(arrow.string()), {
        "feature": {"dtype": "string", "_type": "Value"},
        "_type": "Sequence",
    }


def sound_column(schema: Any) -> SoundColumn | None:
    """The column of an Arrow schema that holds encoded sounds, if there is one.

    Args:
        schema: of a Parquet file, ours or another's on the hub.
    """
    for field in schema:
        inner = {
            field.type.field(i).name: str(field.type.field(i).type) for i in range(field.type.num_fields)
        }
        if str(field.type).startswith("struct<") and inner.get("bytes") in ("binary", "large_binary"):
            return SoundColumn(field.name, inner.get("path") in ("string", "large_string"))
    return None


def read_row(path: Path, row: int) -> bytes:
    """The encoded sound of one clip.

    Files stay open, in each process its own.

    Args:
        path: the shard.
        row: its number in the shard, as `Clip.row` has it.

    Raises:
        AudioError: the shard is missing, truncated or altered, or has no such row.
        ConfigError: pyarrow is missing.
    """
    library()
    name = f"{path}, row {row}"
    try:
        shard = _kept_open(path, _mark(path))
        if not 0 <= row < shard.firsts[-1]:
            raise AudioError(str(path), f"has {shard.firsts[-1]} rows; there is no row {row}")
        group = bisect_right(shard.firsts, row) - 1
        found = _group(path, _mark(path), group)
    except ConfigError as error:
        raise AudioError(name, str(error)) from None
    except (OSError, ValueError) as error:  # Arrow's own are these
        raise AudioError(name, f"the shard cannot be read: {error}") from None
    place = row - shard.firsts[group]
    sound = found.column(shard.columns[0].partition(".")[0])[place].as_py()
    data = None if sound is None else sound["bytes"]
    if not data:
        raise AudioError(name, "there is no sound in this row")
    if len(shard.columns) > 1 and found.column("crc32")[place].as_py() != zlib.crc32(data):
        raise AudioError(name, "altered: it is not what was packed")
    return data


class _Shard(NamedTuple):
    """An open shard, the rows before each of its row groups and after the last, and the columns to read."""

    file: Any
    firsts: list[int]
    columns: tuple[str, ...]
    held: ExitStack


@lru_cache(maxsize=KEPT_OPEN)
def _kept_open(path: Path, mark: tuple[int, ...]) -> _Shard:
    held = ExitStack()
    file = held.enter_context(opened(path))
    groups = (file.metadata.row_group(index).num_rows for index in range(file.metadata.num_row_groups))
    sounds = sound_column(file.schema_arrow)
    if sounds is None:
        raise ConfigError(f"{path} has no column of sounds, a struct with 'bytes'")
    checked = ("crc32",) if "crc32" in file.schema_arrow.names and sounds.name == "audio" else ()
    return _Shard(file, [0, *accumulate(groups)], (f"{sounds.name}.bytes", *checked), held)


@lru_cache(maxsize=1)
def _group(path: Path, mark: tuple[int, ...], group: int) -> Any:
    """A row group; rows that are read in order lie in the same one."""
    shard = _kept_open(path, mark)
    return shard.file.read_row_group(group, columns=list(shard.columns), use_threads=False)


def _mark(path: Path) -> tuple[int, ...]:
    """What tells an open file from another of its name; and our process, as none survives a fork."""
    if is_address(path):
        return (os.getpid(),)
    status = path.stat()
    return os.getpid(), status.st_ino, status.st_size, status.st_mtime_ns


@contextmanager
def opened(path: str | Path) -> Generator[Any, None, None]:
    """Open a Parquet file, here or at an address.

    Raises:
        ConfigError: it is none, or a damaged one; or pyarrow is missing.
    """
    _, parquet = library()
    with ExitStack() as held:
        try:
            source = held.enter_context(opened_file(path)) if is_address(path) else path
            file = held.enter_context(parquet.ParquetFile(source))
        except (OSError, ValueError) as error:
            raise ConfigError(f"{path}: cannot be opened as a Parquet file: {error}") from None
        yield file


def batches(path: str | Path, columns: list[str]) -> Iterator[dict[str, list[Any]]]:
    """The rows of some columns, some thousand at a time; the sounds themselves are not read.

    Raises:
        ConfigError: the file is none, or a damaged one.
    """
    with opened(path) as file:
        try:
            for batch in file.iter_batches(batch_size=8192, columns=columns):
                yield batch.to_pydict()
        except (OSError, ValueError) as error:
            raise ConfigError(f"{path}: cannot be read as a Parquet file: {error}") from None


def library() -> tuple[ModuleType, ModuleType]:
    """Pyarrow, and its room for Parquet.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        import pyarrow
        from pyarrow import parquet  # optional, and slow to import
    except ImportError:
        raise ConfigError(
            'Parquet packs need pyarrow; install it with: pip install "earmark[data]"'
        ) from None
    return pyarrow, parquet


def class_names(schema: Any) -> dict[str, list[str]]:
    """The names of classes by column, where a Parquet file of the hub holds their numbers.

    Args:
        schema: Arrow's, of the file.
    """
    try:
        told = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
        return {
            name: [str(one) for one in feature["names"]]
            for name, feature in told.items()
            if isinstance(feature, dict) and feature.get("_type") == "ClassLabel"
        }
    except (KeyError, TypeError, ValueError):
        return {}


def is_plain(kind: Any) -> bool:
    """Whether cells of an Arrow type can be names or numbers: no sounds, no arrays of features."""
    text = str(kind)
    return not text.startswith(("struct", "binary", "large_binary", "fixed_size", "map")) and not (
        "list" in text and any(number in text for number in ("float", "double", "struct", "binary"))
    )
