"""The same table as CSV of many kinds, JSON, JSON Lines or Parquet, and what is no table."""

import json
import os
from pathlib import Path

import pytest

from data.tables import labels_of, mistakes_in, read, sounds, write
from earmark.data import Clip, Table

__all__ = ["sounds"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "the file is empty"),
        (b"\n \n", "blank lines only"),
        (b"path,label\n", "a header but no clip"),
        ("path,label\n0.wav,dog\n".encode("utf-16"), "line 1: the bytes FF FE begin a text in UTF-16"),
        ("path,label\n0.wav,dog\n".encode("utf-16-le"), "as in UTF-16 of little end first"),
        ("path,label\n0.wav,dog\n".encode("utf-32"), "begin a text in UTF-32"),
        ("pfad,größe,label\n".encode("latin-1"), "line 1: the byte F6 at character 8"),
        (b"PK\x03\x04" + bytes(100), "zip archive or a spreadsheet"),
        (b"\xd0\xcf\x11\xe0" + bytes(100), "spreadsheet's own file"),
        (b"RIFF" + bytes(100), "is a sound"),
        (b"\x1f\x8b\x08" + bytes(100), "compressed by gzip"),
        (bytes(1000), "most of its bytes are zero"),
        (b"PAR1" + bytes(100), "damaged Parquet"),
        (b'{"data": [{"wav": "a.wav", "labels": "x"}]}', "--corpus audioset"),
        (b'[{"path": "0.wav", "label": "x"},', "is no JSON"),
        (b'["0.wav"]', "entry 1: is no object"),
    ],
)
def test_a_file_that_is_no_table_is_one_sentence(tmp_path: Path, content: bytes, words: str) -> None:
    table = tmp_path / "my.csv"
    table.write_bytes(content)
    assert words in mistakes_in(table)[0]


def test_what_is_no_file_is_one_sentence(tmp_path: Path) -> None:
    assert "no such file" in mistakes_in(tmp_path / "none.csv")[0]
    assert "is a folder" in mistakes_in(tmp_path)[0]
    os.mkfifo(tmp_path / "pipe.csv")
    assert "no regular file" in mistakes_in(tmp_path / "pipe.csv")[0]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_delimiters_line_ends_and_a_byte_order_mark_do_not_matter(
    sounds: Path, delimiter: str, end: str, mark: str
) -> None:
    rows = [["File Name", "Species"], ["0.wav", "dog, big"], ["", ""], ["1.wav", "cat"], ["./2.wav", "cat"]]
    quoted = [delimiter.join(f'"{cell}"' if "," in cell else cell for cell in row) for row in rows]
    table = sounds / "my.csv"
    table.write_text(mark + end.join(quoted) + end, encoding="utf-8", newline="")
    assert labels_of(read(table)) == {"0.wav": ("dog, big",), "1.wav": ("cat",), "2.wav": ("cat",)}


def test_an_unclosed_quote_does_not_swallow_the_mistakes_below_it(sounds: Path) -> None:
    rows = [f"{number}.wav,dog" for number in range(3, 10)]
    table = write(sounds, "path,label", '0.wav,"dog', '1.wav,"cat', "gone.wav,dog", *rows, "2.wav,cat,cat")
    found = mistakes_in(table)
    lines = {one.partition(":")[0]: one for one in found}
    assert "not closed" in lines["line 2"]
    assert "not closed" in lines["line 3"]
    assert "no file" in lines["line 4"]
    assert "3 cells" in lines["line 12"]


def test_a_quoted_note_may_go_over_several_lines_and_lines_are_counted_on(sounds: Path) -> None:
    table = write(sounds, "path,note,label", '0.wav,"one\ntwo ""x""",dog', "1.wav,,cat", "gone.wav,,cat")
    assert mistakes_in(table)[0].startswith("line 5: there is no file")


