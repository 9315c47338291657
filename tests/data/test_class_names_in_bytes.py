"""Folders whose names are no UTF-8: a checkpoint could never hold such a label."""

import os
from pathlib import Path

import pytest

from earmark.data import Folder
from earmark.data.tables.errors import TableError


def test_a_class_whose_name_is_no_text_is_told_before_anything_is_computed(tmp_path: Path) -> None:
    for name in (b"d\xff", b"cat"):
        folder = os.path.join(os.fsencode(tmp_path), name)  # noqa: PTH118 (a Path takes no bytes)
        try:
            os.mkdir(folder)  # noqa: PTH102
        except OSError:
            pytest.skip("this file system keeps no such names")
        for number in range(3):
            open(os.path.join(folder, b"%d.wav" % number), "wb").close()  # noqa: PTH118
    with pytest.raises(TableError) as caught:
        Folder().resolved(tmp_path)
    assert caught.value.sentences == (
        f"{tmp_path}: the name of the class 'd\\xff' is no UTF-8 text; rename its folder",
    )
