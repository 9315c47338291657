"""Writing shards: each whole or not at all, one after the other, so that a pack can be taken up again."""

import errno
import hashlib
import io
import json
import os
import shutil
import tarfile
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, BinaryIO, cast

import soundfile

from earmark.audio import AudioError, displayable, probe
from earmark.data.clips import Clip
from earmark.data.feeding.decoding import Decoding, Place, encoded, joined
from earmark.data.feeding.members import MAX_BYTES, SOUNDS
from earmark.fetching import alone
from earmark.files import commit

FORMAT = "earmark shards 1"
INDEX = "shards.json"
ZEROS = 1024
"""Bytes at the end of a tar file."""


def pack_shards(
    clips: Sequence[Clip],
    folder: Path,
    shard_bytes: int = 1 << 30,
    progress: Callable[[int, int], None] | None = None,
) -> list[Clip]:
    """Pack clips into shards, in their order; a pack that was cut off is taken up where it stopped.

    Files are packed as they are.  A stretch of a longer file is cut out: mono, at the file's rate, 24 bits,
    or as float if it is louder than full scale.

    Args:
        clips: what to pack.
        folder: where to; it is made if it is not there.
        shard_bytes: a shard that has so many bytes or more takes no further clip.
        progress: told the number of clips that are packed, and of all.

    Returns:
        The same clips in the shards.  One that cannot be read is not packed, and stays what it was.

    Raises:
        OSError: the folder cannot be written to, or has too little room; finished shards stay.
    """
    folder.mkdir(parents=True, exist_ok=True)
    packed: list[Clip] = []
    listed: list[dict[str, Any]] = []
    with alone(folder / INDEX):
        _check_room(clips, folder)
        while len(packed) < len(clips):
            path = folder / f"shard-{len(listed):06d}.tar"
            rest = clips[len(packed) :]
            tree = _finished(path, rest) or _write(path, rest, len(packed), shard_bytes)
            packed += _places(path, rest, tree)
            listed.append({"name": path.name} | {name: tree[name] for name in ("bytes", "sha256")})
            if progress is not None:
                progress(len(packed), len(clips))
        with commit(folder / INDEX) as file:
            tree = {"format": FORMAT, "clips": len(packed), "shards": listed}
            file.write(json.dumps(tree, indent=1).encode())
    return packed


def beside(shard: Path) -> Path:
    """The file that lists the clips of a shard; it is written after the shard, which then is finished."""
    return shard.with_suffix(".clips.json")


def _check_room(clips: Sequence[Clip], folder: Path) -> None:
    need = 0
    for path in {clip.path for clip in clips if _whole(clip) and clip.row is None}:
        need += _status(path)[0]
    need -= sum(path.stat().st_size for path in folder.glob("shard-*.tar"))
    free = shutil.disk_usage(folder).free
    if need > free:
        reason = f"the shards take {need} bytes and {free} are free; make room, or give another folder"
        raise OSError(errno.ENOSPC, reason, str(folder))


def _whole(clip: Clip) -> bool:
    return clip.start == 0 and clip.end is None


def _status(path: Path) -> tuple[int, int]:
    try:
        status = path.stat()
    except OSError:
        return 0, 0
    return status.st_size, status.st_mtime_ns


def _digest(clips: Sequence[Clip]) -> str:
    """What decides the content of a shard."""
    found = hashlib.sha256()
    for clip in clips:
        said = (displayable(clip.path), *_status(clip.path), *clip[1:])
        found.update(json.dumps(said).encode())
    return found.hexdigest()


def _finished(path: Path, clips: Sequence[Clip]) -> dict[str, Any] | None:
    """What is known of a shard that was written before, if it was, and of the same clips."""
    try:
        tree = cast(dict[str, Any], json.loads(beside(path).read_bytes()))
        count = int(tree["count"])
        same = count <= len(clips) and tree["made_of"] == _digest(clips[:count])
        return tree if same and path.stat().st_size == tree["bytes"] else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _places(path: Path, clips: Sequence[Clip], tree: dict[str, Any]) -> list[Clip]:
    """The clips of a shard, by their new places."""
    rows = iter(tree["rows"])
    failed = set(tree["failed"])
    found: list[Clip] = []
    for place, clip in enumerate(clips[: tree["count"]]):
        kept = str(place) in failed
        found.append(clip if kept else Clip(path, clip.labels, unknown=clip.unknown, row=next(rows)))
    return found


