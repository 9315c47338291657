"""Weights of AudioTagging Done Right's nets without convolutions: Transformer, linear model and FNet."""

import re

from earmark.encoders import FNet, LinearFrames, Transformer
from earmark.models.checkpoint import CheckpointError
from earmark.models.heads import PoolingHead
from earmark.models.published.family import Family, Origin, State, renamed, shape_of, swapped
from earmark.models.published.talnet import NAMES, described, head_of
from earmark.models.tagger import TaggerConfig

FNET_NAMES = {
    "encoder.input.": "input.",
    "encoder.layer.": "encoder.layer.",
    "head.fc_prob.": "pooler.fc.",
    "head.fc_att.": "pooler.att.",
}
MAX_DEPTH = 256


def _depth(state: State, pattern: str, origin: Origin) -> int:
    """How many layers there are, of names such as `layer_stack.0.`."""
    found = {match[1] for name in state if (match := re.match(pattern, name))}
    if len(found) > MAX_DEPTH:
        raise CheckpointError(origin.name, f"has {len(found)} layers; {MAX_DEPTH} are allowed")
    return len(found)


def _describe_transformer(state: State, origin: Origin) -> TaggerConfig:
    dim, n_bands = shape_of(state, "linear_in.weight", 2, origin, "Transformer")
    n_classes = shape_of(state, "fc_prob.weight", 2, origin, "Transformer")[0]
    encoder = Transformer(n_bands=n_bands, dim=dim, depth=_depth(state, r"layer_stack\.(\d+)\.", origin))
    return described(encoder, head_of(state), n_classes, origin)


def _describe_linear(state: State, origin: Origin) -> TaggerConfig:
    dim, n_bands = shape_of(state, "linear.0.weight", 2, origin, "linear model")
    n_classes = shape_of(state, "fc_prob.weight", 2, origin, "linear model")[0]
    encoder = LinearFrames(n_bands=n_bands, dim=dim, depth=_depth(state, r"linear\.(\d+)\.", origin) // 2)
    return described(encoder, head_of(state), n_classes, origin)


def _describe_fnet(state: State, origin: Origin) -> TaggerConfig:
    """FNet is described without the sigmoid that its pooler forgot, as it was trained; FFNet has it."""
    alternating = "encoder.layer.0.mixing_layer_norm2.weight" in state
    dim, n_bands = shape_of(state, "input.hidden_mapping.weight", 2, origin, "FNet")
    encoder = FNet(
        n_bands=n_bands,
        dim=dim,
        hidden=shape_of(state, "encoder.layer.0.feed_forward.weight", 2, origin, "FNet")[0],
        depth=_depth(state, r"encoder\.layer\.(\d+)\.", origin),
        mixing="alternating" if alternating else "joint",
    )
    n_classes = shape_of(state, "pooler.fc.weight", 2, origin, "FNet")[0]
    head = PoolingHead(attention="sigmoid") if alternating else PoolingHead(probability="clamped")
    return described(encoder, head, n_classes, origin)


TRANSFORMER = Family(
    name="Transformer",
    recognizes=lambda state: "linear_in.weight" in state and "layer_norm_in.weight" in state,
    describe=_describe_transformer,
    to_published=lambda _, state: renamed(state, NAMES),
    from_published=lambda _, state: renamed(state, swapped(NAMES)),
    writes=lambda config: isinstance(config.encoder, Transformer) and isinstance(config.head, PoolingHead),
)
LINEAR = TRANSFORMER._replace(
    name="linear model",
    recognizes=lambda state: "linear.0.weight" in state and "fc_prob.weight" in state,
    describe=_describe_linear,
    writes=lambda config: isinstance(config.encoder, LinearFrames) and isinstance(config.head, PoolingHead),
)
FNET = Family(
    name="FNet",
    recognizes=lambda state: "encoder.layer.0.mixing_layer_norm.weight" in state,
    describe=_describe_fnet,
    to_published=lambda _, state: renamed(state, FNET_NAMES),
    from_published=lambda _, state: renamed(state, swapped(FNET_NAMES)),
    writes=lambda config: (
        isinstance(config.encoder, FNet)
        and isinstance(config.head, PoolingHead)
        and config.head.pooling == "attention"
    ),
)
