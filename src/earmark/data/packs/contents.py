"""What is in a pack, whoever wrote it: a name, a place and what is said of each clip, without its sound."""

import itertools
import os
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from earmark.audio import displayable
from earmark.config import ConfigError
from earmark.data.class_folders import is_sound
from earmark.data.clips import Clip, name_of
from earmark.data.fsd50k import FSD50K
from earmark.data.packs.hdf5 import SUFFIXES, read_names, read_pack, target_shape
from earmark.data.packs.index import INDEX, PACKED, read_beside, read_index, shards_of
from earmark.data.packs.parquet import batches, class_names, is_plain, opened, sound_column
from earmark.data.packs.rows import Origin, origin_of
from earmark.data.packs.tars import ShardError, labels_of, members
from earmark.data.tables.cells import is_part
from earmark.labels import OPENMIC, audioset_labels
from earmark.storage import address, exists, folders_in, inside, is_address, is_folder, listed, opened_file

SHARD_OF_SPLIT = re.compile(r"(\w+)-\d{5}-of-\d{5}(?:-\w+)?\.(?:parquet|tar)")
TABLES = (".csv", ".tsv", ".jsonl", ".ndjson")
"""Beside shards of others, a file with such an ending says more of them than they do."""


class Listed(NamedTuple):
    """A clip in a pack.

    Attributes:
        shard: the file that it is in, a path or an address.
        row: its place there, as `Clip.row` has it.
        name: what it is called; empty where the pack does not say.
        said: what is said of it, in the order of `Contents.fields`.
    """

    shard: str
    row: int
    name: str
    said: tuple[Any, ...]


class Contents(NamedTuple):
    """The clips of a pack.

    Attributes:
        fields: what is said of each.
        clips: one by one, in the order of the pack.
        ours: `earmark pack` wrote it, so that fields mean what it means by them.
    """

    fields: tuple[str, ...]
    clips: Iterator[Listed]
    ours: bool = False

    def said(self, one: Listed) -> dict[str, Any]:
        """What is said of a clip, by field."""
        return dict(zip(self.fields, one.said, strict=True))

    def origin(self, one: Listed) -> Origin:
        """Where its sound comes from, as far as a pack of ours says so."""
        return origin_of(self.said(one)) if self.ours else Origin()


def contents(place: str | Path, learning: bool = False) -> Contents:
    """Look into a pack.

    Args:
        place: a folder of shards as `earmark pack`, WebDataset or the hub have them, one such file, or a
            HDF5 file of PaSST's; a path or an address.
        learning: labels shall be learned from, so that what stands for them in a tar must be names.

    Raises:
        ConfigError: it is none, or damaged; also while `clips` is iterated.
    """
    folder = address(place)
    index = None if folder.lower().endswith(PACKED) else read_index(folder)
    shards = shards_of(folder, index)
    fields = index.fields if index is not None else _fields(shards[0])
    ours = index is not None or _is_ours(shards[0])
    clips = itertools.chain.from_iterable(_clips(shard, fields, learning) for shard in shards)
    splits = {shard: split_of(shard) for shard in shards}
    if "split" in fields or not all(splits.values()):
        return Contents(fields, clips, ours)
    clips = (one._replace(said=(*one.said, splits[one.shard])) for one in clips)
    return Contents((*fields, "split"), clips, ours)


def split_of(shard: str) -> str:
    """The split that a shard's name begins with, as the hub has it; empty where it does not.

    Example:
        >>> split_of("data/train-00000-of-00003.parquet"), split_of("data-00000-of-00003.parquet")
        ('train', '')
    """
    found = SHARD_OF_SPLIT.fullmatch(PurePosixPath(shard).name)
    return found[1] if found is not None and is_part(found[1]) else ""


def clips_of(place: str | Path) -> list[tuple[str, Clip]]:
    """The clips of a pack with their names, to be heard and not learned from: they have no labels.

    What was cut out of a longer recording is called as a table calls such a stretch, `dog.wav#t=1.5,3`.

    Args:
        place: as `contents` takes it.

    Raises:
        ConfigError: as `contents`.
    """
    found = contents(place)
    return [(_called(one, found.origin(one)), clip_of(one)) for one in found.clips]


def fault(one: Listed, error: Exception) -> str:
    """Why a clip cannot be read, after its name where it has one; the error says where it is.

    Example:
        >>> fault(Listed("a.tar", 0, "dog.wav", ()), ValueError("a.tar, row 0: no sound"))
        'dog.wav: a.tar, row 0: no sound'
    """
    return f"{displayable(one.name)}: {error}" if one.name else str(error)


def clip_of(one: Listed) -> Clip:
    """A clip of a pack, without labels."""
    return Clip(Path(one.shard), (), row=one.row)


def _called(one: Listed, origin: Origin) -> str:
    name = one.name or f"{PurePosixPath(one.shard).name}, row {one.row}"
    return name_of(name, Clip(Path(), (), origin.start or 0.0, origin.end))


def is_pack(place: str | Path) -> bool:
    """Whether this is a pack: a folder of shards and no single sounds, or a file of many; or its address.

    Example:
        >>> is_pack("recordings/dog.wav")
        False
    """
    folder = address(place)
    if folder.lower().endswith(PACKED):
        return not folder.lower().endswith(".parquet") or _has_sounds(folder)
    try:
        if exists(inside(folder, INDEX)):
            return True
        found = _files(folder)
    except OSError:
        return False
    if any(path.lower().endswith(TABLES) or is_sound(path) for path in found):
        return False
    tables = (path for path in found if path.lower().endswith(".parquet"))
    return any(path.lower().endswith(".tar") for path in found) or any(map(_has_sounds, tables))


