"""Several processes that each keep a part of the weights compute what one does, and write the same files."""

import csv
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from several import together
from tone_recipe import TINY
from torch.distributed.tensor import DTensor

from earmark.data import Table
from earmark.data.esc50 import ESC10_TARGETS
from earmark.encoders import PaSST, Patchout
from earmark.models import load
from earmark.training import EMA, SWA, AdamW, Mixup, Recipe, Settings, train
from earmark.training.distributing.network import network_of
from earmark.training.distributing.world import world
from earmark.training.optimizing.optimizer import make_optimizer
from earmark.training.run_folder import RunFolder
from earmark.training.settings import TrainingError
from earmark.training.state import optimizer_tensors, read_state
from earmark.training.stopping import StoppedError

ENCODER = PaSST(
    n_bands=32, max_frames=30, dim=16, depth=2, heads=2, stride=(8, 6), patchout=Patchout(time=1, patches=1)
)
PASST = TINY.replace(
    model=TINY.model.replace(encoder=ENCODER),
    augment=TINY.augment.replace(mixup=Mixup(share=0.5)),
    optimizer=AdamW(lr=1e-2, layer_decay=0.9),
    clip_norm=0.5,
    epochs=2,
    batch_size=14,
)
SHARDED = Settings(shard=True, resume=True, save_steps=2)
ALONE = Settings(resume=True, save_steps=2)
EACH_WAY = pytest.mark.parametrize(
    "settings",
    [pytest.param(Settings(), marks=pytest.mark.slow), Settings(shard=True)],
    ids=["copies", "sharded"],
)

# Python 3.12 warns of forks beside threads; torch has some that sleep.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")


def stopping_after(epoch: int) -> Callable[[dict[str, float]], None]:
    def stop(row: dict[str, float]) -> None:
        if row["epoch"] == epoch:
            os.kill(os.getpid(), signal.SIGTERM)

    return stop


def until_stopped(recipe: Recipe, data: Path, run: Path, settings: Settings) -> None:
    with pytest.raises(StoppedError):
        train(recipe, data, run, settings, stopping_after(1))


def losses(run: Path) -> torch.Tensor:
    return torch.tensor([row["loss"] for row in RunFolder(run, TINY).rows()])


def agree(one: Path, other: Path, atol: float = 1e-3) -> None:
    """Two runs had the same losses, and weights that are the same but for rounding, which Adam enlarges."""
    torch.testing.assert_close(losses(one), losses(other), atol=1e-5, rtol=0)
    left, right = load(one).state_dict(), load(other).state_dict()
    torch.testing.assert_close(left, right, atol=atol, rtol=0)


