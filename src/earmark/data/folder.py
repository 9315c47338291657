"""A folder for each class."""

import logging
from pathlib import Path
from typing import Literal

from earmark.audio import displayable
from earmark.config import ConfigError
from earmark.data.class_folders import ClassFolders, look
from earmark.data.clips import Clip, Split
from earmark.data.holding_out import HeldOut
from earmark.data.tables.errors import Mistakes
from earmark.labels import LabelSet

log = logging.getLogger(__name__)


class Folder(HeldOut):
    """Clips in a folder for each class, named like it; folders inside it belong to the class.

    Above the classes there may be folders of splits (`train`, `test`, `validation` or like words, all of
    them such) or of folds (`fold1`, `fold2`); otherwise clips are dealt into five folds by a hash of their
    name, about alike for each class, as for a `Table`, and the first one is held out.  Hidden files are
    passed over; files whose names do not end like sounds are told of and left out.

    Example:
        >>> Folder(names=("cat", "dog")).labels.exclusive
        True
    """

    kind: Literal["Folder"] = "Folder"

    @property
    def labels(self) -> LabelSet:
        """The classes; one holds for each clip.

        Raises:
            ConfigError: they are not known yet.
        """
        if not self.names:
            raise ConfigError("a folder's classes are known once it was read; take folder.resolved(data)")
        return LabelSet(names=self.names, exclusive=True)

    def resolved(self, root: Path) -> "Folder":
        """The same with the classes and the folds filled in: a complete description.

        Args:
            root: the folder above the classes, or above those of splits or folds.

        Raises:
            TableError: it is no such folder; all that is wrong, at once.
        """
        found = self._looked(root)
        fold = found.folds[0] if self.fold is None and found.folds else self.fold
        return self.replace(names=found.names, folds=found.folds, fold=fold)

    def read(self, root: Path) -> Split:
        """Read the clips.

        Args:
            root: the folder above the classes, or above those of splits or folds.

        Raises:
            TableError: it is no such folder; all that is wrong, at once.
        """
        found = self._looked(root)
        for note in found.notes:
            log.warning("%s: %s", displayable(root), note)
        fold = found.folds[0] if self.fold is None and found.folds else self.fold
        parts: dict[str, list[Clip]] = {"train": [], "validation": [], "test": []}
        for sound in found.sounds:
            side = sound.side if isinstance(sound.side, str) else "test" if sound.side == fold else "train"
            parts[side].append(Clip(sound.path, (sound.label,)))
        if parts["validation"] and not parts["test"]:
            log.warning("%s: there is no folder to test with; validation is the test", displayable(root))
            parts["test"], parts["validation"] = parts["validation"], []
        labels = LabelSet(names=found.names, exclusive=True)
        return Split(labels, parts["train"], parts["test"], parts["validation"])

    def _looked(self, root: Path) -> ClassFolders:
        mistakes = Mistakes(root)
        found = look(root, self.names, self.fold, mistakes)
        mistakes.check()
        return found
