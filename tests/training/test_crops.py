"""Training on stretches of clips that are shorter than what the model hears in evaluation."""

import itertools
import os
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from tone_recipe import RATE, TINY

from earmark.config import ConfigError
from earmark.data.feeding.sounds import Sounds, open_sounds
from earmark.encoders import AST
from earmark.models import load
from earmark.training import Augment, Recipe, Settings, train
from earmark.training.distributing.world import World
from earmark.training.planning import plan
from earmark.training.speed import made_up
from earmark.training.stopping import StoppedError
from earmark.training.supervised.feed import Feed

CROPPED = TINY.replace(crop_seconds=0.2, augment=Augment(crop=True))
LENGTH = round(0.2 * RATE)


def feed_of(recipe: Recipe, tones: Path) -> tuple[Feed, Sounds]:
    split = recipe.corpus.read(tones)
    sounds = open_sounds(split.train, RATE, workers=0)
    return Feed(recipe, split, sounds), sounds


def place_of(stretch: np.ndarray, circle: np.ndarray) -> int | None:
    """Where in a clip that is played twice a stretch lies; None if nowhere."""
    fits = (
        start
        for start in range(len(circle) - len(stretch) + 1)
        if circle[start] == stretch[0] and np.array_equal(circle[start : start + len(stretch)], stretch)
    )
    return next(fits, None)


def test_training_hears_stretches_from_anywhere_in_the_clip(tones: Path) -> None:
    feed, sounds = feed_of(CROPPED, tones)
    batches = [feed[epoch, 0] for epoch in range(3)]
    starts = set()
    for batch in batches:
        assert batch.waveform.shape == (8, LENGTH)
        for clip, heard in zip(batch.clips, batch.waveform.numpy(), strict=True):
            samples = np.tile(sounds.read(clip), 2)
            start = place_of(np.round(heard * 32768).astype(np.int16), samples)
            assert start is not None
            starts.add(start)
    assert len(starts) > 12
    assert max(starts) > LENGTH, "not only beginnings"


def test_an_offset_never_runs_over_the_end_of_a_clip(tones: Path) -> None:
    feed, sounds = feed_of(CROPPED.replace(augment=Augment(random_offset=True)), tones)
    for epoch in range(3):
        batch = feed[epoch, 0]
        for clip, heard in zip(batch.clips, batch.waveform.numpy(), strict=True):
            assert place_of(np.round(heard * 32768).astype(np.int16), sounds.read(clip)) is not None


def test_a_stretch_depends_on_its_place_in_the_run_and_on_nothing_that_came_before(tones: Path) -> None:
    all_before, _ = feed_of(CROPPED, tones)
    for epoch, step in itertools.product(range(2), range(3)):
        _ = all_before[epoch, step]
    anew, _ = feed_of(CROPPED, tones)
    assert torch.equal(all_before[2, 1].waveform, anew[2, 1].waveform)
    assert not torch.equal(anew[2, 1].waveform, anew[1, 1].waveform)


def test_a_stopped_run_goes_on_to_the_bit(tones: Path, tmp_path: Path) -> None:
    recipe, run = TINY.replace(crop_seconds=0.2, epochs=2), tmp_path / "run"

    def interrupt(row: dict[str, float]) -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(StoppedError):
        train(recipe, tones, run, report=interrupt)
    train(recipe, tones, run, Settings(resume=True))
    train(recipe, tones, tmp_path / "whole")
    found = [(folder / "model.safetensors").read_bytes() for folder in (run, tmp_path / "whole")]
    assert found[0] == found[1]
    assert load(run).clip_seconds == TINY.model.clip_seconds, "evaluation hears whole clips"


def test_size_and_speed_of_a_run_are_those_of_its_stretches(tones: Path) -> None:
    split = CROPPED.corpus.read(tones)
    whole, cropped = plan(TINY, split, Settings()), plan(CROPPED, split, Settings())
    assert cropped.clip_bytes < 0.6 * whole.clip_bytes
    assert "0.2 s clips" in str(cropped)
    assert made_up(CROPPED, World(0, 1, torch.device("cpu"))).waveform.shape == (8, LENGTH)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"crop_seconds": 0.6}, "crop_seconds is 0.6 but the model's clips have 0.5 s"),
        ({"augment": Augment()}, "nothing says where in a clip a crop begins; set augment.crop"),
        ({"crop_seconds": 0.01}, "crop_seconds is 0.01 but front end and encoder need 0.01625 s at least"),
        ({"crop_seconds": -1.0}, "crop_seconds"),
    ],
)
def test_what_does_not_fit_is_a_sentence(changed: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        CROPPED.replace(**changed)


def test_an_encoder_hears_no_stretches_that_are_too_short_for_it() -> None:
    encoder = AST(n_bands=32, max_frames=25, dim=24, depth=1, heads=3)
    recipe = TINY.replace(model=TINY.model.replace(encoder=encoder), augment=Augment(crop=True))
    with pytest.raises(ConfigError, match=r"front end and encoder need 0\.3001 s at least"):
        recipe.replace(crop_seconds=0.2)
