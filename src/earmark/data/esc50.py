"""ESC-50 and ESC-10: environmental sounds in five official folds."""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from pydantic import Field

from earmark.config import ConfigError, Frozen
from earmark.data.clips import Clip, Split, first_existing, read_rows
from earmark.labels import ESC50 as NAMES
from earmark.labels import LabelSet

ESC10_TARGETS = (0, 1, 10, 11, 12, 20, 21, 38, 40, 41)


class ESC50(Frozen):
    """ESC-50, or its subset ESC-10, from the official archive or a flat copy of it.

    Attributes:
        fold: the official fold that is held out, 1 to 5.
        esc10: only the ten classes of ESC-10.

    Source:
        Piczak, ESC: Dataset for Environmental Sound Classification, ACM Multimedia 2015.
    """

    kind: Literal["ESC50"] = "ESC50"
    fold: int = Field(default=1, ge=1, le=5)
    esc10: bool = False

    @property
    def n_folds(self) -> int:
        """How many official folds there are."""
        return 5

    @property
    def labels(self) -> LabelSet:
        """AudioSet's names in the order of ESC-50's targets; one holds for each clip."""
        names = tuple(NAMES.values())
        return LabelSet(names=tuple(names[t] for t in ESC10_TARGETS) if self.esc10 else names, exclusive=True)

    def read(self, root: Path) -> Split:
        """Read the folds under `root`.

        Args:
            root: a folder with `audio/` and `meta/esc50.csv`, `esc50.csv` or `metadata.csv`.

        Raises:
            ConfigError: the folder or its table is not of this form.
        """
        train: list[Clip] = []
        test: list[Clip] = []
        for clip, fold, target in read_clips(root):
            if not self.esc10 or target in ESC10_TARGETS:
                (test if fold == self.fold else train).append(clip)
        return Split(self.labels, train, test)


def read_clips(root: Path) -> Iterator[tuple[Clip, int, int]]:
    """Each clip of ESC-50 or ESC-10 under `root` with its official fold and target."""
    table = first_existing(root, ("meta/esc50.csv", "esc50.csv", "metadata.csv"), "table of ESC-50 or ESC-10")
    audio = first_existing(root, ("audio",), "folder of clips")
    target_column = "esc50_target" if table.name == "metadata.csv" else "target"
    names = tuple(NAMES.values())
    for row in read_rows(table, ("filename", "fold", target_column)):
        try:
            target, fold = int(row[target_column]), int(row["fold"])
            clip = Clip(audio / row["filename"], (names[target],))
        except (ValueError, IndexError):
            raise ConfigError(
                f"{table}: fold {row['fold']!r} or target {row[target_column]!r} of {row['filename']} is "
                "wrong; they must be whole numbers, the target below 50"
            ) from None
        yield clip, fold, target
