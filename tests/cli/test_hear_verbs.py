"""`earmark prepare hear-tasks` and `earmark hear eval`, from a corpus to a report."""

import json
import shutil
from pathlib import Path

import pytest

from earmark.cli.hear_eval import eval_
from earmark.cli.prepare_hear import hear_tasks
from earmark.config import ConfigError

FEW = ["grid_points=1", "max_epochs=30", "width=64", "seed=42"]


def test_from_a_table_to_a_report(tones: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Four pitches in three folds, by the built-in model."""
    rows = [path.stem.split("-") for path in sorted((tones / "audio").iterdir())]
    lines = [f"{'-'.join(row)}.flac,{row[1]},{row[0]}" for row in rows if row[0] < "4" and row[1] in "0369"]
    shutil.copytree(tones / "audio", tmp_path / "pitches")
    (tmp_path / "pitches" / "clips.csv").write_text("\n".join(["file,label,fold", *lines]))
    tasks, out = tmp_path / "tasks", tmp_path / "out"
    assert hear_tasks("table", data=tmp_path / "pitches", out=tasks, run=["rates=16000"]) == 0
    assert "12 sounds of 4 labels in fold00, fold01, fold02" in capsys.readouterr().err
    assert eval_("builtin", tasks=tasks, out=out, cache=tmp_path / "cache", run=FEW) == 0
    page = capsys.readouterr().out
    assert page == (out / "hear.md").read_text()
    told = json.loads((out / "hear.json").read_text())
    assert (told["module"], told["protocol"]["seed"], len(told["tasks"])) == ("builtin", 42, 1)
    score = told["tasks"][0]["metrics"]["top1_acc"]["mean"]
    assert score > 0.6  # chance is .25
    assert f"| pitches-earmark1-full | top1_acc | {score:.4f} |" in page


def test_a_task_of_a_published_name_stands_beside_what_is_published(tones: Path, tmp_path: Path) -> None:
    hear_tasks("esc10", data=tones, out=tmp_path / "tasks", run=["name=esc50", "rates=16000", "seconds=0.5"])
    broken = next((tmp_path / "tasks").rglob("fold01/*.wav"))
    broken.write_bytes(b"nothing")
    assert (
        eval_(
            "logmel", tasks=tmp_path / "tasks", out=tmp_path, cache=tmp_path / "c", run=[*FEW, "max_epochs=1"]
        )
        == 1
    )
    page = (tmp_path / "hear.md").read_text()
    assert "| mn04_as | 0.918 |" in page
    assert f"- fold01/{broken.name}: " in page


def test_a_task_without_sounds_does_not_stop_the_others(
    tones: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a", "b"):
        hear_tasks(
            "esc10", data=tones, out=tmp_path / "tasks", run=[f"name={name}", "rates=16000", "seconds=0.5"]
        )
    shutil.rmtree(tmp_path / "tasks" / "a-earmark1-full" / "16000" / "fold02")
    few = [*FEW, "max_epochs=1"]
    assert eval_("logmel", tasks=tmp_path / "tasks", cache=tmp_path / "c", run=few) == 1
    told = capsys.readouterr()
    assert "a-earmark1-full has no sounds of fold02" in told.err
    assert "| b-earmark1-full |" in told.out


def test_wrong_calls_are_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="did you mean 'esc50'"):
        hear_tasks("esc5", data=tmp_path, out=tmp_path)
    with pytest.raises(ConfigError, match="esc50 needs --data"):
        hear_tasks("esc50", out=tmp_path)
    with pytest.raises(ConfigError, match="no field 'epochs'; did you mean 'max_epochs'"):
        eval_("logmel", tasks=tmp_path, run=["epochs=3"])
    with pytest.raises(ConfigError, match="holds no HEAR tasks"):
        eval_("logmel", tasks=tmp_path)
