"""Sound without labels: whatever lies in a folder, or a labeled corpus without what it holds out."""

import fnmatch
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from earmark.audio import displayable
from earmark.config import ConfigError, Frozen, did_you_mean
from earmark.data import CORPORA, CorpusConfig
from earmark.data.class_folders import is_sound
from earmark.data.clips import Clip, Split
from earmark.data.packs.contents import clip_of, contents, is_pack
from earmark.labels import LabelSet

log = logging.getLogger(__name__)

Pattern = Annotated[str, Field(min_length=1, max_length=1000)]


class Unlabeled(Frozen):
    """All sounds in a folder and the folders in it, in the order of their paths.

    Sounds are known by the ends of their names; hidden files and folders are passed over.

    Attributes:
        leave_out: files whose path inside the folder is like one of these are left out, such as those that
            are tested with; `*` stands for any letters, also across folders.

    Example:
        >>> Unlabeled(leave_out=("fold5/*", "*/speaker3_*")).leave_out
        ('fold5/*', '*/speaker3_*')
    """

    kind: Literal["Unlabeled"] = "Unlabeled"
    leave_out: tuple[Pattern, ...] = Field(default=(), max_length=1000)

    def read(self, root: Path) -> Split:
        """Find the sounds; nothing is held out.

        Args:
            root: a folder, a single sound, or a pack.

        Raises:
            ConfigError: it is nothing of these.
        """
        if is_pack(root):
            clips = [clip_of(one) for one in contents(root).clips if not self._is_left_out(one.name)]
            return Split(LabelSet(), clips, [])
        if root.is_file():
            if not is_sound(root.name):
                raise ConfigError(
                    f"{displayable(root)} is no sound by its name; give a folder of sounds, or of a table of "
                    "clips say so by --set corpus=table"
                )
            return Split(LabelSet(), [Clip(root, ())], [])
        if not root.is_dir():
            raise ConfigError(
                f"{displayable(root)}: there is no such file or folder; give a folder of sounds"
            )
        found = sorted(_sounds(root), key=lambda path: path.relative_to(root).as_posix())
        kept = [path for path in found if not self._is_left_out(path.relative_to(root).as_posix())]
        if len(kept) < len(found):
            log.warning(
                "%s: %d of %d sounds are left out", displayable(root), len(found) - len(kept), len(found)
            )
        return Split(LabelSet(), [Clip(path, ()) for path in kept], [])

    def _is_left_out(self, path: str) -> bool:
        return any(fnmatch.fnmatchcase(path, pattern) for pattern in self.leave_out)


def _sounds(root: Path) -> Iterator[Path]:
    for folder, inside, names in os.walk(root):
        inside[:] = [name for name in inside if not name.startswith(".")]
        yield from (Path(folder) / name for name in names if is_sound(name) and not name.startswith("."))


def _known(given: Any) -> Any:
    """A corpus by the name that the command line takes."""
    if not isinstance(given, str):
        return given
    if given in CORPORA:
        return CORPORA[given]
    if given in ("unlabeled", "table", "folder"):
        return {"kind": given.capitalize()}
    known = [*CORPORA, "unlabeled", "table", "folder"]
    raise ValueError(f"no corpus {given!r}; " + did_you_mean(given, known, f"there are {', '.join(known)}"))


SoundCorpus = Annotated[
    Annotated[CorpusConfig | Unlabeled, Field(discriminator="kind")],
    BeforeValidator(_known),
]
"""Any corpus; of one with labels only the clips to learn from are used, without their labels."""
