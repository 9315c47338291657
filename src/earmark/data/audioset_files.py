"""AudioSet's lists, official and AST's, and where a clip's recording lies among millions."""

import csv
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast

from earmark.config import ConfigError, did_you_mean
from earmark.labels import LabelSet

YTID = 11
"""Characters of a YouTube name."""
SUFFIXES = (
    *(".wav", ".flac", ".mp3", ".ogg", ".oga", ".opus", ".m4a", ".aac"),
    *(".mp4", ".webm", ".mkv", ".wma", ".aif", ".aiff"),
)


class Listed(NamedTuple):
    """A clip that a list names.

    Attributes:
        name: its YouTube name, or the path that a manifest gives.
        labels: display names.
        start: where it begins in its video, in seconds; None where the list does not say.
    """

    name: str
    labels: tuple[str, ...]
    start: float | None = None


def read_segments(table: Path, labels: LabelSet) -> list[Listed]:
    """An official list of segments: `YTID, start, end, "mid,mid"` under three lines of comment.

    Raises:
        ConfigError: the file cannot be read, or a line is not of this form; its number is said.
    """
    names = dict(zip(labels.ids, labels.names, strict=True))
    listed: list[Listed] = []
    try:
        with table.open(encoding="utf-8", newline="") as file:
            for number, row in enumerate(csv.reader(file, skipinitialspace=True), start=1):
                if row and not row[0].startswith("#"):
                    listed.append(_segment(f"{table}, line {number}", row, names))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"{table}: cannot be read as a list of segments ({error})") from None
    if not listed:
        raise ConfigError(f"{table} lists no segments")
    return listed


def _segment(place: str, row: list[str], names: dict[str, str]) -> Listed:
    try:
        start, _ = float(row[1]), float(row[2])
    except (ValueError, IndexError):
        raise ConfigError(
            f"{place}: {', '.join(row)!r:.100} is no segment; it takes a YouTube name, start and end in "
            "seconds, and machine ids"
        ) from None
    mids = ",".join(row[3:]).replace('"', "")
    return Listed(row[0], _display_names(place, mids, names), start)


def read_manifest(manifest: Path, labels: LabelSet) -> list[Listed]:
    """AST's manifest: `{"data": [{"wav": path, "labels": "mid,mid"}, ...]}`.

    Raises:
        ConfigError: the file is not of this form; the entry's number is said.
    """
    names = dict(zip(labels.ids, labels.names, strict=True))
    try:
        tree = json.loads(manifest.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(f"{manifest}: cannot be read as JSON ({error})") from None
    entries = cast(dict[str, Any], tree).get("data") if isinstance(tree, dict) else None
    if not isinstance(entries, list) or not entries:
        raise ConfigError(f'{manifest} is no manifest; it takes {{"data": [{{"wav": ..., "labels": ...}}]}}')
    listed: list[Listed] = []
    for number, entry in enumerate(cast(list[Any], entries), start=1):
        place = f"{manifest}, entry {number}"
        wav, mids = (entry.get("wav"), entry.get("labels")) if isinstance(entry, dict) else (None, None)
        if not isinstance(wav, str) or not isinstance(mids, str) or not wav:
            raise ConfigError(f"{place} needs the texts 'wav' and 'labels'")
        listed.append(Listed(wav, _display_names(place, mids, names)))
    return listed


def _display_names(place: str, mids: str, names: dict[str, str]) -> tuple[str, ...]:
    """Names for machine ids, each once, in AudioSet's order of mention."""
    found = [mid.strip() for mid in mids.split(",") if mid.strip()]
    if not found:
        raise ConfigError(f"{place} has no label; every clip of AudioSet has at least one")
    for mid in found:
        if mid not in names:
            hint = did_you_mean(mid, names, "machine ids look like /m/09x0r")
            raise ConfigError(f"{place}: {mid!r:.60} is none of AudioSet's {len(names)} classes; {hint}")
    return tuple(dict.fromkeys(names[mid] for mid in found))


class Recordings:
    """The recordings under some folders, by the YouTube name in theirs.

    `Y{ytid}.wav` (as most download scripts write), `{ytid}.flac`, `{ytid}_{start}.mp3`, `Y{ytid}_30_40.wav`
    and the like are found, in folders however deep, such as the 41 of the unbalanced part.

    Args:
        folders: where to look.

    Raises:
        ConfigError: a folder cannot be listed.
    """

    def __init__(self, folders: Sequence[Path]) -> None:
        self._by_stem: dict[str, str] = {}
        self._by_ytid: dict[str, list[str]] = {}
        for folder in folders:
            for path in sorted(_files(folder)):
                self._add(path)

    def __len__(self) -> int:
        return len(self._by_stem)

    def of(self, ytid: str, start: float | None) -> str | None:
        """The recording of a segment.

        Args:
            ytid: YouTube name.
            start: where the segment begins in the video, in seconds; chooses among several of one video.

        Returns:
            Its path, or None.
        """
        plain = self._by_stem.get(f"Y{ytid}") or self._by_stem.get(ytid)
        if plain is not None:
            return plain
        several = self._by_ytid.get(ytid, [])
        fitting = [path for path in several if start is not None and start in _starts(path, ytid)]
        return next(iter(fitting or several), None)

    def named(self, path: str) -> str | None:
        """A recording of the same name as one on another machine."""
        return self._by_stem.get(_stem(path.replace("\\", "/")))

    def _add(self, path: str) -> None:
        stem = _stem(path)
        self._by_stem.setdefault(stem, path)
        if stem[YTID : YTID + 1] == "_":
            self._by_ytid.setdefault(stem[:YTID], []).append(path)
        if stem.startswith("Y") and stem[YTID + 1 : YTID + 2] == "_":
            self._by_ytid.setdefault(stem[1 : YTID + 1], []).append(path)


def _stem(path: str) -> str:
    # a Path for each of two million files would be slow
    return os.path.splitext(os.path.basename(path))[0]  # noqa: PTH119, PTH122


def _starts(path: str, ytid: str) -> Iterator[float]:
    """What the first number behind the YouTube name may mean: seconds, or milliseconds."""
    rest = _stem(path).partition(ytid)[2].strip("_").partition("_")[0]
    if rest.replace(".", "", 1).isdecimal():
        yield float(rest)
        yield float(rest) / 1000


def _files(folder: Path) -> Iterator[str]:
    """The paths of all recordings under a folder; those behind links too, each folder once."""
    waiting, visited = [str(folder)], set[tuple[int, int]]()
    while waiting:
        try:
            state = Path(waiting[-1]).stat()
            if (state.st_dev, state.st_ino) in visited:
                waiting.pop()
                continue
            visited.add((state.st_dev, state.st_ino))
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    if entry.is_dir():
                        waiting.append(entry.path)
                    elif entry.name.lower().endswith(SUFFIXES):
                        yield entry.path
        except OSError as error:
            raise ConfigError(f"{error.filename} cannot be listed ({error.strerror})") from None
