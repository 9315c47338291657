import json
import logging
import os
import random
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from earmark.config import ConfigError
from earmark.data import Clip, Split, Table
from earmark.data.finding import find_corpus
from earmark.data.holding_out import deal
from earmark.data.tables.columns import Columns, find_columns, plain
from earmark.data.tables.errors import Mistakes, TableError

DATA = os.environ.get("EARMARK_DATA")
REAL = pytest.mark.skipif(not DATA, reason="EARMARK_DATA is unset: no real corpora here")
SECONDS = 2.0


@pytest.fixture
def sounds(tmp_path: Path) -> Path:
    """A folder with twenty sounds of two seconds, `0.wav` to `19.wav`."""
    for number in range(20):
        soundfile.write(tmp_path / f"{number}.wav", np.full(4000, 0.1, np.float32), 2000)
    return tmp_path


def write(folder: Path, *lines: str, name: str = "my.csv") -> Path:
    table = folder / name
    table.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return table


def read(table: Path, config: Table | None = None) -> Split:
    """What a run sees: the resolved description, through JSON, reads the table."""
    resolved = (config or Table()).resolved(table)
    return Table.from_json(resolved.to_json()).read(table)


def labels_of(split: Split) -> dict[str, tuple[str, ...]]:
    return {clip.path.name: clip.labels for part in (split.train, split.test) for clip in part}


def mistakes_in(table: Path, config: Table | None = None) -> list[str]:
    """The sentences without the line that counts them and without the name of the table."""
    with pytest.raises(TableError) as caught:
        (config or Table()).resolved(table)
    sentences = [one for one in caught.value.sentences if not one.endswith(":")]
    assert all(one.startswith(str(table)) for one in sentences)
    return [one.removeprefix(str(table)).lstrip(":, ") for one in sentences]


BROKEN = """path,start,end,label,split
0.wav,0,0.5,dog,train
1.wav,0,0.5,cat,train
missing.wav,0,1,dog,train
2.wav,x,1,cat,train
3.wav,0.9,0.2,dog,train
4.wav,0,55,dog,train
5.wav,0,1,,train
6.wav,0,1,dog,trian
7.wav,0,1,owl,test
0.wav,0.2,0.7,dog,test
1.wav,0,0.5,cat,test
8.wav,0,1,dog
folder,0,1,dog,train
9.wav,0,1,"dog,train
,0,1,dog,train
2.wav,0,0.5,dog,train
2.wav,0,0.5,cat,train
2.wav,-1,0.5,cat,train
10.wav,0,1,caf\xe9,train
11.wav,0,1,d\0g,train
12.wav,0,1,dog,train
13.wav,0,1,cat,train
"""
SAID = {
    4: "there is no file 'missing.wav'",
    5: "'x' is no number",
    6: "start 0.9 is not before end 0.2",
    7: "end 55 lies beyond '4.wav', which is 2 s long",
    8: "there is no label",
    9: "'trian' is no split",
    10: "the label 'owl' occurs only in test, and never in train",
    11: "is in test and overlaps with line 2, which is in train",
    12: "'1.wav' from 0 s to 0.5 s is in test here and in train in line 3",
    13: "has 4 cells where the header has 5 columns",
    14: "'folder' is a folder",
    15: "a quote is opened and not closed",
    16: "the cell is empty in the column 'path'",
    18: "is 'cat' here and 'dog' in line 17",
    19: "start -1 lies before the file",
    20: "the byte E9 at character 15 is no UTF-8 text; in Latin-1 it would be 'café'",
    21: "holds a zero byte",
}


def test_a_table_with_seventeen_kinds_of_mistakes_gives_seventeen_sentences(sounds: Path) -> None:
    (sounds / "folder").mkdir()
    table = sounds / "my.csv"
    table.write_bytes(BROKEN.encode("latin-1"))
    found = mistakes_in(table)
    assert len(found) == len(SAID)
    for (line, words), sentence in zip(SAID.items(), found, strict=True):
        assert sentence.startswith(f"line {line}: ")
        assert words in sentence


