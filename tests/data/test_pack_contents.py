"""Packs as corpora: training reads what it read before; damage is told; files come out again."""

import csv
import functools
import http.server
import io
import json
import re
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import fsspec
import numpy as np
import pytest
import soundfile

from data.packs import RATE, held, noise, pack, sounds, write_pack
from earmark.audio import AudioError
from earmark.config import ConfigError
from earmark.data import Clip, Folder, Table
from earmark.data.feeding.decoding import Place, encoded
from earmark.data.feeding.sounds import open_sounds
from earmark.data.finding import find_corpus
from earmark.data.packs import writing
from earmark.data.packs.checking import check_pack
from earmark.data.packs.contents import clips_of, contents, is_pack
from earmark.data.packs.rows import Packing, Row
from earmark.data.packs.sources import rows_of
from earmark.data.packs.unpacking import safe_name, unpack_pack
from earmark.data.tables.errors import TableError
from earmark.data.unlabeled import Unlabeled
from earmark.labels import audioset_labels

arrow = pytest.importorskip("pyarrow", reason="Parquet packs need the extra [data]")
parquet = pytest.importorskip("pyarrow.parquet")

__all__ = ["held", "pack", "sounds"]

PACKING = {kind: Packing(to=kind, shard_mb=0.05) for kind in ("parquet", "webdataset")}
BOTH = pytest.mark.parametrize("to", ["parquet", "webdataset"])


@pytest.fixture
def table(tmp_path) -> Path:
    """Ten recordings, two of them heard in stretches, some labels unknown; no folds of its own."""
    (tmp_path / "recordings" / "audio").mkdir(parents=True)
    lines = ["file,start,end,labels,unknown,speaker"]
    for index in range(10):
        soundfile.write(tmp_path / "recordings" / "audio" / f"{index}.wav", noise(0.5, index), RATE)
        labels = ["Dog;Rain", "Cat", "Dog"][index % 3]
        lines.append(f"{index}.wav,,,{labels},{'Wind' * (index % 4 == 0)},{index // 2}")
    lines += [f"3.wav,{start},{start + 0.125},Wind,,1" for start in (0.0, 0.25)]
    place = tmp_path / "recordings" / "clips.csv"
    place.write_text("\n".join(lines))
    return place


def packed(source: Path, out: Path, packing: Packing) -> Path:
    writing.write_pack(rows_of(source).rows, out, packing, 0, str(source))
    return out


def learned(source: Path) -> list[list[tuple[object, ...]]]:
    """What training takes from a corpus, side by side, whatever its clips' files are called."""
    corpus, root = find_corpus(source)
    split = corpus.resolved(root).read(root)
    sides = (split.train, split.test, split.validation)
    clips = [clip for side in sides for clip in side]
    heard = open_sounds(clips, RATE, workers=0)
    samples = iter([heard.read(index).tobytes() for index in range(len(clips))])
    return [sorted((clip.labels, clip.unknown, next(samples)) for clip in side) for side in sides]


@BOTH
def test_a_packed_table_is_the_same_corpus_with_the_same_folds(table, tmp_path, to):
    folder = packed(table, tmp_path / "out", PACKING[to])
    assert learned(folder) == learned(table)
    assert len(learned(folder)[1]) > 0


@pytest.mark.parametrize("to", ["parquet", pytest.param("webdataset", marks=pytest.mark.slow)])
def test_a_pack_of_a_pack_and_what_comes_out_of_it_are_the_same_corpus(table, tmp_path, to):
    first = packed(table, tmp_path / "first", PACKING["webdataset" if to == "parquet" else "parquet"])
    second = packed(first, tmp_path / "second", PACKING[to])
    unpack_pack(second, tmp_path / "files")
    assert learned(tmp_path / "files" / "clips.csv") == learned(table)
    for index in range(10):
        whole = table.parent / "audio" / f"{index}.wav"
        assert (tmp_path / "files" / whole.name).read_bytes() == whole.read_bytes()
    assert {path.name for path in (tmp_path / "files").glob("3_*")} == {"3_0-0.125.flac", "3_0.25-0.375.flac"}
    found = [(row.name, row.group, row.clip.labels) for row in rows_of(second).rows]
    assert found == [(row.name, row.group, row.clip.labels) for row in rows_of(table).rows]
    assert [row.origin for row in rows_of(second).rows[-2:]] == [(0.0, 0.125, "flac"), (0.25, 0.375, "flac")]


