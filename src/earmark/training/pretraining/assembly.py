"""What a pretraining run works with, put together as its recipe says."""

from collections.abc import Mapping
from typing import NamedTuple

from jaxtyping import Shaped
from torch import Tensor, nn

from earmark.config import ConfigError
from earmark.data import Split
from earmark.encoders import DBERT
from earmark.training.beginning.initial import begin
from earmark.training.distributing.network import laid_out, wrapped
from earmark.training.distributing.world import World
from earmark.training.learning import Parts
from earmark.training.optimizing.averaging import WeightAverage
from earmark.training.optimizing.optimizer import train_mode
from earmark.training.precision import Precision
from earmark.training.pretraining.feed import CropFeed
from earmark.training.pretraining.guessing import Student
from earmark.training.pretraining.learner import PretrainLearner, guesser_of
from earmark.training.pretraining.objective import ClusterGuessing
from earmark.training.pretraining.optimizer import student_optimizer
from earmark.training.pretraining.patches.description import MaskedPatches
from earmark.training.pretraining.patches.guesser import patch_guesser
from earmark.training.pretraining.patches.learner import MaskedLearner, Pupil
from earmark.training.pretraining.recipe import PretrainRecipe
from earmark.training.reading import Place
from earmark.training.settings import Settings
from earmark.training.supervised.materials import sounds_of

Weights = dict[str, Shaped[Tensor, "..."]]


def pretraining_parts(recipe: PretrainRecipe, split: Split, place: World, settings: Settings) -> Parts:
    """The parts of a run that learns from sound alone.

    Args:
        recipe: what is computed.
        split: what it hears; labels and what is held out are not looked at.
        place: who takes part.
        settings: where and how it is computed.

    Raises:
        ConfigError: recipe and settings do not fit one another, or what the recipe begins with.
    """
    _check(settings)
    model = begin(recipe).to(place.device)
    train_mode(model)
    sounds = sounds_of(split.train, model.sample_rate, settings)
    feed = CropFeed(recipe, sounds, Place(place.rank, place.size))
    _check_length(recipe, feed.epochs * feed.steps_per_epoch)
    if isinstance(recipe.objective, MaskedPatches):
        guesser = laid_out(patch_guesser(model, recipe.objective).to(place.device), place, settings)
        optimizer = student_optimizer(guesser, recipe.optimizer)
        pupil = Pupil(guesser, wrapped(guesser, place, settings), optimizer)
        return Parts(model, feed, MaskedLearner(recipe.objective, recipe, model, pupil, place), None, None)
    terms = _Terms(recipe.objective, recipe.seed, recipe.precision, recipe.clip_norm)
    guesser = laid_out(guesser_of(model, terms.objective).to(place.device), place, settings)
    optimizer = student_optimizer(guesser, recipe.optimizer)
    student = Student(guesser, wrapped(guesser, place, settings), optimizer)
    learner = PretrainLearner(terms, model, student, place)
    average = None if terms.objective.teacher is None else TaughtBy(learner)
    return Parts(model, feed, learner, average, None)


class _Terms(NamedTuple):
    """What a recipe of guessing clusters says of its steps."""

    objective: ClusterGuessing
    seed: int
    precision: Precision
    clip_norm: float | None


def _check_length(recipe: PretrainRecipe, steps: int) -> None:
    """Refuse a run that would end before anything is learned.

    Raises:
        ConfigError: it is so short that it only collects features.
    """
    objective, encoder = recipe.objective, recipe.model.encoder
    if not isinstance(objective, ClusterGuessing) or not isinstance(encoder, DBERT):
        return
    clusters = max(encoder.clusters.summary, default=0) if encoder.clusters else 0
    seeding = objective.seeding
    collected = max(seeding.batches, -(-seeding.clips_per_cluster * clusters // recipe.batch_size))
    if steps < collected + objective.every:
        raise ConfigError(
            f"the run has {steps} batches, but the first {collected} are only collected for the clusters to "
            f"begin with, and the student learns at every {objective.every}. behind them; give more epochs "
            "or epoch_clips, or fewer objective.seeding.batches"
        )


def _check(settings: Settings) -> None:
    given = {
        "shard": settings.shard,
        "impulse_responses": settings.impulse_responses,
        "teacher": settings.teacher,
    }
    for name, value in given.items():
        if value:
            raise ConfigError(f"{name} is set, but pretraining does not know it; leave it away")


class TaughtBy(WeightAverage):
    """The teacher's weights are handed out: they are an average of the student's.

    Args:
        learner: whose teacher it is; it keeps the state.
    """

    def __init__(self, learner: PretrainLearner) -> None:
        self.learner = learner

    @property
    def weights(self) -> Weights:
        """Of the teacher, as the model's state dict."""
        teacher: nn.Module = self.learner.targets.teacher.encoder
        return {f"encoder.{name}": tensor for name, tensor in teacher.state_dict().items()}

    def state(self) -> Weights:
        """Nothing: the learner has it."""
        return {}

    def restore(self, state: Mapping[str, Shaped[Tensor, "..."]]) -> None:
        """Nothing to do."""
