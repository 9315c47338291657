"""Packs that others made: what they say is not taken for more than it is."""

import csv
import gc
import io
import json
import tarfile
from pathlib import Path
from typing import Any

import fsspec
import pytest
import soundfile

from data.packs import RATE, noise
from earmark.audio import AudioError
from earmark.config import ConfigError
from earmark.data.clips import Clip
from earmark.data.feeding.decoding import Place, encoded
from earmark.data.packs.checking import check_pack
from earmark.data.packs.contents import clips_of, is_pack
from earmark.data.packs.parquet import ParquetShard
from earmark.data.packs.rows import Encoded, Origin, Packing, Row
from earmark.data.packs.sources import rows_of
from earmark.data.packs.unpacking import unpack_pack
from earmark.data.packs.writing import write_pack
from earmark.data.table import Table
from earmark.data.tables.errors import TableError
from earmark.data.unlabeled import Unlabeled

arrow = pytest.importorskip("pyarrow", reason="Parquet packs need the extra [data]")
parquet = pytest.importorskip("pyarrow.parquet")


def wav(seed: int = 1) -> bytes:
    out = io.BytesIO()
    soundfile.write(out, noise(0.5, seed), RATE, format="WAV")
    return out.getvalue()


def theirs(folder: Path, **columns: list[Any]) -> Path:
    """A folder of one Parquet file with two sounds and some columns."""
    folder.mkdir()
    sounds = [{"bytes": wav(seed), "path": f"{seed}.wav"} for seed in (1, 2)]
    said = {"audio": sounds, "label": ["bird", "clock"]} | columns
    parquet.write_table(arrow.table(said), folder / "train.parquet")
    return folder


def listed(table: Path) -> list[dict[str, str]]:
    with table.open() as file:
        return list(csv.DictReader(file))


def test_a_row_without_a_sound_is_a_sentence_and_the_others_come_out(tmp_path):
    pack = theirs(tmp_path / "hub", audio=[{"bytes": wav(), "path": "1.wav"}, None])
    with pytest.raises(AudioError, match=r"train\.parquet, row 1: there is no sound in this row"):
        encoded(Place(str(pack / "train.parquet"), 1, 0, None))
    found = unpack_pack(pack, tmp_path / "files")
    told = f"{pack / 'train.parquet'}, row 1: there is no sound in this row"
    assert (found.clips, found.unreadable) == (1, [told])


@pytest.mark.parametrize(
    "columns",
    [
        {"encoded": ["../../x", None]},
        {"source_start": ["early", "late"]},
        {"source_start": [0.25, 3.0], "source_end": [0.5, 4.0]},
    ],
)
def test_columns_of_others_that_are_called_like_ours_are_only_columns(tmp_path, columns):
    pack = theirs(tmp_path / "hub", **columns)
    assert [name for name, _ in clips_of(pack)] == ["1.wav", "2.wav"]
    assert unpack_pack(pack, tmp_path / "files") == (2, [])
    [first, _] = listed(tmp_path / "files" / "clips.csv")
    assert first["path"] == "1.wav"
    assert {name: first[name] for name in columns} == {name: str(its[0]) for name, its in columns.items()}
    rows = rows_of(pack).rows
    assert {row.origin for row in rows} == {Origin()}
    assert write_pack(rows, tmp_path / "again", Packing(), 0).clips == 2


def test_a_shard_that_could_not_be_written_leaves_no_writer_open(tmp_path, monkeypatch):
    ignored: list[Any] = []
    monkeypatch.setattr("sys.unraisablehook", ignored.append)
    wrong: Any = "early"
    with (tmp_path / "shard").open("wb") as file:
        shard = ParquetShard(file, 0, ("source_start",))
        shard.add(Row("a.wav", Clip(Path("a.wav"), ()), origin=Origin(wrong)), Encoded(b"a", "wav", 1.0))
        with pytest.raises(ValueError, match="double"), shard:
            pass
    del shard
    gc.collect()
    assert not ignored


def test_what_comes_out_is_a_table_that_is_read_whatever_its_columns_were_called(tmp_path):
    pack = theirs(
        tmp_path / "hub",
        path=["/orig/1.wav", "/orig/2.wav"],
        start=[0.25, 100.0],
        end_ms=[300, 400],
        pack_path=["a", "b"],
        marks=[["a", 'b "c"'], None],
    )
    unpack_pack(pack, tmp_path / "files")
    [first, second] = listed(tmp_path / "files" / "clips.csv")
    assert (first["path"], first["pack_pack_path"], first["pack_path"]) == ("1.wav", "/orig/1.wav", "a")
    assert (first["pack_start"], first["pack_end_ms"]) == ("0.25", "300")
    assert (json.loads(first["marks"]), second["marks"]) == (["a", 'b "c"'], "")
    rows = rows_of(tmp_path / "files" / "clips.csv").rows
    assert [(row.name, row.clip.start, row.clip.labels) for row in rows] == [
        ("1.wav", 0.0, ("bird",)),
        ("2.wav", 0.0, ("clock",)),
    ]