def test_many_mistakes_of_a_few_kinds_are_ten_sentences_and_a_count_of_each(sounds: Path) -> None:
    gone = [f"gone{number}.wav,dog" for number in range(300)]
    table = write(sounds, "path,label", *gone, "0.wav,", "1.wav,cat", "2.wav,dog", "3.wav,")
    with pytest.raises(TableError) as caught:
        Table().resolved(table)
    head, *sentences = caught.value.sentences
    assert head == f"{table} has 302 mistakes, 10 of them listed:"
    assert len(sentences) == 10
    assert sum("there is no label" in one for one in sentences) == 2
    assert "(and 292 more like this: lines 10, 11, 12, 13, 14, ...)" in "\n".join(sentences)


def test_a_missing_file_is_told_with_the_name_that_was_meant(sounds: Path) -> None:
    (sounds / "Rex.WAV").touch()
    table = write(sounds, "path,label", "0.wav,dog", "1,cat", "rex.wav,dog", "2.waw,cat", "no/3.wav,cat")
    found = mistakes_in(table)
    meant = [
        "did you mean '1.wav'?",
        "did you mean 'Rex.WAV'?",
        "did you mean '2.wav'?",
        "there is no folder",
    ]
    assert [words in sentence for words, sentence in zip(meant, found, strict=True)] == [True] * 4


def test_where_no_file_is_found_the_sentence_says_how_to_name_their_folder(sounds: Path) -> None:
    (sounds / "tables").mkdir()
    table = write(sounds / "tables", "path,label", "0.wav,dog", "1.wav,cat")
    assert "say where they lie by --set corpus.audio=FOLDER" in mistakes_in(table)[0]
    assert len(read(table, Table(audio="..")).train) == 2
    assert len(read(table, Table(audio=str(sounds))).train) == 2


def test_missing_files_may_be_left_out(sounds: Path) -> None:
    table = write(sounds, "path,label", "0.wav,dog", "gone.wav,dog", "1.wav,cat", "2.wav,cat")
    split = read(table, Table(allow_missing=True))
    assert len(split.train) + len(split.test) == 3
    assert list(split.missing) == ["gone.wav"]


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ("pth,label", ("no column of the files", "'pth', 'label'", "rename 'pth' to 'path'")),
        ("path,lable", ("no column of the labels", "rename 'lable' to 'label'")),
        ("path,colour", ("no column of the labels", "corpus.columns.label=NAME")),
        ("path,label,spilt", ("the column 'spilt' is not known; did you mean 'split'?",)),
        ("path,label,label", ("the column 'label' stands twice",)),
        ("path,label,labels", ("both the columns 'label' and 'labels'",)),
        ("path,label,start_ms", ("the column 'start_ms' is in ms; give seconds",)),
    ],
)
def test_doubtful_columns_are_told_with_those_that_are_there(
    sounds: Path, header: str, words: tuple[str, ...]
) -> None:
    row = ",".join(["0.wav", "dog", "train"][: header.count(",") + 1])
    found = mistakes_in(write(sounds, header, row))
    assert any(all(word in one for word in words) for one in found)


def test_a_column_that_is_asked_for_and_not_there_is_told_with_the_nearest(sounds: Path) -> None:
    table = write(sounds, "path,label,quality", "0.wav,dog,1")
    found = mistakes_in(table, Table(columns=Columns(fold="qualty")))
    assert any("no column 'qualty' for corpus.columns.fold; did you mean 'quality'?" in one for one in found)


def test_mistakes_in_rows_are_told_beside_those_of_the_header(sounds: Path) -> None:
    found = mistakes_in(write(sounds, "pth,label,start,fold", "0.wav,,x,one", "0.wav,dog,1,1"))
    words = ["no column of the files", "'x' is no number", "'one' is no whole number", "there is no label"]
    assert all(any(word in one for one in found) for word in words)


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


def test_rows_of_the_same_clip_are_one_clip_with_all_their_labels(sounds: Path) -> None:
    table = write(sounds, "path,label", "0.wav,dog", "0.wav,cat", "1.wav,dog", "./0.wav,dog", "2.wav,cat")
    split = read(table)
    assert not split.labels.exclusive
    assert labels_of(split) == {"0.wav": ("dog", "cat"), "1.wav": ("dog",), "2.wav": ("cat",)}


