"""Archives that are whole, in parts, damaged, or made to do harm."""

import shutil
import stat
import struct
import subprocess
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from earmark.fetching import FetchError, unpack, unpacking
from fetching.made_archives import FILES, add, content, split, write_tar, write_zip

PLENTY = 10**6


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_zip_is_unpacked_whole(tmp_path: Path, method: int) -> None:
    folder = unpack([write_zip(tmp_path / "x.zip", method=method)], tmp_path / "out", PLENTY)
    assert content(folder) == FILES


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:xz", "w:bz2"])
def test_a_tar_is_unpacked_whole(tmp_path: Path, mode: str) -> None:
    folder = unpack([write_tar(tmp_path / "x.tgz", mode=mode)], tmp_path / "out", PLENTY)
    assert content(folder) == FILES
    assert {path.name for path in tmp_path.iterdir()} == {"x.tgz", "out"}


@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("size", [400, 3001, 9000])
def test_a_zip_in_parts_is_unpacked_whole(tmp_path: Path, size: int, method: int, wide: bool) -> None:
    parts = split(write_zip(tmp_path / "x.zip", method=method), size, wide)
    assert len(parts) > 1
    assert content(unpack(parts, tmp_path / "out", PLENTY)) == FILES


@pytest.mark.skipif(shutil.which("zip") is None, reason="there is no Info-ZIP here")
def test_parts_as_info_zip_writes_them_are_unpacked_whole(tmp_path: Path) -> None:
    noise = np.random.default_rng(1)
    files = {f"top/{index}.bin": noise.bytes(50_000) for index in range(8)}
    for name, data in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(data)
    subprocess.run(["zip", "-q", "-r", "-s", "64k", "x.zip", "top"], cwd=tmp_path, check=True)
    parts = [*sorted(tmp_path.glob("x.z[0-9]*")), tmp_path / "x.zip"]
    assert len(parts) >= 5
    assert content(unpack(parts, tmp_path / "out", PLENTY)) == files


def test_a_part_that_is_missing_is_noticed(tmp_path: Path) -> None:
    parts = split(write_zip(tmp_path / "x.zip"), 3001)
    with pytest.raises(
        FetchError, match=rf"says that it has {len(parts)} parts, but {len(parts) - 1} are here"
    ):
        unpack(parts[1:], tmp_path / "out", PLENTY)
    with pytest.raises(FetchError, match="is damaged"):
        unpack(parts[:-1], tmp_path / "out", PLENTY)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("place", [0.1, 0.3, 0.5, 0.7, 0.9])
def test_a_flipped_bit_never_passes(tmp_path: Path, place: float) -> None:
    for number, parts in enumerate(
        (
            [write_zip(tmp_path / "a.zip")],
            [write_tar(tmp_path / "b.tgz")],
            split(write_zip(tmp_path / "c.zip"), 3001),
        )
    ):
        sizes = [part.stat().st_size for part in parts]
        at = int(place * sum(sizes))
        index = next(i for i in range(len(sizes)) if at < sum(sizes[: i + 1]))
        data = bytearray(parts[index].read_bytes())
        data[at - sum(sizes[:index])] ^= 4
        parts[index].write_bytes(data)
        out = tmp_path / f"out{number}"
        try:
            unpack(parts, out, PLENTY)
        except FetchError:
            assert not out.exists()
        else:  # the bit stood in a header that says nothing about the files, such as a time
            assert content(out) == FILES


def test_a_file_that_is_no_archive_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "x.zip").write_text("<html>please log in</html>")
    with pytest.raises(FetchError, match=r"x\.zip: is damaged .*; delete it and fetch it again"):
        unpack([tmp_path / "x.zip"], tmp_path / "out", PLENTY)
    assert {path.name for path in tmp_path.iterdir()} == {"x.zip"}


OUTSIDE = ["../x", "/x", "a/../../x", "..", "a\\..\\..\\x", "C:/x", "top/../../x"]


@pytest.mark.parametrize("name", OUTSIDE)
@pytest.mark.parametrize("kind", ["zip", "tar", "parts"])
def test_a_name_that_leads_out_is_refused(tmp_path: Path, name: str, kind: str) -> None:
    files = {"fine": b"1" * 900, name: b"evil" * 100}
    if kind == "tar":
        parts = [write_tar(tmp_path / "x.tar", files)]
    else:
        parts = [write_zip(tmp_path / "x.zip", files, zipfile.ZIP_STORED)]
        parts = split(parts[0], 500) if kind == "parts" else parts
    place = tmp_path / "deep" / "er" / "out"
    with pytest.raises(FetchError, match="a name that leads out of its folder"):
        unpack(parts, place, PLENTY)
    assert list(tmp_path.rglob("x")) == []
    assert not place.exists()


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_in_a_tar_are_refused(tmp_path: Path, kind: bytes) -> None:
    with tarfile.open(tmp_path / "x.tar", "w") as file:
        add(file, "link", type=kind, linkname="/etc")
        add(file, "link/passwd", b"evil")
    with pytest.raises(FetchError, match="'link', which is neither a file nor a folder"):
        unpack([tmp_path / "x.tar"], tmp_path / "out", PLENTY)


