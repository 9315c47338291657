"""Compiled, or with activations computed twice, a network computes the same."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from tone_recipe import TINY

from earmark.config import ConfigError
from earmark.encoders import PaSST, Patchout, Transformer
from earmark.frontends import LogMel
from earmark.models import Tagger, TaggerConfig
from earmark.training import Settings, train
from earmark.training.distributing.network import network_of, wrapped
from earmark.training.distributing.world import World
from earmark.training.run_folder import RunFolder

PLACE = World(0, 1, torch.device("cpu"))
PASST = TINY.model.replace(
    encoder=PaSST(
        n_bands=32,
        max_frames=40,
        dim=16,
        depth=3,
        heads=2,
        stride=(8, 6),
        patchout=Patchout(time=1, patches=1),
    )
)
WITH_DROPOUT = TaggerConfig(
    frontend=LogMel(n_mels=64),
    encoder=Transformer(),
    labels=TINY.model.labels,
    clip_seconds=2.0,
)


def gradients(config: TaggerConfig, settings: Settings, features: torch.Tensor) -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    model: Tagger = config.build().train()
    network = wrapped(network_of(model, PLACE, settings), PLACE, settings)
    torch.manual_seed(1)  # of patchout, time offset and dropout
    network(features).square().sum().backward()
    return {name: p.grad for name, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("config", [PASST, WITH_DROPOUT], ids=["patchout", "dropout"])
def test_gradients_of_activations_computed_twice_are_the_same_to_the_bit(config: TaggerConfig) -> None:
    features = torch.randn(2, config.encoder.n_bands, 30)
    usual = gradients(config, Settings(), features)
    twice = gradients(config, Settings(recompute=True), features)
    assert usual
    assert usual.keys() == twice.keys()
    assert all(torch.equal(usual[name], twice[name]) for name in usual)


def test_activations_that_are_computed_twice_are_not_kept() -> None:
    features = torch.randn(8, 32, 30)

    def kept(settings: Settings) -> int:
        sizes: list[int] = []
        torch.manual_seed(0)
        network = network_of(PASST.build().train(), PLACE, settings)
        with torch.autograd.graph.saved_tensors_hooks(
            lambda t: sizes.append(0 if isinstance(t, torch.nn.Parameter) else t.numel()) or t, lambda t: t
        ):
            network(features)
        return sum(sizes)

    assert kept(Settings(recompute=True)) < 0.4 * kept(Settings())


def test_an_encoder_without_blocks_cannot_compute_them_twice() -> None:
    with pytest.raises(ConfigError, match="has no blocks that can be computed twice"):
        network_of(TINY.model.build(), PLACE, Settings(recompute=True))


def test_compiling_without_a_compiler_is_a_sentence(tones: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ConfigError, match=r"needs a C\+\+ compiler"):
        train(TINY, tones, settings=Settings(compile=True))


COMPILED = """
import os, signal, sys
from pathlib import Path
import torch
from earmark.training import Recipe, Settings, StoppedError, train

recipe, data, out = Recipe.from_json(Path(sys.argv[1]).read_text()), Path(sys.argv[2]), Path(sys.argv[3])
compiled = Settings(compile=True, resume=True)
train(recipe, data, out / "usual")
train(recipe, data, out / "compiled", compiled)
try:
    train(recipe, data, out / "stopped", compiled, lambda row: os.kill(os.getpid(), signal.SIGTERM))
except StoppedError:
    torch.compiler.reset()  # as in a new process: the code knows nothing of the batches before
train(recipe, data, out / "stopped", compiled)
"""


@pytest.mark.slow
def test_a_compiled_run_is_the_usual_one_and_goes_on_to_the_bit(tones: Path, tmp_path: Path) -> None:
    encoder = PASST.encoder.replace(depth=1)
    recipe = TINY.replace(model=PASST.replace(encoder=encoder), epochs=2, batch_size=15)
    (tmp_path / "recipe.json").write_text(recipe.to_json())
    # in a process of its own: the shapes that tests check at run time cannot be compiled
    command = [sys.executable, "-c", COMPILED, str(tmp_path / "recipe.json"), str(tones), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr
    usual, compiled, stopped = (tmp_path / name for name in ("usual", "compiled", "stopped"))
    losses = [[row["loss"] for row in RunFolder(run, recipe).rows()] for run in (usual, compiled)]
    assert losses[1] == pytest.approx(losses[0], abs=1e-5)
    assert (compiled / "model.safetensors").read_bytes() == (stopped / "model.safetensors").read_bytes()
