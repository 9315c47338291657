"""Weights of the ResNets with attention pooling that PSLA and AudioTagging Done Right compare with."""

import re

from earmark.encoders import ResNet
from earmark.frontends import SlaneyDb
from earmark.models.heads import AttentionHead
from earmark.models.published.family import Family, Origin, State, labels_for, renamed, shape_of, swapped
from earmark.models.published.psla import attention_of, psla_frontend
from earmark.models.tagger import TaggerConfig

NAMES = {"encoder.": "model.", "head.": "attention."}


def is_resnet(state: State) -> bool:
    """Whether weights are those of a ResNet of bottleneck blocks with attention pooling."""
    return "model.layer1.0.conv3.weight" in state and "attention.cla.weight" in state


def describe(state: State, origin: Origin) -> TaggerConfig:
    """Read a ResNet off the shapes of its weights.

    The width of the attention tells the reading: as wide as the last map, it is PSLA's, with its front end
    of 128 bands; else it must be the flattened one of AudioTagging Done Right, with the front end, the
    statistics and the softmax over classes of its published recipe.  Weights do not tell the latter three.
    """
    head, width, n_classes = attention_of(state, origin, "ResNet")
    encoder = _encoder(state, origin)
    flattened = width != encoder.dim
    if flattened:
        encoder = encoder.replace(n_bands=64, reading="flattened")
        head = head.replace(attention="softmax_over_classes", value="softmax_over_classes")
    return TaggerConfig(
        frontend=recipe_frontend() if flattened else psla_frontend(10),
        encoder=encoder,
        head=head,
        labels=labels_for(n_classes, origin),
    )


def recipe_frontend() -> SlaneyDb:
    """The front end of AudioTagging Done Right's recipe: 64 bands x 400 frames, in doubled decibels."""
    return SlaneyDb(decibels="doubled", mean=-29.072655, std=40.71728, length=400)


def _encoder(state: State, origin: Origin) -> ResNet:
    width = shape_of(state, "model.conv1.weight", 4, origin, "ResNet")[0]
    places = {
        match.groups() for name in state if (match := re.match(r"model\.layer([1-4])\.(\d{1,3})\.", name))
    }
    one, two, three, four = (sum(1 for stage, _ in places if stage == number) for number in "1234")
    return ResNet(blocks=(one, two, three, four), width=width)


RESNET = Family(
    name="ResNet",
    recognizes=is_resnet,
    describe=describe,
    to_published=lambda _, state: renamed(state, NAMES),
    from_published=lambda _, state: renamed(state, swapped(NAMES)),
    writes=lambda config: isinstance(config.encoder, ResNet) and isinstance(config.head, AttentionHead),
)
