"""What a corpus is: clips with labels, split into what is learned from and what is held out."""

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from earmark.config import ConfigError
from earmark.labels import LabelSet


class Clip(NamedTuple):
    """A labelled recording.

    Attributes:
        path: the file.
        labels: names of what is heard, all of them from the corpus's label set; possibly none.
        start: where the clip begins in the file, in seconds.
        end: where it ends, in seconds; None for the end of the file.
        unknown: names of which nobody knows whether they are heard; they are left out of loss and metrics.
        row: the clip's place in a pack of many; None where the file itself is the sound.
    """

    path: Path
    labels: tuple[str, ...]
    start: float = 0.0
    end: float | None = None
    unknown: tuple[str, ...] = ()
    row: int | None = None


def name_of(file: str, clip: Clip) -> str:
    """What results call a clip of a file.

    Example:
        >>> name_of("a.wav", Clip(Path("a.wav"), (), start=2.0))
        'a.wav#t=2'
    """
    name = file if clip.row is None else f"{file}#row={clip.row}"
    if clip.start == 0 and clip.end is None:
        return name
    mark = "#" if clip.row is None else "&"
    return f"{name}{mark}t={clip.start:.10g}" + ("" if clip.end is None else f",{clip.end:.10g}")


class Split(NamedTuple):
    """A corpus read from disk.

    Attributes:
        labels: the label set.
        train: clips to learn from.
        test: held-out clips; nothing is ever chosen by them.
        validation: clips to choose by, where the corpus names some; neither learned from nor reported.
        missing: names of clips that the corpus lists but that are not here, such as videos that are gone.
    """

    labels: LabelSet
    train: list[Clip]
    test: list[Clip]
    validation: Sequence[Clip] = ()
    missing: Sequence[str] = ()


def read_rows(table: Path, needed: Iterable[str]) -> list[dict[str, str]]:
    """The rows of a CSV file with a header.

    Raises:
        ConfigError: the file is missing, unreadable or no text; or a needed column is missing.
    """
    try:
        with table.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"{table}: cannot be read as a table ({error})") from None
    missing = [name for name in needed if not rows or name not in rows[0]]
    if missing:
        raise ConfigError(
            f"{table} has no column {missing[0]!r}; it needs {', '.join(needed)} and at least one row"
        )
    return rows


def first_existing(root: Path, names: Iterable[str], what: str) -> Path:
    """The first of some relative names that exists under `root`.

    Raises:
        ConfigError: none does; the sentence says where was looked.
    """
    names = list(names)
    for name in names:
        if (root / name).exists():
            return root / name
    raise ConfigError(f"no {what} under {root}; looked for {', '.join(names)}")
