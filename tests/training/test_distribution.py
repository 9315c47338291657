"""Several processes compute what one does."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from tone_recipe import TINY

from earmark.encoders import PaSST, Patchout
from earmark.training import Mixup, Recipe
from earmark.training.distribution import SharedBatchNorm

SIZES = {"n_bands": 32, "max_frames": 30, "dim": 16, "depth": 1, "heads": 2}
PASST = TINY.model.replace(encoder=PaSST(**SIZES, stride=(8, 6), patchout=Patchout(time=1, patches=1)))
MIXED = TINY.augment.replace(mixup=Mixup(share=0.5))


def losses(recipe: Recipe, tones: Path, folder: Path, processes: int) -> list[float]:
    """The loss of each epoch of a run on some processes."""
    folder.mkdir()
    (folder / "recipe.json").write_text(json.dumps(recipe.to_dict()))
    earmark = [
        "-m",
        "earmark",
        "train",
        str(folder / "recipe.json"),
        "--data",
        str(tones),
        "--out",
        str(folder / "run"),
    ]
    launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    command = [sys.executable, *(launcher if processes > 1 else ()), *earmark]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=240, env=os.environ | {"OMP_NUM_THREADS": "1"}
    )
    assert done.returncode == 0, done.stderr
    rows = (folder / "run" / "metrics.jsonl").read_text().splitlines()
    return [json.loads(row)["loss"] for row in rows]


@pytest.mark.parametrize(
    "recipe",
    [TINY.replace(model=PASST, augment=MIXED, epochs=10), TINY.replace(epochs=4, augment=MIXED)],
    ids=["a transformer with patchout", "batch norm"],
)
def test_two_processes_compute_what_one_does(recipe: Recipe, tones: Path, tmp_path: Path) -> None:
    alone = losses(recipe, tones, tmp_path / "one", 1)
    together = losses(recipe, tones, tmp_path / "two", 2)
    assert len(alone) == recipe.epochs
    torch.testing.assert_close(torch.tensor(together), torch.tensor(alone), atol=1e-5, rtol=0)


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
