"""A table as a plain list of sounds, whatever else it says of them."""

import math
from collections.abc import Iterator
from pathlib import Path

from earmark.data.clips import Clip, name_of
from earmark.data.tables.columns import OR_BY_SET, Columns
from earmark.data.tables.entries import read_entries
from earmark.data.tables.errors import Mistakes, TableError
from earmark.data.tables.files import find_audio, places_of
from earmark.storage import is_address, local_copy

SUFFIXES = (".csv", ".tsv", ".jsonl", ".json", ".parquet")
SOUNDS_ALONE = Columns(label="", unknown="", split="", fold="", group="")


def listed_sounds(table: str) -> Iterator[tuple[str, Clip]]:
    """The sounds of a table, in the order of its rows, each with a name.

    A sound's name is the one that the table writes; a stretch of one is `dog.wav#t=1.5,3`, in seconds, as a
    media fragment is written.  Labels, splits and folds are passed over.  Whether a file is there is seen
    when it is opened.

    Args:
        table: CSV, TSV, JSON lines, JSON or Parquet with a column of files, and perhaps of their starts, ends
            and rows in a pack; a path, or an address.  Files are looked for beside the table, and in the
            folders where training looks (`files.FOLDERS`).

    Raises:
        TableError: it is no table of sounds, or some rows cannot be read.
        OSError: the address cannot be read.

    Example:
        >>> import tempfile
        >>> table = Path(tempfile.mkdtemp()) / "clips.csv"
        >>> _ = table.write_text("file,start,end\\ndog.wav,1.5,3\\ncat.wav,,\\n")
        >>> [name for name, _ in listed_sounds(str(table))]
        ['dog.wav#t=1.5,3', 'cat.wav']
    """
    with local_copy(table) as path:
        mistakes = Mistakes(Path(table))
        try:
            entries = read_entries(path, SOUNDS_ALONE, mistakes, needed=("path",))
            mistakes.check()
        except TableError as error:  # who listens has no --set for columns
            raise TableError(sentence.partition(OR_BY_SET)[0] for sentence in error.sentences) from None
    if is_address(table):
        folder = table.rpartition("/")[0]
        paths = [name if is_address(name) else f"{folder}/{name}" for name in entries.files]
    else:
        root = Path(table).parent
        here = [name for name in entries.files if not is_address(name)]
        paths = places_of(root / find_audio(root, here), entries.files)
    for entry in entries.rows:
        end = None if entry.end == math.inf else entry.end
        clip = Clip(Path(paths[entry.file]), (), start=entry.start, end=end, row=entry.row)
        yield name_of(entries.files[entry.file], clip), clip