@pytest.fixture(scope="module")
def whole(tones: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run of one process, without a stop."""
    run = tmp_path_factory.mktemp("whole") / "run"
    train(PASST, tones, run, ALONE)
    return run


def test_a_sharded_run_is_the_run_of_one_process(whole: Path, tones: Path, tmp_path: Path) -> None:
    together(lambda: train(PASST, tones, tmp_path / "run", SHARDED), tmp_path / "errors")
    agree(tmp_path / "run", whole)
    ours, theirs = (read_state(sorted((run / "state").iterdir())[-1]) for run in (tmp_path / "run", whole))
    shapes = {name: (tensor.shape, tensor.dtype) for name, tensor in theirs.tensors.items()}
    assert {name: (tensor.shape, tensor.dtype) for name, tensor in ours.tensors.items()} == shapes


def test_each_process_keeps_its_part_of_weights_and_optimizer(tmp_path: Path) -> None:
    def build() -> None:
        with world("cpu") as place:
            model = PASST.model.build()
            network = network_of(model, place, Settings(shard=True))
            names = list(model.state_dict())
            optimizer = make_optimizer(model, PASST.optimizer)
            network(torch.randn(2, 32, 30)).sum().backward()
            optimizer.step()
            memory = optimizer_tensors(optimizer).values()
            kept = sum(t.to_local().numel() for t in memory if isinstance(t, DTensor))
            parts = sum(p.to_local().numel() for p in model.parameters() if isinstance(p, DTensor))
            assert names == list(PASST.model.build().state_dict())
            assert parts <= 0.6 * PASST.model.build().count_parameters()
            assert kept == 2 * parts

    together(build, tmp_path / "errors")


def test_a_sharded_run_goes_on_in_one_process(whole: Path, tones: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    together(lambda: until_stopped(PASST, tones, run, SHARDED), tmp_path / "errors")
    train(PASST, tones, run, ALONE)
    agree(run, whole)


@pytest.mark.slow
def test_the_run_of_one_process_goes_on_sharded(whole: Path, tones: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    until_stopped(PASST, tones, run, ALONE)
    together(lambda: train(PASST, tones, run, SHARDED), tmp_path / "errors")
    agree(run, whole)


@pytest.mark.slow
def test_a_sharded_run_that_was_stopped_is_the_same_to_the_bit(tones: Path, tmp_path: Path) -> None:
    recipe, errors = PASST.replace(averaging=SWA(start=1, every=1), epochs=3), tmp_path / "errors"
    together(lambda: train(recipe, tones, tmp_path / "through", SHARDED), errors)
    together(lambda: until_stopped(recipe, tones, tmp_path / "run", SHARDED), errors)
    together(lambda: train(recipe, tones, tmp_path / "run", SHARDED), errors)
    first, second = (tmp_path / name / "model.safetensors" for name in ("through", "run"))
    assert first.read_bytes() == second.read_bytes()


@pytest.mark.slow
@EACH_WAY
def test_batches_in_parts_and_shares_without_a_clip_change_nothing(
    settings: Settings, tones: Path, tmp_path: Path
) -> None:
    recipe = PASST.replace(batch_size=39)  # of 40: the second process has nothing of the second batch
    train(recipe, tones, tmp_path / "one")
    parts = settings.replace(micro_batch=6, recompute=True)
    together(lambda: train(recipe, tones, tmp_path / "two", parts), tmp_path / "errors")
    agree(tmp_path / "two", tmp_path / "one")


@EACH_WAY
def test_batch_norms_leave_out_a_share_without_a_clip(
    settings: Settings, tones: Path, tmp_path: Path
) -> None:
    recipe = TINY.replace(batch_size=39, epochs=2, averaging=EMA(decay=0.5))
    train(recipe, tones, tmp_path / "one")
    together(lambda: train(recipe, tones, tmp_path / "two", settings), tmp_path / "errors")
    agree(tmp_path / "two", tmp_path / "one")


@pytest.mark.slow
def test_validation_chooses_the_same_model_from_weights_in_parts(tones: Path, tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    with table.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["file", "label", "split"])
        for clip in sorted((tones / "audio").iterdir()):
            split = {"1": "test", "2": "validation"}.get(clip.name[0], "train")
            writer.writerow([str(clip), f"class {ESC10_TARGETS.index(int(clip.stem.split('-')[-1]))}", split])
    corpus = Table().resolved(table)
    recipe = PASST.replace(corpus=corpus, model=PASST.model.replace(labels=corpus.labels), epochs=2)
    train(recipe, table, tmp_path / "one")
    together(lambda: train(recipe, table, tmp_path / "two", SHARDED), tmp_path / "errors")
    agree(tmp_path / "two", tmp_path / "one")
    scores = [
        [row["val_accuracy"] for row in RunFolder(tmp_path / name, recipe).rows()] for name in ("one", "two")
    ]
    assert scores[0] == pytest.approx(scores[1])
    one, two = (load(tmp_path / name / "best.safetensors").state_dict() for name in ("one", "two"))
    torch.testing.assert_close(one, two, atol=1e-3, rtol=0)


@pytest.mark.slow
def test_frozen_blocks_stay_as_they_are_in_parts(tones: Path, tmp_path: Path) -> None:
    recipe = PASST.replace(optimizer=AdamW(lr=1e-2, freeze=1), epochs=1, averaging=None)
    train(recipe, tones, tmp_path / "one")
    together(lambda: train(recipe, tones, tmp_path / "two", Settings(shard=True)), tmp_path / "errors")
    agree(tmp_path / "two", tmp_path / "one")


def test_a_step_that_is_not_finite_ends_all_processes(tones: Path, tmp_path: Path) -> None:
    def fail() -> None:
        with pytest.raises(TrainingError, match="the last of 3 such steps in a row"):
            train(PASST.replace(optimizer=AdamW(lr=1e25)), tones, tmp_path / "run", SHARDED)

    together(fail, tmp_path / "errors")
    assert not (tmp_path / "run" / "model.safetensors").exists()


def test_one_process_alone_has_nothing_to_share(whole: Path, tones: Path, tmp_path: Path) -> None:
    train(PASST, tones, tmp_path / "run", SHARDED)
    assert (tmp_path / "run/model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()
