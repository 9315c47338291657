"""The loop on tones that it can tell apart, made here."""

import json
from pathlib import Path

import pytest
import torch
from tone_recipe import CORPUS, TINY

from earmark.config import ConfigError, override
from earmark.data import BuiltinMix
from earmark.encoders import PaSST, Patchout
from earmark.evaluation import evaluate
from earmark.models import load
from earmark.recipes import RECIPES
from earmark.training import AdamW, Augment, Recipe, train
from earmark.training.settings import TrainingError


def test_it_learns_what_can_be_learned_and_writes_a_model_that_tags(tones: Path, tmp_path: Path) -> None:
    losses: list[float] = []
    train(TINY, tones, tmp_path / "run", report=lambda metrics: losses.append(metrics["loss"]))
    assert losses[-1] < 0.7 * losses[0]
    split = CORPUS.read(tones)
    report = evaluate(load(tmp_path / "run"), split.test, split.labels)
    assert report.clips == 10
    assert not report.failed
    assert report.top1 >= 0.8
    assert len((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()) == 8
    assert Recipe.from_dict(json.loads((tmp_path / "run" / "recipe.json").read_text())) == TINY


@pytest.mark.parametrize(
    "patchout", [pytest.param(Patchout(), marks=pytest.mark.slow), Patchout(time=1, patches=1)]
)
def test_the_same_seed_gives_the_same_weights_bit_for_bit(tones: Path, patchout: Patchout) -> None:
    encoder = PaSST(n_bands=32, max_frames=30, dim=16, depth=1, heads=2, stride=(8, 6), patchout=patchout)
    recipe = TINY.replace(model=TINY.model.replace(encoder=encoder), epochs=1)
    torch.manual_seed(123)
    first = train(recipe, tones).state_dict()
    torch.rand(17)  # what the world draws in between must not matter
    second = train(recipe, tones).state_dict()
    other = train(recipe.replace(seed=1), tones).state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)


def test_a_loss_that_is_not_finite_stops_the_run_before_the_step(tones: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"(nan|inf).*not applied; its clips are .*/\d-\d-A"):
        train(TINY.replace(optimizer=AdamW(lr=1e25), averaging=None), tones, tmp_path / "run")
    assert not (tmp_path / "run" / "model.safetensors").exists()


def test_a_folder_that_holds_a_run_is_not_overwritten(tones: Path, tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_text("a finished one")
    with pytest.raises(ConfigError, match="already holds a finished run"):
        train(TINY, tones, tmp_path)


def test_a_missing_corpus_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no table of ESC-50 or ESC-10 under"):
        train(TINY, tmp_path)


def test_clips_that_cannot_be_decoded_are_named_and_end_the_run_when_many(
    tones: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "audio").mkdir()
    (tmp_path / "metadata.csv").write_text((tones / "metadata.csv").read_text())
    for path in (tones / "audio").iterdir():
        (tmp_path / "audio" / path.name).write_bytes(
            path.read_bytes() if path.name[0] != "2" else b"no audio"
        )
    with pytest.raises(TrainingError, match=r"of 40 training clips cannot be decoded.*--max-errors"):
        train(TINY, tmp_path)
    assert "/2-" in caplog.text


@pytest.mark.parametrize("name", list(RECIPES))
def test_every_recipe_survives_json_and_overrides(name: str) -> None:
    recipe = RECIPES[name]
    assert Recipe.from_dict(recipe.to_dict()) == recipe
    assert override(recipe, ["seed=3", "optimizer.lr=0.5"]).optimizer.lr == 0.5
    with pytest.raises(ConfigError, match="did you mean 'epochs'"):
        override(recipe, ["epoch=3"])


def test_a_model_with_other_labels_than_its_corpus_is_no_recipe() -> None:
    with pytest.raises(ConfigError, match="the model has 10 labels but the corpus has 70"):
        TINY.replace(corpus=BuiltinMix())
    together = TINY.model.labels.replace(exclusive=False)
    with pytest.raises(ConfigError, match="may be given together but the corpus's exclude one another"):
        TINY.replace(model=TINY.model.replace(labels=together))
    shuffled = TINY.model.labels.replace(names=TINY.model.labels.names[::-1])
    with pytest.raises(ConfigError, match="other names or another order than the corpus's"):
        TINY.replace(model=TINY.model.replace(labels=shuffled))


def test_a_gradient_that_is_not_finite_is_never_applied(tones: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[torch.nn.Parameter] = []

    def spoil(module: torch.nn.Module, *_: object) -> None:
        """A loss that is finite and a gradient that is not: the square root at zero."""
        seen.extend(p for p in module.parameters() if not bool(torch.isfinite(p).all()))

    class Rooted(torch.nn.Linear):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            spoil(self)
            return super().forward(x) + (self.bias * 0).abs().sqrt()

    monkeypatch.setattr("earmark.models.heads.linear.nn.Linear", Rooted)
    with pytest.raises(TrainingError, match="gradient's norm nan"):
        train(TINY.replace(augment=Augment()), tones)
    assert not seen