def test_folders_of_classes_are_packed_with_their_labels_and_others_without(tmp_path):
    for name in ("cat/1", "cat/2", "dog/1", "dog/2"):
        (tmp_path / "classes" / name).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(tmp_path / "classes" / f"{name}.wav", noise(0.1, 1), RATE)
    folder = packed(tmp_path / "classes", tmp_path / "out", Packing())
    whole = Folder().resolved(tmp_path / "classes").read(tmp_path / "classes")
    split = Table().resolved(folder).read(folder)
    assert [clip.labels for clip in split.test] == [clip.labels for clip in whole.test]
    soundfile.write(tmp_path / "classes" / "loose.wav", noise(0.1, 1), RATE)
    found = rows_of(tmp_path / "classes")
    assert [row.name for row in found.rows] == [
        "cat/1.wav",
        "cat/2.wav",
        "dog/1.wav",
        "dog/2.wav",
        "loose.wav",
    ]
    assert {row.clip.labels for row in found.rows} == {()}
    assert "packed without labels" in found.notes[0]
    folder = packed(tmp_path / "classes", tmp_path / "bare", Packing())
    with pytest.raises(TableError, match="no column of the labels"):
        Table().resolved(folder)
    assert len(Unlabeled().read(folder).train) == 5
    assert len(Unlabeled(leave_out=("dog/*",)).read(folder).train) == 3


def test_what_a_table_says_twice_or_wrongly_is_told_before_anything_is_packed(table):
    table.write_text(table.read_text() + "\n3.wav,0.3,9,Wind,,1\n")
    with pytest.raises(TableError, match="end 9 lies beyond"):
        rows_of(table)
    table.write_text("file,label\nnone.wav,Dog\nnor.wav,Cat\n")
    with pytest.raises(TableError, match=r"there is no file .none\.wav"):
        rows_of(table)


def test_names_that_lead_out_of_the_table_s_folder_begin_where_all_lie(table, tmp_path):
    elsewhere = tmp_path / "lists" / "clips.csv"
    elsewhere.parent.mkdir()
    audio = table.parent / "audio"
    elsewhere.write_text(f"file,label\n{audio}/1.wav,Dog\n{audio}/2.wav,Cat\n")
    assert [row.name for row in rows_of(elsewhere).rows] == ["1.wav", "2.wav"]


def test_passts_packs_are_repacked_with_the_labels_of_their_corpus(tmp_path, sounds):
    target = np.zeros((4, 527), np.uint8)
    target[:, audioset_labels().index("Dog")] = 1
    path = write_pack(tmp_path / "eval_mp3.hdf", sounds, np.packbits(target, axis=1))
    assert is_pack(path)
    index = writing.write_pack(rows_of(path).rows, tmp_path / "out", Packing(), 0)
    assert [one.name for one in index.unreadable] == ["Y2.mp3"]
    found = list(contents(tmp_path / "out").clips)
    assert [(one.name, one.said[0]) for one in found] == [(f"Y{n}.mp3", ["Dog"]) for n in (0, 1, 3)]
    assert [data_of(clip) for _, clip in clips_of(tmp_path / "out")] == [sounds[n] for n in (0, 1, 3)]
    write_pack(tmp_path / "own.hdf", sounds, np.zeros((4, 2), np.uint8))
    with pytest.raises(ConfigError, match="of no corpus that is known here"):
        rows_of(tmp_path / "own.hdf")
    assert [name for name, _ in clips_of(tmp_path / "own.hdf")] == ["Y0.mp3", "Y1.mp3", "Y2.mp3", "Y3.mp3"]


