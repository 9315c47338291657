"""What people point at (files, folders, globs, tables, addresses, `-`) to a stream of items."""

# A Path would tidy names up, but results must call a file exactly what its user did.
# ruff: noqa: PTH112, PTH116, PTH118, PTH122, PTH207, PTH208, SIM905
import glob
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import cached_property
from itertools import islice
from typing import NamedTuple

from earmark.audio import AudioError, Source, displayable
from earmark.audio.sniff import sniff
from earmark.audio.source import opened
from earmark.storage import address, found_below, is_address

EXTENSIONS = frozenset(
    (
        "3g2 3gp 8svx aac ac3 adts afc aif aifc aiff amr ape asf au avi bwf caf dts eac3 flac flv gsm "
        "ircam m2ts m4a m4b m4r m4v mka mkv mov mp1 mp2 mp3 mp4 mpc mpeg mpg mpga mts nist oga ogg ogv "
        "opus paf rf64 snd sph spx svx tta voc w64 wav wave weba webm wma wmv wv "
    ).split()
)
"""Names that say audio or video; such a file in a folder is always answered, if only by an error."""


class Part(NamedTuple):
    """A stretch of a file, or one sound of a pack.

    Attributes:
        path: the file, a path or an address.
        row: the sound's place in a pack; None where the file itself is the sound.
        start: where the stretch begins, in seconds.
        end: where it ends; None for the end of the sound.
    """

    path: str
    row: int | None = None
    start: float = 0.0
    end: float | None = None


class Item(NamedTuple):
    """One thing to be heard.

    Attributes:
        name: how results and errors call it, printable.
        source: where its audio comes from; None where there is nothing to open.
        error: why there is nothing to open.
    """

    name: str
    source: Source | Part | None
    error: str | None = None


def item_of(source: "Source | Item") -> Item:
    """An item for any source that Python callers give.

    Example:
        >>> item_of("sounds/dog.wav").name
        'sounds/dog.wav'
        >>> item_of(b"RIFF").name
        '<bytes>'
    """
    if isinstance(source, Item):
        return source
    if isinstance(source, str | os.PathLike):
        return Item(displayable(source), os.fsdecode(source))
    if isinstance(source, bytes):
        return Item("<bytes>", source)
    if isinstance(source, tuple):
        return Item("<array>", source)
    name = getattr(source, "name", None)
    return Item(displayable(name) if isinstance(name, str) else "<file>", source)


