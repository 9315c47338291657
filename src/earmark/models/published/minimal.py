"""Weights of the minimal AST and of its CNN baseline, as ikiskin's code saves them."""

import math

from earmark.encoders import AST, PlainCNN
from earmark.encoders.plain_cnn import grown, shrunk
from earmark.labels import LabelSet
from earmark.models.checkpoint import CheckpointError
from earmark.models.minimal import MINIMAL_AST_HISTORICAL, MINIMAL_CNN_HISTORICAL
from earmark.models.published.ast import Keys, read_encoder
from earmark.models.published.family import Family, Origin, State, labels_for, renamed, shape_of, swapped
from earmark.models.tagger import TaggerConfig

PUBLISHED = ((128, 10, 498),)
HEADS = {2: 6, 3: 6, 4: 8}
"""Heads of the published models, by their blocks."""

AST_NAMES = {
    "encoder.cls_token": "cls_token",
    "encoder.pos_embed": "pos_embed",
    "encoder.patch_embed.proj.": "proj.",
    "encoder.blocks.": "transformer.blocks.",
    "head.norm.": "FinalLinear.0.",
    "head.linear.": "FinalLinear.1.",
}
CNN_NAMES = {"encoder.": "", "head.linear.": "fc3."}
CNN_LAYERS = {f"{layer}.weight" for layer in ("conv1", "conv2", "fc1", "fc2", "fc3")}


def _exclusive(n_classes: int, origin: Origin) -> LabelSet:
    """Both were trained to tell classes that exclude one another."""
    return labels_for(n_classes, origin).replace(exclusive=True)


def _seconds(frames: int) -> float:
    frontend = MINIMAL_AST_HISTORICAL.frontend
    return 5.0 if frames == 498 else frontend.samples_for(frames) / frontend.sample_rate


def describe_ast(state: State, origin: Origin) -> TaggerConfig:
    """Read a minimal AST off the shapes of its weights, with the published pooling and ReLU.

    Weights do not tell the heads: as many are taken as the published model with this many blocks has;
    `encoder.heads=4` corrects it.
    """
    n_classes = shape_of(state, "FinalLinear.1.weight", 2, origin, "minimal AST")[0]
    keys = Keys("pos_embed", "proj.weight", r"transformer\.blocks\.(\d{1,4})\.")
    quirks = MINIMAL_AST_HISTORICAL.encoder.to_dict()
    same = {name: quirks[name] for name in ("pool", "init", "eps", "dropout", "qkv_bias", "final_norm")}
    encoder = read_encoder(state, keys, origin, PUBLISHED, distilled=False, heads=1, **same)
    heads = math.gcd(encoder.dim, HEADS.get(encoder.depth, 6))
    return MINIMAL_AST_HISTORICAL.replace(
        encoder=encoder.replace(heads=heads),
        labels=_exclusive(n_classes, origin),
        clip_seconds=_seconds(encoder.max_frames),
    )


def describe_cnn(state: State, origin: Origin) -> TaggerConfig:
    """Read the CNN off the shapes of its weights: 128 bands, and as many frames as the first layer is for."""
    channels = shape_of(state, "conv1.weight", 4, origin, "CNN")[0]
    hidden, flat = shape_of(state, "fc1.weight", 2, origin, "CNN")
    dim = shape_of(state, "fc2.weight", 2, origin, "CNN")[0]
    n_classes = shape_of(state, "fc3.weight", 2, origin, "CNN")[0]
    rows, rest = divmod(flat, max(1, channels) * shrunk(128))
    if rest or not rows:
        raise CheckpointError(
            origin.name,
            f"its weights make no CNN: fc1 takes {flat} numbers, but {channels} channels and 128 bands give "
            f"a multiple of {channels * shrunk(128)}",
        )
    frames = 498 if rows == shrunk(498) else grown(rows)
    encoder = MINIMAL_CNN_HISTORICAL.encoder.replace(
        channels=channels, hidden=hidden, dim=dim, max_frames=frames
    )
    return MINIMAL_CNN_HISTORICAL.replace(
        encoder=encoder,
        labels=_exclusive(n_classes, origin),
        clip_seconds=_seconds(frames),
    )


def _writes_ast(config: TaggerConfig) -> bool:
    encoder, head = config.encoder, config.head
    quirks = isinstance(encoder, AST) and (encoder.distilled, encoder.qkv_bias, encoder.final_norm)
    return quirks == (False, False, False) and head is not None and head.kind == "LinearHead" and head.norm


def _writes_cnn(config: TaggerConfig) -> bool:
    return isinstance(config.encoder, PlainCNN) and config.encoder.shared_conv and config.head is not None


MINIMAL_AST_FAMILY = Family(
    name="minimal AST",
    recognizes=lambda state: "FinalLinear.1.weight" in state and "pos_embed" in state,
    describe=describe_ast,
    to_published=lambda _, state: renamed(state, AST_NAMES),
    from_published=lambda _, state: renamed(state, swapped(AST_NAMES)),
    writes=_writes_ast,
)
MINIMAL_CNN_FAMILY = Family(
    name="minimal CNN",
    recognizes=lambda state: state.keys() >= CNN_LAYERS,
    describe=describe_cnn,
    to_published=lambda _, state: renamed(state, CNN_NAMES),
    from_published=lambda _, state: renamed(state, swapped(CNN_NAMES)),
    writes=_writes_cnn,
)
