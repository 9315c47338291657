"""Mistakes in a table are sentences with their lines, as many as there are kinds of them."""

import logging
from pathlib import Path

import pytest

from data.tables import mistakes_in, read, sounds, write
from earmark.data import Table
from earmark.data.tables.columns import Columns
from earmark.data.tables.errors import TableError

__all__ = ["sounds"]


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


def test_no_note_is_logged_for_a_table_in_order(sounds: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        read(write(sounds, "path,label", *[f"{n}.wav,{'dog' if n % 2 else 'cat'}" for n in range(20)]))
    assert not caplog.records
