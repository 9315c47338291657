"""Whether a pack is what was packed: shards by size and SHA-256, clips by their own checksums."""

import hashlib
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from earmark.audio import AudioError, displayable
from earmark.config import ConfigError
from earmark.data.feeding.decoding import Place, encoded
from earmark.data.packs.contents import contents, fault
from earmark.data.packs.index import INDEX, Shard, read_index
from earmark.storage import address, file_size, inside, listed, opened_file


class Checked(NamedTuple):
    """What was found.

    Attributes:
        shards: how many the index lists, or there are.
        clips: how many are in them.
        wrong: a sentence for each fault.
    """

    shards: int
    clips: int
    wrong: list[str]


def check_pack(place: str | Path) -> Checked:
    """Read a pack from end to end.

    Shards are compared with the index.  In one that is damaged, each clip is compared with its own checksum,
    so that it is told which are lost; where others made the pack there is no index, and clips are read one by
    one.

    Args:
        place: a pack, here or at an address.

    Raises:
        ConfigError: it is none.
    """
    folder = address(place)
    index = read_index(folder)
    if index is None:
        return _clip_by_clip(folder)
    wrong: list[str] = []
    for shard in index.shards:
        sentence = _fault(folder, shard)
        if sentence is not None:
            wrong += [sentence, *_lost(inside(folder, shard.name))]
    names = {shard.name for shard in index.shards}
    for entry in listed(folder):
        name = PurePosixPath(entry.path).name
        if name.endswith((".parquet", ".tar")) and name not in names:
            wrong.append(f"{displayable(entry.path)} is in the folder but not in {INDEX}; remove it")
    return Checked(len(index.shards), index.clips, wrong)


def _fault(folder: str, shard: Shard) -> str | None:
    """What is wrong with a shard, if anything is."""
    path = inside(folder, shard.name)
    shown = displayable(path)
    try:
        size = file_size(path)
        if size != shard.bytes:
            word = "truncated" if size < shard.bytes else "altered"
            return f"{shown} is {word}: it has {size} bytes, {INDEX} lists {shard.bytes}"
        with opened_file(path) as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()  # pyright: ignore[reportArgumentType] (any binary file)
    except FileNotFoundError:
        return f"{shown} is missing, but {INDEX} lists it"
    except OSError as error:
        return f"{shown} cannot be read: {error}"
    return None if digest == shard.sha256 else f"{shown} was altered: its SHA-256 is not the one in {INDEX}"


def _lost(shard: str) -> list[str]:
    """The clips of a damaged shard that cannot be read any more."""
    try:
        return _clip_by_clip(shard).wrong
    except ConfigError as error:
        return [f"none of its clips can be found: {error}"]


def _clip_by_clip(place: str) -> Checked:
    wrong: list[str] = []
    count = 0
    shards: set[str] = set()
    for one in contents(place).clips:
        count += 1
        shards.add(one.shard)
        try:
            encoded(Place(one.shard, one.row, 0, None))
        except AudioError as error:
            wrong.append(fault(one, error))
    return Checked(len(shards), count, wrong)
