"""Names of formats, and the way into the journal and out of it."""

from collections.abc import Callable, Collection, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from earmark.audio import AudioError, displayable
from earmark.config import ConfigError
from earmark.inference import arrays, tables
from earmark.inference.journal import Record
from earmark.inference.results import EmbedResult, Tag, TagResult, TagRow
from earmark.inference.settings import Cut, EmbedSettings, TagSettings

TAG_SUFFIXES = {
    ".txt": "text",
    ".json": "json",
    ".jsonl": "jsonl",
    ".csv": "csv",
    ".parquet": "parquet",
}
EMBED_SUFFIXES = {".npz": "npz", ".parquet": "parquet", ".safetensors": "safetensors"}
MAY_DIFFER = ("model", "on_truncated")
"""Settings of two runs whose vectors belong together: a model may have moved, its digest has not."""
Pieces = Callable[[Iterable[TagResult]], Iterator[str]]


def choose(out: Path | None, named: str | None, suffixes: dict[str, str]) -> str:
    """The format that was named, or that the suffix says; text without either.

    Raises:
        ConfigError: the suffix says nothing.

    Example:
        >>> choose(Path("tags.csv"), None, TAG_SUFFIXES), choose(None, None, TAG_SUFFIXES)
        ('csv', 'text')
    """
    if named is not None:
        return named
    if out is None:
        return "text"
    suffix = out.suffix.lower()
    if suffix not in suffixes:
        known = ", ".join(suffixes)
        extra = "; or name it with --format" if suffixes is not EMBED_SUFFIXES else ""
        raise ConfigError(f"the name {str(out)!r} does not say a format; end it in one of {known}{extra}")
    return suffixes[suffix]


def check(form: str) -> None:
    """See that what a format needs is there, before any work.

    Raises:
        ConfigError: a package is missing; the sentence says how to install it.
    """
    if form == "parquet":
        tables.pyarrow()


def pieces(form: str, single: bool) -> Pieces:
    """The function that turns results into pieces of text."""
    return {
        "text": tables.as_text,
        "json": tables.as_json,
        "jsonl": tables.as_jsonl,
        "csv": tables.as_csv,
        "audacity": partial(tables.as_audacity, single=single),
    }[form]


def write_tags(file: BinaryIO, form: str, single: bool, records: Callable[[], Iterable[Record]]) -> None:
    """Render the journal of a tagging run."""
    results = map(tags_of, records())
    if form == "parquet":
        tables.write_parquet(file, results)
        return
    for piece in pieces(form, single)(results):
        file.write(piece.encode())


def write_embeddings(
    file: BinaryIO,
    form: str,
    single: bool,
    records: Callable[[], Iterable[Record]],
    about: dict[str, Any] | None = None,
) -> None:
    """Render the journal of an embedding run; `about` says which model and settings made it."""
    writers = {
        "npz": arrays.write_npz,
        "safetensors": arrays.write_safetensors,
        "parquet": arrays.write_parquet,
    }
    writers[form](file, lambda: map(embeddings_of, records()), about)


def read_tags(path: Path, form: str) -> Iterator[Record]:
    """An earlier output as records."""
    return map(
        of_tags, _readable(path, form, {"jsonl": tables.read_jsonl, "parquet": tables.read_parquet})(path)
    )


def read_embeddings(path: Path, form: str, about: dict[str, Any] | None = None) -> Iterator[Record]:
    """An earlier output as records, if it does not say that it is `about` another model or other settings.

    Raises:
        ConfigError: it says so, or cannot be read.
    """
    read = _readable(path, form, {"parquet": arrays.read_parquet})
    told = arrays.about_of(path)
    for name, value in (about or {}).items():
        if name not in MAY_DIFFER and name in told and told[name] != value:
            raise ConfigError(
                f"{displayable(path)} was made with {name} {told[name]}, and this run has {value}; resume "
                "with the model and settings that made it, or leave out --resume to make it anew"
            )
    return map(of_embeddings, read(path))


def _readable(path: Path, form: str, readers: dict[str, Callable[[Path], Any]]) -> Callable[[Path], Any]:
    if form not in readers:
        raise ConfigError(
            f"{str(path)!r} is finished, and {form} cannot be added to; leave out --resume to make it anew, "
            f"or resume to {' or '.join(readers)}"
        )
    return readers[form]


def of_tags(result: TagResult) -> Record:
    """A tagging result as a record; scores and times to the digits that all formats give."""
    if result.error is not None:
        return Record({"path": result.path, "error": tables.reason(result.error)})
    rows = [
        [row.start, row.end, [[tag.label, round(tag.score, tables.DIGITS)] for tag in row.tags]]
        for row in result.rows
    ]
    return Record({"path": result.path, "seconds": result.seconds, "rows": rows})