def test_repeated_rows_are_told_and_count_once(sounds: Path, caplog: pytest.LogCaptureFixture) -> None:
    table = write(sounds, "path,label", "0.wav,dog", "1.wav,cat", "0.wav,dog")
    split = read(table)
    assert len(split.train) + len(split.test) == 2
    assert "1 rows repeat an earlier one and count once (line 4)" in caplog.text


def test_a_second_label_among_many_clips_with_one_is_a_mistake_unless_several_are_allowed(
    sounds: Path,
) -> None:
    rows = [f"{number}.wav,{'dog' if number % 2 else 'cat'}" for number in range(20)]
    table = write(sounds, "path,label", *rows, "3.wav,cat")
    assert "'3.wav' is 'cat' here and 'dog' in line 5" in mistakes_in(table)[0]
    assert labels_of(read(table, Table(exclusive=False)))["3.wav"] == ("dog", "cat")


def test_several_labels_are_a_mistake_where_one_must_hold(sounds: Path) -> None:
    table = write(sounds, "path,labels", "0.wav,dog;cat", "1.wav,dog", "2.wav,cat")
    assert "there are 2 labels, 'dog' and 'cat'" in mistakes_in(table, Table(exclusive=True))[0]


@pytest.mark.parametrize(
    ("cells", "separator", "expected"),
    [
        (["dog;cat", "Rain, light", "cat"], ";", [("dog", "cat"), ("Rain, light",), ("cat",)]),
        (["dog, cat", "rain", "cat"], ",", [("dog", "cat"), ("rain",), ("cat",)]),
        (["dog|cat|dog|", "rain", "cat"], "|", [("dog", "cat"), ("rain",), ("cat",)]),
        (['["dog", "a;b"]', "['rain']", "cat"], "", [("dog", "a;b"), ("rain",), ("cat",)]),
        (["dog", "rain", "cat"], "", [("dog",), ("rain",), ("cat",)]),
    ],
)
def test_the_separator_of_labels_is_found(
    sounds: Path, cells: list[str], separator: str, expected: list[tuple[str, ...]]
) -> None:
    quoted = [cell.replace('"', '""') for cell in cells]
    rows = [f'{number}.wav,"{cell}"' for number, cell in enumerate(quoted)]
    table = write(sounds, "path,labels", *rows)
    assert Table().resolved(table).separator == separator
    assert labels_of(read(table)) == {f"{number}.wav": one for number, one in enumerate(expected)}


def test_a_column_for_one_label_is_not_separated_unless_asked(
    sounds: Path, caplog: pytest.LogCaptureFixture
) -> None:
    table = write(sounds, "path,label", "0.wav,dog;cat", "1.wav,dog")
    assert labels_of(read(table))["0.wav"] == ("dog;cat",)
    assert "'dog;cat' was read as one label" in caplog.text
    assert labels_of(read(table, Table(separator=";")))["0.wav"] == ("dog", "cat")


def test_clips_in_which_nothing_is_heard_are_allowed_on_demand(sounds: Path) -> None:
    table = write(sounds, "path,label", "0.wav,dog", "1.wav,", "2.wav,dog", "3.wav,")
    assert "--set corpus.allow_unlabelled=true" in mistakes_in(table)[0]
    split = read(table, Table(allow_unlabelled=True))
    assert not split.labels.exclusive
    assert labels_of(split)["1.wav"] == ()


def test_one_class_is_no_corpus(sounds: Path) -> None:
    assert "all clips are of one class, 'dog'" in mistakes_in(write(sounds, "path,label", "0.wav,dog"))[0]


def test_labels_that_are_numbers_stand_in_the_order_of_numbers(sounds: Path) -> None:
    table = write(sounds, "path,target", *[f"{number}.wav,{number}" for number in range(12)])
    assert Table().resolved(table).names == tuple(str(number) for number in range(12))


def test_labels_that_differ_in_case_alone_are_told(sounds: Path, caplog: pytest.LogCaptureFixture) -> None:
    read(write(sounds, "path,label", "0.wav,Dog", "1.wav,dog", "2.wav,cat"))
    assert "'Dog', 'dog' are different labels" in caplog.text


