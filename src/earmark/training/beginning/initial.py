"""Where a run begins: random weights, those of another model, or those of an image net."""

import logging
from typing import NamedTuple

import torch

from earmark.config import ConfigError
from earmark.models import Tagger, load
from earmark.models.ensemble import Ensemble
from earmark.training.beginning.adaptation import adapted_encoder, adapted_head, fitting
from earmark.training.beginning.image_weights import image_encoder
from earmark.training.learning import AnyRecipe

log = logging.getLogger(__name__)


class Begun(NamedTuple):
    """What a model began with.

    Attributes:
        new: names of its tensors that are random.
        known_classes: how many of its classes the model to begin with has, too, by their names.
    """

    new: list[str]
    known_classes: int = 0


def begin(recipe: AnyRecipe) -> Tagger:
    """The model of a recipe before its first step.

    Raises:
        ConfigError: the model named by `init` has nothing in common with the recipe's.
        CheckpointError: it cannot be had.
    """
    torch.manual_seed(recipe.seed)
    model = recipe.model.build()
    if recipe.init is not None:
        begun = begin_with(recipe.init, model)
        if begun.known_classes:
            log.warning(
                "%d of %d classes are known to %s by name and begin with its weights, the other %d at random",
                begun.known_classes,
                len(model.labels),
                recipe.init,
                len(model.labels) - begun.known_classes,
            )
        if begun.new:
            log.warning("not taken from %s, so random: %s", recipe.init, ", ".join(begun.new))
    return model


def begin_with(init: str, model: Tagger) -> Begun:
    """Give a model the weights of another, as far as they mean something in it.

    Args:
        init: a model by name or file, or an image net; see `image_weights`.
        model: is changed.

    Raises:
        ConfigError: the two have nothing in common.
        CheckpointError: `init` cannot be had or read.
    """
    encoder = image_encoder(init, model.config.encoder)
    if encoder is not None:
        taken = fitting(encoder, model.encoder)
        model.encoder.load_state_dict(model.encoder.state_dict() | taken)
        return Begun(_left(model, {f"encoder.{name}" for name in taken}))
    source: Tagger | Ensemble = load(init)
    if isinstance(source, Ensemble):
        raise ConfigError(f"init {init!r} is an ensemble of several models; begin with one of them")
    return transfer(source, model)


def transfer(source: Tagger, model: Tagger) -> Begun:
    """Give a model the weights of another; see `adaptation` for what is fitted how.

    Raises:
        ConfigError: the encoders have nothing in common.
    """
    weights = adapted_encoder(source.encoder.state_dict(), source.config.encoder, model.config.encoder)
    encoder = fitting(weights, model.encoder)
    model.encoder.load_state_dict(model.encoder.state_dict() | encoder)
    head, known = adapted_head(source, model)
    if model.head is not None:
        model.head.load_state_dict(model.head.state_dict() | head)
    taken = {f"encoder.{name}" for name in encoder} | {f"head.{name}" for name in head}
    return Begun(_left(model, taken), known)


def _left(model: Tagger, taken: set[str]) -> list[str]:
    return [name for name in model.state_dict() if name not in taken]