def test_links_in_a_zip_are_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as file:
        info = zipfile.ZipInfo("link")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        file.writestr(info, "/etc")
    with pytest.raises(FetchError, match="'link', which is neither"):
        unpack([tmp_path / "x.zip"], tmp_path / "out", PLENTY)


@pytest.mark.parametrize("write", [write_zip, write_tar])
def test_a_bomb_is_refused_before_it_fills_the_disk(tmp_path: Path, write: Callable[..., Path]) -> None:
    path = write(tmp_path / "x", {"top/zeros": bytes(2 * PLENTY)})
    assert path.stat().st_size < 10_000
    with pytest.raises(FetchError, match="unpacks to more than the 1000000 bytes expected"):
        unpack([path], tmp_path / "out", PLENTY)
    assert not (tmp_path / "out").exists()


def test_an_entry_that_lies_about_its_size_is_cut_off_and_refused(tmp_path: Path) -> None:
    parts = split(write_zip(tmp_path / "x.zip", {"a": bytes(2 * PLENTY), "b": b"x"}), 800)
    data = bytearray(b"".join(part.read_bytes() for part in parts))
    place = data.find(b"PK\x01\x02")
    place = data.find(b"PK\x01\x02", place + 1) if data[place + 28] == 4 else place
    data[place + 24 : place + 28] = struct.pack("<L", 1000)
    for index, part in enumerate(parts):
        part.write_bytes(data[index * 800 : (index + 1) * 800])
    with pytest.raises(FetchError, match="'a' is damaged: its checksum or its length is wrong"):
        unpack(parts, tmp_path / "out", PLENTY)


def test_too_many_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpacking, "MAX_MEMBERS", 2)
    for path in (write_zip(tmp_path / "x.zip"), write_tar(tmp_path / "x.tar")):
        with pytest.raises(FetchError, match="holds more than 2 files"):
            unpack([path], tmp_path / "out", PLENTY)


def test_a_file_that_stands_twice_is_refused(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "x.tar", "w") as file:
        add(file, "a", b"1")
        add(file, "./a", b"2")
    with pytest.raises(FetchError, match=r"'\./a' twice|'a' twice"):
        unpack([tmp_path / "x.tar"], tmp_path / "out", PLENTY)
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as zipped:
        zipped.writestr("a", b"1")
        with pytest.warns(UserWarning, match="Duplicate"):
            zipped.writestr("a", b"2")
    with pytest.raises(FetchError, match=r"cannot be unpacked into .* .File exists"):
        unpack([tmp_path / "x.zip"], tmp_path / "out", PLENTY)


def test_an_encrypted_file_is_a_sentence(tmp_path: Path) -> None:
    for number, parts in enumerate(
        ([write_zip(tmp_path / "x.zip")], split(write_zip(tmp_path / "y.zip"), 3001))
    ):
        data = bytearray(b"".join(part.read_bytes() for part in parts))
        place = data.rfind(b"PK\x01\x02")
        data[place + 8] |= 1
        start = 0
        for part in parts:
            size = part.stat().st_size
            part.write_bytes(data[start : start + size])
            start += size
        with pytest.raises(FetchError, match="encrypted"):
            unpack(parts, tmp_path / f"out{number}", PLENTY)


def test_what_a_killed_unpacking_left_is_cleared_away(tmp_path: Path) -> None:
    unfinished = tmp_path / ".out.unpacking"
    unfinished.mkdir()
    (unfinished / "half").write_text("x")
    assert content(unpack([write_zip(tmp_path / "x.zip")], tmp_path / "out", PLENTY)) == FILES
    assert not unfinished.exists()


def test_a_disk_without_room_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=10)
    monkeypatch.setattr(unpacking.shutil, "disk_usage", lambda _: usage)
    with pytest.raises(FetchError, match=r"needs 14000 bytes, but .* has 10 left; make room"):
        unpack([write_zip(tmp_path / "x.zip")], tmp_path / "out", PLENTY)
    assert not (tmp_path / ".out.unpacking").exists()
