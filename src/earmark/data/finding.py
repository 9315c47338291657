"""What a user points at: a table, a folder of classes, or the archive of a known corpus."""

import itertools
import os
from pathlib import Path

from earmark.audio import displayable
from earmark.config import ConfigError, did_you_mean
from earmark.data import CORPORA, CorpusConfig
from earmark.data.class_folders import is_sound
from earmark.data.folder import Folder
from earmark.data.packs.contents import is_pack
from earmark.data.table import Table
from earmark.data.tables.columns import Columns, find_columns
from earmark.data.tables.errors import Mistakes, TableError
from earmark.data.tables.sheets import open_sheet
from earmark.storage import address, exists, is_address

TABLES = (".csv", ".tsv", ".txt", ".jsonl", ".ndjson", ".json", ".parquet", ".pq")
"""Endings of files in a folder that may be its table; a file that is named itself may be called anything."""


def find_corpus(data: Path, corpus: str | None = None) -> tuple[CorpusConfig, Path]:
    """Decide how to read what a user points at.

    A file is a table, or a pack; a folder of shards is a pack as well, and read like a table.  Another
    folder is read by the one table that lies in it and has the columns of one; else as classes, a folder
    each.  Known corpora are taken only if they are named.

    Args:
        data: a file or a folder.
        corpus: a name of `CORPORA`, or `table` or `folder`; None to decide.

    Returns:
        The corpus, and what its `read` and `resolved` take.  A `Table` or `Folder` has no labels before
        `resolved`; changes of the user's, such as of its columns, come before that.

    Raises:
        ConfigError: there is nothing, or nothing that can be told for certain.
        OSError: an address cannot be read, or what reads it is not installed.
    """
    if corpus in CORPORA:
        return CORPORA[corpus], data
    if corpus not in (None, "table", "folder"):
        known = [*CORPORA, "table", "folder"]
        raise ConfigError(
            f"no corpus {corpus!r}; " + did_you_mean(corpus, known, f"there are {', '.join(known)}")
        )
    if corpus != "folder" and is_pack(data):
        return Table(), data
    if is_address(data):
        there = exists(data)  # or why it cannot be asked
        what = "is no pack, and only packs are read at addresses; fetch it" if there else "there is nothing"
        raise ConfigError(f"{address(data)}: {what}")
    if not data.exists():
        raise ConfigError(f"{displayable(data)}: there is no such file or folder")
    if data.is_dir():
        return (Folder(), data) if corpus == "folder" else _of_folder(data, corpus)
    if corpus == "folder":
        raise ConfigError(f"{displayable(data)} is no folder; give the one above the folders of the classes")
    return Table(), data


def _of_folder(folder: Path, corpus: str | None) -> tuple[CorpusConfig, Path]:
    """A table in the folder, or the folder itself."""
    tables = [path for path in sorted(folder.iterdir()) if path.suffix.lower() in TABLES and path.is_file()]
    fitting = [path for path in tables if _is_table(path)]
    if len(fitting) > 1:
        names = ", ".join(displayable(path.name) for path in fitting[:5])
        raise ConfigError(
            f"{displayable(folder)} holds several tables ({names}); give one of them as the data"
        )
    if fitting and (corpus == "table" or not _has_classes(folder)):
        return Table(), fitting[0]
    if fitting:
        raise ConfigError(
            f"{displayable(folder)} holds a table, {displayable(fitting[0].name)}, and folders of sounds; "
            "give the table as the data, or --corpus folder"
        )
    if corpus == "table":
        raise ConfigError(f"{displayable(folder)} holds no table with a column of files and one of labels")
    return Folder(), folder


def _is_table(path: Path) -> bool:
    mistakes = Mistakes(path)
    try:
        find_columns(open_sheet(path, mistakes).header, Columns(), mistakes)
    except TableError:
        return False
    return not mistakes.counts


def _has_classes(folder: Path) -> bool:
    """Whether sounds lie in at least two of the folders in a folder."""
    inner = (path for path in sorted(folder.iterdir()) if path.is_dir() and not path.name.startswith("."))
    return len(list(itertools.islice(filter(_has_sounds, inner), 2))) == 2


def _has_sounds(folder: Path) -> bool:
    return any(is_sound(name) for _, _, names in os.walk(folder) for name in names)
