"""Weights of AudioTagging Done Right's `MBNet`, a MobileNetV2."""

from earmark.encoders import MobileNetV2
from earmark.frontends import KaldiFbank
from earmark.models.heads import LinearHead
from earmark.models.published.family import Family, Origin, State, labels_for, renamed, shape_of, swapped
from earmark.models.tagger import TaggerConfig

ROOT = "model."
"""Before every published name, and for that reason taken off when a file is read."""


def describe(state: State, origin: Origin) -> TaggerConfig:
    """Read the number of classes off the classifier; all else is fixed.

    No recipe was published: the front end is that of AST on AudioSet, 128 bands x 1024 frames.
    """
    weight = "classifier.weight" if "classifier.weight" in state else f"{ROOT}classifier.weight"
    n_classes = shape_of(state, weight, 2, origin, "MBNet")[0]
    return TaggerConfig(
        frontend=KaldiFbank(length=1024),
        encoder=MobileNetV2(),
        head=LinearHead(norm=False),
        labels=labels_for(n_classes, origin),
    )


def family(root: str) -> Family:
    """The family of weights whose names begin with `root`."""
    names = {"encoder.": root, "head.linear.": f"{root}classifier."}
    return Family(
        name="MBNet",
        recognizes=lambda state: f"{root}features.1.conv.0.0.weight" in state,
        describe=describe,
        to_published=lambda _, state: renamed(state, names),
        from_published=lambda _, state: renamed(state, swapped(names)),
        writes=lambda config: (
            isinstance(config.encoder, MobileNetV2) and config.head == LinearHead(norm=False)
        ),
    )


MBNET = family(ROOT)
MBNET_AS_READ = family("")
