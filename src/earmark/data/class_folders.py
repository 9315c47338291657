"""What lies in folders of classes: the sounds, on their sides, and what is wrong with the folders."""

# ruff: noqa: SIM905
import os
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from earmark.audio import displayable
from earmark.data.holding_out import DEALT, deal
from earmark.data.tables.cells import is_part, parts_of
from earmark.data.tables.errors import Mistakes

ENDINGS = frozenset(
    (
        "3gp aac ac3 aif aifc aiff amr ape au avi caf flac m4a m4b mka mkv mov mp1 mp2 mp3 mp4 mpg mpga oga "
        "ogg ogv opus rf64 snd spx voc w64 wav wave weba webm wma wv"
    ).split()
)
"""Endings of names that are taken for sounds."""

Side = str | int | None

_FOLD = re.compile(r"fold[\s_-]*(\d{1,4})", re.IGNORECASE)
_LISTED = 5


class Sound(NamedTuple):
    """A file.

    Attributes:
        path: where it lies.
        label: its class.
        side: a part such as `train`, or a fold; None where it is always learned from.
    """

    path: Path
    label: str
    side: Side


class ClassFolders(NamedTuple):
    """What was found.

    Attributes:
        names: the classes.
        folds: the numbers of the folds; empty where folders of splits decide.
        sounds: the files.
        notes: sentences that a user should see.
    """

    names: tuple[str, ...]
    folds: tuple[int, ...]
    sounds: list[Sound]
    notes: list[str]


def is_sound(name: str) -> bool:
    """Whether a file's name says that it is a sound.

    Example:
        >>> is_sound("Dog.WAV"), is_sound("notes.txt")
        (True, False)
    """
    return name.rpartition(".")[2].lower() in ENDINGS


def look(root: Path, names: Sequence[str], fold: int | None, mistakes: Mistakes) -> ClassFolders:
    """Walk the folders and check them.

    Args:
        root: the folder above the classes, or above those of splits or folds.
        names: the classes there must be; empty for those that there are.
        fold: the one that shall be held out; None for any.
        mistakes: where all that is wrong is noted; the caller raises.

    Raises:
        TableError: there is no such folder.
    """
    if not root.is_dir():
        mistakes.stop("is no folder; give the one above the folders of the classes")
    others: list[str] = []
    notes: list[str] = []
    sides = _sides(root)
    sounds = [sound for place, side in sides.items() for sound in _of_one_side(place, side, others, mistakes)]
    numbers = {side for side in sides.values() if isinstance(side, int)}
    if set(sides.values()) == {None}:
        sounds, numbers = _dealt(root, sounds, notes), set(range(1, DEALT + 1))
    else:
        _check_learnt(sounds, mistakes)
    found = {sound.label for sound in sounds}
    classes = tuple(names) or tuple(sorted(found, key=lambda name: (name.casefold(), name)))
    _check_names(root, classes, sounds, mistakes)
    if fold is not None and fold not in numbers:
        there = ", ".join(map(str, sorted(numbers))) or "none: the folders are of splits"
        mistakes.add("held", 0, f"no fold {fold} to hold out; there are {there}")
    if others:
        shown = ", ".join(map(repr, others[:_LISTED])) + ", ..." * (len(others) > _LISTED)
        notes.append(f"{len(others)} files are no sounds by their names and were left out: {shown}")
    return ClassFolders(classes, tuple(sorted(numbers)), sounds, notes)


def _sides(root: Path) -> dict[Path, Side]:
    """The folders above the classes with their split or fold; `root` alone where there are none."""
    folders = _inside(root, folders=True)
    folds = {folder: match for folder in folders if (match := _FOLD.fullmatch(folder.name))}
    if len(folders) > 1 and len(folds) == len(folders):
        return {folder: int(match[1]) for folder, match in folds.items()}
    if folders and all(is_part(folder.name) for folder in folders):
        parts = parts_of(folder.name for folder in folders)
        if len(set(parts.values())) > 1:
            return {folder: parts[folder.name] for folder in folders}
    return {root: None}


