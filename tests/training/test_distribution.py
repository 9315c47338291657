"""Several processes compute what one does."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from several import together
from tone_recipe import TINY

from earmark.encoders import PaSST, Patchout, Transformer
from earmark.training import AdamW, Mixup, train
from earmark.training.distributing.world import SharedBatchNorm

SIZES = {"n_bands": 32, "max_frames": 30, "dim": 16, "depth": 1, "heads": 2}
PASST = TINY.model.replace(encoder=PaSST(**SIZES, stride=(8, 6), patchout=Patchout(time=1, patches=1)))
MIXED = TINY.augment.replace(mixup=Mixup(share=0.5))


def losses(run: Path) -> torch.Tensor:
    """The loss of each epoch of a run."""
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return torch.tensor([row["loss"] for row in rows])


# Python 3.12 warns of forks beside threads; torch has some that sleep.
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_two_processes_compute_what_one_does_over_fifty_steps(tones: Path, tmp_path: Path) -> None:
    recipe = TINY.replace(model=PASST, augment=MIXED, epochs=10, optimizer=AdamW(lr=1e-3))
    train(recipe, tones, tmp_path / "one")
    together(lambda: train(recipe, tones, tmp_path / "two"), tmp_path / "errors")
    assert len(losses(tmp_path / "one")) == recipe.epochs
    torch.testing.assert_close(losses(tmp_path / "two"), losses(tmp_path / "one"), atol=1e-6, rtol=0)


# Python 3.12 warns of forks beside threads; torch has some that sleep.
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_two_processes_drop_what_one_does(tones: Path, tmp_path: Path) -> None:
    encoder = Transformer(n_bands=32, dim=16, depth=1, heads=2, dropout=0.5)
    recipe = TINY.replace(model=TINY.model.replace(encoder=encoder), batch_size=7, epochs=3)
    train(recipe, tones, tmp_path / "one")
    together(lambda: train(recipe, tones, tmp_path / "two"), tmp_path / "errors")
    torch.testing.assert_close(losses(tmp_path / "two"), losses(tmp_path / "one"), atol=1e-5, rtol=0)


def test_torchrun_with_two_processes_computes_what_one_process_does(tones: Path, tmp_path: Path) -> None:
    recipe = TINY.replace(epochs=3, augment=MIXED)  # with batch norms
    (tmp_path / "recipe.json").write_text(json.dumps(recipe.to_dict()))
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m", "earmark", "train"]
    arguments = [str(tmp_path / "recipe.json"), "--data", str(tones), "--out", str(tmp_path / "two")]
    done = subprocess.run(
        [sys.executable, *torchrun, *arguments], capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0, done.stderr
    train(recipe, tones, tmp_path / "one")
    assert len(losses(tmp_path / "two")) == recipe.epochs
    torch.testing.assert_close(losses(tmp_path / "two"), losses(tmp_path / "one"), atol=1e-5, rtol=0)


@pytest.mark.parametrize("shape", [(6, 5), (6, 5, 7), (6, 5, 3, 4)])
def test_the_shared_batch_norm_of_one_process_is_the_usual_one(
    shape: tuple[int, ...], tmp_path: Path
) -> None:
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{tmp_path / 'store'}", rank=0, world_size=1
    )
    try:
        usual = torch.nn.BatchNorm2d(5) if len(shape) == 4 else torch.nn.BatchNorm1d(5)
        torch.nn.init.uniform_(usual.weight)
        shared = SharedBatchNorm(5)
        shared.load_state_dict(usual.state_dict())
        first, second = (torch.randn(shape, generator=torch.Generator().manual_seed(0)) for _ in range(2))
        first.requires_grad_()
        second.requires_grad_()
        for _ in range(2):
            one, two = usual(first), shared(second)
        torch.testing.assert_close(two, one, atol=1e-5, rtol=1e-5)
        weight = torch.randn(shape)
        (one * weight).sum().backward()
        (two * weight).sum().backward()
        torch.testing.assert_close(second.grad, first.grad, atol=1e-5, rtol=1e-4)
        for name, buffer in usual.named_buffers():
            torch.testing.assert_close(dict(shared.named_buffers())[name], buffer, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(shared.eval()(first), usual.eval()(first))
    finally:
        torch.distributed.destroy_process_group()
