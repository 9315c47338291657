"""`earmark prepare`, as people type it, on small archives and on broken ones."""

import json
import logging
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from data.small_archives import write_pack, write_text, write_tone
from data.test_downloads import FILES, Shelf, shelf
from earmark.cli import main
from earmark.data import ESC50, AudioSet, Clip
from earmark.data.preparation import downloads
from earmark.data.preparation.downloads import Archive, Publication
from earmark.data.preparation.preparing import decode, measure
from earmark.data.table import Table
from earmark.labels import OPENMIC, audioset_labels
from fetching.made_archives import write_zip
from fetching.server import server

__all__ = ["server", "shelf"]

DATA = os.environ.get("EARMARK_DATA")

Prepare = Callable[..., tuple[int, str, str]]


@pytest.fixture
def prepare(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Prepare:
    """The verb: its status, what it prints, and what it tells beside it."""
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: str | Path) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as end:
            main(["prepare", *map(str, arguments)])
        out, err = capsys.readouterr()
        return int(end.value.code or 0), out, err

    return run


@pytest.fixture
def corpus(tones: Path, tmp_path: Path) -> Path:
    """ESC-10's layout, to be broken: ten tones a fold."""
    return Path(shutil.copytree(tones, tmp_path / "esc10"))


def rows(manifest: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in manifest.read_text().splitlines()]


def cells(out: str, name: str) -> list[str]:
    """What the printed table has behind a class."""
    (line,) = [line for line in out.splitlines() if f"│ {name} " in line]
    return [cell.strip() for cell in line.split("│")[2:-1]]


def same(split: Any, other: Any) -> bool:
    parts = ("train", "test", "validation")
    named = [
        [{(clip.path.name, clip.labels, clip.unknown) for clip in getattr(one, part)} for part in parts]
        for one in (split, other)
    ]
    return named[0] == named[1]


def test_an_archive_is_counted_by_class_and_fold(corpus: Path, prepare: Prepare) -> None:
    status, out, err = prepare("esc10", corpus)
    assert (status, err) == (0, "")
    assert "50 clips of 10 classes: fold 1 10, fold 2 10, fold 3 10, fold 4 10, fold 5 10" in out
    assert "0.01 hours: the shortest 0.5 s, the middle one 0.5 s, the longest 0.5 s" in out
    assert "sample rates: 50 at 8000 Hz" in out
    assert "0 clips cannot be read" in out
    assert cells(out, "Rain") == ["1"] * 5


def test_the_manifest_is_a_table_with_the_same_folds(corpus: Path, prepare: Prepare) -> None:
    status, _, err = prepare("esc10", corpus, "--out", corpus / "clips.jsonl")
    assert status == 0
    assert "50 clips are listed in" in err
    found = rows(corpus / "clips.jsonl")
    assert set(found[0]) == {"path", "labels", "fold", "seconds", "sample_rate"}
    assert found[0]["path"].startswith("audio/")
    assert (found[0]["seconds"], found[0]["sample_rate"]) == (0.5, 8000)
    table = Table().resolved(corpus / "clips.jsonl")
    assert table.folds == (1, 2, 3, 4, 5)
    for fold in table.folds:
        split = table.replace(fold=fold).read(corpus / "clips.jsonl")
        assert same(split, ESC50(esc10=True, fold=fold).read(corpus))


def test_a_manifest_elsewhere_has_whole_paths(corpus: Path, prepare: Prepare, tmp_path: Path) -> None:
    (tmp_path / "lists").mkdir()
    prepare("esc10", corpus, "--out", tmp_path / "lists" / "clips.jsonl")
    assert all(Path(row["path"]).is_file() for row in rows(tmp_path / "lists" / "clips.jsonl"))


def test_a_manifest_is_prepared_like_any_other_corpus(corpus: Path, prepare: Prepare) -> None:
    prepare("esc10", corpus, "--out", corpus / "clips.jsonl")
    status, out, _ = prepare("table", corpus / "clips.jsonl")
    assert status == 0
    assert "50 clips of 10 classes: fold 1 10, fold 2 10, fold 3 10, fold 4 10, fold 5 10" in out


def test_folders_of_classes_are_prepared_too(prepare: Prepare, tmp_path: Path) -> None:
    for part, name in (("train", "a"), ("train", "b"), ("test", "c")):
        for label in ("cat", "dog"):
            write_tone(tmp_path / part / label / f"{label}{name}.wav")
    status, out, _ = prepare("folder", tmp_path, "--out", tmp_path / "clips.jsonl")
    assert status == 0
    assert "6 clips of 2 classes: train 4, test 2" in out
    table = Table().read(tmp_path / "clips.jsonl")
    assert [len(table.train), len(table.test)] == [4, 2]