def _of_one_side(place: Path, side: Side, others: list[str], mistakes: Mistakes) -> Iterator[Sound]:
    """The sounds in the folders of classes under one place."""
    for folder in _inside(place, folders=True):
        count = 0
        for path in _walk(folder, set()):
            if is_sound(path.name):
                count += 1
                yield Sound(path, folder.name, side)
            else:
                others.append(displayable(path.relative_to(place)))
        if not count:
            where = displayable(folder)
            mistakes.add(
                "empty", 0, f"the class {folder.name!r} has no sound in {where}; add some, or remove it"
            )
    loose = [path.name for path in _inside(place, folders=False) if is_sound(path.name)]
    if loose:
        mistakes.add(
            "loose",
            0,
            f"{len(loose)} sounds, such as {displayable(loose[0])!r}, lie directly in {displayable(place)} "
            "and so in no class; put each into the folder of its class",
        )


def _dealt(root: Path, sounds: list[Sound], notes: list[str]) -> list[Sound]:
    """Folds for sounds whose folders name none; the only sound of a class stays with what is learned from."""
    by_name = {sound.path.relative_to(root).as_posix(): sound for sound in sounds}
    folds = deal({name: [sound.label] for name, sound in by_name.items()}, DEALT)
    single = sorted(sound.label for name, sound in by_name.items() if name not in folds)
    if single:
        shown = ", ".join(map(repr, single[:_LISTED])) + ", ..." * (len(single) > _LISTED)
        notes.append(f"{shown}: one sound only, which is learned from and never held out; find more")
    return [sound._replace(side=folds.get(name)) for name, sound in by_name.items()]


def _check_learnt(sounds: Sequence[Sound], mistakes: Mistakes) -> None:
    """Each class must have sounds to learn from, whatever is held out."""
    where: defaultdict[str, set[Side]] = defaultdict(set)
    for sound in sounds:
        where[sound.label].add(sound.side)
    for name, sides in where.items():
        if sides <= {"test", "validation"} or ("train" not in sides and len(sides) == 1):
            there = " and ".join(f"fold {side}" if isinstance(side, int) else str(side) for side in sides)
            mistakes.add(
                "unlearnt",
                0,
                f"the class {name!r} is only in {there}, so there is none to learn from; move some sounds",
            )


def _check_names(root: Path, names: tuple[str, ...], sounds: Sequence[Sound], mistakes: Mistakes) -> None:
    for name in dict.fromkeys(sound.label for sound in sounds):
        if displayable(name) != name:
            shown = displayable(name)
            mistakes.add("bytes", 0, f"the name of the class '{shown}' is no UTF-8 text; rename its folder")
    strangers = Counter(sound.label for sound in sounds if sound.label not in names)
    for name, count in strangers.items():
        mistakes.add("stranger", 0, f"{name!r}, with {count} sounds, is none of the {len(names)} labels")
    if not names and not mistakes.counts:
        mistakes.add("classes", 0, "there are no folders in it; make one for each class, with its sounds")
    elif len(names) == 1 and not mistakes.counts:
        hint = ""
        if any(sound.path.parent.parent.name == names[0] for sound in sounds):
            hint = f"; if the classes are the folders in it, give {displayable(root / names[0])}"
        mistakes.add("classes", 0, f"there is only one class, {names[0]!r}; a model needs at least two{hint}")


def _inside(place: Path, folders: bool) -> list[Path]:
    """The folders, or the files, directly in a folder."""
    return sorted(
        path
        for path in place.iterdir()
        if (path.is_dir() if folders else path.is_file()) and not _is_hidden(path.name)
    )


def _walk(folder: Path, seen: set[tuple[int, int]]) -> Iterator[Path]:
    """The files below a folder in order; each folder once, even if links lead back to it."""
    status = folder.stat()
    if (status.st_dev, status.st_ino) in seen:
        return
    seen.add((status.st_dev, status.st_ino))
    with os.scandir(folder) as entries:
        found = sorted((entry.name, entry.is_dir(), entry.is_file()) for entry in entries)
    for name, is_folder, is_file in found:
        if not _is_hidden(name):
            if is_folder:
                yield from _walk(folder / name, seen)
            elif is_file:
                yield folder / name


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name in ("__MACOSX", "Thumbs.db", "desktop.ini", "__pycache__")
