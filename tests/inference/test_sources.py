import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from earmark.data.clips import Clip
from earmark.data.packs.rows import Row
from earmark.data.packs.writing import write_pack
from earmark.data.tables.errors import TableError
from earmark.inference.decoding import decode
from earmark.inference.settings import Run
from earmark.inference.sources import Part, Search
from earmark.storage import committed

from .sounds import write_sounds


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("b.WAV", "a.flac", "sub/c.mp3", "sub/deep/d.ogg", "notes.txt", "sub/pic.png"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"plain words")
    return tmp_path


def names(search: Search, folder: Path) -> list[str]:
    return [item.name.removeprefix(f"{folder}/") for item in search]


def test_folders_are_walked_in_order_and_other_files_counted(folder):
    search = Search([str(folder)])
    assert names(search, folder) == ["a.flac", "b.WAV", "sub/c.mp3", "sub/deep/d.ogg"]
    assert search.skipped == 2


def test_content_that_says_audio_is_taken_whatever_its_name(folder):
    (folder / "voice").write_bytes(b"RIFF\x24\0\0\0WAVEfmt ")
    (folder / "tune.dat").write_bytes(b"OggS" + bytes(50))
    assert {"voice", "tune.dat"} <= set(names(Search([str(folder)]), folder))


def test_a_file_that_is_named_is_taken_whatever_it_is(folder):
    assert names(Search([str(folder / "notes.txt")]), folder) == ["notes.txt"]


def test_globs_match_also_where_the_shell_did_not(folder):
    assert names(Search([f"{folder}/**/*.[mo]*"]), folder) == ["sub/c.mp3", "sub/deep/d.ogg"]


def test_a_name_with_brackets_is_a_name_first(folder):
    (folder / "x[1].wav").write_bytes(b"")
    assert names(Search([str(folder / "x[1].wav")]), folder) == ["x[1].wav"]


@pytest.mark.parametrize(
    ("path", "words"),
    [("nothing.wav", "no such file"), ("*.nope", "no file matches"), ("empty", "without any audio")],
)
def test_what_leads_to_nothing_is_an_error(folder, path, words):
    (folder / "empty").mkdir()
    [item] = Search([str(folder / path)])
    assert words in item.error


def test_links_are_followed_once_and_loops_end(folder):
    (folder / "sub" / "loop").symlink_to(folder)
    (folder / "twice").symlink_to(folder / "sub")
    (folder / "self.wav").symlink_to(folder / "self.wav")
    found = names(Search([str(folder)]), folder)
    assert len(found) == 5
    assert "self.wav" in found


def test_a_pipe_with_the_name_of_a_sound_is_answered_and_others_are_not_touched(folder):
    os.mkfifo(folder / "pipe.wav")
    os.mkfifo(folder / "pipe")
    assert "pipe.wav" in names(Search([str(folder)]), folder)


def test_a_folder_named_like_a_sound_is_answered(folder):
    (folder / "album.wav").mkdir()
    assert [item.error for item in Search([str(folder)]) if item.error] == [
        "is a folder without any audio file"
    ]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may list everything")
def test_a_folder_that_cannot_be_listed_is_an_error(folder):
    (folder / "sub").chmod(0)
    try:
        assert any("cannot be listed" in (item.error or "") for item in Search([str(folder)]))
    finally:
        (folder / "sub").chmod(0o700)


def test_odd_names_survive(folder):
    raw = os.fsencode(folder) + b"/\xff\n.wav"
    subprocess.run([b"touch", raw], check=True)
    [item] = [item for item in Search([str(folder)]) if "\n" in item.name]
    assert os.fsencode(str(item.source)) == raw
    assert item.name.encode("utf-8").endswith(b"/\\xff\n.wav")


def test_one_file_is_one_file_however_it_is_named(tmp_path):
    write_sounds(tmp_path, 0.1, 0.1)
    one = [str(tmp_path / "sound000.wav"), f"{tmp_path}/*0.wav", "-"]
    more = [str(tmp_path), f"{tmp_path}/*.wav", f"{tmp_path}*", f"{tmp_path}/*.mp3"]
    assert [Search([path]).single for path in one + more] == [True] * 3 + [False] * 4


