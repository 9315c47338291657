"""The index of a pack, written last: which shards there are, how large, and what could not be packed."""

import json
from pathlib import PurePosixPath
from typing import Any, Literal, cast

from pydantic import Field

from earmark.audio import displayable
from earmark.config import ConfigError, Frozen
from earmark.data.packs.rows import Packing
from earmark.storage import address, exists, file_size, inside, listed, read_bytes

INDEX = "pack.json"
PACKED = (".parquet", ".tar", ".hdf", ".hdf5", ".h5")
"""Files of many sounds, in which a row is one."""


class Shard(Frozen):
    """A file of a pack.

    Attributes:
        name: without its folder; it begins with no dot, so that `..` is none.
        bytes: its size.
        sha256: of its content.
        clips: how many are in it.
    """

    name: str = Field(min_length=1, max_length=255, pattern=r"^[^./\\][^/\\]*$")
    bytes: int = Field(ge=0)
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    clips: int = Field(ge=0)


class Unreadable(Frozen):
    """A clip that is not in the pack.

    Attributes:
        name: of the clip.
        reason: why it could not be read, with the file.
    """

    name: str
    reason: str


class Index(Frozen):
    """What a pack is.

    Attributes:
        format: of this file.
        source: what was packed, as it was named.
        packing: how.
        fields: what is kept of each clip beside its sound.
        clips: how many are in the pack.
        loud: how many of them are kept as 32-bit float, as they are louder than full scale.
        shards: its files, in order.
        unreadable: clips that could not be read, and are not in the pack.
    """

    format: Literal["earmark pack 1"] = "earmark pack 1"
    source: str = ""
    packing: Packing = Packing()
    fields: tuple[str, ...] = ()
    clips: int = Field(default=0, ge=0)
    loud: int = Field(default=0, ge=0)
    shards: tuple[Shard, ...] = ()
    unreadable: tuple[Unreadable, ...] = ()


def beside(name: str) -> str:
    """The file that says what is in a shard and of what it was made.

    It is there, and empty of that, before the shard is; and full after it, which then is finished.  A shard
    without one is not ours.  Its name begins with a dot, so that nothing takes it for data.

    Example:
        >>> beside("data-00000-of-00002.tar")
        '.data-00000-of-00002.tar.json'
    """
    return f".{name}.json"


def read_index(folder: str) -> Index | None:
    """The index of a pack; None where there is none.

    Raises:
        ConfigError: it is damaged.
    """
    place = inside(folder, INDEX)
    try:
        if not exists(place):
            return None
        return Index.from_dict(json.loads(read_bytes(place)))
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"{displayable(place)} is no index of a pack that this version reads ({error}); pack again"
        ) from None


def read_beside(folder: str, name: str) -> dict[str, Any] | None:
    """What lies beside a shard; None where nothing is, or nothing whole."""
    try:
        tree = json.loads(read_bytes(inside(folder, beside(name))))
    except (OSError, ValueError):
        return None
    return cast(dict[str, Any], tree) if isinstance(tree, dict) else None


def shards_of(place: str, index: Index | None) -> list[str]:
    """The files of a pack, in order.

    Args:
        place: a folder, or a single file of sounds; a path or an address.
        index: that of the folder, if it has one.

    Raises:
        ConfigError: one is missing, truncated or altered by its size; the pack is not finished; or there is
            none.
    """
    if index is not None:
        return [_checked(place, shard) for shard in index.shards]
    if place.lower().endswith(PACKED):
        return [address(place)]
    try:
        found = [entry.path for entry in listed(place) if entry.path.lower().endswith(PACKED[:2])]
    except OSError as error:
        raise ConfigError(f"{displayable(place)} cannot be listed: {error}") from None
    if not found:
        raise ConfigError(f"{displayable(place)} holds no shards, .parquet or .tar; give a pack")
    if any(exists(inside(place, beside(PurePosixPath(path).name))) for path in found):
        raise ConfigError(
            f"packing into {displayable(place)} was not finished; the same `earmark pack` goes on with it"
        )
    return found


def _checked(folder: str, shard: Shard) -> str:
    path = inside(folder, shard.name)
    try:
        size = file_size(path)
    except OSError:
        raise ConfigError(
            f"{displayable(path)} is missing, but {INDEX} lists it; copy it there, or pack again"
        ) from None
    if size != shard.bytes:
        word = "truncated" if size < shard.bytes else "altered"
        raise ConfigError(
            f"{displayable(path)} is {word}: it has {size} bytes, {INDEX} lists {shard.bytes}; pack again"
        )
    return path
