"""Every recipe in the list: complete, plain data, told where it comes from, and able to take two steps."""

import ast
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from earmark import recipes
from earmark.config import ConfigError, override
from earmark.data import Clip, Split
from earmark.models import Tagger
from earmark.recipes import NAMED, RECIPES
from earmark.training import Recipe, Settings
from earmark.training.beginning.image_weights import IMAGE_NETS
from earmark.training.distributing.world import World
from earmark.training.run import Run

PUBLISHED_COUNTS = {
    "audioset-tal": 25_761_918,
    "audioset-taltrans": 12_097_662,
    "audioset-transformer": 17_948_702,
    "audioset-resnet": 24_379_742,
    "audioset-psla": 13_640_766,
    "audioset-fnet": 13_500_958,
    "audioset-linear": 194_590,
    "esc50-ast-minimal": 14_861_618,
    "esc50-ast-minimal-deep": 29_032_754,
    "esc50-cnn-minimal": 516_716,
}

SMALLER: dict[str, dict[str, Any]] = {
    "AST": {"dim": 24, "heads": 3},
    "CNNTransformer": {"dim": 64, "heads": 4, "blocks": 4, "pools": 4},
    "CRNN": {"dim": 64, "blocks": 4, "pools": 4},
    "EfficientNet": {"b": 0},
    "FNet": {"dim": 12, "hidden": 20, "depth": 1},
    "PaSST": {"dim": 24, "depth": 1, "heads": 3},
    "ResNet": {"blocks": (1, 1, 1, 1), "width": 8},
    "Transformer": {"dim": 24, "heads": 3, "depth": 1},
}


def shrunk(recipe: Recipe) -> Recipe:
    """The same with a small encoder, from random weights, for two steps of two clips."""
    encoder: Any = recipe.model.encoder
    fields = dict(SMALLER.get(encoder.kind, {}))
    if encoder.kind == "AST":
        fields["depth"] = min(1, encoder.depth)
    model = recipe.model.replace(encoder=encoder.replace(**fields))
    if encoder.kind == "EfficientNet":
        model = model.replace(frontend=model.frontend.replace(length=224), clip_seconds=2.0)
    return recipe.replace(
        model=model, init=None, epochs=2, epoch_clips=None, batch_size=2, precision="fp32", weights="fp32"
    )


def two_clips(recipe: Recipe, folder: Path) -> Split:
    """Synthetic stand-ins for a corpus, with labels of its own."""
    names, clips = recipe.corpus.labels.names, []
    for index in range(2):
        path = folder / f"{index}.wav"
        soundfile.write(path, 0.1 * np.random.default_rng(index).standard_normal(8000), 16000)
        more = () if recipe.model.labels.exclusive else (names[2],)
        clips.append(Clip(path, (names[index], *more)))
    return Split(recipe.corpus.labels, clips, [])


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_takes_two_steps_with_a_small_encoder(name: str, tmp_path: Path) -> None:
    recipe = shrunk(RECIPES[name])
    split, settings = two_clips(recipe, tmp_path), Settings()
    if recipe.distillation:
        np.save(tmp_path / "teacher.npy", np.zeros((2, len(recipe.model.labels)), np.float32))
        settings = settings.replace(teacher=str(tmp_path / "teacher.npy"))
    rows: list[dict[str, Any]] = []
    run = Run(recipe, split, None, World(0, 1, torch.device("cpu")), settings)
    before = {key: tensor.clone() for key, tensor in run.model.named_parameters()}
    model = run.to_the_end(rows.append)
    assert [math.isfinite(row["loss"]) for row in rows] == [True, True]
    assert all(bool(torch.isfinite(p).all()) for p in model.parameters())
    rates = [recipe.schedule.factor(step, 1, 2) for step in range(2)]
    moved = any(not torch.equal(before[key], p) for key, p in run.model.named_parameters())
    assert moved == any(rates), "the published stairs begin at a rate of 0; all others move at once"


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_is_plain_data_that_can_be_changed(name: str) -> None:
    recipe = RECIPES[name]
    assert Recipe.from_json(recipe.to_json()) == recipe
    assert override(recipe, ["optimizer.lr=0.5"]).optimizer.lr == 0.5
    with pytest.raises(ConfigError, match="did you mean 'epochs'"):
        override(recipe, ["epoch=3"])


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_can_be_built_and_its_rate_never_exceeds_the_stated_one(name: str) -> None:
    recipe = RECIPES[name]
    count = Tagger(recipe.model, hollow=True).count_parameters()
    assert count == PUBLISHED_COUNTS.get(name, count)
    steps = range(0, 5000 * recipe.epochs, 500)
    factors = [recipe.schedule.factor(step, 5000, recipe.epochs) for step in steps]
    assert min(factors) >= 0
    assert 0.5 < max(factors) <= 1, "and it comes near it"


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_is_named_by_its_corpus_and_begins_with_something_known(name: str) -> None:
    recipe = RECIPES[name]
    corpus = name.partition("-")[0]
    assert recipe.corpus.kind.lower().startswith(("esc" if corpus.startswith("esc") else corpus)[:7])
    known = {entry.name for entry in published()} | set(IMAGE_NETS)
    assert recipe.init is None or recipe.init in known


def published() -> tuple[Any, ...]:
    from earmark.models.catalog import PUBLISHED

    return PUBLISHED


def constants(path: Path) -> Iterator[tuple[str, str | None]]:
    """The names of a module's recipes, each with the text behind it."""
    body = ast.parse(path.read_text(encoding="utf-8")).body
    for node, after in zip(body, [*body[1:], None], strict=True):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            text = after.value if isinstance(after, ast.Expr) else None
            told = isinstance(text, ast.Constant) and isinstance(text.value, str)
            yield node.targets[0].id, str(text.value) if told and isinstance(text, ast.Constant) else None


def test_each_constant_tells_its_figure_and_where_it_comes_from() -> None:
    silent = []
    for path in Path(recipes.__file__).parent.glob("*.py"):
        module = getattr(recipes, path.stem, None)
        for name, text in constants(path):
            if isinstance(getattr(module, name, None), Recipe) and not text:
                silent.append(f"{path.stem}.{name}")
    assert not silent


def test_published_figures_stand_beside_the_runs_that_they_are_of() -> None:
    assert NAMED["audioset-passt-s"].published.startswith("mAP .471")
    assert {name for name, named in NAMED.items() if not named.published} >= {"builtin", "esc50-ast-tiny"}


def test_the_settings_of_patchout_give_the_published_numbers_of_tokens() -> None:
    from earmark.training.planning import kept_for_gradient

    tokens = {
        "audioset-passt-b": 1190,
        "audioset-passt-u": 790,
        "audioset-passt-s": 474,
        "audioset-passt-n": 254,
    }
    assert {name: kept_for_gradient(RECIPES[name].model).tokens for name in tokens} == tokens


def test_the_identity_hears_the_first_patch_and_nothing_else() -> None:
    torch.manual_seed(0)
    model = RECIPES["esc50-ast-tiny-historical"].model.build().eval()
    features = torch.randn(1, 128, 498)
    elsewhere = features.clone()
    elsewhere[:, 16:], elsewhere[:, :, 16:] = 0.0, 0.0
    assert torch.equal(model.classify(model.encoder(features)), model.classify(model.encoder(elsewhere)))
    elsewhere[:, :16, :16] = 0.0
    assert not torch.equal(model.encoder(features).summary, model.encoder(elsewhere).summary)