class Search:
    """Walks paths one by one, in order, as long as it is iterated.

    Folders are walked in sorted order, with folders behind symbolic links, each once.  Only the names of one
    folder at a time (and of those above it) are in memory.

    Args:
        paths: files, folders, globs for shells that leave them alone, or `-` for standard input; addresses of
            files and folders (`s3://bucket/sounds`); or one table of sounds, by its suffix, or one pack.  A
            file that is named is taken whatever it is called; in a folder those with a known extension are
            taken, and others whose content says audio, at an address by their extension only.

    Attributes:
        skipped: how many files in folders were passed over so far, as they are no audio.

    Example:
        >>> [item.error for item in Search(["no/such/file.wav"])]
        ['there is no such file or folder']
    """

    def __init__(self, paths: Iterable[str]) -> None:
        self.paths = list(paths)
        self.skipped = 0

    def __iter__(self) -> Iterator[Item]:
        self.skipped = 0
        if self.listing is not None:
            yield from self._listed(self.listing)
            return
        for path in self.paths:
            if path == "-":
                yield _standard_input()
            elif is_address(path):
                yield from self._elsewhere(path)
            elif os.path.lexists(path):
                yield from self._top(path)
            elif glob.has_magic(path):
                yield from self._glob(path)
            else:
                yield _failure(path, "there is no such file or folder")

    @cached_property
    def listing(self) -> str | None:
        """The one table or pack that is named; beside other paths it would be a file like any other."""
        if len(self.paths) != 1:
            return None
        [path] = self.paths
        if path == "-" or _has_known_end(path) or not (os.path.lexists(path) or is_address(path)):
            return None
        from earmark.data.inventory import is_inventory  # late: it takes long to import

        return path if is_inventory(path) else None

    @cached_property
    def single(self) -> bool:
        """Whether the paths name one file at the most: a file, a glob that matches one, or `-`."""
        if len(self.paths) != 1 or self.listing is not None:
            return False
        path = self.paths[0]
        if is_address(path):
            return _has_known_end(path)
        if path != "-" and not os.path.lexists(path) and glob.has_magic(path):
            found = list(islice(glob.iglob(path, recursive=True), 2))
            return len(found) == 1 and not os.path.isdir(found[0])
        return path == "-" or (os.path.lexists(path) and not os.path.isdir(path))

    def _listed(self, listing: str) -> Iterator[Item]:
        from earmark.data.inventory import inventory

        found = False
        try:
            for name, clip in inventory(listing):
                found = True
                part = Part(address(clip.path), clip.row, clip.start, clip.end)
                yield Item(displayable(name), part.path if part == Part(part.path) else part)
        except OSError as error:  # only of an address: what lies here is told by a TableError
            yield _failure(listing, f"cannot be read ({error})")
            return
        if not found:
            yield _failure(listing, "holds no sound")

    def _elsewhere(self, path: str) -> Iterator[Item]:
        if _has_known_end(path):
            yield item_of(path)
            return
        found = 0
        try:
            for name in found_below(path):
                found += 1
                if _has_known_end(name):
                    yield item_of(name)
                else:
                    self.skipped += 1
        except OSError as error:
            yield _failure(path, f"cannot be listed ({error})")
            return
        if found == self.skipped:
            yield _failure(path, "no audio file is below this address")

    def _glob(self, pattern: str) -> Iterator[Item]:
        found = False
        for path in sorted(glob.iglob(pattern, recursive=True, include_hidden=False)):
            found = True
            yield from self._top(path)
        if not found:
            yield _failure(pattern, "no file matches this pattern")

    def _top(self, path: str) -> Iterator[Item]:
        if os.path.isdir(path):
            yield from self._answered(path, set())
        else:
            yield item_of(path)

    def _answered(self, folder: str, visited: set[tuple[int, int]]) -> Iterator[Item]:
        """A folder that somebody asked for by name: silence would be no answer."""
        found = False
        for item in self._folder(folder, visited):
            found = True
            yield item
        if not found:
            yield _failure(folder, "is a folder without any audio file")

    def _folder(self, folder: str, visited: set[tuple[int, int]]) -> Iterator[Item]:
        try:
            state = os.stat(folder)
            if (state.st_dev, state.st_ino) in visited:
                return
            visited.add((state.st_dev, state.st_ino))
            names = sorted(os.listdir(folder))
        except OSError as error:
            yield _failure(folder, f"cannot be listed ({error.strerror})")
            return
        for name in names:
            yield from self._entry(os.path.join(folder, name), visited)

    def _entry(self, path: str, visited: set[tuple[int, int]]) -> Iterator[Item]:
        known = _has_known_end(path)
        if os.path.isdir(path):
            yield from (self._answered if known else self._folder)(path, visited)
        elif known or _sounds(path):
            yield item_of(path)
        else:
            self.skipped += 1


def _has_known_end(path: str) -> bool:
    return os.path.splitext(path)[1][1:].lower() in EXTENSIONS


def _standard_input() -> Item:
    if sys.stdin is None:  # pyright: ignore[reportUnnecessaryComparison] (so Python says that it is closed)
        return Item("-", None, "standard input is closed")
    return Item("-", sys.stdin.buffer)


def _failure(path: str, reason: str) -> Item:
    return Item(displayable(path), None, reason)


def _sounds(path: str) -> bool:
    """Whether a file without a telling name holds audio, be it damaged."""
    with suppress(AudioError), opened(path) as file:
        try:
            sniff(file)
        except AudioError as error:
            return not error.reason.startswith("not audio")
        return True
    return False  # unreadable, empty, or no regular file
