"""`earmark recipes`, `train`, `evaluate`, `crossval`, as people type them."""

import json
from pathlib import Path

import pytest

SMALL = [
    *("--set", "epochs=2", "--set", "model.encoder.widths=[4,8]", "--set", "model.encoder.stem=4"),
    *("--set", "batch_size=8", "--threads", "1"),
]


def test_the_recipes_are_listed(called) -> None:
    status, out, _ = called("recipes")
    assert status == 0
    assert "esc10-cnn" in out


def test_a_run_is_trained_evaluated_and_tags(called, tones: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    status, _, err = called("train", "esc10-cnn", "--data", tones, "--out", run, *SMALL)
    assert status == 0, err
    assert "epoch    2" in err
    report = tmp_path / "report.json"
    call = ("evaluate", run, "--corpus", "esc10", "--data", tones, "--fold")
    status, out, err = called(*call, "1", "--out", report)
    assert status == 0, err
    assert "10 clips, 0 failed" in out
    assert len(json.loads(report.read_text())["classes"]) == 10
    status, _, err = called(*call, "2")
    assert status == 2
    assert "the fold that it never saw is 1" in err
    clip = next((tones / "audio").iterdir())
    _, out, _ = called("tag", clip, "--model", run, "--format", "jsonl", "--top", "2")
    assert len(json.loads(out)["tags"]) == 2


def test_crossval_reports_each_fold_and_the_mean(called, tones: Path, tmp_path: Path) -> None:
    folds = ("--folds", "1", "3", "--set", "epochs=1")
    call = ("crossval", "esc10-cnn", "--data", tones, "--out", tmp_path / "folds", *SMALL, *folds)
    status, out, err = called(*call)
    assert status == 0, err
    assert "fold 1: top-1" in out
    assert "fold 3: top-1" in out
    assert "mean top-1" in out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["train", "esc10-cn", "--data", ".", "--out", "run"], "did you mean 'esc10-cnn'"),
        (["train", "esc10-cnn", "--data", "nowhere", "--out", "run"], "no table of ESC-50 or ESC-10"),
        (["train", "esc10-cnn", "--data", ".", "--out", "run", "--set", "epoch=3"], "did you mean 'epochs'"),
        (["train", "esc10-cnn", "--data", ".", "--out", "run", "--set", "epochs"], "write path=value"),
        (["evaluate", "nomodel", "--data", ".", "--corpus", "esc11"], "did you mean 'esc10'"),
    ],
)
def test_a_wrong_call_is_one_sentence_and_status_2(
    arguments: list[str], words: str, called, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    status, _, err = called(*arguments)
    assert status == 2
    assert words in err
    assert "Traceback" not in err