def data_of(clip: Clip) -> bytes:
    found = encoded(Place(str(clip.path), clip.row, 0, None))
    assert isinstance(found, bytes)
    return found


def test_parquet_of_others_on_the_hub_is_a_corpus(tmp_path):
    out = io.BytesIO()
    soundfile.write(out, noise(0.2, 1), RATE, format="WAV")
    features = {"audio": {"_type": "Audio"}, "category": {"names": ["cat", "dog"], "_type": "ClassLabel"}}
    schema = arrow.schema(
        {"audio": arrow.struct({"bytes": arrow.binary(), "path": arrow.string()}), "category": arrow.int64(),
         "start_time": arrow.float64()},
        metadata={"huggingface": json.dumps({"info": {"features": features}})},
    )  # fmt: skip
    rows = [
        {"audio": {"bytes": out.getvalue(), "path": f"{n}.wav"}, "category": n % 2, "start_time": 7.0}
        for n in range(6)
    ]
    whole = arrow.Table.from_pylist(rows, schema=schema)
    parquet.write_table(whole, tmp_path / "train-00000-of-00001.parquet")
    parquet.write_table(whole.slice(4), tmp_path / "test-00000-of-00001-0123456789abcdef.parquet")
    assert is_pack(tmp_path)
    split = Table().resolved(tmp_path).read(tmp_path)
    assert sorted(clip.labels[0] for clip in split.train) == ["cat"] * 3 + ["dog"] * 3
    assert sorted(clip.labels[0] for clip in split.test) == ["cat", "dog"]
    assert data_of(split.train[0]) == out.getvalue()
    [alone, _] = sorted(tmp_path.glob("*.parquet"))
    assert [row.split for row in rows_of(alone).rows] == ["test", "test"]


def test_a_parquet_file_that_is_no_pack_is_a_table_and_a_row_of_it_a_sentence(table, tmp_path):
    path = tmp_path / "clips.parquet"
    parquet.write_table(
        arrow.table({"file": ["recordings/audio/1.wav", "recordings/audio/2.wav"], "label": ["a", "b"]}), path
    )
    assert not is_pack(path)
    assert [row.name for row in rows_of(path).rows] == ["recordings/audio/1.wav", "recordings/audio/2.wav"]
    with pytest.raises(AudioError, match="has no column of sounds"):
        encoded(Place(str(path), 0, 0, None))
    path.write_bytes(b"PAR1 and nothing else")
    with pytest.raises(AudioError, match="cannot be opened as a Parquet file"):
        encoded(Place(str(path), 0, 0, None))


