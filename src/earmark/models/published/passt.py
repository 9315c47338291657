"""PaSST's weights, as PaSST and hear21passt publish them."""

import re

from earmark.encoders import PaSST
from earmark.frontends import LogMel
from earmark.models.checkpoint import CheckpointError
from earmark.models.heads import LinearHead
from earmark.models.published.family import (
    Family,
    Origin,
    State,
    labels_for,
    renamed,
    shape_of,
    swapped,
)
from earmark.models.tagger import TaggerConfig

STRIDES = {12: 10, 10: 12, 9: 14, 8: 16}
"""Rows of PaSST's frequency table for 128 bands, and the stride that gives them."""

LENGTHS = (998, 2000, 3000, 3200)
"""Frames that published time tables were built for; 998 serves the 1000 frames of 10 s."""

HEAD_WIDTH = 64
MAX_DIM, MAX_DEPTH = 4096, 64

NAMES = {
    "encoder.": "",
    "head.norm.": "head.0.",
    "head.linear.": "head.1.",
    "head.distillation_": "head_dist.",
}


def is_passt(state: State) -> bool:
    """Whether weights have the separate position tables that only PaSST has."""
    return "time_new_pos_embed" in state and "freq_new_pos_embed" in state


def describe(state: State, origin: Origin) -> TaggerConfig:
    """Read a PaSST off the shapes of its weights.

    The stride is read from the frequency table, the length from the time table; depth, width, distillation
    token and classes from the rest.  The hop is the number behind `stfthop` in the origin's name, else 100
    where the time table is that of the published hop-100 model, else 320 samples at 32 kHz.
    """
    encoder = _encoder(state, origin)
    n_classes = shape_of(state, "head.1.weight", 2, origin, "PaSST")[0]
    told = re.search(r"stfthop(\d{2,4})(?!\d)", origin.name)
    hop_length = int(told[1]) if told else 100 if encoder.max_frames == 3200 else 320
    return TaggerConfig(
        frontend=LogMel(hop_length=hop_length),
        encoder=encoder,
        head=LinearHead(carry_distillation="head_dist.weight" in state),
        labels=labels_for(n_classes, origin),
        clip_seconds=(1000 if encoder.max_frames == 998 else encoder.max_frames) * hop_length / 32000,
    )


def _encoder(state: State, origin: Origin) -> PaSST:
    _, dim, rows, _ = shape_of(state, "freq_new_pos_embed", 4, origin, "PaSST")
    columns = shape_of(state, "time_new_pos_embed", 4, origin, "PaSST")[3]
    _, channels, patch, _ = shape_of(state, "patch_embed.proj.weight", 4, origin, "PaSST")
    if rows not in STRIDES:
        known = ", ".join(f"{n} (stride {stride})" for n, stride in STRIDES.items())
        raise CheckpointError(
            origin.name,
            f"its frequency table has {rows} rows; the published PaSST have {known} for 128 bands",
        )
    blocks = {int(match[1]) for key in state if (match := re.match(r"blocks\.(\d{1,4})\.", key))}
    if dim % HEAD_WIDTH or not 0 < dim <= MAX_DIM or len(blocks) > MAX_DEPTH or not 0 < columns <= 100_000:
        raise CheckpointError(
            origin.name,
            f"its weights claim a width of {dim}, {len(blocks)} blocks and {columns} columns; allowed are "
            f"multiples of {HEAD_WIDTH} up to {MAX_DIM}, 1 to {MAX_DEPTH} and 1 to 100000",
        )
    stride = STRIDES[rows]
    lengths = [length for length in LENGTHS if length // stride == columns]
    return PaSST(
        max_frames=lengths[0] if lengths else columns * stride,
        patch=patch,
        stride=(stride, stride),
        dim=dim,
        depth=len(blocks),
        heads=dim // HEAD_WIDTH,
        distilled="dist_token" in state,
        channels=channels,
    )


PASST = Family(
    name="PaSST",
    recognizes=is_passt,
    describe=describe,
    to_published=lambda _, state: renamed(state, NAMES),
    from_published=lambda _, state: renamed(state, swapped(NAMES)),
    writes=lambda config: isinstance(config.encoder, PaSST) and isinstance(config.head, LinearHead),
)
