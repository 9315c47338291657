"""What a run brings along besides its recipe: decoded clips, impulse responses, a teacher."""

import os
from collections.abc import Sequence
from pathlib import Path

from platformdirs import user_cache_dir

from earmark.config import ConfigError
from earmark.data import Clip, Split
from earmark.data.feeding.sounds import Sounds, open_sounds
from earmark.models import Tagger, load
from earmark.models.zoo import members_of
from earmark.training.augmentation.waveform import load_responses
from earmark.training.settings import Settings
from earmark.training.supervised.distillation import StoredTeacher, Teacher
from earmark.training.supervised.feed import Extras
from earmark.training.supervised.recipe import Recipe

CACHED_CLIPS = 20_000
"""Up to so many clips are decoded ahead without being asked: 13 GB, if they last ten seconds at 32 kHz."""


def sounds_of(clips: Sequence[Clip], sample_rate: int, settings: Settings) -> Sounds:
    """Clips as waveforms, decoded ahead as the settings say."""
    return open_sounds(clips, sample_rate, cache=cache_folder(len(clips), settings))


def cache_folder(n_clips: int, settings: Settings) -> Path | None:
    """Where clips are decoded to, ahead of training; None where they are decoded as they come."""
    if settings.cache != "auto":
        return settings.cache
    if n_clips > CACHED_CLIPS:
        return None
    return Path(os.environ.get("EARMARK_CACHE") or user_cache_dir("earmark")) / "sounds"


def extras_of(recipe: Recipe, split: Split, settings: Settings) -> Extras:
    """What the feed needs for a recipe.

    Raises:
        ConfigError: the recipe asks for impulse responses or a teacher, and the settings name none; or the
            other way round.
    """
    if recipe.augment.reverb and settings.impulse_responses is None:
        raise ConfigError(
            "the recipe's augment.reverb needs impulse responses; give a folder of them by "
            "--with impulse_responses=FOLDER, or --set augment.reverb=0"
        )
    if recipe.distillation is not None and settings.teacher is None:
        raise ConfigError(
            "the recipe distills from a teacher; give a model, or an .npy file of its logits for each "
            "training clip, by --with teacher=NAME"
        )
    if recipe.distillation is None and settings.teacher is not None:
        raise ConfigError(
            f"teacher {settings.teacher!r} is given but the recipe distills from none; leave it away, or "
            "--set 'distillation={}'"
        )
    if not recipe.augment.reverb and settings.impulse_responses is not None:
        raise ConfigError(
            "impulse_responses are given but the recipe's augment.reverb is 0; leave them away, or --set "
            "augment.reverb=0.5"
        )
    folder, stored = settings.impulse_responses, _stored(settings.teacher)
    return Extras(
        load_responses(folder, recipe.model.frontend.sample_rate) if recipe.augment.reverb and folder else (),
        StoredTeacher(stored, len(split.train), len(split.labels))
        if recipe.distillation and stored
        else None,
    )


def teacher_of(recipe: Recipe, student: Tagger, settings: Settings) -> Teacher | None:
    """The teacher that hears what the student hears, if the recipe distills from a model."""
    if recipe.distillation is None or settings.teacher is None or _stored(settings.teacher):
        return None
    if members_of(settings.teacher) is not None:
        raise ConfigError(f"teacher {settings.teacher!r} is an ensemble; store its logits and give the file")
    return Teacher(load(settings.teacher), student, recipe.distillation)


def _stored(teacher: str | None) -> Path | None:
    return Path(teacher) if teacher is not None and teacher.endswith(".npy") else None
