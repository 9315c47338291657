"""A published model in the cache: fetched as its authors published it, converted, and converted anew when the
catalog or the converter have changed."""

from pathlib import Path
from typing import Any

from earmark.fetching import FetchError, Remote, alone, fetch, progress_bar, recorded_digest
from earmark.models.catalog import Published
from earmark.models.checkpoint import read_header, save
from earmark.models.recognized import recognize
from earmark.models.tensor_file import CheckpointError

CONVERTER = 1
"""Counts up when the same published file becomes another model; conversions of before are then made anew."""


def is_converted(entry: Published, folder: Path) -> bool:
    """Whether a published model is in the cache as it would be made now; nothing is fetched."""
    return _is_current(entry, _converted(entry, folder))


def fetch_published(entry: Published, folder: Path) -> Path:
    """Have a published model as earmark's own checkpoint in `folder`.

    The file as published stays beside it, with a record of its size and digest.

    Raises:
        CheckpointError: it cannot be had, or is not what the catalog says.
    """
    converted = _converted(entry, folder)
    if _is_current(entry, converted):
        return converted
    original = folder / f"{entry.name}.pt"
    otherwise = "download it yourself and give --model FILE"
    remote = Remote(entry.name, entry.url, entry.size, entry.sha256, otherwise=otherwise)
    try:
        with progress_bar(entry.name) as tell:
            fetch(remote, original, tell)
        digest = recorded_digest(original)
    except FetchError as error:
        raise CheckpointError(error.name, error.reason) from None
    try:
        with alone(converted):
            if not _is_current(entry, converted):
                _convert(entry, original, digest, converted)
    except CheckpointError as error:
        raise CheckpointError(
            original,
            f"{error.reason}; it came from {entry.url}: delete it and try again, or give another file with "
            "--model FILE",
        ) from None
    except OSError as error:
        raise CheckpointError(converted, f"cannot be written: {error.strerror or error}") from None
    return converted


def _converted(entry: Published, folder: Path) -> Path:
    return folder / f"{entry.name}.safetensors"


def _facts(entry: Published) -> dict[str, Any]:
    """What a conversion depends on, and what is told of its source."""
    return {**entry.to_dict(), "converter": CONVERTER}


def _is_current(entry: Published, converted: Path) -> bool:
    """Whether a conversion is there, whole, and by today's facts."""
    if not converted.is_file():
        return False
    try:
        provenance = read_header(converted).provenance
    except CheckpointError:
        return False
    return all(provenance.get(name) == value for name, value in _facts(entry).items())


def _convert(entry: Published, original: Path, digest: str | None, converted: Path) -> None:
    """Turn published weights into a checkpoint of ours."""
    tagger = recognize(original, entry.settings, entry.name).tagger
    if len(tagger.labels) != entry.classes:
        raise CheckpointError(original, f"has {len(tagger.labels)} classes; {entry.classes} were expected")
    save(tagger, converted, provenance={**_facts(entry), "source_sha256": digest})
