"""Corpora as a few large files: shards in WebDataset's tar layout, which are read in order at full speed.

A folder of shards has `shard-000000.tar` and so on, beside each a `.clips.json` that says where its clips
begin and what is heard in them, and `shards.json`, written last: with it the folder is whole.
"""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

from earmark.config import ConfigError
from earmark.data.clips import Clip
from earmark.data.feeding.members import ShardError, labels_of, members
from earmark.data.preparation.packing import FORMAT, INDEX, beside, pack_shards

__all__ = ["check_shards", "pack_shards", "read_shards", "stream_shards"]

BUFFER = 1 << 20


def read_shards(folder: Path) -> list[Clip]:
    """The clips of a folder of shards, in their order; `Clip.row` is where each begins.

    Shards that others made have no index and are walked over; the `.json` beside each sound needs `labels`, a
    list of names, or `label`.

    Args:
        folder: shards as `pack_shards` or WebDataset write them.

    Raises:
        ConfigError: there are none, one is missing or not whole, or a clip has no labels.
    """
    clips: list[Clip] = []
    for path, listed in _shards(folder):
        if listed is None:
            clips += (clip for clip, _ in _walk(path, sounds=False))
            continue
        tree = _json(beside(path))
        try:
            rows = zip(tree["rows"], tree["labels"], tree["unknown"], strict=True)
            clips += [Clip(path, tuple(labels), unknown=tuple(un), row=row) for row, labels, un in rows]
        except (KeyError, TypeError, ValueError):
            raise ConfigError(f"{beside(path)} is damaged; pack the corpus again") from None
    return clips


def stream_shards(folder: Path) -> Iterator[tuple[Clip, bytes]]:
    """All clips with their encoded sounds, read from the first byte to the last.

    Raises:
        ConfigError: as `read_shards`; or a shard is truncated or altered.
    """
    for path, _ in _shards(folder):
        yield from _walk(path, sounds=True)


def check_shards(folder: Path) -> list[str]:
    """What is wrong with a folder of shards, by size and SHA-256 of each; nothing if all is well.

    Raises:
        ConfigError: there are no shards, or no index to compare them with.
    """
    if not (folder / INDEX).is_file():
        raise ConfigError(
            f"{folder} has no {INDEX}, which lists the digests; only `earmark prepare` writes it"
        )
    wrong: list[str] = []
    for entry in _listed(folder):
        path = folder / entry["name"]
        try:
            _check_size(path, entry)
            with path.open("rb") as file:
                if hashlib.file_digest(file, "sha256").hexdigest() != entry["sha256"]:
                    wrong.append(f"{path} was altered: its SHA-256 is not the one in {INDEX}")
        except (ConfigError, OSError) as error:
            wrong.append(str(error))
    return wrong


def _shards(folder: Path) -> list[tuple[Path, dict[str, Any] | None]]:
    """Each shard with what is listed of it; None where nothing is."""
    if (folder / INDEX).is_file():
        listed = _listed(folder)
        for entry in listed:
            _check_size(folder / entry["name"], entry)
        return [(folder / entry["name"], entry) for entry in listed]
    tars = sorted(folder.glob("*.tar"))
    if not tars:
        raise ConfigError(f"no shards under {folder}; give a folder with {INDEX} or .tar files")
    if any(beside(tar).exists() for tar in tars):
        raise ConfigError(
            f"packing {folder} was not finished; pack the corpus again, which goes on from there"
        )
    return [(tar, None) for tar in tars]


def _listed(folder: Path) -> list[dict[str, Any]]:
    tree = _json(folder / INDEX)
    listed: Any = tree.get("shards")
    if tree.get("format") != FORMAT or not isinstance(listed, list):
        raise ConfigError(
            f"{folder / INDEX} is no index of shards that this version reads; pack the corpus again"
        )
    names = {"name": str, "bytes": int, "sha256": str}
    for entry in cast(list[Any], listed):
        if not isinstance(entry, dict) or any(not isinstance(entry.get(k), t) for k, t in names.items()):
            raise ConfigError(f"{folder / INDEX} is damaged; pack the corpus again")
        if Path(entry["name"]).name != entry["name"]:
            raise ConfigError(
                f"{folder / INDEX} names a file elsewhere, {entry['name']!r}; pack the corpus again"
            )
    return cast(list[dict[str, Any]], listed)


def _check_size(path: Path, entry: dict[str, Any]) -> None:
    if not path.is_file():
        raise ConfigError(f"{path} is missing, but {INDEX} lists it; copy it here, or pack the corpus again")
    size = path.stat().st_size
    if size != entry["bytes"]:
        word = "truncated" if size < entry["bytes"] else "altered"
        raise ConfigError(
            f"{path} is {word}: it has {size} bytes, {INDEX} lists {entry['bytes']}; pack the corpus again"
        )


def _walk(path: Path, sounds: bool) -> Iterator[tuple[Clip, bytes]]:
    try:
        with path.open("rb", buffering=BUFFER) as file:
            for member in members(file, sounds):
                labels, unknown = labels_of(member, path)
                yield Clip(path, labels, unknown=unknown, row=member.row), member.data
    except (ShardError, OSError) as error:
        raise ConfigError(f"{path} cannot be read as a shard: {error}") from None


def _json(path: Path) -> dict[str, Any]:
    try:
        tree = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} cannot be read ({error}); pack the corpus again") from None
    return cast(dict[str, Any], tree) if isinstance(tree, dict) else {}
