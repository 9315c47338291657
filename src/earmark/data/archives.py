"""Where the files of a published corpus lie: in the folder that is given, or in one of the archive's name."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from earmark.config import ConfigError

PACK_FOLDERS = ("", "mp3", "audioset_hdf5s/mp3", "audioset_hdf5s")
"""Where PaSST keeps its packs, under the folder that is given."""


def unpacked(root: Path, names: Iterable[str], sign: str, what: str) -> Path:
    """The folder that an archive was unpacked to.

    Args:
        root: what the user gave.
        names: folders inside it that the archive may bring.
        sign: a file or folder that the right one holds.
        what: what errors call the corpus.

    Raises:
        ConfigError: nothing of the kind is there; the sentence says where was looked.
    """
    if not root.is_dir():
        raise ConfigError(f"{root} is no folder; give the one that {what} was unpacked to")
    places = [root, *(root / name for name in names)]
    for place in places:
        if (place / sign).exists():
            return place
    raise ConfigError(f"no {what} under {root}; looked for {sign} in {', '.join(map(str, places))}")


def find_packs(root: Path, names: Sequence[str]) -> list[Path] | None:
    """PaSST's packs of these names, in their order; None if none of them is there.

    Raises:
        ConfigError: some are there and others are not.
    """
    for folder in PACK_FOLDERS:
        packs = [root / folder / name for name in names]
        missing = [pack for pack in packs if not pack.is_file()]
        if len(missing) < len(packs):
            if missing:
                raise ConfigError(f"{missing[0]} is missing, but others of its kind are there; add it")
            return packs
    return None
