"""Pretraining as a run: a folder of sounds in, a model that embeds and can be fine-tuned out."""

import csv
import json
import os
import random
import shutil
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from tiny_dbert import ENCODER, OBJECTIVE, RATE, sound

from earmark.cli import main
from earmark.cli.choosing import find_pretraining, find_recipe
from earmark.config import ConfigError
from earmark.frontends import RawWaveform
from earmark.models import TaggerConfig, load
from earmark.models.published.dbert import published_file
from earmark.recipes import RECIPES
from earmark.training import AdamW, Settings, StoppedError, TrainingError
from earmark.training.pretraining import Collapse, Seeding
from earmark.training.pretraining.front_door import pretrain
from earmark.training.pretraining.recipe import PretrainRecipe

TINY = PretrainRecipe(
    model=TaggerConfig(
        frontend=RawWaveform(sample_rate=RATE), encoder=ENCODER.replace(depth=2), head=None, clip_seconds=0.5
    ),
    objective=OBJECTIVE.replace(every=2, seeding=Seeding(batches=3, clips_per_cluster=1, frames=500)),
    epochs=3,
    batch_size=6,
    crop_seconds=0.2,
    jitter=0.3,
    optimizer=AdamW(lr=1e-3, betas=(0.9, 0.98), eps=1e-6, weight_decay=0.01),
)
OFTEN = Settings(resume=True, save_steps=1)


@pytest.fixture(scope="module")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tree of short sounds; one file among them is none."""
    root = tmp_path_factory.mktemp("sounds")
    draws = np.random.default_rng(0)
    for kind in range(8):
        folder = root / f"kind{kind % 3}" / "deep"
        folder.mkdir(parents=True, exist_ok=True)
        for number in range(3):
            length = int(draws.integers(800, 4000))
            soundfile.write(folder / f"{kind}-{number}.flac", sound(kind, length, draws), RATE)
    (root / "kind0" / "broken.wav").write_bytes(b"RIFF of nothing")
    (root / "notes.txt").write_text("no sound")
    return root


def result(run: Path) -> bytes:
    return (run / "model.safetensors").read_bytes()


def told(run: Path) -> list[dict[str, Any]]:
    """The metrics of all epochs, but for what a clock measures."""
    clocks = {"cpu_seconds", "seconds", "clips_per_second", "waiting"}
    lines = (run / "metrics.jsonl").read_text().splitlines()
    return [{name: v for name, v in json.loads(line).items() if name not in clocks} for line in lines]


@pytest.fixture(scope="module")
def whole(sounds: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run without a stop."""
    run = tmp_path_factory.mktemp("whole") / "run"
    pretrain(TINY, sounds, run)
    return run


@pytest.mark.slow
def test_a_run_that_is_killed_again_and_again_gives_the_same_bytes(
    sounds: Path, whole: Path, tmp_path: Path
) -> None:
    chance, run, kills = random.Random(0), tmp_path / "run", 0
    for _ in range(40):
        child = os.fork()
        if child == 0:
            try:
                pretrain(TINY, sounds, run, OFTEN)
            finally:
                os._exit(0)
        time.sleep(chance.uniform(0.1, 0.5))
        os.kill(child, signal.SIGKILL)
        kills += os.waitpid(child, 0)[1] == signal.SIGKILL
        if (run / "model.safetensors").exists():
            break
    pretrain(TINY, sounds, run, OFTEN)
    assert kills >= 2
    assert result(run) == result(whole)
    assert (run / "last.safetensors").read_bytes() == (whole / "last.safetensors").read_bytes()
    assert told(run) == told(whole)


