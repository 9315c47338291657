"""Zip archives that two readers could read in two ways, and safetensors files that contradict themselves."""

import io
import json
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from crafted import PLAIN, archive, safetensors, state, text, with_bytes, zip_entries
from safetensors.torch import save, save_file

from earmark.models import CheckpointError
from earmark.models.foreign import read_state_dict

GOOD = archive(state(text("a"), PLAIN), {"data/0": struct.pack("<4f", 1, 2, 3, 4)})


def by_torch() -> bytes:
    buffer = io.BytesIO()
    torch.save({"a": torch.arange(1.0, 5.0)}, buffer)
    return buffer.getvalue()


def number(entry: int, place: int, value: int, form: str = "<H") -> bytes:
    """The good archive with another number in one entry of its directory."""
    return with_bytes(GOOD, zip_entries(GOOD)[entry] + place, struct.pack(form, value))


def renamed(name: str) -> bytes:
    return archive(state(text("a"), PLAIN), {"data/0": bytes(16), name: b""})


def hidden_entry() -> bytes:
    """An entry that is there, but not in the directory."""
    places = zip_entries(GOOD)
    length = places[3] - places[2]
    blob = GOOD[: places[2]] + GOOD[places[3] :]
    end = len(blob) - 22
    count, size = struct.unpack("<2xH", blob[end + 8 : end + 12])[0], len(GOOD) - 22 - places[0]
    return with_bytes(blob, end + 8, struct.pack("<2HI", count - 1, count - 1, size - length))


def moved(gap: bytes) -> bytes:
    """Bytes between the entries and the directory, which all numbers account for."""
    begin = zip_entries(GOOD)[0]
    blob = GOOD[:begin] + gap + GOOD[begin:]
    return with_bytes(blob, len(blob) - 6, struct.pack("<I", begin + len(gap)))


