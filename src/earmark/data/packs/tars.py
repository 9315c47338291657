"""Clips in shards: tar files in which a clip's sound and its labels lie side by side, as WebDataset has it.

The files of a clip have the same name up to the first dot: `000000012.ogg` is the sound, `000000012.json`
says what is heard.
"""

import json
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, NamedTuple, cast

from earmark.audio import AudioError
from earmark.config import ConfigError
from earmark.data.packs.rows import Encoded, Row, fields_of
from earmark.storage import opened_file

MAX_BYTES = 1 << 30
"""Of one file in a shard."""
ZEROS = 1024
"""Bytes at the end of a tar file."""
SOUNDS = {
    *("aac", "aif", "aiff", "au", "caf", "flac", "m4a", "mp3", "mp4"),
    *("oga", "ogg", "opus", "sound", "w64", "wav", "webm"),
}
"""How the names of sounds end, in lower case."""


class Member(NamedTuple):
    """A clip in a shard.

    Attributes:
        row: the byte of the shard at which its files begin.
        data: the encoded sound; empty if there is none.
        about: what its JSON file says.
    """

    row: int
    data: bytes
    about: dict[str, Any]


class ShardError(ValueError):
    """A shard that is not whole; the sentence says where it is damaged, without its name."""


def members(file: Any, sounds: bool = True) -> Iterator[Member]:
    """The clips of a shard from where a file stands, in their order.

    Args:
        file: the shard, open at the beginning of a clip; any binary file that can be sought in.
        sounds: read them; else `data` is empty, and the file is only walked over.

    Raises:
        ShardError: it is truncated or altered.
    """
    key, row, data, about, end = None, 0, b"", {}, file.tell()
    try:
        with tarfile.open(fileobj=file, mode="r:") as tar:
            for entry in tar:
                if not entry.isreg():
                    continue
                folder, _, name = entry.name.rpartition("/")
                stem, _, kind = name.partition(".")
                if (folder, stem) != key:
                    if key is not None:
                        yield Member(row, _checked(data, about), about)
                    key, row, data, about = (folder, stem), entry.offset, b"", {}
                if kind.lower() == "json":
                    about = _json(_bytes(file, entry))
                elif sounds and kind.rpartition(".")[2].lower() in SOUNDS:
                    data = _bytes(file, entry)
                end = entry.offset_data + -(-entry.size // 512) * 512
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise ShardError(f"truncated or altered behind byte {end}: {error}") from None
    if file.seek(0, 2) < end:
        raise ShardError(f"truncated: byte {end} should be there, it has {file.tell()}")
    if key is not None:
        yield Member(row, _checked(data, about), about)


def _bytes(file: Any, entry: tarfile.TarInfo) -> bytes:
    if entry.size > MAX_BYTES:
        raise ShardError(f"{entry.name} in it has {entry.size} bytes; up to {MAX_BYTES} are read")
    file.seek(entry.offset_data)  # tarfile's own reader copies in small pieces
    data = file.read(entry.size)
    if len(data) < entry.size:
        raise ShardError(f"truncated: {entry.name} in it is cut")
    return data


def _json(data: bytes) -> dict[str, Any]:
    try:
        tree = json.loads(data)
    except ValueError:
        raise ShardError("altered: what should be JSON is not") from None
    return cast(dict[str, Any], tree) if isinstance(tree, dict) else {}


def _checked(data: bytes, about: dict[str, Any]) -> bytes:
    """The sound, compared with the checksum of it where there is one."""
    if data and about.get("crc32", zlib.crc32(data)) != zlib.crc32(data):
        raise ShardError(f"altered: {about.get('name', 'a sound')} in it is not what was packed")
    return data


def read_member(path: Path, row: int) -> bytes:
    """The encoded sound of one clip.

    Args:
        path: the shard.
        row: the byte at which the clip begins, as `Clip.row` has it.

    Raises:
        AudioError: the shard is missing, truncated or altered, or no clip begins there.
    """
    try:
        with opened_file(path) as file:
            file.seek(row)
            member = next(members(file), None)
    except (OSError, ShardError) as error:
        raise AudioError(f"{path}, row {row}", f"the shard cannot be read: {error}") from None
    if member is None or not member.data:
        raise AudioError(f"{path}, row {row}", "no sound begins there in the shard")
    return member.data


def labels_of(
    member: Member, path: str | Path, needed: bool = True
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The labels of a clip, and those that are unknown.

    Args:
        member: the clip.
        path: the shard.
        needed: they shall be learned from; else none are read where what stands there is none.

    Raises:
        ConfigError: its JSON file says something else under these names.
    """
    about = member.about
    labels = about.get("labels", [about["label"]] if "label" in about else [])
    unknown = about.get("unknown", [])
    if needed and not (_are_names(labels) and _are_names(unknown)):
        raise ConfigError(
            f"{path}, byte {member.row}: its .json says {labels!r:.80} and unknown {unknown!r:.80}; "
            "names in a list under 'labels' and 'unknown' are read"
        )
    return tuple(labels) if _are_names(labels) else (), tuple(unknown) if _are_names(unknown) else ()


def _are_names(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) for name in cast(list[Any], value))


class TarShard:
    """A shard that is being written; the same rows are the same bytes.

    Args:
        file: where to; it is not closed.
        first: the number of the first row in the pack, as members are named by numbers.
        fields: what is kept of each row beside its sound.

    Attributes:
        rows: where each clip begins.
    """

    ENDING = ".tar"

    def __init__(self, file: BinaryIO, first: int, fields: tuple[str, ...]) -> None:
        self.rows: list[int] = []
        self._file, self._number, self._fields = file, first, fields

    def __enter__(self) -> "TarShard":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None
    ) -> None:
        if kind is None:
            self._file.write(bytes(ZEROS))

    def add(self, row: Row, sound: Encoded) -> None:
        """Write the files of a clip, in the order of their names."""
        said = fields_of(row, sound)
        about = {"name": row.name} | {name: said[name] for name in self._fields if said[name] is not None}
        about = {"labels": []} | about | {"seconds": sound.seconds, "crc32": zlib.crc32(sound.data)}
        key = f"{self._number:09d}"
        both = {
            f"{key}.{sound.ending}": sound.data,
            f"{key}.json": json.dumps(about, ensure_ascii=False).encode(),
        }
        self.rows.append(self._file.tell())
        self._number += 1
        for name in sorted(both):
            entry = tarfile.TarInfo(name)  # of no time and no owner
            entry.size = len(both[name])
            self._file.write(entry.tobuf(tarfile.USTAR_FORMAT))
            self._file.write(both[name])
            self._file.write(bytes(-entry.size % 512))
