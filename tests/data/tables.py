"""What the tests of tables share: twenty sounds, and what a run sees of a table about them."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from earmark.data import Split, Table
from earmark.data.tables.errors import TableError


@pytest.fixture
def sounds(tmp_path: Path) -> Path:
    """A folder with twenty sounds of two seconds, `0.wav` to `19.wav`."""
    for number in range(20):
        soundfile.write(tmp_path / f"{number}.wav", np.full(4000, 0.1, np.float32), 2000)
    return tmp_path


def write(folder: Path, *lines: str, name: str = "my.csv") -> Path:
    table = folder / name
    table.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return table


def read(table: Path, config: Table | None = None) -> Split:
    """What a run sees: the resolved description, through JSON, reads the table."""
    resolved = (config or Table()).resolved(table)
    return Table.from_json(resolved.to_json()).read(table)


def labels_of(split: Split) -> dict[str, tuple[str, ...]]:
    return {clip.path.name: clip.labels for part in (split.train, split.test) for clip in part}


def mistakes_in(table: Path, config: Table | None = None) -> list[str]:
    """The sentences without the line that counts them and without the name of the table."""
    with pytest.raises(TableError) as caught:
        (config or Table()).resolved(table)
    sentences = [one for one in caught.value.sentences if not one.endswith(":")]
    assert all(one.startswith(str(table)) for one in sentences)
    return [one.removeprefix(str(table)).lstrip(":, ") for one in sentences]