def with_end_64(place: int | None = None, count: int = 4) -> bytes:
    """The good archive with a second end for large archives."""
    begin = zip_entries(GOOD)[0]
    end = len(GOOD) - 22
    record = struct.pack("<4sQ2H2I4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, count, count, end - begin, begin)
    locator = struct.pack("<4sIQI", b"PK\x06\x07", 0, end if place is None else place, 1)
    return GOOD[:end] + record + locator + GOOD[end:]


def extended(entry: int) -> bytes:
    """A directory entry that says in its extra field that the file is elsewhere."""
    place = zip_entries(GOOD)[entry]
    name_length = struct.unpack("<H", GOOD[place + 28 : place + 30])[0]
    extra = struct.pack("<2HQ", 1, 8, 7)
    blob = with_bytes(GOOD, place + 42, struct.pack("<I", 0xFFFFFFFF))
    blob = with_bytes(blob, place + 30, struct.pack("<H", len(extra)))
    blob = blob[: place + 46 + name_length] + extra + blob[place + 46 + name_length :]
    end = len(blob) - 22
    return with_bytes(blob, end + 12, struct.pack("<I", end - zip_entries(GOOD)[0]))


def compressed(method: int) -> bytes:
    return archive(state(text("a"), PLAIN), {"data/0": bytes(10**6)}, method)


TRICKS: dict[str, tuple[Callable[[], bytes], str]] = {
    "a deflated entry": (lambda: compressed(zipfile.ZIP_DEFLATED), "compresses nothing"),
    "an entry by bzip2": (lambda: compressed(zipfile.ZIP_BZIP2), "compresses nothing"),
    "an entry by lzma": (lambda: compressed(zipfile.ZIP_LZMA), "compresses nothing"),
    "an unknown method": (lambda: number(0, 10, 93), "compresses nothing"),
    "an encrypted entry": (lambda: number(0, 8, 1), "an encrypted one"),
    "a way out": (lambda: renamed("../../../tmp/evil"), "odd name"),
    "a way out in another spelling": (lambda: renamed("data/.."), "odd name"),
    "a name from the root": (lambda: archive(state(), prefix="/x/"), "odd name"),
    "a name with a zero": (lambda: number(2, 46, 0, "<B"), "odd name|not where its directory says"),
    "two folders": (lambda: with_bytes(GOOD, zip_entries(GOOD)[3] + 46, b"y"), "one folder|not where"),
    "another name where the file is": (lambda: with_bytes(GOOD, 30, b"X"), "not where its directory says"),
    "another method where the file is": (
        lambda: with_bytes(GOOD, 8, b"\x08"),
        "not where its directory says",
    ),
    "another length of the name": (lambda: with_bytes(GOOD, 26, b"\x09"), "not where|overlap|too short"),
    "another place": (lambda: number(2, 42, 0, "<I"), "overlap|not where"),
    "a longer entry": (lambda: number(2, 20, (17 << 32) + 17, "<Q"), "overlap"),
    "a shorter entry": (lambda: number(2, 20, (1 << 32) + 1, "<Q"), "overlap|behind"),
    "a place in the extra field": (lambda: extended(0), "overlap|not where|too short"),
    "an entry that is not listed": (hidden_entry, "overlap|something between"),
    "bytes between the entries and the directory": (lambda: moved(b"?" * 30), "something behind them"),
    "bytes before": (lambda: b"#!/bin/sh\n" + GOOD, "not a safetensors file"),
    "an archive before": (lambda: GOOD + GOOD, "cut off or damaged"),
    "bytes behind": (lambda: GOOD + b"more", "does not end as one"),
    "a comment": (
        lambda: with_bytes(GOOD, len(GOOD) - 2, b"\x04\x00") + b"more",
        "does not end as one",
    ),
    "a directory elsewhere": (
        lambda: with_bytes(GOOD, len(GOOD) - 6, struct.pack("<I", 7)),
        "directory is not at its end",
    ),
    "fewer entries than there are": (
        lambda: with_bytes(GOOD, len(GOOD) - 14, struct.pack("<2H", 3, 3)),
        "says that it has 3 entries",
    ),
    "a large end elsewhere": (lambda: with_end_64(place=0), "its end is not where it says"),
    "two ends that differ": (lambda: with_end_64(count=3), "its two ends differ"),
    "a large archive of an older maker": (lambda: GOOD[:-22] + GOOD[-4:], "cut off or damaged"),
    "a wrong checksum": (lambda: number(2, 16, 12345, "<I"), "checksum of 'x/data/0'"),
    "a wrong checksum of the pickle": (lambda: number(0, 16, 12345, "<I"), "cut off or damaged"),
    "constants of a program": (lambda: renamed("constants.pkl"), "program for TorchScript"),
    "code of a program": (lambda: renamed("code/__torch__.py"), "program for TorchScript"),
    "an odd order of bytes": (lambda: GOOD.replace(b"little", b"middle"), "checksum|cut off"),
    "an archive inside": (lambda: archive(GOOD), "is refused"),
}


@pytest.mark.parametrize("name", TRICKS)
def test_an_archive_that_can_be_read_in_two_ways_is_refused(name: str, tmp_path: Path) -> None:
    make, words = TRICKS[name]
    path = tmp_path / "x.pt"
    path.write_bytes(make())
    with pytest.raises(CheckpointError, match=words) as caught:
        read_state_dict(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    "make", [lambda: GOOD, by_torch, with_end_64], ids=["by hand", "by torch", "two ends"]
)
def test_an_archive_as_torch_writes_it_is_read(make: Callable[[], bytes], tmp_path: Path) -> None:
    (tmp_path / "x.pt").write_bytes(make())
    assert read_state_dict(tmp_path / "x.pt")["a"].tolist() == [1, 2, 3, 4]


def test_numbers_of_a_machine_with_the_other_order_of_bytes_are_read(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name, content in {
            "data.pkl": state(text("a"), PLAIN),
            "byteorder": b"big",
            "version": b"3\n",
        }.items():
            file.writestr(f"x/{name}", content)
        file.writestr("x/data/0", struct.pack(">4f", 1, 2, 3, 4))
    (tmp_path / "x.pt").write_bytes(buffer.getvalue())
    assert read_state_dict(tmp_path / "x.pt")["a"].tolist() == [1, 2, 3, 4]


def entry(shape: list[Any], start: Any, stop: Any, dtype: Any = "F32") -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, stop]}


