"""`earmark pack` and `unpack`, as people type them."""

import filecmp
from pathlib import Path

import pytest

pytest.importorskip("pyarrow", reason="Parquet packs need the extra [data]")


def test_a_corpus_is_packed_checked_trained_on_and_unpacked(called, tones: Path, tmp_path: Path) -> None:
    labels = ("--set", "corpus.columns.label=esc50_target")
    status, _, err = called(
        "pack", tones, tmp_path / "pack", "--workers", "1", "--shard-size", "0.1", *labels
    )
    assert (status, "50 clips are packed in" in err) == (0, True), err
    status, _, err = called("pack", "--check", tmp_path / "pack")
    assert (status, "is whole: 50 clips in" in err) == (0, True), err
    for data in ((tones, *labels), (tmp_path / "pack",)):
        status, out, err = called("train", "--from", "builtin", "--dry-run", "--data", *data)
        assert status == 0, err
        assert "clips: 40 to learn from, 0 for validation, 10 held out" in out
    status, _, err = called("unpack", tmp_path / "pack", tmp_path / "files")
    assert (status, "50 clips are in" in err) == (0, True), err
    names = [path.name for path in (tones / "audio").iterdir()]
    same, _, _ = filecmp.cmpfiles(tones / "audio", tmp_path / "files", names, shallow=False)
    assert len(same) == 50


def test_a_known_corpus_is_packed_by_its_name_with_its_folds(called, tones: Path, tmp_path: Path) -> None:
    status, _, err = called("pack", tones, tmp_path / "pack", "--corpus", "esc10", "--to", "webdataset")
    assert status == 0, err
    status, out, _ = called("prepare", "table", tmp_path / "pack")
    assert status == 0
    assert "50 clips of 10 classes: fold 1 10, fold 2 10, fold 3 10, fold 4 10, fold 5 10" in out


def test_clips_that_cannot_be_packed_are_told_and_the_status_says_so(
    called, tones: Path, tmp_path: Path
) -> None:
    lines = [f"{path},x" for path in sorted((tones / "audio").iterdir())[:2]]
    (tmp_path / "empty.wav").touch()
    (tmp_path / "clips.csv").write_text("\n".join(["sound,kind", *lines, "empty.wav,y"]))
    named = ("--set", "corpus.columns.path=sound", "--set", "corpus.columns.label=kind")
    status, _, err = called("pack", tmp_path / "clips.csv", tmp_path / "pack", *named)
    assert status == 1
    assert "empty.wav" in err
    assert "2 clips are packed in" in err
    assert "1 clips cannot be read and are not in it" in err
    shard = next((tmp_path / "pack").glob("*.parquet"))
    shard.write_bytes(shard.read_bytes()[:-100])
    status, _, err = called("pack", "--check", tmp_path / "pack")
    assert status == 1
    assert "is truncated" in err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "packing needs a table and a folder"),
        (["nowhere", "out"], "there is no such file or folder"),
        (["examples", "out", "--encode", "opus", "--rate", "44100"], "Opus has no rate of 44100 Hz"),
        (["examples", "out", "--rate", "16000"], "needs sounds that are encoded anew"),
        (["examples", "out", "--workers", "0"], "give 1 to 256"),
        (["--check", "nowhere"], "nowhere"),
    ],
)
def test_wrong_calls_are_sentences(called, arguments: list[str], words: str) -> None:
    status, _, err = called("pack", *arguments)
    assert status == 2
    assert words in err
