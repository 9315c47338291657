"""OpenMIC-2018 from the official archive and from PaSST's packs."""

import io
import json
import os
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest

from data.small_archives import write_pack, write_text, write_tone
from earmark.config import ConfigError
from earmark.data import OpenMIC
from earmark.data.openmic import read_arrays, read_table
from earmark.labels import OPENMIC

KEYS = ("000046_3840", "000135_483840", "000178_3840")
JUDGED = {KEYS[0]: {"accordion": 0.9, "voice": 0.2}, KEYS[1]: {"bass": 0.5}, KEYS[2]: {"piano": 1.0}}


def arrays(keys: object = KEYS) -> dict[str, np.ndarray]:
    probable, known = np.full((3, 20), 0.5), np.zeros((3, 20), bool)
    for row, judged in enumerate(JUDGED.values()):
        for name, value in judged.items():
            probable[row, OPENMIC.index(name)], known[row, OPENMIC.index(name)] = value, True
    return {
        "X": np.zeros((3, 10, 128)),
        "Y_true": probable,
        "Y_mask": known,
        "sample_key": np.array(keys, object),
    }


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    root = tmp_path / "openmic-2018"
    for key in KEYS:
        write_tone(root / "audio" / key[:3] / f"{key}.ogg")
    write_text(root / "partitions" / "split01_train.csv", KEYS[0], KEYS[1])
    write_text(root / "partitions" / "split01_test.csv", KEYS[2])
    write_text(root / "class-map.json", json.dumps({name: index for index, name in enumerate(OPENMIC)}))
    np.savez(root / "openmic-2018.npz", **arrays())
    return root


def test_above_one_half_is_true_and_what_nobody_judged_is_unknown(archive: Path) -> None:
    split = OpenMIC().read(archive)
    first, second = split.train
    assert first.labels == ("accordion",)
    assert set(first.unknown) == set(OPENMIC) - {"accordion", "voice"}
    assert second.labels == ()
    assert "bass" not in second.unknown
    assert [clip.path.name for clip in split.test] == ["000178_3840.ogg"]
    assert split.test[0].labels == ("piano",)
    assert all(clip.path.is_file() for clip in (*split.train, *split.test))


def test_the_folder_around_the_archive_will_do(archive: Path) -> None:
    assert OpenMIC().read(archive.parent) == OpenMIC().read(archive)


def test_the_table_says_the_same_as_the_arrays(archive: Path) -> None:
    rows = [f"{key},{name},{value},3" for key, judged in JUDGED.items() for name, value in judged.items()]
    table = write_text(
        archive / "openmic-2018-aggregated-labels.csv", "sample_key,instrument,relevance,num_responses", *rows
    )
    assert read_table(table) == read_arrays(archive / "openmic-2018.npz") == JUDGED
    with_both = OpenMIC().read(archive)
    table.unlink()
    assert OpenMIC().read(archive) == with_both


@pytest.mark.parametrize("protocol", [0, 2, 3, 4, 5])
def test_names_are_read_out_of_any_pickle(tmp_path: Path, protocol: int) -> None:
    found = arrays()
    path = tmp_path / "openmic-2018.npz"
    np.savez(path, **{name: array for name, array in found.items() if name != "sample_key"})
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|O", "fortran_order": False, "shape": (3,)})
    with zipfile.ZipFile(path, "a") as file:
        file.writestr("sample_key.npy", header.getvalue() + pickle.dumps(found["sample_key"], protocol))
    assert list(read_arrays(path)) == list(KEYS)


def test_names_that_are_no_objects_are_read_too(tmp_path: Path) -> None:
    for kind in ("U13", "S13"):
        np.savez(tmp_path / "a.npz", **{**arrays(), "sample_key": np.array(KEYS, kind)})
        assert list(read_arrays(tmp_path / "a.npz")) == list(KEYS)


class Exploit:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self):
        return os.mkdir, (str(self.marker),)


@pytest.mark.parametrize("name", ["sample_key", "Y_true", "Y_mask"])
def test_code_in_the_arrays_is_never_run(tmp_path: Path, name: str) -> None:
    bad = np.array([Exploit(tmp_path / "ran"), "b", "c"], object)
    np.savez(tmp_path / "a.npz", **{**arrays(), name: bad})
    with pytest.raises(ConfigError, match="cannot be read as OpenMIC-2018's arrays"):
        read_arrays(tmp_path / "a.npz")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"sample_key": np.array(KEYS[:2], object)}, "2 names for arrays of"),
        (
            {"sample_key": np.array((KEYS[0], KEYS[0], KEYS[1]), object)},
            "something else than a text .BINGET. among the names",
        ),
        ({"Y_mask": np.zeros((3, 19), bool)}, "one row for each name and 20 columns"),
        ({"Y_true": np.array("x")}, "one row for each name"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(
    tmp_path: Path, changed: dict[str, np.ndarray], words: str
) -> None:
    np.savez(tmp_path / "a.npz", **{**arrays(), **changed})
    with pytest.raises(ConfigError, match=words):
        read_arrays(tmp_path / "a.npz")


def test_an_array_of_gigabytes_is_refused_before_it_is_read(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", **{name: one for name, one in arrays().items() if name != "Y_true"})
    with (
        zipfile.ZipFile(tmp_path / "a.npz", "a", zipfile.ZIP_DEFLATED) as file,
        file.open("Y_true.npy", "w", force_zip64=True) as out,
    ):
        for _ in range(300):
            out.write(bytes(1 << 20))
    with pytest.raises(ConfigError, match="an array of 314572800 bytes; 268435456 are allowed"):
        read_arrays(tmp_path / "a.npz")


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("class-map.json", '{"banjo": 0}', "is not OpenMIC-2018's map of 20 instruments"),
        ("class-map.json", "{", "cannot be read as JSON"),
        ("partitions/split01_test.csv", "", "lists no clips"),
        ("partitions/split01_test.csv", "000179_0", "'000179_0' is in a partition, but no label of it"),
        ("openmic-2018.npz", "x", "cannot be read as OpenMIC-2018's arrays"),
    ],
)
def test_a_damaged_file_is_a_sentence(archive: Path, name: str, text: str, words: str) -> None:
    (archive / name).write_text(text)
    with pytest.raises(ConfigError, match=words):
        OpenMIC().read(archive)


@pytest.mark.parametrize("row", ["a,tuba,0.5", "a,banjo,1.5", "a,banjo,x", "a,banjo,nan"])
def test_a_damaged_row_of_the_table_is_a_sentence(tmp_path: Path, row: str) -> None:
    table = write_text(tmp_path / "labels.csv", "sample_key,instrument,relevance", row)
    with pytest.raises(ConfigError, match="one of the 20 instruments and a number from 0 to 1"):
        read_table(table)


def test_packs_carry_the_mask(tmp_path: Path) -> None:
    found = arrays()
    target = np.concatenate([found["Y_true"], found["Y_mask"]], axis=1).astype(np.float32)
    write_pack(tmp_path / "mp3" / "openmic_train.csv_mp3.hdf", target[:2])
    write_pack(tmp_path / "mp3" / "openmic_test.csv_mp3.hdf", target[2:])
    split = OpenMIC().read(tmp_path)
    assert [clip.labels for clip in (*split.train, *split.test)] == [("accordion",), (), ("piano",)]
    assert len(split.train[0].unknown) == 18
