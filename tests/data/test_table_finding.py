"""Where the files, the columns and the stretches of a table are."""

import os
from pathlib import Path

import pytest

from data.tables import read, sounds, write
from earmark.config import ConfigError
from earmark.data import Table
from earmark.data.finding import find_corpus
from earmark.data.tables.columns import Columns, find_columns, plain
from earmark.data.tables.errors import Mistakes

__all__ = ["sounds"]


DATA = os.environ.get("EARMARK_DATA")


REAL = pytest.mark.skipif(not DATA, reason="EARMARK_DATA is unset: no real corpora here")


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
