"""Lists of sounds that lie in one place: tables and packs, to be heard and not learned from."""

import os
from collections.abc import Iterator

from earmark.data.clips import Clip
from earmark.data.packs.contents import clips_of, is_pack
from earmark.data.tables.listing import SUFFIXES, listed_sounds


def is_inventory(path: str) -> bool:
    """Whether a path or an address names a table, by its suffix, or a pack.

    Example:
        >>> is_inventory("clips.csv"), is_inventory("dog.wav")
        (True, False)
    """
    return (path.lower().endswith(SUFFIXES) and not os.path.isdir(path)) or is_pack(path)  # noqa: PTH112


def inventory(path: str) -> Iterator[tuple[str, Clip]]:
    """Its sounds in their order, each with a name.

    Args:
        path: see `is_inventory`.

    Raises:
        ConfigError: it is damaged, or no table of sounds.
        OSError: the address cannot be read.
    """
    yield from clips_of(path) if is_pack(path) else listed_sounds(path)