DATA = struct.pack("<4f", 1, 2, 3, 4)
CONTRADICTIONS: dict[str, tuple[Any, str]] = {
    "a name twice": (b'{"a":%s,"a":%s}' % ((json.dumps(entry([2], 0, 16)).encode(),) * 2), "stands twice"),
    "metadata twice": (b'{"__metadata__":{},"__metadata__":{}}', "stands twice"),
    "a field twice": (b'{"a":{"dtype":"F32","dtype":"F32"}}', "stands twice"),
    "an overlap": ({"a": entry([3], 0, 12), "b": entry([2], 8, 16)}, "overlap"),
    "the same bytes twice": ({"a": entry([4], 0, 16), "b": entry([4], 0, 16)}, "overlap"),
    "a hole": ({"a": entry([1], 0, 4), "b": entry([2], 8, 16)}, "leave holes"),
    "a hole at the start": ({"a": entry([3], 4, 16)}, "leave holes"),
    "bytes behind": ({"a": entry([3], 0, 12)}, "cut off or damaged"),
    "too few bytes": ({"a": entry([8], 0, 32)}, "cut off or damaged"),
    "an end before its start": ({"a": entry([4], 16, 0)}, "is damaged"),
    "offsets that are no numbers": ({"a": entry([4], "0", "16")}, "is damaged"),
    "offsets with a point": ({"a": entry([4], 0.0, 16.0)}, "is damaged"),
    "three offsets": ({"a": entry([4], 0, 16) | {"data_offsets": [0, 16, 16]}}, "is damaged"),
    "a negative side": ({"a": entry([-4], 0, 16)}, "is damaged"),
    "a side with a point": ({"a": entry([4.0], 0, 16)}, "is damaged"),
    "a side that is true": ({"a": entry([True, 4], 0, 16)}, "is damaged"),
    "a giant side": ({"a": entry([2**70], 0, 16)}, "is damaged"),
    "many axes": ({"a": entry([4] + [1] * 8, 0, 16)}, "is damaged"),
    "a shape of another size": ({"a": entry([5], 0, 16)}, "is damaged"),
    "eight-bit numbers": ({"a": entry([16], 0, 16, "F8_E4M3")}, "of a type other than"),
    "double precision": ({"a": entry([2], 0, 16, "F64")}, "of a type other than"),
    "a type that is a list": ({"a": entry([4], 0, 16, ["F32"])}, "is damaged"),
    "a field more": ({"a": entry([4], 0, 16) | {"device": "cpu"}}, "is damaged"),
    "a field less": ({"a": {"dtype": "F32", "shape": [4]}}, "is damaged"),
    "an entry that is a number": ({"a": 1}, "is damaged"),
    "metadata that are no texts": ({"__metadata__": {"a": 1}, "a": entry([4], 0, 16)}, "no table of texts"),
    "no table": ([1], "no table of names"),
    "no JSON": (b"{'a': 1}", "header is damaged"),
    "no UTF-8": (b'{"\xff": 1}', "header is damaged"),
    "an empty table": ({}, "cut off or damaged"),
    "a long name": ({"a" * 501: entry([4], 0, 16)}, "more than 500 characters"),
}


@pytest.mark.parametrize("name", CONTRADICTIONS)
def test_a_safetensors_file_that_contradicts_itself_is_refused(name: str, tmp_path: Path) -> None:
    header, words = CONTRADICTIONS[name]
    path = tmp_path / "x.pt"
    path.write_bytes(safetensors(header, DATA))
    with pytest.raises(CheckpointError, match=words) as caught:
        read_state_dict(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("value", [float("nan"), float("-inf")])
def test_a_safetensors_file_that_is_not_finite_is_refused(value: float, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(safetensors({"a": entry([2], 0, 8)}, struct.pack("<2f", 1, value)))
    with pytest.raises(CheckpointError, match="NaN or infinite values, first 'a'"):
        read_state_dict(tmp_path / "x")


def test_a_safetensors_file_of_four_types_is_read(tmp_path: Path) -> None:
    tensors = {
        "f32": torch.randn(3, 5),
        "f16": torch.randn(7).half(),
        "bf16": torch.randn(1, 2, 3).bfloat16(),
        "i64": torch.tensor(2**40),
    }
    save_file(
        {f"module.{name}": tensor for name, tensor in tensors.items()}, tmp_path / "x", {"format": "pt"}
    )
    found = read_state_dict(tmp_path / "x")
    assert found.keys() == tensors.keys()
    assert all(torch.equal(found[name], tensors[name]) for name in tensors)
    assert all(found[name].dtype == tensors[name].dtype for name in tensors)


def test_a_flipped_bit_of_a_header_is_noticed_or_changes_nothing_but_a_name(tmp_path: Path) -> None:
    blob = save({"a": torch.arange(4.0), "b": torch.ones(2, 3)})
    header = 8 + int.from_bytes(blob[:8], "little")
    for place in range(header):
        for bit in (0, 1, 5):
            (tmp_path / "x").write_bytes(with_bytes(blob, place, bytes([blob[place] ^ 1 << bit])))
            try:
                found = read_state_dict(tmp_path / "x")
            except CheckpointError:
                continue
            assert sorted(tensor.sum().item() for tensor in found.values()) == [6, 6]
