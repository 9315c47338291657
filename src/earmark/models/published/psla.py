"""PSLA's weights: an EfficientNet and attention pooling, as PSLA and AudioTagging Done Right save them."""

from earmark.encoders import EfficientNet
from earmark.frontends import KaldiFbank
from earmark.models.checkpoint import CheckpointError
from earmark.models.heads import AttentionHead
from earmark.models.published.family import Family, Origin, State, labels_for, renamed, shape_of, swapped
from earmark.models.tagger import TaggerConfig

NAMES = {"encoder.": "effnet.", "head.": "attention."}

FSD50K_CLASSES = 200


def is_psla(state: State) -> bool:
    """Whether weights are those of an EfficientNet with attention pooling."""
    return "effnet._conv_stem.weight" in state


def psla_frontend(seconds: int) -> KaldiFbank:
    """PSLA's front end: 1056 frames for clips of 10 s, 3000 for the 30 s of FSD50K; one deviation."""
    length = 1056 if seconds == 10 else 100 * seconds
    return KaldiFbank(mean=-4.6476, std=4.5699, deviations=1.0, length=length)


def attention_of(state: State, origin: Origin, family: str) -> tuple[AttentionHead, int, int]:
    """The pooling, the width of the frames that it takes, and its number of classes.

    Weights tell the number of heads, not the activations: the sigmoids of PSLA are taken, which
    `head.attention=softmax_over_classes head.value=softmax_over_classes` corrects.
    """
    heads = 1 if "attention.att.weight" in state else 0
    if "attention.head_weight" in state:
        heads = shape_of(state, "attention.head_weight", 1, origin, family)[0]
    first = "attention.cla.0.weight" if heads > 1 else "attention.cla.weight"
    n_classes, width, _, _ = shape_of(state, first, 4, origin, family)
    return AttentionHead(heads=heads), width, n_classes


def describe(state: State, origin: Origin) -> TaggerConfig:
    """Read a PSLA model off the shapes of its weights.

    The size is read from the channels of the last convolution and the number of blocks.  200 classes are
    FSD50K's, with clips of 30 s; all others have clips of 10 s.
    """
    head, _, n_classes = attention_of(state, origin, "PSLA")
    seconds = 30 if n_classes == FSD50K_CLASSES else 10
    return TaggerConfig(
        frontend=psla_frontend(seconds),
        encoder=_encoder(state, origin),
        head=head,
        labels=labels_for(n_classes, origin),
        clip_seconds=seconds,
    )


def _encoder(state: State, origin: Origin) -> EfficientNet:
    dim = shape_of(state, "effnet._conv_head.weight", 4, origin, "PSLA")[0]
    depth = len({name.split(".")[2] for name in state if name.startswith("effnet._blocks.")})
    sizes = {(size.dim, len(size.blocks)): size for size in (EfficientNet(b=b) for b in range(8))}
    if (dim, depth) not in sizes:
        known = ", ".join(f"b{size.b} ({dim}, {depth})" for (dim, depth), size in sizes.items())
        raise CheckpointError(
            origin.name, f"its EfficientNet has {dim} channels and {depth} blocks; there are {known}"
        )
    return sizes[dim, depth]


PSLA = Family(
    name="PSLA",
    recognizes=is_psla,
    describe=describe,
    to_published=lambda _, state: renamed(state, NAMES),
    from_published=lambda _, state: renamed(state, swapped(NAMES)),
    writes=lambda config: isinstance(config.encoder, EfficientNet) and isinstance(config.head, AttentionHead),
    ignored=("effnet._fc.",),
)