def broken(corpus: Path) -> dict[str, str]:
    """Break four clips of a corpus; what is said of each."""
    paths = sorted((corpus / "audio").iterdir())
    paths[0].write_bytes(b"")
    paths[1].unlink()
    paths[2].write_text("no sound at all, but some words that nobody can hear")
    whole = paths[3].read_bytes()
    paths[3].write_bytes(whole[: len(whole) // 2] + bytes(len(whole) - len(whole) // 2))
    words = ("the file is empty", "there is no such file", "not audio")
    return {path.name: word for path, word in zip(paths, words, strict=False)} | {paths[3].name: ""}


def test_files_that_cannot_be_read_are_listed_and_the_rest_goes_on(corpus: Path, prepare: Prepare) -> None:
    words = broken(corpus)
    status, out, err = prepare("esc10", corpus, "--out", corpus / "clips.jsonl")
    assert status == 1
    assert "3 clips cannot be read" in out
    for name, reason in list(words.items())[:3]:
        assert [line for line in err.splitlines() if name in line and reason in line], err
    assert "Traceback" not in err
    assert len(rows(corpus / "clips.jsonl")) == 47
    listed = {Path(row["path"]).name for row in rows(corpus / "clips.jsonl")}
    assert listed & set(words) == {list(words)[3]}
    assert Table().resolved(corpus / "clips.jsonl").folds == (1, 2, 3, 4, 5)


def test_decoding_finds_what_headers_hide(corpus: Path, prepare: Prepare) -> None:
    name = list(broken(corpus))[3]
    _, out, err = prepare("esc10", corpus)
    assert "3 clips cannot be read" in out
    assert name not in err
    status, out, err = prepare("esc10", corpus, "--decode", "--workers", "1")
    assert status == 1
    assert "4 clips cannot be read" in out
    assert name in err
    assert "0.01 hours: the shortest 0.5 s" in out


def test_unknown_labels_are_counted_and_kept(prepare: Prepare, tmp_path: Path) -> None:
    lists = {"train": ["000000_0", "000001_0"], "test": ["000002_0"]}
    for part, keys in lists.items():
        write_text(tmp_path / "partitions" / f"split01_{part}.csv", *keys)
        for key in keys:
            write_tone(tmp_path / "audio" / "000" / f"{key}.ogg")
    judged = ["000000_0,banjo,0.9", "000001_0,banjo,0.1", "000001_0,voice,1", "000002_0,banjo,0.8"]
    write_text(tmp_path / "openmic-2018-aggregated-labels.csv", "sample_key,instrument,relevance", *judged)
    status, out, _ = prepare("openmic", tmp_path, "--out", tmp_path / "clips.jsonl")
    assert status == 0
    assert "3 clips of 20 classes: train 2, test 1" in out
    assert cells(out, "banjo") == ["1", "1", "0"]
    assert cells(out, "voice") == ["1", "0", "2"]
    assert "18 classes have no clip, such as accordion" in out
    found = rows(tmp_path / "clips.jsonl")
    assert [row["split"] for row in found] == ["train", "train", "test"]
    assert [row["labels"] for row in found] == [["banjo"], ["voice"], ["banjo"]]
    assert [len(row["unknown"]) for row in found] == [19, 18, 19]
    train = Table(exclusive=False, names=OPENMIC).read(tmp_path / "clips.jsonl").train
    assert [clip.labels for clip in train] == [("banjo",), ("voice",)]
    assert [len(clip.unknown) for clip in train] == [19, 18]


def test_clips_that_are_gone_are_reported_and_not_fatal(
    prepare: Prepare, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    labels = audioset_labels()
    for name in ("balanced_train_segments", "eval_segments"):
        lines = [f'{name[:4]}_{index:06d}, 0.000, 10.000, "{labels.ids[index]}"' for index in range(4)]
        write_text(tmp_path / f"{name}.csv", "# a", "# b", "# c", *lines)
        write_tone(tmp_path / name / f"Y{name[:4]}_000001.wav")
    with caplog.at_level(logging.CRITICAL):
        status, out, _ = prepare("audioset-balanced", tmp_path)
    assert status == 0
    assert "2 clips of 527 classes: train 1, test 1" in out
    assert "6 clips are listed but not here, such as bala_000000 at 0 s" in out


def test_rows_of_packs_are_checked_one_by_one(prepare: Prepare, tmp_path: Path) -> None:
    labels = audioset_labels()
    target = np.zeros((3, 527), np.uint8)
    target[:2, labels.index("Dog")] = target[1:, labels.index("Rain")] = 1
    for part in ("balanced_train", "eval"):
        write_pack(tmp_path / "mp3" / f"{part}_segments_mp3.hdf", np.packbits(target, axis=1), seconds=1.0)
    with h5py.File(tmp_path / "mp3" / "eval_segments_mp3.hdf", "a") as file:
        file["mp3"][1] = np.zeros(100, np.uint8)
    status, out, err = prepare("audioset-balanced", tmp_path, "--out", tmp_path / "clips.jsonl")
    assert status == 1
    assert "1 clips cannot be read" in out
    assert "eval_segments_mp3.hdf, row 1: " in err
    assert [row["row"] for row in rows(tmp_path / "clips.jsonl")] == [0, 1, 2, 0, 2]
    split = Table().resolved(tmp_path / "clips.jsonl").read(tmp_path / "clips.jsonl")
    whole = AudioSet(subset="balanced").read(tmp_path)
    assert [clip.row for clip in split.train] == [clip.row for clip in whole.train]


@pytest.mark.parametrize("look", [lambda clips: measure(clips, 2), lambda clips: decode(clips, 0)])
def test_a_clip_is_as_long_as_its_stretch_and_an_error_beyond_the_end(
    tmp_path: Path, look: Callable[[list[Clip]], Any]
) -> None:
    path = write_tone(tmp_path / "a.wav", 1.0)
    stretches = [(0.0, 0.5), (0.5, 3.0), (0.25, None), (3.0, 4.0)]
    *good, bad = look([Clip(path, (), start, end) for start, end in stretches])
    assert [found.seconds for found in good] == pytest.approx([0.5, 0.5, 0.75])
    assert "a.wav: the clip begins" in bad.error


def test_a_download_is_checked_at_once(
    prepare: Prepare, shelf: Shelf, tmp_path: Path, tones: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {f"Corpus-1/audio/{path.name}": path.read_bytes() for path in (tones / "audio").iterdir()}
    files["Corpus-1/metadata.csv"] = (tones / "metadata.csv").read_bytes()
    archive = write_zip(shelf.folder / "esc.zip", files)
    parts = Archive((shelf.remote(archive),), ("audio", "metadata.csv"), "Corpus-1", 10**8)
    monkeypatch.setitem(downloads.DOWNLOADS, "ESC50", Publication("CC BY 3.0", (parts,)))
    status, out, err = prepare("esc10", tmp_path / "new", "--download")
    assert status == 0, err
    assert "ESC50 is published under CC BY 3.0" in err
    assert "2 files and folders were put into" in err
    assert "50 clips of 10 classes" in out
    _, _, err = prepare("esc10", tmp_path / "new", "--download")
    assert "has all of it already" in err
    assert shelf.asked() == ["esc.zip"]


def test_a_download_that_fails_is_a_sentence(
    prepare: Prepare, shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = write_zip(shelf.folder / "esc.zip", FILES)
    wrong = shelf.remote(archive)._replace(md5="0" * 32)
    monkeypatch.setitem(
        downloads.DOWNLOADS, "ESC50", Publication("CC0", (Archive((wrong,), ("audio",), "Corpus-1", 10**8),))
    )
    status, out, err = prepare("esc50", tmp_path / "new", "--download")
    assert (status, out) == (1, "")
    assert "or download it yourself and unpack it into" in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["esc5", "."], 2, "no corpus 'esc5'; did you mean 'esc50'?"),
        (["esc50", "nowhere"], 2, "no table of ESC-50 or ESC-10 under nowhere; looked for meta/esc50.csv"),
        (["audioset", ".", "--download"], 2, "AudioSet cannot be downloaded; --download knows ESC50"),
        (["table", "nowhere.csv"], 2, "nowhere.csv: there is no such file or folder"),
        (["openmic", "nowhere"], 2, "nowhere is no folder; give the one that OpenMIC-2018 was unpacked to"),
    ],
)
def test_a_wrong_call_is_one_sentence(
    prepare: Prepare,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    status: int,
    words: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    found, out, err = prepare(*arguments)
    assert (found, out) == (status, "")
    assert words in err
    assert len(err.splitlines()) == 1


def test_a_manifest_that_cannot_be_written_is_a_sentence(corpus: Path, prepare: Prepare) -> None:
    status, _, err = prepare("esc10", corpus, "--out", corpus / "no" / "clips.jsonl")
    assert status == 74
    assert "clips.jsonl: no such file or directory" in err


@pytest.mark.slow
@pytest.mark.skipif(not DATA, reason="EARMARK_DATA is unset: no real corpora here")
def test_the_real_esc50_has_forty_clips_of_each_class(prepare: Prepare) -> None:
    status, out, _ = prepare("esc50", Path(DATA or "") / "esc50_16k")
    assert status == 0
    assert "2000 clips of 50 classes: fold 1 400, fold 2 400, fold 3 400, fold 4 400, fold 5 400" in out
    assert cells(out, "Dog") == ["8"] * 5


def test_an_impossible_number_of_workers_is_a_sentence(corpus: Path, prepare: Prepare) -> None:
    status, _, err = prepare("esc10", corpus, "--workers", "0")
    assert status == 2
    assert "--workers 0; give 1 to 256" in err
