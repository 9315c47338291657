"""What `--dry-run` says, against what a run then does."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from tone_recipe import TINY

from earmark.data import Clip, Split
from earmark.encoders import PaSST, Patchout
from earmark.models import Tagger
from earmark.recipes import RECIPES
from earmark.training import Recipe, Settings
from earmark.training import planning as room
from earmark.training.planning import kept_for_gradient, plan

AST_TINY = RECIPES["esc50-ast-tiny"]


def split_of(recipe: Recipe, clips: int) -> Split:
    return Split(recipe.corpus.labels, [Clip(Path("a.wav"), ())] * clips, [Clip(Path("b.wav"), ())])


def passt(**fields: Any) -> Recipe:
    encoder = PaSST(n_bands=32, max_frames=60, dim=16, depth=2, heads=2, stride=(8, 4)).replace(**fields)
    return TINY.replace(model=TINY.model.replace(encoder=encoder))


def test_steps_are_counted_as_the_run_makes_them(tones: Path) -> None:
    from earmark.training import train

    rows: list[dict[str, Any]] = []
    train(TINY.replace(epochs=2), tones, report=rows.append)
    found = plan(TINY.replace(epochs=2), TINY.corpus.read(tones), Settings())
    assert (found.steps, found.clips) == (2 * 5, (40, 0, 10))
    assert plan(TINY.replace(epoch_clips=17), split_of(TINY, 40), Settings()).steps == 8 * 3
    assert found.parameters == Tagger(TINY.model, hollow=True).count_parameters()


def test_patchout_shows_in_tokens_and_memory() -> None:
    whole, less = (
        kept_for_gradient(passt(patchout=p).model) for p in (Patchout(), Patchout(time=2, frequency=1))
    )
    rows, columns = passt().model.encoder.grid(26)  # pyright: ignore[reportAttributeAccessIssue]
    assert whole.tokens == 2 + rows * columns
    assert less.tokens == 2 + (rows - 1) * (columns - 2)
    assert less.bytes < whole.bytes
    assert kept_for_gradient(TINY.model).tokens is None


@pytest.mark.parametrize("name", ["esc50-ast-tiny", "esc10-passt-tiny", "esc10-cnn", "esc50-cnn-minimal"])
def test_what_is_kept_for_the_gradient_is_what_autograd_keeps(name: str) -> None:
    config = RECIPES[name].model
    model = config.build().train()
    ledger = room._Ledger(model)  # pyright: ignore[reportPrivateUsage]
    frames = config.frontend.n_frames(round(config.clip_seconds * config.frontend.sample_rate))
    with torch.autograd.graph.saved_tensors_hooks(ledger.note, lambda tensor: tensor):
        logits = model.classify(model.encoder(torch.randn(2, config.frontend.n_bands, frames)))
    assert logits.requires_grad
    assert kept_for_gradient(config).bytes == pytest.approx(ledger.total / 2, rel=0.02)


def test_recomputing_halves_and_a_smaller_part_of_the_batch_show() -> None:
    recipe = AST_TINY
    split = split_of(recipe, 1600)
    plain = plan(recipe, split, Settings())
    assert plan(recipe, split, Settings(recompute=True)).clip_bytes < 0.7 * plain.clip_bytes
    assert plan(recipe.replace(precision="bf16"), split, Settings()).clip_bytes < plain.clip_bytes
    assert plan(recipe, split, Settings(micro_batch=8)).batch == 8
    assert plan(recipe, split_of(recipe, 3), Settings()).batch == 3


def test_it_is_told_in_lines_that_begin_with_the_recipe() -> None:
    text = str(plan(AST_TINY, split_of(AST_TINY, 1600), Settings()))
    tree, _ = json.JSONDecoder().raw_decode(text)
    assert Recipe.from_dict(tree) == AST_TINY
    assert "clips: 1,600 to learn from, 0 for validation, 1 held out" in text
    assert "61 tokens a clip, 5 s clips" in text
    assert "steps: 1,200 of 32 clips in 24 epochs" in text
    assert "memory: about 0." in text


MEASURE = """
import sys, torch
from earmark.recipes import RECIPES
from earmark.training.speed import measure_speed
torch.set_num_threads(1)
name, batch = sys.argv[1:]
print(measure_speed(RECIPES[name].replace(batch_size=int(batch)), steps=1).peak_bytes)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="other systems count a process's memory otherwise")
@pytest.mark.parametrize(("name", "batch"), [("esc10-cnn", 48), ("esc50-ast-tiny", 64)])
def test_the_estimate_of_memory_is_near_what_a_run_takes(name: str, batch: int) -> None:
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, name, str(batch)], capture_output=True, text=True, check=True
    )
    recipe = RECIPES[name].replace(batch_size=batch)
    ratio = plan(recipe, split_of(recipe, 1000), Settings()).memory_bytes / int(done.stdout)
    assert 1 / 1.6 < ratio < 1.6