def test_json_lines_json_and_parquet_say_the_same_as_csv(sounds: Path) -> None:
    entries = [
        {
            "path": f"{n}.wav",
            "labels": ["dog"] if n % 2 else ["cat", "Rain, light"],
            "start": n / 20,
            "fold": n % 4,
        }
        for n in range(16)
    ]
    lines = [
        f'{e["path"]},"{json.dumps(e["labels"]).replace(chr(34), chr(34) * 2)}",{e["start"]},{e["fold"]}'
        for e in entries
    ]
    expected = read(write(sounds, "path,labels,start,fold", *lines))
    assert (len(expected.train), len(expected.test)) == (12, 4)
    tables = [
        write(sounds, *map(json.dumps, entries), name="my.jsonl"),
        write(sounds, json.dumps(entries, indent=1), name="my.json"),
    ]
    parquet = pytest.importorskip("pyarrow.parquet", reason="Parquet needs the extra [data]")
    arrow = pytest.importorskip("pyarrow")
    tables.append(sounds / "my.parquet")
    parquet.write_table(arrow.Table.from_pylist(entries), tables[-1])
    for table in tables:
        assert read(table) == expected


def test_broken_json_lines_are_told_by_line(sounds: Path) -> None:
    good = [json.dumps({"path": f"{n}.wav", "label": "dog" if n % 2 else "cat"}) for n in range(4)]
    table = write(sounds, good[0], '{"path": "1.wav", ', *good[1:], "[1]", '{"label": "dog"}', name="a.jsonl")
    found = mistakes_in(table)
    assert ["line 2: is no JSON" in found[0], "line 6: is JSON but no object" in found[1]] == [True, True]
    assert "line 7: the cell is empty in the column 'path'" in found[2]


def test_a_manifest_keeps_what_nobody_knows(sounds: Path) -> None:
    entries = [
        {"path": "0.wav", "labels": ["piano"], "unknown": ["voice"], "split": "train", "seconds": 2.0},
        {"path": "1.wav", "labels": [], "unknown": ["piano"], "split": "train", "seconds": 2.0},
        {"path": "2.wav", "labels": ["voice"], "unknown": [], "split": "train", "start": None, "end": 1.0},
        {"path": "3.wav", "labels": ["voice", "piano"], "unknown": [], "split": "test"},
    ]
    split = read(write(sounds, *map(json.dumps, entries), name="manifest.jsonl"))
    assert split.train[0] == Clip(sounds / "0.wav", ("piano",), unknown=("voice",))
    assert (split.train[1].labels, split.train[1].unknown) == ((), ("piano",))
    assert (split.train[2].start, split.train[2].end) == (0.0, 1.0)
    assert [clip.path.name for clip in split.test] == ["3.wav"]


def test_a_manifest_may_have_splits_for_some_clips_and_folds_for_others(sounds: Path) -> None:
    entries = [
        {"path": f"{n}.wav", "labels": ["dog" if n % 2 else "cat"], "split": None, "fold": 1 + n // 4}
        for n in range(12)
    ]
    entries += [{"path": "18.wav", "labels": ["dog"], "split": "train", "fold": None}]
    entries += [{"path": "19.wav", "labels": ["dog"], "split": "test", "fold": None}]
    table = write(sounds, *map(json.dumps, entries), name="manifest.jsonl")
    resolved = Table().resolved(table)
    assert (resolved.fold, resolved.folds) == (1, (1, 2, 3))
    for fold in (1, 2, 3):
        split = resolved.replace(fold=fold).read(table)
        assert {int(clip.path.stem) for clip in split.test} == {*range(4 * fold - 4, 4 * fold), 19}


def test_a_manifest_of_a_pack_names_rows_of_one_file(sounds: Path) -> None:
    (sounds / "pack.hdf").touch()
    entries = [
        {
            "path": "pack.hdf",
            "row": n,
            "labels": ["dog" if n % 2 else "cat"],
            "split": "test" if n > 5 else "train",
        }
        for n in range(8)
    ]
    split = read(write(sounds, *map(json.dumps, entries), name="manifest.jsonl"))
    assert [clip.row for clip in split.train] == [0, 1, 2, 3, 4, 5]