def tags_of(record: Record) -> TagResult:
    """The tagging result that a record holds.

    Example:
        >>> result = TagResult("a.wav", 2.0, (TagRow("a.wav", 0.0, 2.0, (Tag("Dog", 0.5),)),))
        >>> tags_of(of_tags(result)) == result
        True
    """
    head = record.head
    path = head["path"]
    if "error" in head:
        return TagResult(path, 0.0, (), AudioError(path, head["error"]))
    rows = (
        TagRow(path, start, end, tuple(Tag(*pair) for pair in pairs)) for start, end, pairs in head["rows"]
    )
    return TagResult(path, head["seconds"], tuple(rows))


def of_embeddings(result: EmbedResult) -> Record:
    """An embedding result as a record."""
    if result.error is not None:
        return Record({"path": result.path, "error": tables.reason(result.error)})
    head = {"path": result.path, "seconds": result.seconds, "shape": list(result.embeddings.shape)}
    times = result.starts.astype("<f8").tobytes() + result.ends.astype("<f8").tobytes()
    return Record(head, times + result.embeddings.astype("<f4").tobytes())


def embeddings_of(record: Record) -> EmbedResult:
    """The embedding result that a record holds."""
    head = record.head
    if "error" in head:
        return arrays.failed(head["path"], head["error"])
    rows, dim = head["shape"]
    starts = np.frombuffer(record.body, "<f8", rows)
    ends = np.frombuffer(record.body, "<f8", rows, 8 * rows)
    embeddings = np.frombuffer(record.body, "<f4", rows * dim, 16 * rows).reshape(rows, dim)
    return EmbedResult(head["path"], head["seconds"], embeddings, starts, ends)


def misfit_of_tags(record: Record, settings: TagSettings, labels: Collection[str]) -> str | None:
    """What a record has that a run with these settings and labels does not give; None if nothing is seen.

    Example:
        >>> record = Record({"path": "a.wav", "seconds": 1.0, "rows": [[0.0, 1.0, [["Dog", 0.5]]]]})
        >>> misfit_of_tags(record, TagSettings(), ["Rain"])
        "the label 'Dog', which the model does not know"
    """
    rows = record.head.get("rows", [])
    most = min(settings.top, len(labels))
    least = dict(zip(labels, settings.scores_from(tuple(labels)).tolist(), strict=True))
    for _, _, tags in rows:
        for label, score in tags:
            if label not in labels:
                return f"the label {label!r}, which the model does not know"
            if score < least[label] - 0.5 * 10**-tables.DIGITS:
                return f"a score of {score:g}, and the threshold is {least[label]:g}"
        if len(tags) > most or (len(tags) < most and not any(least.values())):
            return f"{len(tags)} tags in a row, and {most} are asked for"
    return _misfit_of_rows([(start, end) for start, end, _ in rows], settings)


def misfit_of_embeddings(
    record: Record, settings: EmbedSettings, dim: int, frame_seconds: float
) -> str | None:
    """The same for embeddings, by the width of a vector for a row and by how far a frame reaches.

    Example:
        >>> record = of_embeddings(EmbedResult("a.wav", 1.0, np.zeros((1, 3)), np.zeros(1), np.ones(1)))
        >>> misfit_of_embeddings(record, EmbedSettings(), 4, 0.1)
        'vectors of 3 numbers, and the model gives 4'
    """
    if "error" in record.head:
        return None
    result = embeddings_of(record)
    if settings.level == "clip" and result.embeddings.shape[1] != dim:
        return f"vectors of {result.embeddings.shape[1]} numbers, and the model gives {dim}"
    ranges = list(zip(result.starts.tolist(), result.ends.tolist(), strict=True))
    if settings.level == "clip":
        return _misfit_of_rows(ranges, settings)
    if any(end - start > 1.01 * frame_seconds for start, end in ranges):
        return "vectors for more than a frame"
    return None


def _misfit_of_rows(ranges: list[tuple[float, float]], cut: Cut) -> str | None:
    if cut.window is None or cut.hop_seconds is None:
        return "several rows, and no window is given" if len(ranges) > 1 else None
    for index, (start, end) in enumerate(ranges):
        slack = 1e-3 * (index + 1)  # windows are whole samples
        if end - start > cut.window + slack or abs(start - index * cut.hop_seconds) > slack:
            return f"a row from {start:g} to {end:g} s, which the window and the hop do not give"
    return None
