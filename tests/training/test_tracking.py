"""What a run tells of itself: complete, nothing twice, and never a reason to end."""

import json
import logging
import os
import signal
import struct
from pathlib import Path

import pytest
from several import in_a_fork
from tone_recipe import TINY

from earmark.config import ConfigError
from earmark.training import Settings, train
from earmark.training.run_folder import RunFolder
from earmark.training.stopping import StoppedError
from earmark.training.telling.plots import curves
from earmark.training.telling.progress import Stopwatch
from earmark.training.telling.trackers import MLflow, TensorBoard
from earmark.training.telling.tracking import Tracks, require

OFTEN = Settings(resume=True, save_steps=3)

# Python 3.12 warns of forks beside threads; torch has some that sleep.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")


def shown(run: Path) -> dict[str, list[tuple[int, float]]]:
    """What TensorBoard would show: steps and values by name."""
    board = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    events = board.EventAccumulator(str(run / "tensorboard")).Reload()
    return {name: [(e.step, e.value) for e in events.Scalars(name)] for name in events.Tags()["scalars"]}


def is_png(path: Path) -> bool:
    head = path.read_bytes()[:24]
    return head.startswith(b"\x89PNG") and min(struct.unpack(">II", head[16:24])) > 100


def test_a_run_leaves_its_curves(tones: Path, tmp_path: Path) -> None:
    rows: list[dict[str, float]] = []
    train(TINY.replace(epochs=3), tones, tmp_path, report=rows.append)
    told = shown(tmp_path)
    assert {"step/loss", "step/rate", "step/waiting", "step/clips_per_second"} <= told.keys()
    steps = [step for step, _ in told["epoch/loss"]]
    assert steps == [5, 10, 15]
    assert [value for _, value in told["epoch/loss"]] == pytest.approx([row["loss"] for row in rows])
    assert is_png(tmp_path / "curves.png")


def test_what_a_killed_run_computed_again_is_shown_once(tones: Path, tmp_path: Path) -> None:
    recipe = TINY.replace(epochs=4)

    def die(row: dict[str, float]) -> None:
        if row["epoch"] == 2:  # behind step 10, when the newest state is that of step 9
            os.kill(os.getpid(), signal.SIGKILL)

    child = in_a_fork(lambda: train(recipe, tones, tmp_path, OFTEN, die))
    assert os.waitpid(child, 0)[1] == signal.SIGKILL
    before = len(list((tmp_path / "tensorboard").iterdir()))
    train(recipe, tones, tmp_path, OFTEN)
    assert len(list((tmp_path / "tensorboard").iterdir())) == before + 1
    assert [step for step, _ in shown(tmp_path)["epoch/loss"]] in ([5, 10, 15, 20], [10, 15, 20])


def test_a_run_that_was_stopped_has_its_curves_already(tones: Path, tmp_path: Path) -> None:
    def stop(row: dict[str, float]) -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(StoppedError):
        train(TINY.replace(epochs=3), tones, tmp_path, report=stop)
    assert is_png(tmp_path / "curves.png")
    assert [step for step, _ in shown(tmp_path)["epoch/loss"]] == [5]
    train(TINY.replace(epochs=3), tones, tmp_path, Settings(resume=True))
    assert [step for step, _ in shown(tmp_path)["epoch/loss"]] == [5, 10, 15]


def test_curves_that_cannot_be_written_do_not_end_the_run(
    tones: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "tensorboard").write_text("in the way")
    (tmp_path / "curves.png").mkdir()
    train(TINY.replace(epochs=2), tones, tmp_path)
    assert (tmp_path / "model.safetensors").exists()
    said = [record.message for record in caplog.records if record.levelno == logging.WARNING]
    assert sum("TensorBoard failed" in message for message in said) == 1
    assert sum("curves.png failed" in message for message in said) == 1


