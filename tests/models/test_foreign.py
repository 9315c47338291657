"""Strangers' files: bombs and damage end as one sentence, and good ones are read."""

import os
import re
import struct
from collections import OrderedDict
from pathlib import Path

import pytest
import torch
from crafted import FOUR, ONE, PROTO, STOP, archive, state, tensor, text

from earmark.models import CheckpointError, load
from earmark.models import foreign as room
from earmark.models.foreign import read_state_dict
from earmark.models.pickle_scan import UnsafePickleError, scan


def test_nothing_is_read_while_the_safe_reader_is_switched_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.save({"a": torch.zeros(2)}, tmp_path / "x.pt")
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    with pytest.raises(CheckpointError, match=r"TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD is set.*unset it"):
        read_state_dict(tmp_path / "x.pt")
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "0")
    assert read_state_dict(tmp_path / "x.pt").keys() == {"a"}


def test_the_instructions_of_these_tests_make_a_tensor(tmp_path: Path) -> None:
    path = tmp_path / "x.pt"
    path.write_bytes(archive(state(text("a"), tensor(FOUR, ONE)), {"data/0": struct.pack("<4f", 1, 2, 3, 4)}))
    assert read_state_dict(path)["a"].tolist() == [1, 2, 3, 4]


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("twin", ["data.pkl", "DATA.PKL", "Data/0"])
def test_two_entries_of_one_name_are_refused(twin: str, tmp_path: Path) -> None:
    path = tmp_path / "x.pt"
    path.write_bytes(archive(state(text("a"), tensor(FOUR, ONE)), {"data/0": bytes(16), twin: b"x"}))
    with pytest.raises(CheckpointError, match="two entries of the same name"):
        read_state_dict(path)


def test_overlapping_entries_are_refused(tmp_path: Path) -> None:
    blob = archive(state(), {f"data/{i}": bytes(64) for i in range(3)})
    places = [found.start() for found in re.finditer(b"PK\x01\x02", blob)]
    changed = bytearray(blob)
    for place in places[2:5]:  # sizes of the three storages in the central directory
        changed[place + 20 : place + 28] = struct.pack("<II", 10**9, 10**9)
    path = tmp_path / "x.pt"
    path.write_bytes(changed)
    with pytest.raises(CheckpointError, match="its entries overlap"):
        read_state_dict(path)


def weights(path: Path) -> bytes:
    torch.manual_seed(0)
    torch.save(OrderedDict(a=torch.randn(20), b=torch.zeros(3, dtype=torch.int64)), path)
    return path.read_bytes()


def test_every_cut_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "x.pt"
    blob = weights(path)
    for length in range(0, len(blob), 23):
        path.write_bytes(blob[:length])
        with pytest.raises(CheckpointError):
            read_state_dict(path)


def test_a_flipped_bit_is_noticed_or_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "x.pt"
    blob = weights(path)
    whole = read_state_dict(path)
    noticed = 0
    places = range(0, len(blob), 7)
    for place in places:
        changed = bytearray(blob)
        changed[place] ^= 1 << (place % 8)
        path.write_bytes(changed)
        try:
            found = read_state_dict(path)
        except CheckpointError:
            noticed += 1
        else:
            assert found.keys() == whole.keys()
            assert all(torch.equal(found[name], whole[name]) for name in whole)
    assert noticed > len(places) / 3


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused(value: float, tmp_path: Path) -> None:
    torch.save({"a": torch.zeros(3), "b": torch.tensor([1.0, value])}, tmp_path / "x.pt")
    with pytest.raises(CheckpointError, match="NaN or infinite values in 1 tensors, first 'b'"):
        read_state_dict(tmp_path / "x.pt")


def test_finite_weights_whose_sum_is_not_are_read(tmp_path: Path) -> None:
    torch.save({"a": torch.full((4,), 3e38), "b": torch.full((4,), 6e4).half()}, tmp_path / "x.pt")
    assert read_state_dict(tmp_path / "x.pt").keys() == {"a", "b"}


@pytest.mark.parametrize(
    "value",
    [
        torch.zeros(3, dtype=torch.complex64),
        torch.eye(3).to_sparse(),
        torch.zeros(3, device="meta"),
        torch.zeros(1).expand(10),
        [1, 2],
        "text",
    ],
    ids=["complex", "sparse", "meta", "expanded", "list", "text"],
)
@pytest.mark.filterwarnings("ignore")
def test_values_other_than_dense_tensors_are_refused(value: object, tmp_path: Path) -> None:
    torch.save({"a": value}, tmp_path / "x.pt")
    with pytest.raises(CheckpointError):
        read_state_dict(tmp_path / "x.pt")


def test_the_format_before_torch_1_6_is_refused_with_a_way_out(tmp_path: Path) -> None:
    torch.save({"a": torch.zeros(2)}, tmp_path / "x.pth", _use_new_zipfile_serialization=False)
    with pytest.raises(CheckpointError, match=r"since version 1\.6.*if you trust.*save it again"):
        load(tmp_path / "x.pth")


@pytest.mark.filterwarnings("ignore")
def test_a_script_module_is_refused(tmp_path: Path) -> None:
    torch.jit.script(torch.nn.Linear(2, 2)).save(str(tmp_path / "x.pt"))
    with pytest.raises(CheckpointError):
        read_state_dict(tmp_path / "x.pt")


def test_only_regular_files_are_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.pt")
    (tmp_path / "folder.pt").mkdir()
    for path in (tmp_path / "pipe.pt", tmp_path / "folder.pt", Path("/dev/zero"), tmp_path / "none.pt"):
        with pytest.raises(CheckpointError, match=r"not a regular file|Is a directory|No such file"):
            read_state_dict(path)


def test_a_file_over_the_limit_is_refused_unread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weights(tmp_path / "x.pt")
    monkeypatch.setattr(room, "MAX_FILE_BYTES", 100)
    with pytest.raises(CheckpointError, match="bytes; 100 are allowed"):
        read_state_dict(tmp_path / "x.pt")


UNDERFLOWS = [bytes([code]) + STOP for code in b"0tsRbQa\x85\x86"]


@pytest.mark.parametrize("code", [*UNDERFLOWS, b"", b"\x80", b"h\x05.", b"q\x00."])
def test_a_pickle_that_digs_below_its_stack_is_damaged(code: bytes) -> None:
    with pytest.raises(UnsafePickleError):
        scan(PROTO + code)


def test_tensors_that_share_memory_are_read_apart(tmp_path: Path) -> None:
    whole = torch.arange(12.0).view(3, 4)
    tied = {"a": whole, "b": whole, "c": whole[1:], "d": whole.T, "e": torch.ones(2)}
    torch.save(tied, tmp_path / "a.pt")
    state = read_state_dict(tmp_path / "a.pt")
    assert all(torch.equal(state[name], tensor) for name, tensor in tied.items())
    assert all(tensor.is_contiguous() for tensor in state.values())
    assert all(tensor.untyped_storage().nbytes() == tensor.nbytes for tensor in state.values())
    assert len({tensor.untyped_storage().data_ptr() for tensor in state.values()}) == len(tied)