@pytest.mark.parametrize("step", [3, 5, *(pytest.param(step, marks=pytest.mark.slow) for step in (1, 8))])
def test_a_run_that_stops_at_a_step_and_goes_on_is_the_same_run(
    step: int, sounds: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While features are collected, when the centroids begin, between two steps of the student, later."""
    from earmark.training.run import Run

    learn = Run._learn

    def stopping(run: Run, batch: Any) -> None:
        learn(run, batch)
        if run.number + 1 == step:
            os.kill(os.getpid(), signal.SIGTERM)

    with monkeypatch.context() as patch:
        patch.setattr(Run, "_learn", stopping)
        with pytest.raises(StoppedError):
            pretrain(TINY, sounds, tmp_path / "run")
    pretrain(TINY, sounds, tmp_path / "run", Settings(resume=True))
    assert result(tmp_path / "run") == result(whole)
    assert told(tmp_path / "run") == told(whole)


def test_processes_that_read_ahead_change_nothing(sounds: Path, whole: Path, tmp_path: Path) -> None:
    pretrain(TINY, sounds, tmp_path / "run", Settings(workers=1))
    assert result(tmp_path / "run") == result(whole)


def test_each_epoch_tells_how_healthy_the_features_are(whole: Path) -> None:
    rows = told(whole)
    assert len(rows) == 3
    for what in ("perplexity", "deviation", "ce_share", "accuracy", "centroid_norm"):
        for location in ("conv", "summary", "output"):
            assert rows[-1][f"{what}_{location}"] > 0 or what == "accuracy"
    assert 1 <= rows[-1]["perplexity_summary"] <= 6.001
    assert 0 < rows[-1]["coverage"] < 1
    assert rows[-1]["failed_clips"] == 1


def test_the_curves_of_health_are_drawn(whole: Path) -> None:
    pytest.importorskip("matplotlib")
    from earmark.training.telling.plots import curves

    titles = [axes.get_ylabel() for axes in curves(told(whole)).axes]
    assert {"loss", "perplexity", "deviation", "cross-entropy / log K", "hidden share"} <= set(titles)
    assert (whole / "curves.png").exists()


def test_the_result_is_the_teacher_and_beside_it_lies_the_student(whole: Path) -> None:
    teacher, student = load(whole), load(str(whole / "last.safetensors"))
    assert not teacher.has_head
    assert teacher.config == student.config == TINY.model
    pairs = list(zip(teacher.parameters(), student.parameters(), strict=True))
    assert not all(torch.equal(one, other) for one, other in pairs)


def test_a_student_that_teaches_itself_is_the_result(sounds: Path, tmp_path: Path) -> None:
    alone = TINY.replace(epochs=1, objective=TINY.objective.replace(teacher=None))
    pretrain(alone, sounds, tmp_path)
    assert result(tmp_path) == (tmp_path / "last.safetensors").read_bytes()


def test_collapse_ends_a_run_with_a_sentence_and_what_was_saved_stays(sounds: Path, tmp_path: Path) -> None:
    strict = TINY.objective.replace(collapse=Collapse(perplexity=0.99, iterations=3))
    with pytest.raises(TrainingError, match="the features have collapsed"):
        pretrain(TINY.replace(objective=strict), sounds, tmp_path, Settings(save_steps=1))
    assert load(tmp_path).config == TINY.model


def test_a_run_with_spread_weights_or_a_foreign_teacher_is_refused(sounds: Path) -> None:
    with pytest.raises(ConfigError, match="teacher is set, but pretraining"):
        pretrain(TINY, sounds, None, Settings(teacher="mn10"))


def test_a_folder_without_sounds_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no training clips under"):
        pretrain(TINY, tmp_path)


def test_a_run_that_would_end_before_anything_is_learned_is_refused(sounds: Path) -> None:
    """It would hand out random weights."""
    with pytest.raises(ConfigError, match="has 3 batches, but the first 3 are only collected"):
        pretrain(TINY.replace(epochs=1, epoch_clips=18), sounds)


def test_a_run_does_not_go_on_with_recordings_of_other_folders(
    sounds: Path, whole: Path, tmp_path: Path
) -> None:
    """Many corpora call their files alike in each folder of a speaker."""
    pretrain(TINY, sounds, tmp_path / "run", Settings(save_steps=5))
    (tmp_path / "run" / "model.safetensors").unlink()
    shutil.copytree(sounds, tmp_path / "moved")
    pretrain(TINY, tmp_path / "moved", tmp_path / "run", Settings(resume=True))
    assert result(tmp_path / "run") == result(whole)
    (tmp_path / "run" / "model.safetensors").unlink()
    shutil.copytree(sounds, tmp_path / "other")
    (tmp_path / "other" / "kind1").rename(tmp_path / "other" / "another kind1")
    with pytest.raises(ConfigError, match="holds a run on other clips"):
        pretrain(TINY, tmp_path / "other", tmp_path / "run", Settings(resume=True))


def test_changes_that_belong_together_are_made_together() -> None:
    words = ["batch_size=8", "model.encoder.clusters.summary=[8]", "corpus.fold=2", "corpus=esc10"]
    recipe = find_pretraining("dbert-tiny", words)
    assert (recipe.batch_size, recipe.model.encoder.clusters.summary) == (8, (8,))
    assert (recipe.corpus.kind, recipe.corpus.fold, recipe.corpus.esc10) == ("ESC50", 2, True)


def test_the_recipe_of_a_run_goes_to_its_own_verb(whole: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="without labels; run it by `earmark pretrain`"):
        find_recipe(str(whole), [])
    (tmp_path / "recipe.json").write_text(RECIPES["esc10-cnn"].to_json())
    with pytest.raises(ConfigError, match="learns from labels; run it by `earmark train`"):
        find_pretraining(str(tmp_path), [])


def call(*words: object) -> int:
    with pytest.raises(SystemExit) as status:
        main([str(word) for word in words])
    return int(status.value.code or 0)


def test_the_run_embeds_recordings(sounds: Path, whole: Path, tmp_path: Path) -> None:
    clips = sorted((sounds / "kind1").rglob("*.flac"))
    out = tmp_path / "vectors.npz"
    assert call("embed", *clips, "--model", whole, "--out", out, "--workers", 0) == 0
    vectors = np.load(out)["embedding"]
    assert vectors.shape == (len(clips), ENCODER.summary_dim)
    assert len(np.unique(vectors.round(5), axis=0)) == len(clips)


@pytest.mark.parametrize("kept", ["run", "last.safetensors"])
def test_the_run_can_be_fine_tuned_on_a_table(kept: str, sounds: Path, whole: Path, tmp_path: Path) -> None:
    table = tmp_path / "my.csv"
    with table.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["file", "label"])
        for path in sorted(sounds.rglob("*.flac")):
            writer.writerow([path, path.parent.parent.name])
    start = whole if kept == "run" else whole / kept
    out = tmp_path / "tuned"
    words = ["--set", "epochs=1", "--set", "optimizer.lr=1e-9", "--cache", tmp_path / "cache"]
    assert call("train", "--from", start, "--data", table, "--out", out, *words) == 0
    tuned, begun = load(out), load(str(start))
    assert tuned.labels.names == ("kind0", "kind1", "kind2")
    own = begun.encoder.state_dict()
    for name, tensor in tuned.encoder.state_dict().items():
        torch.testing.assert_close(tensor, own[name], atol=1e-5, rtol=0)
    assert not [name for name in tuned.encoder.state_dict() if "heads" in name or "masker" in name]


def test_the_result_goes_out_as_audio_dberts_file_and_comes_back(whole: Path, tmp_path: Path) -> None:
    begun = load(whole)
    torch.save(published_file(begun), tmp_path / "dbert.pt")
    again = load(str(tmp_path / "dbert.pt"))
    assert again.config.encoder == begun.config.encoder
    assert all(torch.equal(t, again.state_dict()[name]) for name, t in begun.state_dict().items())


def test_the_command_pretrains_and_goes_on(
    sounds: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = tmp_path / "mine.json"
    recipe.write_text(TINY.replace(epochs=1).to_json())
    words = ["pretrain", recipe, "--data", sounds, "--cache", tmp_path / "cache"]
    assert call(*words, "--dry-run") == 0
    plan = capsys.readouterr().out
    assert "clips: 25 to learn from" in plan
    assert "steps: 5 of 6 clips in 1 epochs" in plan
    assert call(*words, "--out", tmp_path / "run") == 0
    assert "perplexity_summary" in capsys.readouterr().err
    assert call(*words, "--out", tmp_path / "run", "--resume") == 0
    assert call(*words, "--out", tmp_path / "run") == 2
    assert call("pretrain", tmp_path / "run", "--data", sounds, "--out", tmp_path / "other") == 0
    assert result(tmp_path / "other") == result(tmp_path / "run")