def _write(path: Path, clips: Sequence[Clip], number: int, shard_bytes: int) -> dict[str, Any]:
    """Write one shard and what lies beside it; `number` is that of its first clip in the corpus."""
    for earlier in (path.parent / INDEX, beside(path)):
        earlier.unlink(missing_ok=True)
    rows: list[int] = []
    failed: dict[str, str] = {}
    count = 0
    with commit(path) as file:
        for count, clip in enumerate(clips, start=1):
            try:
                row = _add(file, f"{number + count - 1:09d}", clip)
                rows.append(row)
            except AudioError as error:
                failed[str(count - 1)] = str(error)
            if file.tell() + ZEROS >= shard_bytes:
                break
        file.write(bytes(ZEROS))
        size = file.tell()
    made = [clip for place, clip in enumerate(clips[:count]) if str(place) not in failed]
    with path.open("rb") as written:
        sha256 = hashlib.file_digest(written, "sha256").hexdigest()
    tree = {
        "bytes": size,
        "sha256": sha256,
        "count": count,
        "made_of": _digest(clips[:count]),
        "rows": rows,
        "labels": [clip.labels for clip in made],
        "unknown": [clip.unknown for clip in made],
        "failed": failed,
    }
    with commit(beside(path)) as file:
        file.write(json.dumps(tree, ensure_ascii=False).encode())
    return tree


def _add(file: BinaryIO, key: str, clip: Clip) -> int:
    """Write the files of a clip, in the order of their names; where they begin."""
    data, kind = _encoded(clip)
    about = {
        "name": displayable(clip.path.name)
        if clip.row is None
        else f"{displayable(clip.path.name)}:{clip.row}",
        "labels": clip.labels,
        "unknown": clip.unknown,
        "crc32": zlib.crc32(data),
    }
    row = file.tell()
    both = {f"{key}.{kind}": data, f"{key}.json": json.dumps(about, ensure_ascii=False).encode()}
    for name in sorted(both):
        entry = tarfile.TarInfo(name)  # of no time and no owner: the same clips are the same bytes
        entry.size = len(both[name])
        file.write(entry.tobuf(tarfile.USTAR_FORMAT))
        file.write(both[name])
        file.write(bytes(-entry.size % 512))
    return row


def _encoded(clip: Clip) -> tuple[bytes, str]:
    """The sound of a clip as the bytes of a file, and how its name ends.

    Raises:
        AudioError: it cannot be read.
    """
    name = displayable(clip.path)
    if not _whole(clip):
        return _cut(clip)
    source = encoded(Place(os.fspath(clip.path), clip.row, 0, None))
    if isinstance(source, bytes):
        return source, _ending(probe(source).container)
    try:
        size = clip.path.stat().st_size
        if not clip.path.is_file() or not 0 < size <= MAX_BYTES:
            raise AudioError(name, f"{size} bytes, or no regular file; files of 1 to {MAX_BYTES} are packed")
        data = clip.path.read_bytes()
    except OSError as error:
        raise AudioError(name, f"cannot be read: {(error.strerror or str(error)).lower()}") from None
    return data, _ending(clip.path.suffix[1:].lower())


def _ending(kind: str) -> str:
    return kind if kind in SOUNDS else "sound"


def _cut(clip: Clip) -> tuple[bytes, str]:
    """A stretch of a file, encoded anew."""
    source = encoded(Place(os.fspath(clip.path), clip.row, 0, None))
    rate = probe(source).sample_rate
    start = round(clip.start * rate)
    length = None if clip.end is None else max(0, round(clip.end * rate) - start)
    place = Place(os.fspath(clip.path), clip.row, start, length)
    samples = joined(Decoding(place, rate, None).blocks())
    if not len(samples):
        raise AudioError(place.name, "the clip begins where the sound has ended")
    loud = abs(samples).max() > 1 or rate > 192000
    out = io.BytesIO()
    kind, subtype = ("WAV", "FLOAT") if loud else ("FLAC", "PCM_24")
    soundfile.write(out, samples, rate, format=kind, subtype=subtype)
    return out.getvalue(), kind.lower()
