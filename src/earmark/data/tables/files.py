"""The files that a table names: where they lie, whether they are there, and how long they are."""

import difflib
import itertools
import os
import re
import stat
from collections import defaultdict
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from earmark.audio import AudioError, displayable, probe
from earmark.data.tables.errors import LISTED, Mistakes
from earmark.storage import exists, is_address

FOLDERS = ("", "audio", "../audio", "wav", "wavs", "clips", "sounds", "recordings", "audio_files", "data")
"""Where the files may lie, seen from the table's folder, if it does not say."""

_LOOKED_AT = 200
_SCANNED_FROM = 64
"""A folder of which so many files are named is listed as a whole, which is faster than a look at each."""
_LISTED_NAMES = 20_000
PROBED = 10_000
"""So many files are opened at most to compare their length with the table."""
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")  # not C:/
TOLERANCE = 0.1
"""Seconds by which an end may lie beyond its file, as tables round."""


def find_audio(folder: Path, files: Sequence[str]) -> str:
    """The first of `FOLDERS` under which most of some of the files are; empty if none are anywhere.

    Args:
        folder: that of the table.
        files: names as they stand in the table.
    """
    step = max(1, len(files) // _LOOKED_AT)
    some = files[::step]

    def found(audio: str) -> int:
        return sum(_reason(path) is None for path in paths_of(folder / audio, some))

    counts = {audio: found(audio) for audio in FOLDERS if (folder / audio).is_dir()}
    return max(counts, key=lambda audio: counts[audio], default="")


def paths_of(root: Path, files: Sequence[str]) -> list[str]:
    """The whole names of files, absolute ones as they are."""
    base = str(root)
    return [os.path.join(base, name) for name in files]  # noqa: PTH118 (a Path each takes ten times as long)


def places_of(root: Path, files: Sequence[str]) -> list[str]:
    """The same where addresses can be read, too: they stay as they are.

    Example:
        >>> places_of(Path("sounds"), ["dog.wav", "s3://bucket/cat.wav"])
        ['sounds/dog.wav', 's3://bucket/cat.wav']
    """
    whole = paths_of(root, files)
    return [name if is_address(name) else path for name, path in zip(files, whole, strict=True)]


def same_files(paths: Sequence[str]) -> dict[int, int]:
    """Files that are named in several ways, such as by a whole name or over `..`: the first one's index.

    Example:
        >>> same_files(["/a/b.wav", "/a/c/../b.wav"])
        {1: 0}
    """
    plain = [os.path.normpath(path) if "/.." in path or "/./" in path else path for path in paths]
    first: dict[str, int] = {}
    same = {index: first.setdefault(path, index) for index, path in enumerate(plain)}
    return (
        {index: known for index, known in same.items() if index != known} if len(first) < len(paths) else {}
    )


def missing_files(paths: Sequence[str]) -> dict[int, str]:
    """Which of some files cannot be read, by index: why, or an empty text where they are just not there."""
    folders: defaultdict[str, list[int]] = defaultdict(list)
    for index, path in enumerate(paths):
        folders[path.rpartition("/")[0]].append(index)
    missing: dict[int, str] = {}
    for folder, indices in folders.items():
        there = _regular(folder) if len(indices) >= _SCANNED_FROM else frozenset[str]()
        for index in indices:
            if paths[index][len(folder) + 1 :] not in there:
                reason = _reason(paths[index])
                if reason is not None:
                    missing[index] = reason
    return missing


def note_missing(
    root: Path, files: Sequence[str], missing: Mapping[int, str], lines: Sequence[int], mistakes: Mistakes
) -> None:
    """Note missing files, the first ones with what was perhaps meant.

    Args:
        root: the folder that names are relative to.
        files: names as they stand in the table.
        missing: as `missing_files` gives it.
        lines: where each file is named first.
        mistakes: where they are noted.
    """
    none_at_all = len(missing) == len(files) and not any(missing.values())
    for count, (index, reason) in enumerate(missing.items()):
        name = displayable(files[index])
        if reason:
            mistakes.add("folder", lines[index], f"{name!r} {reason}; give the name of a file")
            continue
        if _ADDRESS.match(files[index]):
            told = f"{name!r} is an address; fetch the file first, and write the name that it has here"
            mistakes.add("address", lines[index], told)
            continue
        hint = _hint(root, files[index], none_at_all) if count < LISTED else ""
        mistakes.add("missing", lines[index], f"there is no file {name!r} under {displayable(root)}{hint}")


def lengths(paths: Mapping[int, str]) -> dict[int, float]:
    """The length of files in seconds, by the same keys, as far as their headers say it.

    Files that cannot be opened have none: the trainer counts and names them.  Of more than `PROBED` files a
    spread part is looked at.

    Args:
        paths: whole names.
    """
    step = -(-len(paths) // PROBED) or 1
    keys = list(itertools.islice(paths, 0, None, step))
    with ThreadPoolExecutor(4) as pool:
        found = pool.map(_length, (paths[key] for key in keys))
        return {key: length for key, length in zip(keys, found, strict=True) if length is not None}


def _length(path: str) -> float | None:
    try:
        return probe(path).seconds
    except AudioError:
        return None


def _regular(folder: str) -> frozenset[str]:
    """The names of the regular files in a folder."""
    try:
        with os.scandir(folder or "/") as entries:
            return frozenset(entry.name for entry in entries if entry.is_file())
    except OSError:
        return frozenset()


def _reason(path: str) -> str | None:
    """Why a path is no file to be read; empty if it is not there, None if nothing is wrong."""
    if is_address(path):
        return None if exists(path) else ""
    try:
        mode = os.stat(path).st_mode  # noqa: PTH116
    except FileNotFoundError:
        return ""
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        return "" if isinstance(error, NotADirectoryError) else f"cannot be looked at ({why})"
    if stat.S_ISREG(mode):
        return None
    return "is a folder" if stat.S_ISDIR(mode) else "is no regular file"


def _hint(root: Path, name: str, none_at_all: bool) -> str:
    if "://" in name:
        return "; it is an address: fetch the sound and name its file"
    if none_at_all:
        return "; none of the files is: say where they lie by --set corpus.audio=FOLDER"
    whole = root / name
    names = _names(whole.parent)
    if names is None:
        return f"; there is no folder {displayable(whole.parent)}"
    by_stem = [there for there in names if there.rpartition(".")[0] == whole.name]
    by_case = [there for there in names if there.casefold() == whole.name.casefold()]
    near = by_stem or by_case or difflib.get_close_matches(whole.name, names, n=1, cutoff=0.75)
    if not near:
        return ""
    return f"; did you mean {displayable(str(Path(name).with_name(near[0])))!r}?"


def _names(folder: Path) -> list[str] | None:
    try:
        with os.scandir(folder) as entries:
            return [entry.name for entry in itertools.islice(entries, _LISTED_NAMES)]
    except OSError:
        return None