def test_a_closed_standard_input_is_an_error_of_that_item(monkeypatch):
    monkeypatch.setattr(sys, "stdin", None)
    assert [item.error for item in Search(["-"])] == ["standard input is closed"]


def test_a_table_is_a_list_of_its_sounds(folder):
    table = folder / "clips.csv"
    table.write_text("file,start,end,label\na.flac,,,x\nsub/c.mp3,1.5,3,\na.flac,2,,y\nno.wav,0,1,x\n")
    search = Search([str(table)])
    assert [item.name for item in search] == ["a.flac", "sub/c.mp3#t=1.5,3", "a.flac#t=2", "no.wav#t=0,1"]
    first, second, third, _ = search
    assert first.source == str(folder / "a.flac")
    assert second.source == Part(str(folder / "sub/c.mp3"), None, 1.5, 3.0)
    assert third.source.end is None
    assert not search.single


def test_a_table_that_is_wrong_is_refused_before_any_work(folder):
    (folder / "clips.csv").write_text("sound,start\na.flac,1\n")
    (folder / "times.tsv").write_text("file\tstart\tend\na.flac\t3\t2\nb.WAV\tsoon\t\n")
    with pytest.raises(TableError, match="no column of the files") as raised:
        list(Search([str(folder / "clips.csv")]))
    assert "--set" not in str(raised.value)
    [unmatched] = Search([f"{folder}/cli[?]*.csv"])
    assert "no file matches" in unmatched.error
    with pytest.raises(TableError, match=r"(?s)2 mistakes.*line 2.*line 3"):
        list(Search([str(folder / "times.tsv")]))


def test_beside_other_paths_a_table_is_no_sound_among_sounds(folder):
    (folder / "clips.csv").write_text("file\na.flac\n")
    paths = [str(folder / name) for name in ("a.flac", "clips.csv")]
    assert [item.source for item in Search(paths)] == paths


def test_addresses_are_walked_as_folders_are(folder):
    root = f"memory://{folder.name}"
    for name in ("b.wav", "deep/a.flac", "notes.txt"):
        with committed(f"{root}/{name}") as file:
            file.write(b"plain words")
    search = Search([root])
    assert [Path(item.source).name for item in search] == ["b.wav", "a.flac"]
    assert search.skipped == 1
    assert not search.single
    assert Search([f"{root}/b.wav"]).single
    with committed(f"{root}/list.csv") as file:
        file.write(b"file\nb.wav\ndeep/a.flac\n")
    assert [item.source for item in Search([f"{root}/list.csv"])] == [
        f"{root}/b.wav",
        f"{root}/deep/a.flac",
    ]
    [nothing] = Search(["memory://nowhere/at/all"])
    assert "no audio file is below" in nothing.error
    [missing] = Search(["memory://nowhere/list.csv"])
    assert "no such file" in missing.error


def test_a_pack_is_heard_as_the_files_that_were_packed(tmp_path):
    pytest.importorskip("pyarrow", reason="Parquet packs need the extra [data]")
    (tmp_path / "files").mkdir()
    write_sounds(tmp_path / "files", 1.0, 0.3, 2.0)
    whole = {item.name: item for item in Search([str(tmp_path / "files")])}
    rows = [Row(Path(name).name, Clip(Path(name), ())) for name in whole]
    write_pack(rows, tmp_path / "pack")
    found = list(Search([str(tmp_path / "pack")]))
    assert len(found) == 3
    for (part, blocks), (_, expected) in zip(
        decode(found, 16000, Run(), None), decode(list(whole.values()), 16000, Run(), None), strict=True
    ):
        assert part.name in {row.name for row in rows}
        np.testing.assert_array_equal(np.concatenate([*blocks]), np.concatenate([*expected]))
