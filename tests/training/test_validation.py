"""Metrics to choose by, in the course of a run."""

from pathlib import Path

import pytest
from tone_recipe import TINY

from earmark.cli.train import print_epoch
from earmark.data.table import Table
from earmark.training import Settings, train
from earmark.training.run_folder import RunFolder


def test_clips_that_cannot_be_decoded_are_counted_and_told(
    tones: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = ["path,label,split"]
    for number, path in enumerate(sorted((tones / "audio").iterdir())[:20]):
        (tmp_path / path.name).write_bytes(b"no audio" if number in (3, 4) else path.read_bytes())
        part = {3: "validation", 5: "validation", 6: "validation", 7: "test"}.get(number, "train")
        lines.append(f"{path.name},{'low' if number % 2 else 'high'},{part}")
    (table := tmp_path / "clips.csv").write_text("\n".join(lines))
    corpus = Table().resolved(table)
    recipe = TINY.replace(corpus=corpus, model=TINY.model.replace(labels=corpus.labels), epochs=1)
    train(recipe, table, tmp_path / "run", Settings(max_errors=0.5), print_epoch)
    row = RunFolder(tmp_path / "run", recipe).rows()[0]
    assert (row["failed_clips"], row["failed_validation_clips"]) == (1, 1)
    assert "cannot be decoded: 1 replaced, 1 of validation left out" in capsys.readouterr().err
