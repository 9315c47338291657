"""`earmark recipes`, `train`, `evaluate`, `crossval`, as people type them."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

SMALL = [
    *("--set", "epochs=2", "--set", "model.encoder.widths=[4,8]", "--set", "model.encoder.stem=4"),
    *("--set", "batch_size=8", "--threads", "1"),
]


def earmark(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "earmark", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=200)


def test_the_recipes_are_listed() -> None:
    result = earmark("recipes")
    assert result.returncode == 0
    assert "esc10-cnn" in result.stdout


def test_a_run_is_trained_evaluated_and_tags(tones: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    result = earmark("train", "esc10-cnn", "--data", tones, "--out", run, *SMALL)
    assert result.returncode == 0, result.stderr
    assert "epoch    2" in result.stderr
    report = tmp_path / "report.json"
    result = earmark("evaluate", run, "--corpus", "esc10", "--data", tones, "--fold", "1", "--out", report)
    assert result.returncode == 0, result.stderr
    assert "10 clips, 0 failed" in result.stdout
    assert len(json.loads(report.read_text())["classes"]) == 10
    result = earmark("evaluate", run, "--corpus", "esc10", "--data", tones, "--fold", "2")
    assert result.returncode == 2
    assert "the fold that it never saw is 1" in result.stderr
    clip = next((tones / "audio").iterdir())
    result = earmark("tag", clip, "--model", run, "--format", "jsonl", "--top", "2")
    assert len(json.loads(result.stdout)["tags"]) == 2


def test_crossval_reports_each_fold_and_the_mean(tones: Path, tmp_path: Path) -> None:
    out = tmp_path / "folds"
    result = earmark(
        "crossval", "esc10-cnn", "--data", tones, "--out", out, "--folds", "1", "--folds", "3", *SMALL
    )
    assert result.returncode == 0, result.stderr
    assert "fold 1: top-1" in result.stdout
    assert "fold 3: top-1" in result.stdout
    assert "mean top-1" in result.stdout


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
def test_a_wrong_call_is_one_sentence_and_status_2(arguments: list[str], words: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "earmark", *arguments]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=100)
    assert result.returncode == 2
    assert words in result.stderr
    assert "Traceback" not in result.stderr