@pytest.mark.parametrize(
    ("header", "row", "expected"),
    [
        ("path,start,end,label", "0.wav,0.5,1.5,dog", (0.5, 1.5)),
        ("file,onset,offset,label", "0.wav,0.5,1.5,dog", (0.5, 1.5)),
        ("audio_filepath,offset,duration,label", "0.wav,0.5,1,dog", (0.5, 1.5)),
        ("Begin File,Begin Time (s),End Time (s),Annotation", "0.wav,0.5,1.5,dog", (0.5, 1.5)),
        ("path,start,label", "0.wav,0.5,dog", (0.5, None)),
        ("path,end,label", "0.wav,1.5,dog", (0.0, 1.5)),
        ("path,duration,label", "0.wav,1.5,dog", (0.0, None)),
        ("path,start,end,label", "0.wav,,,dog", (0.0, None)),
        ("path,start,end,label", "0.wav,0.5,2.05,dog", (0.5, None)),
    ],
)
def test_clips_begin_and_end_where_their_columns_say(
    sounds: Path, header: str, row: str, expected: tuple[float, float | None]
) -> None:
    other = ",".join({"0.wav": "1.wav", "dog": "cat"}.get(cell, cell) for cell in row.split(","))
    (clip,) = [clip for clip in read(write(sounds, header, row, other)).train if clip.path.name == "0.wav"]
    assert (clip.start, clip.end) == expected


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        ('"0,5"', "write '0.5'"),
        ("00:01", "time of day"),
        ("nan", "no number"),
        ("inf", "no number"),
        ("1_0", "no number"),
        ("1e400", "no number"),
    ],
)
def test_times_that_are_no_seconds_are_told_with_what_to_write(sounds: Path, cell: str, words: str) -> None:
    table = write(sounds, "path,start,label", f"0.wav,{cell},dog", "1.wav,0,cat")
    assert words in mistakes_in(table)[0]


def test_the_words_for_splits_are_understood_from_one_another(sounds: Path) -> None:
    def parts(*words: str) -> list[int]:
        rows = [f"{number}.wav,{'dog' if number % 2 else 'cat'},{words[number // 2]}" for number in range(4)]
        last = [f"{number}.wav,{'dog' if number % 2 else 'cat'},{words[-1]}" for number in range(4, 6)]
        split = read(write(sounds, "path,label,subset", *rows, *last))
        return [len(split.train), len(split.validation), len(split.test)]

    assert parts("Train", "valid", "TEST") == [2, 2, 2]
    assert parts("train", "dev", "eval") == [2, 2, 2]
    assert parts("dev", "dev", "eval") == [4, 0, 2]
    assert parts("train", "eval", "test") == [2, 2, 2]
    assert parts("training", "training", "validation") == [4, 0, 2]


