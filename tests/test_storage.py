"""Files elsewhere are read and written by the same names as those of this machine."""

from pathlib import Path

import pytest

from earmark.storage import (
    address,
    committed,
    exists,
    file_size,
    is_address,
    is_folder,
    listed,
    opened_file,
    read_bytes,
)


@pytest.fixture(params=["path", "file", "memory"])
def folder(request, tmp_path) -> str:
    return {
        "path": str(tmp_path / "here"),
        "file": f"file://{tmp_path}/there",
        "memory": f"memory://{tmp_path.name}",
    }[request.param]


def test_what_is_written_is_read_back_whole_and_from_any_offset(folder):
    if not is_address(folder):
        Path(folder).mkdir()
    for name, data in (("b.wav", b"0123456789"), ("a.wav", b"x"), ("c.txt", b"")):
        with committed(f"{folder}/{name}") as file:
            file.write(data)
    assert read_bytes(f"{folder}/b.wav") == b"0123456789"
    with opened_file(f"{folder}/b.wav") as file:
        file.seek(7)
        assert file.read(2) == b"78"
    assert file_size(f"{folder}/b.wav") == 10
    assert [(Path(path).name, size) for path, size in listed(folder, ".wav")] == [("a.wav", 1), ("b.wav", 10)]
    assert all(read_bytes(path) for path, _ in listed(folder, ".wav"))
    assert exists(f"{folder}/c.txt")
    assert not exists(f"{folder}/d.txt")
    assert is_folder(folder)
    assert not is_folder(f"{folder}/c.txt")


def test_a_file_of_which_writing_failed_is_not_there(folder):
    if not is_address(folder):
        Path(folder).mkdir()
    with committed(f"{folder}/kept") as file:
        file.write(b"before")
    for name in ("new", "kept"):
        with pytest.raises(KeyError), committed(f"{folder}/{name}") as file:  # noqa: PT012
            file.write(b"half")
            raise KeyError(name)
    assert not exists(f"{folder}/new")
    assert read_bytes(f"{folder}/kept") == b"before"


def test_what_is_not_there_is_named_as_its_user_did(folder):
    with pytest.raises(FileNotFoundError) as raised:
        read_bytes(f"{folder}/nothing.wav")
    assert "nothing.wav" in str(raised.value)


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("s3://bucket/a b.wav", "s3://bucket/a b.wav"),
        (Path("s3://bucket/a.wav"), "s3://bucket/a.wav"),
        (Path("GS://bucket"), "gs://bucket"),
        (Path("file:///tmp/a.wav"), "file:///tmp/a.wav"),
        ("/tmp/a.wav", "/tmp/a.wav"),
        ("sounds/12:30:00.wav", "sounds/12:30:00.wav"),
    ],
)
def test_a_path_that_tidied_an_address_means_the_address(given, meant):
    assert address(given) == meant
    assert is_address(given) == ("://" in meant)


@pytest.mark.parametrize("wrong", ["nowhere://bucket/a.wav", "s3://bucket/a.wav"])
def test_an_address_that_nothing_here_can_read_says_so(wrong):
    with pytest.raises(OSError, match=r"nowhere|s3") as raised:
        read_bytes(wrong)
    assert wrong in str(raised.value)
