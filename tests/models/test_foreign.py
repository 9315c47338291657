"""Strangers' files: exploits, bombs and damage end as one sentence, and nothing in them runs."""

import io
import os
import pickle
import re
import struct
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from earmark.models import CheckpointError, load
from earmark.models import foreign as room
from earmark.models.foreign import read_state_dict
from earmark.models.pickle_scan import UnsafePickleError, scan

PROTO, STOP = b"\x80\x02", b"."


def archive(
    data: bytes, extra: dict[str, bytes] | None = None, method: int = zipfile.ZIP_STORED, prefix: str = "x/"
) -> bytes:
    """A zip with the entries that torch writes, around any pickle."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as file:
        file.writestr(f"{prefix}data.pkl", data)
        file.writestr(f"{prefix}byteorder", b"little")
        for name, content in (extra or {"data/0": bytes(16)}).items():
            file.writestr(prefix + name, content)
        file.writestr(f"{prefix}version", b"3\n")
    return buffer.getvalue()


def text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def tensor(size: bytes, stride: bytes, numel: bytes = b"K\x04", key: str = "0") -> bytes:
    """The instructions that build a float32 tensor over the storage `key`."""
    storage = b"(" + text("storage") + b"ctorch\nFloatStorage\n" + text(key) + text("cpu") + numel + b"tQ"
    rest = b"K\x00" + size + stride + b"\x89ccollections\nOrderedDict\n)R"
    return b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + rest + b"tR"


def state(*items: bytes) -> bytes:
    """A pickle of a dictionary of names and values."""
    return PROTO + b"}(" + b"".join(items) + b"u" + STOP


class Exploit:
    """What pickles as a call."""

    def __init__(self, function: Callable[..., object], *arguments: object) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> tuple[object, ...]:
        return self.call


def exploits(marker: Path) -> dict[str, bytes]:
    """Pickles that would create the file `marker`."""
    shell = f"touch {marker}"
    python = f"open({str(marker)!r}, 'w').close()"
    system = pickle.dumps(Exploit(os.system, shell), protocol=2)
    build = b"c__main__\nX\n)\x81}" + text("__setstate__") + b"cposix\nsystem\nsb" + text(shell) + b"b" + STOP
    return {
        "os.system, protocol 2": system,
        "os.system, protocol 0": pickle.dumps(Exploit(os.system, shell), protocol=0),
        "os.system, protocol 4": pickle.dumps(Exploit(os.system, shell), protocol=4),
        "eval": pickle.dumps(Exploit(eval, python), protocol=2),
        "exec by a short global": PROTO + b"c__builtin__\nexec\n" + text(python) + b"\x85R" + STOP,
        "eval by a stack global": pickle.dumps(Exploit(eval, python), protocol=4),
        "an instance": PROTO + b"(" + text(shell) + b"iposix\nsystem\n" + STOP,
        "an object": PROTO + b"(cposix\nsystem\n" + text(shell) + b"o" + STOP,
        "a new object": PROTO + b"cos\n_wrap_close\n)\x81" + STOP,
        "a state setter": PROTO + build,
        "getattr of an allowed module": PROTO + b"ctorch\nhub\n" + STOP,
        "torch.load itself": PROTO + b"ctorch.serialization\nload\n" + text(str(marker)) + b"\x85R" + STOP,
        "hidden among weights": state(text("a"), b"cposix\nsystem\n" + text(shell) + b"\x85R"),
        "a dotted name": PROTO + b"ccollections\nOrderedDict.__init__\n" + STOP,
        "an extension": PROTO + b"\x82\x01" + STOP,
        "a persistent command": PROTO + text(shell) + b"Q" + STOP,
        "before a damaged end": system[:-1] + b"\xff",
    }


@pytest.mark.parametrize("name", exploits(Path("x")))
@pytest.mark.parametrize("nested", [True, False], ids=["zip", "plain"])
@pytest.mark.parametrize("suffix", ["pt", "safetensors"])
def test_an_exploit_is_refused_and_runs_nothing(name: str, nested: bool, suffix: str, tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    code = exploits(marker)[name]
    path = tmp_path / f"x.{suffix}"
    path.write_bytes(archive(code) if nested else code)
    with pytest.raises(CheckpointError) as caught:
        load(path)
    assert str(path) in str(caught.value)
    assert not marker.exists()


def test_the_exploits_of_these_tests_work_on_the_unsafe_reader(tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    for name in ("os.system, protocol 2", "eval", "exec by a short global", "an instance", "an object"):
        pickle.loads(exploits(marker)[name])
        assert marker.exists(), name
        marker.unlink()


def test_nothing_is_read_while_the_safe_reader_is_switched_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.save({"a": torch.zeros(2)}, tmp_path / "x.pt")
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    with pytest.raises(CheckpointError, match=r"TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD is set.*unset it"):
        read_state_dict(tmp_path / "x.pt")
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "0")
    assert read_state_dict(tmp_path / "x.pt").keys() == {"a"}


FOUR = b"K\x04\x85"
ONE = b"K\x01\x85"
MANY = b"J" + struct.pack("<i", 2**16)
TERA = b"\x8a\x06" + (2**40).to_bytes(6, "little")
VIEW = tensor(MANY + b"\x85", ONE, MANY)
BOMBS: dict[str, tuple[Callable[[], bytes], str]] = {
    "a tensor of stride 0": (
        lambda: archive(state(text("a"), tensor(TERA + b"\x85", b"K\x00\x85"))),
        "claims 1099511627776 numbers",
    ),
    "a storage that lies about its length": (
        lambda: archive(state(text("a"), tensor(FOUR, ONE, numel=b"J\x00\x00\x00\x40"))),
        "cut off or damaged",
    ),
    "a storage that is not there": (
        lambda: archive(state(text("a"), tensor(FOUR, ONE, key="7"))),
        "cut off or damaged",
    ),
    "a tensor past its storage": (
        lambda: archive(state(text("a"), tensor(b"K\x05\x85", ONE))),
        "cut off or damaged",
    ),
    "a negative size": (
        lambda: archive(state(text("a"), tensor(b"J\xff\xff\xff\xff\x85", ONE))),
        "cut off or damaged",
    ),
    "many views of one storage": (
        lambda: archive(state(*(text(f"a{i}") + VIEW for i in range(9))), {"data/0": bytes(2**18)}),
        "tensors claim 2359296",
    ),
    "a compressed entry": (
        lambda: archive(state(text("a"), tensor(FOUR, ONE)), {"data/0": bytes(10**6)}, zipfile.ZIP_DEFLATED),
        "compresses nothing",
    ),
    "deep tuples": (lambda: archive(PROTO + b"N" + b"\x85" * 200_000 + STOP), "nests deeper"),
    "a deep tuple as a key": (lambda: archive(state(b"N" + b"\x85" * 200_000, b"N")), "nests deeper"),
    "deep tuples through the memo": (
        lambda: archive(PROTO + b"N" + b"q\x00h\x00\x86" * 200_000 + STOP),
        "nests deeper",
    ),
    "deep lists": (lambda: archive(PROTO + b"]" * 2000 + b"a" * 1999 + STOP), "nests deeper"),
    "a list of laughs": (
        lambda: archive(PROTO + b"]" + b"q\x00](" + b"h\x00" * 10 + b"eq\x00" * 1 + STOP),
        "holds no state dict",
    ),
    "a huge list": (lambda: archive(PROTO + b"](" + b"N" * 400_000 + b"e" + STOP), "more than 400000"),
    "a huge pickle": (lambda: archive(PROTO + b"N" * (17 * 1024**2)), "larger than"),
    "a huge bytearray": (
        lambda: archive(PROTO + b"cbuiltins\nbytearray\n" + TERA + b"\x85R" + STOP),
        "no part of a tensor",
    ),
    "a huge tensor by its class": (
        lambda: archive(PROTO + b"ctorch\nFloatTensor\nJ\xff\xff\xff\x7f\x85R" + STOP),
        "no part of a tensor",
    ),
    "copied dictionaries": (
        lambda: archive(PROTO + b"ccollections\nOrderedDict\n]\x85R" + STOP),
        "copies dictionaries",
    ),
    "a built tensor": (
        lambda: archive(state(text("a"), tensor(FOUR, ONE) + b"Nb")),
        "sets attributes",
    ),
    "a call of a dictionary": (lambda: archive(PROTO + b"})R" + STOP), "calls something"),
    "twenty thousand entries": (
        lambda: archive(state(), {f"data/{i}": b"" for i in range(20_001)}),
        r"2000\d entries",
    ),
    "too many values": (
        lambda: archive(PROTO + b"}(" + b"".join(text(f"{i}") + b"N" for i in range(20_001)) + b"u" + STOP),
        "20001 values",
    ),
    "no tensor": (lambda: archive(state(text("a"), b"K\x01")), "'a', which is no tensor but int"),
    "no name": (lambda: archive(state(b"K\x01", tensor(FOUR, ONE))), "each with a name"),
    "no dictionary": (lambda: archive(PROTO + tensor(FOUR, ONE) + STOP), r"no state dict.*Tensor"),
    "nothing": (lambda: archive(state()), "no state dict"),
    "an endless wrapper": (
        lambda: archive(PROTO + b"}q\x00" + text("model") + b"h\x00s" + STOP),
        "which is no tensor but dict",
    ),
    "no pickle": (lambda: archive(state(), prefix="x/y/"), "no data.pkl in its one folder"),
    "an empty zip": (lambda: b"PK\x05\x06" + bytes(18), "not a zip archive as torch.save"),
    "a name with a control character": (lambda: archive(state(), {"data/\x1b[2J": b""}), "odd name"),
    "another protocol": (lambda: archive(b"\x80\x04}."), "protocol 4"),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_in_a_sentence(name: str, tmp_path: Path) -> None:
    make, words = BOMBS[name]
    path = tmp_path / "x.pt"
    path.write_bytes(make())
    with pytest.raises(CheckpointError, match=words):
        read_state_dict(path)


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
    with pytest.raises(CheckpointError, match="entries claim more"):
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
    with pytest.raises(CheckpointError, match=r"since version 1\.6; if you trust.*save it again"):
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
