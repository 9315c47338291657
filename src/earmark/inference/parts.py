"""A folder of parts: what many processes wrote block by block, read as the one file that it stands for."""

import json
import os
from typing import NamedTuple

from earmark.audio import displayable
from earmark.config import ConfigError
from earmark.inference.parquet import opened_parquet
from earmark.storage import address, committed, exists, inside, is_folder, listed, read_bytes

INDEX = "index.json"
"""What stands last in the folder: it names all parts, in order."""


class PartFile(NamedTuple):
    """One file of the folder.

    Attributes:
        name: of the file.
        rows: how many it has.
        failed: how many of them say why a source could not be heard.
    """

    name: str
    rows: int
    failed: int


def part_name(number: int) -> str:
    """What the part of a block is called.

    Example:
        >>> part_name(17)
        'part-000017.parquet'
    """
    return f"part-{number:06d}.parquet"


def names_of_parts(folder: str | os.PathLike[str]) -> set[str]:
    """The parts that are there already; none where there is no folder, which elsewhere is an empty one.

    Raises:
        OSError: the folder cannot be listed.
    """
    try:
        found = [entry.path.rpartition("/")[2] for entry in listed(folder, ".parquet")]
    except FileNotFoundError:
        return set()
    return {name for name in found if name.startswith("part-")}


def measured(folder: str | os.PathLike[str], name: str) -> PartFile:
    """What is in a part, by what it says at its end; its rows are not read.

    Raises:
        ConfigError: it is no part.
    """
    with opened_parquet(inside(folder, name)) as file:
        column = file.schema_arrow.names.index("error")
        groups = [file.metadata.row_group(index) for index in range(file.metadata.num_row_groups)]
        heard = sum(group.column(column).statistics.null_count for group in groups)
        return PartFile(name, file.metadata.num_rows, file.metadata.num_rows - heard)


def write_index(folder: str | os.PathLike[str], parts: list[PartFile]) -> None:
    """Say that all parts are there.

    Raises:
        OSError: it cannot be written.
    """
    told = {"rows": sum(part.rows for part in parts), "failed": sum(part.failed for part in parts)}
    text = json.dumps({**told, "parts": [part._asdict() for part in parts]}, indent=1)
    with committed(inside(folder, INDEX)) as file:
        file.write(text.encode())


def parts_of(path: str | os.PathLike[str]) -> list[str]:
    """The files that stand behind a path: those of a folder in their order; a file is its own only part.

    Raises:
        ConfigError: a folder that is not finished, or is no such folder.
        OSError: it cannot be looked at.

    Example:
        >>> parts_of("vectors.parquet")
        ['vectors.parquet']
    """
    if not is_folder(path):
        return [address(path)]
    if not exists(inside(path, INDEX)):
        raise ConfigError(
            f"{displayable(path)}: is a folder without {INDEX}, which is written when all parts are done; "
            "the command that began it finishes it with --resume"
        )
    try:
        parts = [str(part["name"]) for part in json.loads(read_bytes(inside(path, INDEX)))["parts"]]
    except (ValueError, LookupError, TypeError) as error:
        raise ConfigError(f"{displayable(path)}: its {INDEX} is damaged ({error})") from None
    return [inside(path, name) for name in parts]
