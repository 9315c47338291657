"""What --resume refuses: to go on with one run as if it were another."""

import json
from pathlib import Path

import pytest
import torch
from tone_recipe import TINY

from earmark.config import ConfigError
from earmark.models import load
from earmark.training import AdamW, Settings, train
from earmark.training.settings import TrainingError
from earmark.training.stopping import StoppedError

RESUME = Settings(resume=True, save_steps=1)
SHORT = TINY.replace(epochs=2)


def begun(tones: Path, run: Path) -> Path:
    """A run that was stopped after its first epoch."""

    def stop(_: object) -> None:
        raise StoppedError(15)

    with pytest.raises(StoppedError):
        train(SHORT, tones, run, RESUME, report=stop)
    return run


def rows(run: Path) -> list[dict[str, float | None]]:
    lines = (run / "metrics.jsonl").read_text().splitlines()
    return [json.loads(line, parse_constant=pytest.fail) for line in lines]


def test_a_finished_run_of_another_recipe_is_not_taken_for_this_one(tones: Path, tmp_path: Path) -> None:
    train(SHORT, tones, tmp_path / "run")
    train(SHORT, tones, tmp_path / "run", RESUME)
    with pytest.raises(ConfigError, match="a run of another recipe; they differ in epochs"):
        train(SHORT.replace(epochs=3), tones, tmp_path / "run", RESUME)


def test_a_run_does_not_go_on_with_other_clips(tones: Path, tmp_path: Path) -> None:
    run, other = begun(tones, tmp_path / "run"), tmp_path / "other"
    other.mkdir()
    (other / "audio").symlink_to(tones / "audio")
    lines = (tones / "metadata.csv").read_text().splitlines()
    (other / "metadata.csv").write_text("\n".join(lines[:-1]) + "\n")
    with pytest.raises(ConfigError, match="holds a run on other clips than those given now"):
        train(SHORT, other, run, RESUME)
    (other / "metadata.csv").write_text("\n".join(lines) + "\n")
    train(SHORT, other, run, RESUME)  # the same clips, in another place


def test_a_run_that_begins_anew_forgets_what_it_measured(tones: Path, tmp_path: Path) -> None:
    run = begun(tones, tmp_path / "run")
    for state in (run / "state").iterdir():
        state.unlink()
    train(SHORT, tones, run, RESUME)
    assert [row["epoch"] for row in rows(run)] == [1, 2]


def test_an_epoch_of_which_no_step_was_applied_has_no_loss(tones: Path, tmp_path: Path) -> None:
    recipe = TINY.replace(epochs=8, batch_size=40, averaging=None, optimizer=AdamW(lr=1e25))
    with pytest.raises(TrainingError, match="3 such steps in a row"):
        train(recipe, tones, tmp_path)
    losses = [row["loss"] for row in rows(tmp_path)]
    assert losses[-1] is None
    assert 0 not in losses


def test_a_finished_folder_has_the_last_weights_beside_the_averaged_ones(tones: Path, tmp_path: Path) -> None:
    train(SHORT, tones, tmp_path)
    last, model = load(tmp_path / "last.safetensors"), load(tmp_path)
    assert last.config == model.config
    assert any(not torch.equal(a, b) for a, b in zip(last.parameters(), model.parameters(), strict=True))
