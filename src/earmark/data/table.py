"""A user's own table of clips: CSV, TSV, JSON lines, JSON or Parquet."""

import logging
import math
from pathlib import Path
from typing import Literal

from pydantic import Field

from earmark.config import ConfigError
from earmark.data.clips import Clip, Split
from earmark.data.holding_out import HeldOut
from earmark.data.tables.columns import Columns
from earmark.data.tables.errors import Mistakes
from earmark.data.tables.survey import Survey, Wanted, survey
from earmark.labels import LabelSet

log = logging.getLogger(__name__)


class Table(HeldOut):
    """Clips that a table lists, one a row: a file, labels, and if it likes where they begin, end and belong.

    Columns are found by their usual names (`columns.NAMES`).  Rows of the same stretch of the same file are
    one clip with the labels of all.  A column of splits decides what is held out; without it, or if `fold` is
    given, a column of folds; without both, clips are dealt into five folds by a hash of their file's name or
    group, about alike for each class (`holding_out.deal`), and the first one is held out: the rows that
    are there keep their fold when others are added.  Where a table names clips to choose by but none to
    test with, they are the test, and nothing is chosen.

    Fields that are None, and the names, are found in the table; `resolved` fills them in, as a recipe needs.

    Attributes:
        columns: which column holds what.
        separator: between labels in a cell; empty if a cell is one label.  Found for columns that are called
            `labels`, `tags` and the like; lists (of JSON, Parquet, or as text) need none.
        audio: folder that the files are relative to, itself relative to the table's.
        exclusive: one label holds for each clip; found to be so if each clip has exactly one.
        allow_unlabelled: clips without a label are clips in which nothing is heard, not mistakes.
        allow_missing: clips whose file is not there are left out, not mistakes.

    Example:
        >>> import tempfile
        >>> from earmark.data.tables.errors import TableError
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     table = Path(folder) / "a.csv"
        ...     _ = table.write_text("file,label\\nmissing.wav,dog\\n")
        ...     try:
        ...         Table().resolved(table)
        ...     except TableError as error:
        ...         len(error.sentences)
        3
    """

    kind: Literal["Table"] = "Table"
    columns: Columns = Columns()
    separator: str | None = Field(default=None, max_length=10)
    audio: str | None = Field(default=None, max_length=4000)
    exclusive: bool | None = None
    allow_unlabelled: bool = False
    allow_missing: bool = False

    @property
    def labels(self) -> LabelSet:
        """The labels.

        Raises:
            ConfigError: they are not known yet.
        """
        if not self.names or self.exclusive is None:
            raise ConfigError("a table's labels are known once it was read; take table.resolved(data)")
        return LabelSet(names=self.names, exclusive=self.exclusive)

    def resolved(self, root: Path) -> "Table":
        """The same with all that the table says filled in: a complete description, as plain data.

        Args:
            root: the table.

        Raises:
            TableError: what is wrong with it, all at once.
        """
        found, _ = self._surveyed(root)
        fold = found.folds[0] if self.fold is None and found.by != "split" else self.fold
        return self.replace(
            columns=found.columns,
            separator=found.separator,
            audio=found.audio,
            names=found.names,
            exclusive=found.exclusive,
            folds=found.folds,
            fold=fold,
        )

    def read(self, root: Path) -> Split:
        """Read the clips.

        Args:
            root: the table.

        Raises:
            TableError: what is wrong with it, all at once.
        """
        found, where = self._surveyed(root)
        for note in found.notes:
            log.warning("%s: %s", where, note)
        fold = found.folds[0] if self.fold is None and found.folds else self.fold
        parts: dict[str, list[Clip]] = {"train": [], "validation": [], "test": []}
        path_of = _paths(found)
        for clip in found.clips:
            side = clip.side
            part = side if isinstance(side, str) else "train" if side is None or side != fold else "test"
            end = None if clip.end == math.inf else clip.end
            path = path_of[clip.file]
            parts[part].append(Clip(path, clip.labels, clip.start, end, clip.unknown, clip.row))
        if parts["validation"] and not parts["test"]:
            log.warning("%s: nothing is there to test with; the clips for validation are the test", where)
            parts["test"], parts["validation"] = parts["validation"], []
        labels = LabelSet(names=found.names, exclusive=found.exclusive)
        return Split(labels, parts["train"], parts["test"], parts["validation"], found.missing)

    def _surveyed(self, root: Path) -> tuple[Survey, str]:
        mistakes = Mistakes(root)
        known = Wanted(
            self.columns,
            self.separator,
            self.audio,
            self.names,
            self.exclusive,
            self.fold,
            self.allow_unlabelled,
            self.allow_missing,
        )
        found = survey(root, known, mistakes)
        mistakes.check()
        return found, mistakes.table


def _paths(found: Survey) -> dict[int, Path]:
    """The files of clips by their index, each once; a Path is made faster from that of its folder."""
    paths: dict[int, Path] = {}
    folders: dict[str, Path] = {}
    for clip in found.clips:
        if clip.file not in paths:
            above, slash, name = found.paths[clip.file].rpartition("/")
            paths[clip.file] = (folders.get(above) or folders.setdefault(above, Path(above + slash))) / name
    return paths