def test_without_the_packages_one_sentence_says_what_brings_them(
    tones: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("earmark.training.telling.tracking.find_spec", lambda name: None)
    train(TINY.replace(epochs=1), tones, tmp_path)
    assert [r.message for r in caplog.records if "earmark[train]" in r.message] != []
    assert not (tmp_path / "tensorboard").exists()
    assert (tmp_path / "model.safetensors").exists()


def test_a_tracker_that_is_not_installed_is_a_sentence_before_anything_is_computed(
    tones: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("earmark.training.telling.tracking.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match="'wandb', which is not installed; `pip install wandb`"):
        train(TINY, tones, tmp_path / "run", Settings(trackers=("wandb",)))
    assert not (tmp_path / "run").exists()
    monkeypatch.undo()
    require(["json"])


def test_tensorboard_shows_steps_that_were_computed_twice_once(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    folder = RunFolder(tmp_path, TINY)
    for first, steps, value in ((0, range(1, 11), 1.0), (6, range(7, 13), 2.0)):
        board = TensorBoard(folder, first)
        for step in steps:
            board.tell(step, {"loss": value})
        board.close(finished=False)
    assert shown(tmp_path)["loss"] == [(n, 1.0 if n <= 6 else 2.0) for n in range(1, 13)]


@pytest.mark.filterwarnings("ignore")
def test_mlflow_is_told_of_a_run_once(tones: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mlflow = pytest.importorskip("mlflow", reason="mlflow is not installed")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (tmp_path / "mlruns").as_uri())
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    recipe, run = TINY.replace(epochs=3), tmp_path / "run"

    def stop(row: dict[str, float]) -> None:
        if row["epoch"] == 2:
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(StoppedError):
        train(recipe, tones, run, Settings(trackers=("mlflow",)), report=stop)
    number = json.loads((run / "trackers.json").read_text())["mlflow"]
    client = mlflow.MlflowClient()
    assert client.get_run(number).info.status == "KILLED"
    train(recipe, tones, run, Settings(trackers=("mlflow",), resume=True))
    told = client.get_run(number)
    assert (told.info.status, told.info.run_name) == ("FINISHED", "run")
    assert told.data.params["optimizer.lr"] == "0.01"
    assert [one.step for one in client.get_metric_history(number, "epoch/loss")] == [5, 10, 15]
    for step in (10, 15, 20):  # two of them are known
        MLflow(recipe, None, number).tell(step, {"epoch/loss": 0.5})
    assert [one.step for one in client.get_metric_history(number, "epoch/loss")] == [5, 10, 15, 20]


@pytest.mark.filterwarnings("ignore")
def test_wandb_is_told_of_a_run(
    tones: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    pytest.importorskip("wandb", reason="wandb is not installed")
    monkeypatch.setenv("WANDB_MODE", "offline")
    train(TINY.replace(epochs=2), tones, tmp_path, Settings(trackers=("wandb",)))
    assert json.loads((tmp_path / "trackers.json").read_text())["wandb"]
    (kept,) = (tmp_path / "wandb").glob("offline-run-*/*.wandb")
    assert b"epoch/loss" in kept.read_bytes()
    assert "failed" not in caplog.text


class Heard:
    """A tracker that keeps what it is told, until it fails."""

    def __init__(self, fails_at: int = 10**9) -> None:
        self.fails_at = fails_at
        self.numbers: list[int] = []

    def tell(self, number: int, values: dict[str, float]) -> None:
        if number >= self.fails_at:
            raise OSError("no room")
        self.numbers.append(number)

    def close(self, finished: bool) -> None:
        self.numbers.append(-1)


def test_a_tracker_that_fails_is_left_away_and_the_others_go_on(caplog: pytest.LogCaptureFixture) -> None:
    good, bad = Heard(), Heard(fails_at=2)
    tracks = Tracks({"good": good, "bad": bad})
    for number in range(1, 5):
        tracks.epoch(number, {"loss": 1.0, "when": "a word is no number"})
    tracks.close(finished=True)
    assert good.numbers == [1, 2, 3, 4, -1]
    assert bad.numbers == [1]
    assert [r.message for r in caplog.records] == [
        "bad failed and is left away; the run goes on (OSError: no room)"
    ]


def test_steps_are_told_of_once_a_second_at_most() -> None:
    heard = Heard()
    tracks, watch = Tracks({"heard": heard}), Stopwatch()
    for number in range(1, 1001):
        tracks.step(number, 0.5, 1e-3, 8, watch)
    assert heard.numbers[0] == 1
    assert len(heard.numbers) < 10


def test_each_measure_of_validation_is_drawn_and_shares_have_one_panel() -> None:
    pytest.importorskip("matplotlib")
    rows = [
        {
            "epoch": e,
            "loss": 1.0,
            "lr": 0.1,
            "val_map": 0.5,
            "val_mauc": 0.9,
            "val_d_prime": 2.0,
            "val_x": None,
        }
        for e in (1, 2, 3)
    ]
    panels = curves(rows).axes
    assert [panel.get_ylabel() for panel in panels] == ["loss", "rate", "validation", "d_prime"]
    assert len(panels[2].lines) == 2
