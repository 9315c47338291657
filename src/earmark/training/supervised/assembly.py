"""What a supervised run works with, put together as its recipe says."""

from earmark.data import Split
from earmark.training.beginning.initial import begin
from earmark.training.distributing.network import network_of, wrapped
from earmark.training.distributing.world import World
from earmark.training.learning import Parts
from earmark.training.optimizing.optimizer import make_optimizer
from earmark.training.reading import Place
from earmark.training.settings import Settings
from earmark.training.supervised.feed import Feed
from earmark.training.supervised.learner import Learner
from earmark.training.supervised.materials import extras_of, sounds_of, teacher_of
from earmark.training.supervised.recipe import Recipe
from earmark.training.supervised.validation import Validation


def supervised_parts(recipe: Recipe, split: Split, place: World, settings: Settings) -> Parts:
    """The parts of a run that learns from labels.

    Args:
        recipe: what is computed.
        split: the corpus.
        place: who takes part.
        settings: where and how it is computed.

    Raises:
        ConfigError: recipe and settings do not fit one another, or what the recipe begins with.
    """
    model = begin(recipe).to(place.device)
    network = network_of(model, place, settings)
    average = recipe.averaging.build(model, recipe.epochs) if recipe.averaging else None
    sounds = sounds_of(split.train, model.sample_rate, settings)
    extras = extras_of(recipe, split, settings)
    feed = Feed(recipe, split, sounds, Place(place.rank, place.size), extras)
    validation = None
    if split.validation:
        validation = Validation(split, sounds_of(split.validation, sounds.sample_rate, settings))
    optimizer = make_optimizer(model, recipe.optimizer)
    called, teacher = wrapped(network, place, settings), teacher_of(recipe, model, settings)
    learner = Learner(recipe, model, optimizer, place, called, teacher)
    return Parts(model, feed, learner, average, validation)
