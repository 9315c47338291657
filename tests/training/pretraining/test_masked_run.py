"""Masked patches as a run: a folder of sounds in, an encoder to embed with and to begin from out."""

import json
import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from tiny_dbert import RATE, sound
from tiny_patches import AST_TINY, CLUSTERS, CONTENT, FRONTEND, PASST

from earmark.cli import main
from earmark.config import ConfigError, override
from earmark.encoders import Patchout
from earmark.models import TaggerConfig, load
from earmark.recipes import PRETRAINING, RECIPES
from earmark.training import AdamW, Settings, StoppedError
from earmark.training.pretraining import ClusterGuessing
from earmark.training.pretraining.front_door import pretrain
from earmark.training.pretraining.recipe import PretrainRecipe

TINY = PretrainRecipe(
    model=TaggerConfig(frontend=FRONTEND, encoder=PASST, head=None, clip_seconds=0.3),
    objective=CONTENT,
    epochs=2,
    batch_size=6,
    crop_seconds=0.3,
    jitter=0.2,
    optimizer=AdamW(lr=1e-3),
)
TOLD = {"content": TINY, "clusters": TINY.replace(objective=CLUSTERS)}


@pytest.fixture(scope="module")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tree of short sounds, some shorter than a crop."""
    root = tmp_path_factory.mktemp("sounds")
    draws = np.random.default_rng(0)
    for kind in range(8):
        (root / f"kind{kind % 3}").mkdir(exist_ok=True)
        for number in range(2):
            length = int(draws.integers(1200, 4000))
            soundfile.write(
                root / f"kind{kind % 3}" / f"{kind}-{number}.flac", sound(kind, length, draws), RATE
            )
    return root


@pytest.fixture(scope="module")
def whole(sounds: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Runs without a stop."""
    root = tmp_path_factory.mktemp("whole")
    for name, recipe in TOLD.items():
        pretrain(recipe, sounds, root / name)
    return {name: root / name for name in TOLD}


def told(run: Path) -> list[dict[str, Any]]:
    """The metrics of all epochs, but for what a clock measures."""
    clocks = {"cpu_seconds", "seconds", "clips_per_second", "waiting"}
    lines = (run / "metrics.jsonl").read_text().splitlines()
    return [{name: v for name, v in json.loads(line).items() if name not in clocks} for line in lines]