@BOTH
def test_truncated_altered_and_missing_shards_are_sentences(table, tmp_path, to):
    folder = packed(table, tmp_path / "out", PACKING[to])
    found = check_pack(folder)
    assert (found.clips, found.wrong) == (12, [])
    place, clip = clips_of(folder)[0]
    whole = clip.path.read_bytes()
    cases = {
        "truncated: it has": whole[: len(whole) // 2],
        "altered: it has": whole + b"x",
        "SHA-256": whole[:3000] + bytes([whole[3000] ^ 1]) + whole[3001:],
    }
    for reason, data in cases.items():
        clip.path.write_bytes(data)
        wrong = check_pack(folder).wrong
        assert reason in wrong[0], wrong
        if reason == "SHA-256":
            assert [place in sentence and "not what was packed" in sentence for sentence in wrong[1:]] == [
                True
            ]
            with pytest.raises(AudioError, match="altered"):
                data_of(clip)
            assert len(data_of(clips_of(folder)[1][1])) > 0
        else:
            with pytest.raises(ConfigError, match=reason):
                contents(folder)
            with pytest.raises(TableError, match=reason):
                Table().resolved(folder)
    clip.path.unlink()
    assert "is missing" in check_pack(folder).wrong[0]
    with pytest.raises(ConfigError, match="is missing"):
        contents(folder)
    with pytest.raises(AudioError):
        data_of(clip)
    clip.path.write_bytes(whole)
    (folder / f"more{clip.path.suffix}").write_bytes(whole)
    assert "is in the folder but not in pack.json" in check_pack(folder).wrong[0]


def test_a_damaged_index_is_a_sentence(table, tmp_path):
    folder = packed(table, tmp_path / "out", Packing())
    index = (folder / "pack.json").read_text()
    for damaged in (
        "{",
        "[]",
        '{"format": "other"}',
        index.replace("data-", "../data-"),
        index.replace(f"data-00000-of-{len(list(folder.glob('data-*'))):05d}.parquet", ".."),
        index.replace('"bytes"', '"b"'),
    ):
        (folder / "pack.json").write_text(damaged)
        with pytest.raises(ConfigError, match=r"pack\.json is no index of a pack that this version reads"):
            contents(folder)
    (tmp_path / "empty").mkdir()
    assert not is_pack(tmp_path / "empty")
    with pytest.raises(ConfigError, match="holds no shards"):
        contents(tmp_path / "empty")


def test_files_come_out_inside_the_folder_and_each_under_a_name_of_its_own(tmp_path):
    soundfile.write(tmp_path / "a.wav", noise(0.1, 1), RATE)
    names = [
        "../../a.wav",
        "a.wav",
        "A.wav",
        "/etc/a.wav",
        "..",
        "C:\\x\\con.wav",
        ".hidden",
        "clips.csv",
        "ü/" + "x" * 300 + ".wav",
    ]
    rows = [Row(name, Clip(tmp_path / "a.wav", ("Dog, the",))) for name in names]
    writing.write_pack(rows, tmp_path / "pack", Packing(), 0)
    found = unpack_pack(tmp_path / "pack", tmp_path / "in" / "files")
    assert found == (len(names), [])
    out = sorted(
        path.relative_to(tmp_path / "in" / "files").as_posix()
        for path in (tmp_path / "in").rglob("*")
        if path.is_file()
    )
    assert len(out) == len(names) + 1
    assert {
        "a.wav",
        "a_2.wav",
        "A_3.wav",
        "etc/a.wav",
        "clip-000000004",
        "C_/x/_con.wav",
        "_.hidden",
        "clips_2.csv",
    } <= set(out)
    with (tmp_path / "in" / "files" / "clips.csv").open() as file:
        listed = list(csv.DictReader(file))
    assert sorted(row["path"] for row in listed) == [name for name in out if name != "clips.csv"]
    assert {row["labels"] for row in listed} == {'["Dog, the"]'}
    assert unpack_pack(tmp_path / "pack", tmp_path / "in" / "files") == found
    (tmp_path / "in" / "files" / "a.wav").write_bytes(b"mine")
    with pytest.raises(ConfigError, match="is there already, and another"):
        unpack_pack(tmp_path / "pack", tmp_path / "in" / "files")


def test_what_was_encoded_anew_ends_as_it_is(table, tmp_path):
    writing.write_pack(rows_of(table).rows[:2], tmp_path / "out", Packing(encode="opus"), 0)
    unpack_pack(tmp_path / "out", tmp_path / "files")
    assert sorted(path.name for path in (tmp_path / "files").iterdir()) == ["0.opus", "1.opus", "clips.csv"]


@pytest.mark.parametrize(
    "part", ["", "x" * 5000, "...", "a\0b", "CON", "a/./../b", "\\\\server\\share\\c.wav", "é" * 200]
)
def test_a_safe_name_leads_nowhere_else(part):
    name = safe_name(part)
    assert not name.startswith("/")
    assert not {"", ".", ".."} & set(name.split("/")) or not name
    assert all(len(one.encode()) <= 200 for one in name.split("/"))


class _Ranges(http.server.SimpleHTTPRequestHandler):
    """Serves parts of files, as object stores do; of those called `whole`, only all."""

    def log_message(self, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        asked = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        path = Path(self.translate_path(self.path))
        if asked is None or "whole" in self.path or not path.is_file():
            return super().do_GET()
        data = path.read_bytes()[int(asked[1]) : int(asked[2]) + 1]
        self.send_response(206)
        self.send_header("Content-Range", f"bytes {asked[1]}-{asked[2]}/{path.stat().st_size}")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
        return None


@pytest.fixture
def web(tmp_path) -> Iterator[str]:
    pytest.importorskip("aiohttp", reason="http addresses need fsspec[http]")
    handler = functools.partial(_Ranges, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize(
    ("to", "system"),
    [
        ("parquet", "memory"),
        *(
            pytest.param(*case, marks=pytest.mark.slow)
            for case in (("parquet", "file"), ("webdataset", "memory"))
        ),
    ],
)
def test_a_pack_at_an_address_is_the_same_corpus(table, tmp_path, to, system):
    folder = packed(table, tmp_path / "out", PACKING[to])
    place = f"file://{folder}"
    if system == "memory":
        place = f"memory://packs-{to}/out"
        fsspec.filesystem("memory").put(str(folder), place, recursive=True)
    assert is_pack(place)
    assert is_pack(Path(place))
    assert learned(Path(place)) == learned(folder)
    assert [data_of(clip) for _, clip in clips_of(place)] == [data_of(clip) for _, clip in clips_of(folder)]
    assert check_pack(Path(place)) == check_pack(folder)
    unpack_pack(place, tmp_path / "files")
    assert (tmp_path / "files" / "1.wav").read_bytes() == (table.parent / "audio" / "1.wav").read_bytes()
    cached = open_sounds([clip for _, clip in clips_of(place)], RATE, tmp_path / "cache", workers=0)
    assert not cached.failures
    again = packed(Path(place), tmp_path / "again", PACKING[to])
    assert learned(again) == learned(folder)


@BOTH
def test_a_pack_on_a_web_server_is_read(table, tmp_path, to, web):
    folder = packed(table, tmp_path / "out", PACKING[to].replace(shard_mb=500.0))
    expected = [data_of(clip) for _, clip in clips_of(folder)]
    clips = [clip for _, clip in clips_of(f"{web}/out")]
    assert [data_of(clip) for clip in clips] == expected
    assert check_pack(f"{web}/out").wrong == []
    shutil.copytree(folder, tmp_path / "whole")
    far = [clip for _, clip in clips_of(f"{web}/whole")] if to == "webdataset" else []
    if far:  # of a server that gives no parts the beginning of a file can still be read
        with pytest.raises(AudioError, match="cannot be read"):
            data_of(far[-1])


def test_a_table_of_addresses_is_packed(table, tmp_path):
    memory = fsspec.filesystem("memory")
    memory.put(str(table.parent / "audio" / "1.wav"), "memory://sounds/1.wav")
    (tmp_path / "far.csv").write_text("file,label\nmemory://sounds/1.wav,a\nmemory://sounds/none.wav,b\n")
    index = writing.write_pack(rows_of(tmp_path / "far.csv").rows, tmp_path / "out", Packing(), 0)
    assert [one.name for one in index.unreadable] == ["none.wav"]
    [(name, clip)] = clips_of(tmp_path / "out")
    assert (name, data_of(clip)) == ("1.wav", (table.parent / "audio" / "1.wav").read_bytes())


def test_what_is_no_pack_at_an_address_is_a_sentence():
    fsspec.filesystem("memory").pipe("memory://tables/clips.csv", b"file,label")
    for place, words in (("memory://tables/clips.csv", "only packs are read"), ("memory://none", "nothing")):
        with pytest.raises(ConfigError, match=words):
            find_corpus(Path(place))
    with pytest.raises(OSError, match="nosuch://"):
        find_corpus(Path("nosuch://bucket/pack"))


def test_hdf5_packs_are_read_at_addresses(pack, sounds):
    place = "memory://hdf5/train_mp3.hdf"
    fsspec.filesystem("memory").put(str(pack), place)
    assert [data_of(clip) for _, clip in clips_of(place)] == sounds