def tar(path: Path, about: dict[str, Any] | None) -> Path:
    files = {f"{key}.wav": wav(seed) for seed, key in enumerate("ab")}
    if about is not None:
        files |= {f"{key}.json": json.dumps(about).encode() for key in "ab"}
    with tarfile.open(path, "w") as file:
        for name in sorted(files):
            entry = tarfile.TarInfo(name)
            entry.size = len(files[name])
            file.addfile(entry, io.BytesIO(files[name]))
    return path


@pytest.mark.parametrize("about", [None, {"duration": 0.5}, {"labels": "bird"}])
def test_a_tar_without_labels_is_heard_unpacked_and_checked_but_not_learned_from(tmp_path, about):
    path = tar(tmp_path / "theirs.tar", about)
    assert len(clips_of(path)) == 2
    assert check_pack(path) == (1, 2, [])
    assert unpack_pack(path, tmp_path / "files") == (2, [])
    assert len(Unlabeled().read(path).train) == 2
    with pytest.raises(TableError, match=r"there is no label|its \.json says 'bird'"):
        Table().resolved(path)
    if about != {"labels": "bird"}:
        assert [row.clip.labels for row in rows_of(path).rows] == [(), ()]


@pytest.mark.parametrize("below", ["sub/x.txt", ".cache/x.txt", ".hidden.csv"])
def test_what_is_a_pack_here_is_one_at_its_address(tmp_path, below):
    pack = theirs(tmp_path / "hub")
    (pack / below).parent.mkdir(exist_ok=True)
    (pack / below).write_text("x")
    place = f"memory://others-{below[:2]}{len(below)}/hub"
    fsspec.filesystem("memory").put(str(pack), place, recursive=True)
    assert is_pack(pack) is is_pack(place) is is_pack(f"file://{pack}") is (below[0] == ".")


@pytest.mark.parametrize("to", ["parquet", "webdataset"])
def test_stretches_in_a_pack_are_called_as_those_of_a_table(tmp_path, to):
    soundfile.write(tmp_path / "dog.wav", noise(0.5, 1), RATE)
    (tmp_path / "clips.csv").write_text("file,start,end,label\ndog.wav,0,0.125,a\ndog.wav,0.25,,b\n")
    rows = [*rows_of(tmp_path / "clips.csv").rows, Row("whole.wav", Clip(tmp_path / "dog.wav", ("c",)))]
    write_pack(rows, tmp_path / "pack", Packing(to=to), 0)
    names = ["dog.wav#t=0,0.125", "dog.wav#t=0.25", "whole.wav"]
    assert [name for name, _ in clips_of(tmp_path / "pack")] == names
    assert len(Unlabeled(leave_out=("dog.wav",)).read(tmp_path / "pack").train) == 1
    if to == "parquet":  # a shard alone says so itself
        shard = next((tmp_path / "pack").glob("*.parquet"))
        assert [name for name, _ in clips_of(shard)] == names


@pytest.mark.parametrize(
    ("header", "rows", "words"),
    [
        ("file,label,fold", ["dog.wav,bird,1", "dog.wav,rain,2"], "in fold 2 here and in fold 1 in line 2"),
        ("file,label,split", ["dog.wav,bird,train", "dog.wav,bird,test"], "in test here and in train in"),
        ("file,label,split,fold", ["dog.wav,a,train,1", "dog.wav,a,train,2"], "in fold 2 here and in fold 1"),
        ("file,start,end,label,fold", ["dog.wav,0,0.3,a,1", "dog.wav,0.2,0.5,b,2"], "overlaps with line 2"),
    ],
)
def test_a_clip_on_two_sides_is_refused_by_packing_as_by_training(tmp_path, header, rows, words):
    soundfile.write(tmp_path / "dog.wav", noise(0.5, 1), RATE)
    table = tmp_path / "clips.csv"
    table.write_text("\n".join([header, *rows]))
    with pytest.raises(TableError, match=words):
        rows_of(table)
    fold = 1 if "fold" in header else None
    with pytest.raises(ConfigError, match=words):
        Table(fold=fold).resolved(table)