def test_a_fold_is_held_out_under_the_number_that_the_table_gives_it(sounds: Path) -> None:
    rows = [f"{number}.wav,{'dog' if number % 2 else 'cat'},fold{number // 4}" for number in range(20)]
    table = write(sounds, "path,label,fold", *rows)
    resolved = Table().resolved(table)
    assert (resolved.fold, resolved.folds, resolved.n_folds) == (0, (0, 1, 2, 3, 4), 5)
    for fold in resolved.folds:
        split = resolved.replace(fold=fold).read(table)
        assert [int(clip.path.stem) // 4 for clip in split.test] == [fold] * 4
    with pytest.raises(ConfigError, match="no fold 5 to hold out; there are 0, 1, 2, 3, 4"):
        resolved.replace(fold=5)


def test_a_split_decides_unless_a_fold_is_asked_for(sounds: Path) -> None:
    rows = [
        f"{n}.wav,{'dog' if n % 2 else 'cat'},{n // 2 % 5},{'test' if n > 15 else 'train'}" for n in range(20)
    ]
    table = write(sounds, "path,label,fold,split", *rows)
    resolved = Table().resolved(table)
    assert (resolved.fold, resolved.n_folds) == (None, 5)
    assert {int(clip.path.stem) for clip in resolved.read(table).test} == {16, 17, 18, 19}
    held = resolved.replace(fold=1).read(table).test
    assert {int(clip.path.stem) for clip in held} == {2, 3, 12, 13}


def test_a_label_in_one_fold_alone_is_a_mistake(sounds: Path) -> None:
    rows = [f"{number}.wav,{'dog' if number % 2 else 'cat'},{1 + number // 4}" for number in range(8)]
    found = mistakes_in(write(sounds, "path,label,fold", *rows, "9.wav,owl,2"))
    assert "line 10: the label 'owl' occurs only in fold 2" in found[0]


def test_other_spellings_of_a_file_are_the_same_file(sounds: Path) -> None:
    (sounds / "inner").mkdir()
    rows = ["0.wav,dog,train", "1.wav,cat,train", "2.wav,dog,test", "3.wav,cat,test"]
    spellings = [".//0.wav", "inner/../0.wav", str(sounds / "0.wav")]
    for spelling in spellings:
        found = mistakes_in(write(sounds, "path,label,split", *rows, f"{spelling},dog,test"))
        assert "line 6: '0.wav' is in test here and in train in line 2" in found[0]


def test_stretches_of_a_file_on_both_sides_are_told_if_they_do_not_overlap(
    sounds: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rows = ["0.wav,0,1,dog,train", "0.wav,1,2,cat,test", "1.wav,0,1,cat,train", "2.wav,0,1,dog,test"]
    read(write(sounds, "path,start,end,label,split", *rows))
    assert "1 files have clips on several sides" in caplog.text


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


def test_a_resolved_table_checks_another_file_against_its_labels(sounds: Path) -> None:
    resolved = Table().resolved(write(sounds, "path,label", "0.wav,dog", "1.wav,cat", "2.wav,dog"))
    other = write(sounds, "path,label", "0.wav,dog", "1.wav,cta", name="other.csv")
    with pytest.raises(TableError, match="line 3: 'cta' is none of the labels; did you mean 'cat'"):
        resolved.read(other)
    assert resolved.read(write(sounds, "path,label", "0.wav,dog", name="less.csv")).labels == resolved.labels


def test_labels_are_not_known_before_the_table_was_read() -> None:
    with pytest.raises(ConfigError, match=r"take table.resolved"):
        _ = Table().labels


def test_files_are_found_in_a_folder_beside_the_table(sounds: Path) -> None:
    (sounds / "audio").mkdir()
    (sounds / "meta").mkdir()
    for number in range(3):
        (sounds / f"{number}.wav").rename(sounds / "audio" / f"{number}.wav")
    rows = ["path,label", "0.wav,dog", "1.wav,cat", "2.wav,cat"]
    assert Table().resolved(write(sounds, *rows)).audio == "audio"
    assert Table().resolved(write(sounds / "meta", *rows)).audio == "../audio"


def test_names_of_windows_are_read(sounds: Path) -> None:
    (sounds / "a").mkdir()
    (sounds / "0.wav").rename(sounds / "a" / "0.wav")
    split = read(write(sounds, "path,label", "a\\0.wav,dog", "1.wav,cat"))
    assert {clip.path for clip in split.train} == {sounds / "a" / "0.wav", sounds / "1.wav"}


# ---- what is held out where the table does not say


@given(st.integers(2, 8), st.lists(st.integers(1, 60), min_size=1, max_size=6), st.integers(0, 10**6))
@settings(max_examples=60, deadline=None)
def test_every_class_is_dealt_fairly(n_folds: int, sizes: list[int], seed: int) -> None:
    groups = {f"{seed}-{label}-{i}": [str(label)] for label, size in enumerate(sizes) for i in range(size)}
    folds = deal(groups, n_folds)
    for label, size in enumerate(sizes):
        counts = Counter(folds.get(name) for name, labels in groups.items() if labels == [str(label)])
        if size == 1:
            assert counts == {None: 1}
        else:
            assert None not in counts
            assert max(1, int(size / n_folds / 2)) <= counts[1]
            assert max(counts.values()) <= max(-(-size // n_folds), int(1.5 * size / n_folds))


def test_more_clips_in_another_order_leave_those_that_were_there_on_their_sides() -> None:
    first = {f"{label}/{i}.wav": [label] for label in "abc" for i in range(100)}
    more = first | {f"{label}/{i}.wav": [label] for label in "abcd" for i in range(100, 130)}
    shuffled = list(more.items())
    random.Random(0).shuffle(shuffled)
    before, after = deal(first, 5), deal(dict(shuffled), 5)
    assert {name: after[name] for name in before} == before


def test_clips_of_a_group_or_a_file_are_held_out_together(sounds: Path) -> None:
    rows = [
        f"{n}.wav,{t},{t + 1},{'dog' if n % 2 else 'cat'},{n // 2 % 7}" for n in range(20) for t in (0, 1)
    ]
    table = write(sounds, "path,start,end,label,speaker", *rows)
    split = read(table)
    groups = [{int(clip.path.stem) // 2 % 7 for clip in part} for part in (split.train, split.test)]
    assert groups[1]
    assert not groups[0] & groups[1]


def test_dealt_folds_are_held_out_once_each(sounds: Path) -> None:
    table = write(sounds, "path,label", *[f"{n}.wav,{'dog' if n % 2 else 'cat'}" for n in range(20)])
    resolved = Table().resolved(table)
    held = [
        clip.path.name for fold in resolved.folds for clip in resolved.replace(fold=fold).read(table).test
    ]
    assert sorted(held) == sorted(f"{n}.wav" for n in range(20))


def test_the_only_clip_of_a_class_is_learned_from(sounds: Path, caplog: pytest.LogCaptureFixture) -> None:
    rows = [f"{n}.wav,{'dog' if n % 2 else 'cat'}" for n in range(19)]
    split = read(write(sounds, "path,label", *rows, "19.wav,owl"))
    assert "owl" in {clip.labels[0] for clip in split.train}
    assert "'owl': all its clips are of one recording or group" in caplog.text


# ---- what a user points at


def test_a_file_is_a_table_and_a_folder_with_one_table_is_that_table(sounds: Path) -> None:
    table = write(sounds, "path,label", "0.wav,dog", "1.wav,cat")
    write(sounds, "just a note", name="README.txt")
    assert find_corpus(table) == (Table(), table)
    assert find_corpus(sounds) == (Table(), table)
    assert find_corpus(sounds, "esc50")[0].kind == "ESC50"
    write(sounds, "path,label", "0.wav,dog", name="other.csv")
    with pytest.raises(ConfigError, match=r"several tables \(my.csv, other.csv\)"):
        find_corpus(sounds)


def test_what_is_not_there_or_not_known_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file or folder"):
        find_corpus(tmp_path / "none.csv")
    with pytest.raises(ConfigError, match="no corpus 'esc5'; did you mean 'esc50'"):
        find_corpus(tmp_path, "esc5")


# ---- columns by their names


def test_usual_names_of_columns_are_known() -> None:
    headers = {
        "Selection,Begin Path,Begin Time (s),End Time (s),Species": (
            "Begin Path",
            "Begin Time (s)",
            "Species",
        ),
        "slice_file_name,fsID,fold,classID,class": ("slice_file_name", "", "class"),
        "filename,fold,target,category,esc10,src_file,take": ("filename", "", "category"),
        "fname,labels,mids,split": ("fname", "", "labels"),
        ",File,Start (s),End (s),Common name,Confidence": ("File", "Start (s)", "Common name"),
        "client_id,path,sentence,word": ("path", "", "word"),
    }
    for header, expected in headers.items():
        mistakes = Mistakes(Path("a.csv"))
        found = find_columns(header.split(","), Columns(), mistakes)
        assert (found.path, found.start, found.label) == expected
        assert not mistakes.counts


def test_units_and_punctuation_of_names_do_not_matter() -> None:
    assert {plain(name) for name in ("Start Time", "start-time (s)", "START_TIME_sec")} == {"start_time"}


@REAL
@pytest.mark.parametrize(
    ("name", "sizes"),
    [
        ("esc10", (10, 320, 80)),
        ("esc50_16k", (50, 1600, 400)),
        ("fsdd", (10, 2500, 500)),
        ("gm_instruments_multilabel", (18, 144, 96)),
    ],
)
def test_real_tables_are_read_as_they_are(name: str, sizes: tuple[int, int, int]) -> None:
    assert DATA is not None
    corpus, root = find_corpus(Path(DATA) / name)
    assert isinstance(corpus, Table)
    split = corpus.resolved(root).read(root)
    assert (len(split.labels), len(split.train), len(split.test)) == sizes


def test_no_note_is_logged_for_a_table_in_order(sounds: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        read(write(sounds, "path,label", *[f"{n}.wav,{'dog' if n % 2 else 'cat'}" for n in range(20)]))
    assert not caplog.records
