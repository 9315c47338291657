"""A run can be killed at any moment, and is the same run afterwards, to the bit."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from several import in_a_fork
from tone_recipe import TINY

from earmark.config import ConfigError
from earmark.encoders import PaSST, Patchout
from earmark.models import load
from earmark.training import SWA, AdamW, Buffered, Mixup, Recipe, Settings, WaveMixup, train
from earmark.training.state import read_state
from earmark.training.stopping import StoppedError

PATCHY = TINY.replace(
    model=TINY.model.replace(
        encoder=PaSST(
            n_bands=32,
            max_frames=30,
            dim=16,
            depth=1,
            heads=2,
            stride=(8, 6),
            patchout=Patchout(time=1, patches=1),
        )
    ),
    sampling=Buffered(buffer=9),
    augment=TINY.augment.replace(mixup=Mixup(share=0.5), wave_mixup=WaveMixup(share=0.3)),
)
OFTEN = Settings(resume=True, save_steps=1)


def weights(run: Path) -> bytes:
    return (run / "model.safetensors").read_bytes()


@pytest.mark.parametrize(
    "recipe",
    [pytest.param(TINY, marks=pytest.mark.slow), PATCHY.replace(averaging=SWA(start=1, every=2))],
    ids=["cnn", "passt"],
)
def test_a_run_that_is_killed_again_and_again_gives_the_same_bytes(
    recipe: Recipe, tones: Path, tmp_path: Path
) -> None:
    recipe = recipe.replace(epochs=4)
    train(recipe, tones, tmp_path / "whole")
    chance = random.Random(0)
    run, kills = tmp_path / "killed", 0
    for _ in range(40):
        child = in_a_fork(lambda: train(recipe, tones, run, OFTEN))
        time.sleep(chance.uniform(0.05, 0.35))
        os.kill(child, signal.SIGKILL)
        kills += os.waitpid(child, 0)[1] == signal.SIGKILL
        if (run / "model.safetensors").exists():
            break
    train(recipe, tones, run, OFTEN)
    assert kills >= 3
    assert weights(run) == weights(tmp_path / "whole")
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    whole = [json.loads(line) for line in (tmp_path / "whole" / "metrics.jsonl").read_text().splitlines()]
    assert [(row["epoch"], row["loss"]) for row in rows] == [(row["epoch"], row["loss"]) for row in whole]


THREE = TINY.replace(epochs=3)


@pytest.fixture(scope="module")
def whole(tones: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The weights after three epochs without a stop."""
    run = tmp_path_factory.mktemp("whole") / "run"
    train(THREE, tones, run)
    return weights(run)


@pytest.fixture(scope="module")
def stopped_once(tones: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of three epochs that was stopped after the first."""

    def interrupt(row: dict[str, float]) -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    run = tmp_path_factory.mktemp("stopped") / "run"
    with pytest.raises(StoppedError):
        train(THREE, tones, run, Settings(save_steps=2), report=interrupt)
    return run


@pytest.fixture
def stopped(stopped_once: Path, tmp_path: Path) -> Path:
    """A copy of the stopped run."""
    return Path(shutil.copytree(stopped_once, tmp_path / "run"))


def test_a_signal_saves_the_run_and_says_how_to_go_on(tones: Path, tmp_path: Path, whole: bytes) -> None:
    def interrupt(row: dict[str, float]) -> None:
        if row["epoch"] == 2:
            os.kill(os.getpid(), signal.SIGTERM)

    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(StoppedError, match=r"SIGTERM.*--resume") as stopped:
        train(THREE, tones, tmp_path / "run", report=interrupt)
    assert stopped.value.signal == signal.SIGTERM
    assert signal.getsignal(signal.SIGTERM) == before
    assert load(tmp_path / "run").has_head
    train(THREE, tones, tmp_path / "run", Settings(resume=True))
    assert weights(tmp_path / "run") == whole


def test_an_unfinished_run_is_neither_overwritten_nor_continued_unasked(tones: Path, stopped: Path) -> None:
    with pytest.raises(ConfigError, match=r"unfinished run.*--resume"):
        train(THREE, tones, stopped)


def test_a_run_is_not_continued_with_another_recipe(tones: Path, stopped: Path) -> None:
    other = THREE.replace(optimizer=AdamW(lr=0.5))
    with pytest.raises(ConfigError, match=r"another recipe; they differ in optimizer\.lr"):
        train(other, tones, stopped, Settings(resume=True))


def test_a_damaged_state_is_passed_over_for_an_older_one(
    tones: Path, stopped: Path, whole: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    states = sorted((stopped / "state").iterdir())
    assert len(states) == 2
    damaged = bytearray(states[-1].read_bytes())
    damaged[-1] ^= 1
    states[-1].write_bytes(damaged)
    train(THREE, tones, stopped, Settings(resume=True))
    assert "damaged" in caplog.text
    assert weights(stopped) == whole


def test_a_second_trainer_in_the_same_folder_is_refused(tones: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    answers: list[str] = []

    def intrude(row: dict[str, float]) -> None:
        if not answers:
            with pytest.raises(ConfigError, match="another trainer works in") as refused:
                train(TINY, tones, run, Settings(resume=True))
            answers.append(str(refused.value))

    train(TINY.replace(epochs=1), tones, run, report=intrude)
    assert answers


def test_a_finished_run_is_handed_out_again(tones: Path, tmp_path: Path) -> None:
    first = train(TINY.replace(epochs=1), tones, tmp_path / "run")
    before = weights(tmp_path / "run")
    again = train(TINY.replace(epochs=1), tones, tmp_path / "run", Settings(resume=True))
    assert weights(tmp_path / "run") == before
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), again.parameters(), strict=True))


def test_a_state_says_where_the_run_stands(stopped: Path) -> None:
    state = read_state(sorted((stopped / "state").iterdir())[-1])
    assert (state.counters["epoch"], state.counters["step"]) == (1, 0)
    assert Recipe.from_json(state.recipe) == THREE
    assert state.part("model").keys() >= {"head.linear.weight"} or state.part("model")


def test_a_read_only_folder_is_an_error_before_anything_is_computed(tones: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(OSError, match="file"):
        train(TINY, tones, tmp_path / "file")


COMMAND = [sys.executable, "-m", "earmark", "train"]


def test_the_command_ends_with_143_on_a_request_to_terminate_and_goes_on(tones: Path, tmp_path: Path) -> None:
    (tmp_path / "recipe.json").write_text(json.dumps(TINY.replace(epochs=400).to_dict()))
    command = [*COMMAND, str(tmp_path / "recipe.json"), "--data", str(tones), "--out", str(tmp_path / "run")]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    metrics = tmp_path / "run" / "metrics.jsonl"
    for _ in range(600):
        if metrics.exists() and metrics.stat().st_size:
            break
        time.sleep(0.1)
    process.terminate()
    _, said = process.communicate(timeout=60)
    assert process.returncode == 143, said
    assert "--resume" in said
    assert (tmp_path / "run" / "last.safetensors").exists()


def test_processor_time_is_counted_over_all_starts_of_a_run(tones: Path, stopped: Path) -> None:
    before = read_state(sorted((stopped / "state").iterdir())[-1]).counters["cpu_seconds"]
    train(THREE, tones, stopped, Settings(resume=True))
    rows = [json.loads(line)["cpu_seconds"] for line in (stopped / "metrics.jsonl").read_text().splitlines()]
    assert 0 < rows[0] <= before < rows[1] < rows[2]
