"""Published weights: recognized by their names and shapes, and turned into a `Tagger`.

Each family of models is one file; a new one is a line in `FAMILIES`.
"""

from collections.abc import Iterable
from typing import Any

from torch import Tensor

from earmark.models.checkpoint import CheckpointError
from earmark.models.published.ast import AST_FAMILY
from earmark.models.published.dbert import AUDIO_DBERT
from earmark.models.published.efficientat import EFFICIENTAT
from earmark.models.published.family import Family, Origin, State, fill
from earmark.models.published.frame_models import FNET, LINEAR, TRANSFORMER
from earmark.models.published.hf_ast import HF_AST, HF_AST_5
from earmark.models.published.minimal import MINIMAL_AST_FAMILY, MINIMAL_CNN_FAMILY
from earmark.models.published.mobilenet_v2 import MBNET, MBNET_AS_READ
from earmark.models.published.passt import PASST
from earmark.models.published.psla import PSLA
from earmark.models.published.resnet import RESNET
from earmark.models.published.talnet import TALNET, TALTRANS
from earmark.models.tagger import Tagger

FAMILIES: tuple[Family, ...] = (
    AUDIO_DBERT,
    PASST,
    PSLA,
    RESNET,
    MBNET,
    MBNET_AS_READ,
    EFFICIENTAT,
    AST_FAMILY,
    HF_AST,
    HF_AST_5,
    MINIMAL_AST_FAMILY,
    MINIMAL_CNN_FAMILY,
    TALNET,
    TALTRANS,
    TRANSFORMER,
    LINEAR,
    FNET,
)
"""The families that are recognized, in the order in which they are tried."""

__all__ = ["FAMILIES", "Family", "Origin", "State", "published_file", "tagger_from_state", "to_published"]


def tagger_from_state(state: State, origin: Origin, settings: Iterable[str] = ()) -> Tagger:
    """The model that published weights make.

    Args:
        state: weights by their published names.
        origin: where they come from.
        settings: `path=value` corrections of the description, for what weights do not tell, such as
            `frontend.hop_length=160`.

    Raises:
        CheckpointError: no family has these names, the shapes do not fit it, or a setting makes no sense.
    """
    for family in FAMILIES:
        if family.recognizes(state):
            return fill(family, state, origin, settings)
    known = ", ".join(family.name for family in FAMILIES)
    shown = ", ".join(list(state)[:3])
    raise CheckpointError(
        origin.name,
        f"holds the weights of no model that earmark knows ({known}); its first names are {shown:.200}",
    )


def to_published(tagger: Tagger) -> dict[str, Tensor]:
    """A model's weights by their published names: the way back of `tagger_from_state`.

    Raises:
        ValueError: no published family has models of this description.
    """
    return dict(_family_of(tagger).to_published(tagger.config, tagger.state_dict()))


def published_file(tagger: Tagger) -> tuple[str, dict[str, Any]]:
    """What its authors' own program reads by `torch.load`, and the name of the family.

    Raises:
        ValueError: no published family has models of this description, or its program cannot read this one.

    Example:
        >>> from earmark.recipes import RECIPES
        >>> family, weights = published_file(Tagger(RECIPES["esc50-cnn-minimal"].model))
        >>> family, list(weights)[0]
        ('minimal CNN', 'conv1.weight')
    """
    family = _family_of(tagger)
    return family.name, dict(family.file(tagger) if family.file else to_published(tagger))


def _family_of(tagger: Tagger) -> Family:
    for family in FAMILIES:
        if family.writes(tagger.config):
            return family
    head = "no head" if tagger.config.head is None else f"the head {tagger.config.head.kind}"
    raise ValueError(
        f"no published family has names for the encoder {tagger.config.encoder.kind} with {head}"
    )