def _files(folder: str) -> list[str]:
    """The files directly in a folder; nothing where there is no folder, or there are others in it.

    What is hidden does not count.
    """
    if is_address(folder):
        files, folders = [entry.path for entry in listed(folder)], folders_in(folder)
    elif is_folder(folder):
        with os.scandir(folder) as entries:
            found = [(entry.path, entry.is_dir()) for entry in entries]
        files, folders = ([path for path, its in found if its == kind] for kind in (False, True))
    else:
        return []
    shown = [path for path in files if not PurePosixPath(path).name.startswith(".")]
    return [] if any(not PurePosixPath(path).name.startswith(".") for path in folders) else shown


def _has_sounds(path: str) -> bool:
    try:
        with opened(path) as file:
            return sound_column(file.schema_arrow) is not None
    except ConfigError:
        return False


def _fields(shard: str) -> tuple[str, ...]:
    """What is said of the clips of a shard that has no index."""
    if shard.lower().endswith(".tar"):
        known = read_beside(*_split(shard)) or {}
        return tuple(map(str, known.get("fields", ("labels", "unknown"))))
    if shard.lower().endswith(SUFFIXES):
        return ("labels", "unknown") if _label_names(Path(shard)) else ()
    with opened(shard) as file:
        return tuple(field.name for field in file.schema_arrow if is_plain(field.type))


def _is_ours(shard: str) -> bool:
    """Whether a shard that has no index is one of ours: by what lies beside it, or by its columns."""
    if not shard.lower().endswith(".parquet"):
        return shard.lower().endswith(".tar") and bool(read_beside(*_split(shard)))
    with opened(shard) as file:
        return {"audio", "seconds", "crc32"} <= set(file.schema_arrow.names)


def _clips(shard: str, fields: tuple[str, ...], learning: bool) -> Iterator[Listed]:
    if shard.lower().endswith(SUFFIXES):
        return _of_hdf5(shard, fields)
    return _of_tar(shard, fields, learning) if shard.lower().endswith(".tar") else _of_parquet(shard, fields)


def _of_parquet(shard: str, fields: tuple[str, ...]) -> Iterator[Listed]:
    with opened(shard) as file:
        sounds, known = sound_column(file.schema_arrow), class_names(file.schema_arrow)
        if sounds is None or not set(fields) <= set(file.schema_arrow.names):
            raise ConfigError(f"{displayable(shard)} has other columns than its pack; pack again")
        rows = file.metadata.num_rows
    called = f"{sounds.name}.path"
    columns = [called] * sounds.has_paths + list(fields)
    row = 0
    for batch in batches(shard, columns) if columns else [{}]:
        names = [(one or {}).get("path") or "" for one in batch[sounds.name]] if sounds.has_paths else None
        said = [_named(batch[field], known.get(field)) for field in fields]
        count = len(names) if names is not None else len(said[0]) if said else rows
        for index in range(count):
            yield Listed(shard, row, names[index] if names else "", tuple(cells[index] for cells in said))
            row += 1


def _named(cells: list[Any], names: list[str] | None) -> list[Any]:
    """Numbers of classes as their names."""
    if names is None:
        return cells
    return [names[cell] if isinstance(cell, int) and 0 <= cell < len(names) else cell for cell in cells]


def _of_tar(shard: str, fields: tuple[str, ...], learning: bool) -> Iterator[Listed]:
    known = read_beside(*_split(shard))
    if known is not None:
        try:
            for row, called, *said in known["listed"]:
                yield Listed(
                    shard,
                    row,
                    called,
                    tuple(dict(zip(known["fields"], said, strict=True))[f] for f in fields),
                )
        except (KeyError, TypeError, ValueError):
            raise ConfigError(f"what lies beside {displayable(shard)} is damaged; pack again") from None
        return
    try:
        with opened_file(shard) as file:
            for member in members(file, sounds=False):
                labels, unknown = labels_of(member, shard, learning)
                about = member.about | {"labels": labels, "unknown": unknown}
                yield Listed(
                    shard, member.row, str(about.get("name", "")), tuple(about.get(f) for f in fields)
                )
    except (ShardError, OSError) as error:
        raise ConfigError(f"{displayable(shard)} cannot be read as a shard: {error}") from None


def _split(shard: str) -> tuple[str, str]:
    """The folder of a shard, and its name."""
    folder, _, name = shard.rpartition("/")
    return folder or ".", name


def _of_hdf5(shard: str, fields: tuple[str, ...]) -> Iterator[Listed]:
    path = Path(shard)
    names = read_names(path)
    if not fields:
        yield from (Listed(shard, row, name, ()) for row, name in enumerate(names))
        return
    clips = read_pack(path, _label_names(path))
    for name, clip in zip(names, clips, strict=True):
        yield Listed(shard, clip.row or 0, name, (clip.labels, clip.unknown))


def _label_names(path: Path) -> tuple[str, ...]:
    """The labels of a pack of PaSST's, by the form of its targets; none where no known corpus has that."""
    width, kind = target_shape(path)
    known = {(66, "uint8"): audioset_labels().names, (25, "uint8"): FSD50K().labels.names}
    return (known | {(2 * len(OPENMIC), "float32"): OPENMIC}).get((width, kind), ())
