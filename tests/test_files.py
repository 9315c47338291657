"""The commit routine: whole or not at all, and nothing replaced that is no file."""

import errno
import os
import stat
from pathlib import Path

import pytest

from earmark.files import commit


def write(path: Path, data: bytes = b"new") -> None:
    with commit(path) as file:
        file.write(data)


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"old")
    with pytest.raises(TypeError), commit(tmp_path / "a") as file:
        file.writelines([b"half", "no bytes"])  # pyright: ignore[reportArgumentType] (the failure that is wanted)
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("a", b"old")]


def test_an_existing_file_keeps_its_permissions_and_a_new_one_has_the_usual(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    (tmp_path / "a").chmod(0o640)
    before = os.umask(0o027)
    try:
        write(tmp_path / "a")
        write(tmp_path / "b")
    finally:
        os.umask(before)
    assert [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in "ab"] == [0o640, 0o640]
    (tmp_path / "a").chmod(0o600)
    write(tmp_path / "a")
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o600


@pytest.mark.parametrize("exists", [True, False])
def test_a_link_leads_to_what_is_written(tmp_path: Path, exists: bool) -> None:
    (tmp_path / "deep").mkdir()
    target = tmp_path / "deep" / "target"
    if exists:
        target.write_bytes(b"old")
    (tmp_path / "link").symlink_to(Path("deep") / "target")
    write(tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert target.read_bytes() == b"new"
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["deep", "link", "target"]


def test_a_pipe_is_not_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="no regular file"):
        write(tmp_path / "pipe")
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)
    assert len(list(tmp_path.iterdir())) == 1


def test_a_name_of_any_length_that_a_file_can_have_is_written(tmp_path: Path) -> None:
    write(tmp_path / ("n" * 255))
    write(tmp_path / ("\u00e9" * 127))
    assert len(list(tmp_path.iterdir())) == 2


def test_a_missing_folder_is_said_under_the_name_that_was_given(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        write(tmp_path / "no" / "a")
    assert caught.value.filename == str(tmp_path / "no" / "a")


def test_a_full_disk_is_told_with_the_file_that_found_no_room(tmp_path):
    with pytest.raises(OSError, match="big") as caught, commit(tmp_path / "big") as file:
        fill(file)
    assert (caught.value.errno, caught.value.filename) == (errno.ENOSPC, str(tmp_path / "big"))
    assert list(tmp_path.iterdir()) == []


def fill(file):
    with open("/dev/full", "wb", buffering=0) as full:  # its error has no name either
        os.dup2(full.fileno(), file.fileno())
    file.write(b"much" * 10000)