@pytest.mark.parametrize(
    ("name", "step"),
    [
        pytest.param("content", 1, marks=pytest.mark.slow),
        ("clusters", 4),
        pytest.param("content", 4, marks=pytest.mark.slow),
        pytest.param("clusters", 1, marks=pytest.mark.slow),
    ],
)
def test_a_run_that_stops_and_goes_on_is_the_same_run_to_the_bit(
    name: str,
    step: int,
    sounds: Path,
    whole: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Clusters: while patches are collected, and later."""
    from earmark.training.run import Run

    learn = Run._learn

    def stopping(run: Run, batch: Any) -> None:
        learn(run, batch)
        if run.number + 1 == step:
            os.kill(os.getpid(), signal.SIGTERM)

    with monkeypatch.context() as patch:
        patch.setattr(Run, "_learn", stopping)
        with pytest.raises(StoppedError):
            pretrain(TOLD[name], sounds, tmp_path / "run")
    pretrain(TOLD[name], sounds, tmp_path / "run", Settings(resume=True))
    for file in ("model.safetensors", "last.safetensors"):
        assert (tmp_path / "run" / file).read_bytes() == (whole[name] / file).read_bytes()
    assert told(tmp_path / "run") == told(whole[name])


def test_each_epoch_tells_how_it_goes_and_the_curves_are_drawn(whole: dict[str, Path]) -> None:
    pytest.importorskip("matplotlib")
    from earmark.training.telling.plots import curves

    measures = {
        "content": {"explained_patches": "variance explained"},
        "clusters": {
            "perplexity_patches": "perplexity",
            "ce_share_patches": "cross-entropy / log K",
            "accuracy_patches": "accuracy",
        },
    }
    for name, run in whole.items():
        rows = told(run)
        panels = {axes.get_ylabel() for axes in curves(rows).axes}
        for measure, panel in (
            measures[name] | {"deviation_embedding": "deviation", "coverage": "hidden share"}
        ).items():
            assert measure in rows[-1]
            assert panel in panels
        assert (run / "curves.png").exists()


def test_the_result_is_the_encoder_alone_and_it_embeds(
    sounds: Path, whole: dict[str, Path], tmp_path: Path
) -> None:
    for name, run in whole.items():
        model = load(run)
        assert not model.has_head
        assert model.config == TINY.model
        assert all(key.startswith("encoder.") for key in model.state_dict())
        begun = TINY.model.build().state_dict()
        assert all(not torch.equal(t, begun[key]) for key, t in model.state_dict().items() if "weight" in key)
        clips = sorted((sounds / "kind1").glob("*.flac"))
        out = tmp_path / f"{name}.npz"
        with pytest.raises(SystemExit) as status:
            main(["embed", *map(str, clips), "--model", str(run), "--out", str(out), "--workers", "0"])
        assert not status.value.code
        vectors = np.load(out)["embedding"]
        assert vectors.shape == (len(clips), PASST.dim)
        assert len(np.unique(vectors.round(5), axis=0)) == len(clips)


def test_a_supervised_run_begins_with_it(sounds: Path, whole: dict[str, Path], tmp_path: Path) -> None:
    """Also with patchout and for other lengths: positions are fitted."""
    words = ["--set", "epochs=1", "--set", "optimizer.lr=1e-9", "--cache", str(tmp_path / "cache")]
    with pytest.raises(SystemExit) as status:
        main(
            [
                "train",
                "--from",
                str(whole["content"]),
                "--data",
                str(sounds),
                "--out",
                str(tmp_path / "run"),
                *words,
            ]
        )
    assert not status.value.code
    tuned, begun = load(tmp_path / "run"), load(whole["content"]).state_dict()
    assert tuned.labels.names == ("kind0", "kind1", "kind2")
    own = {name: t for name, t in tuned.state_dict().items() if name.startswith("encoder.")}
    assert own.keys() == begun.keys()
    for name, tensor in own.items():
        torch.testing.assert_close(tensor, begun[name], atol=1e-5, rtol=0)


def test_processes_that_read_ahead_and_activations_computed_twice_change_nothing(
    sounds: Path, whole: dict[str, Path], tmp_path: Path
) -> None:
    pretrain(TINY, sounds, tmp_path / "run", Settings(workers=1, recompute=True))
    found, expected = load(tmp_path / "run").state_dict(), load(whole["content"]).state_dict()
    for name, tensor in expected.items():
        torch.testing.assert_close(found[name], tensor, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("name", ["passt-tiny-masked", "passt-tiny-masked-clusters"])
def test_the_shipped_recipes_fit_the_supervised_one(name: str) -> None:
    begun, goal = PRETRAINING[name].model, RECIPES["esc10-passt-tiny"].model
    assert begun.encoder == goal.encoder
    assert begun.frontend == goal.frontend
    assert PRETRAINING[name] == PretrainRecipe.from_json(PRETRAINING[name].to_json())


def test_the_patchout_of_a_recipe_is_that_of_supervised_training_alone(sounds: Path) -> None:
    dropping = TINY.model.replace(encoder=PASST.replace(patchout=Patchout(time=3)))
    found = pretrain(TINY.replace(model=dropping, epochs=1), sounds)
    plain = pretrain(TINY.replace(epochs=1), sounds)
    assert all(torch.equal(t, plain.state_dict()[name]) for name, t in found.state_dict().items())


def test_the_plan_counts_what_is_heard(
    sounds: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = tmp_path / "mine.json"
    recipe.write_text(TINY.to_json())
    with pytest.raises(SystemExit):
        main(["pretrain", str(recipe), "--data", str(sounds), "--dry-run"])
    rows, columns = PASST.grid(30)
    assert f"{2 + CONTENT.kept(rows * columns)} tokens a clip" in capsys.readouterr().out


def test_what_does_not_fit_is_refused_with_a_sentence() -> None:
    model = TINY.model
    with pytest.raises(ConfigError, match="masked patches are for PaSST and AST"):
        PRETRAINING["dbert-tiny"].replace(objective=CONTENT)
    with pytest.raises(ConfigError, match="takes a dBERT with clusters"):
        TINY.replace(objective=ClusterGuessing())
    with pytest.raises(ConfigError, match="the encoder hears 42; give shorter crops"):
        TINY.replace(crop_seconds=2.0)
    with pytest.raises(ConfigError, match="give longer crops, or less jitter"):
        TINY.replace(model=model.replace(encoder=AST_TINY))
    one_row = PASST.replace(patch=16, stride=(16, 3))
    with pytest.raises(ConfigError, match="none can be hidden; give longer ones"):
        TINY.replace(model=model.replace(encoder=one_row), crop_seconds=0.18, jitter=0.0)
    with pytest.raises(ConfigError, match="channels is 2"):
        TINY.replace(model=model.replace(encoder=PASST.replace(channels=2)))
    with pytest.raises(ConfigError, match="hidden"):
        override(TINY, ["objective.hidden=1.0"])


def test_an_objective_can_be_changed_by_name_and_one_without_a_kind_is_as_it_was() -> None:
    changed = override(TINY, ["objective.hidden=0.5", 'objective.clusters={"count": 16}'])
    assert changed.objective == CONTENT.replace(
        hidden=0.5, clusters=CLUSTERS.clusters.replace(count=16, batches=10, patches=20_000, rounds=20)
    )  # pyright: ignore[reportOptionalMemberAccess] (it has clusters)
    tree = PRETRAINING["dbert-tiny"].to_dict()
    del tree["objective"]["kind"]
    assert PretrainRecipe.from_dict(tree) == PRETRAINING["dbert-tiny"]
