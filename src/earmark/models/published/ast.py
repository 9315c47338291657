"""AST's weights, as its authors and AudioTagging Done Right publish them."""

import re
from collections.abc import Iterable
from typing import Any, NamedTuple

from earmark.encoders import AST
from earmark.frontends import KaldiFbank, SlaneyDb
from earmark.labels import LabelSet
from earmark.models.checkpoint import CheckpointError
from earmark.models.heads import LinearHead
from earmark.models.published.family import Family, Origin, State, labels_for, renamed, shape_of, swapped
from earmark.models.tagger import TaggerConfig

HEAD_WIDTH = 64
MAX_DIM, MAX_DEPTH, MAX_PATCH = 4096, 64, 128
STRIDES = (10, 12, 14, 16)

PUBLISHED = (
    *((128, stride, frames) for frames in (1024, 512, 128) for stride in STRIDES),
    *((64, stride, 400) for stride in (4, 8, 10, 16)),
)
"""Bands, stride and frames of published position tables, in the order in which they are tried."""

SECONDS = {1024: 10.0, 512: 5.0, 400: 10.0, 128: 1.0}
"""Length of the clips that published models pad to a number of frames."""

STATISTICS = {35: (-6.845978, 5.5654526), 50: (-6.6268077, 5.358466)}
"""Mean and deviation of Speech Commands and ESC-50, by their number of classes; others have AudioSet's."""

NAMES = {
    "encoder.": "v.",
    "encoder.imagenet_head_": "v.head.",
    "encoder.imagenet_dist_": "v.head_dist.",
    "head.norm.": "mlp_head.0.",
    "head.linear.": "mlp_head.1.",
}


class Keys(NamedTuple):
    """What a family calls the parts of an AST that tell its size.

    Attributes:
        positions: the position table.
        projection: the patch projection's weight.
        block: pattern of a block's names, with its number as a group.
    """

    positions: str
    projection: str
    block: str


KEYS = Keys("v.pos_embed", "v.patch_embed.proj.weight", r"v\.blocks\.(\d{1,4})\.")


def is_ast(state: State) -> bool:
    """Whether weights have a timm transformer in the attribute `v` and AST's classifier."""
    return "v.pos_embed" in state and "mlp_head.1.weight" in state


def describe(state: State, origin: Origin) -> TaggerConfig:
    """Read an AST off the shapes of its weights; see `read_encoder` and `tagger`."""
    n_classes = shape_of(state, "mlp_head.1.weight", 2, origin, "AST")[0]
    encoder = read_encoder(
        state, KEYS, origin, distilled="v.dist_token" in state, carry_imagenet="v.head.weight" in state
    )
    return tagger(encoder, LinearHead(), labels_for(n_classes, origin))


def tagger(encoder: AST, head: LinearHead | None, labels: LabelSet) -> TaggerConfig:
    """The description of an AST with the front end and the clips that go with its length and its classes.

    64 bands have AudioTagging Done Right's front end with the statistics of its recipe.
    """
    frames = encoder.max_frames
    mean, std = STATISTICS.get(len(labels), (-4.2677393, 4.5689974))
    frontend = (
        SlaneyDb(length=frames, decibels="doubled", mean=-29.686901, std=40.898224)
        if encoder.n_bands == 64
        else KaldiFbank(length=frames, mean=mean, std=std)
    )
    return TaggerConfig(
        frontend=frontend,
        encoder=encoder,
        head=head,
        labels=labels,
        clip_seconds=SECONDS.get(frames, frames * frontend.frame_seconds),
    )


def read_encoder(
    state: State,
    keys: Keys,
    origin: Origin,
    known: Iterable[tuple[int, int, int]] = PUBLISHED,
    **options: Any,
) -> AST:
    """Read an AST's encoder off the shapes of its weights.

    Bands, stride and length follow from the number of positions together: the first of `known` that has this
    number is taken; else 128 bands, the finest published stride that divides it and the fewest frames.

    Args:
        state: weights by their published names.
        keys: what they are called.
        origin: where they come from.
        known: bands, stride and frames of published models.
        options: fields of `AST` that the caller knows.

    Raises:
        CheckpointError: the shapes make no AST.
    """
    _, entries, dim = shape_of(state, keys.positions, 3, origin, "AST")
    _, channels, patch, _ = shape_of(state, keys.projection, 4, origin, "AST")
    depth = len({int(match[1]) for name in state if (match := re.match(keys.block, name))})
    if channels != 1 or not 0 < patch <= MAX_PATCH:
        raise CheckpointError(
            origin.name,
            f"its patches are {patch} high with {channels} channels; an AST has one channel and patches of 1 "
            f"to {MAX_PATCH} (an image model's weights are fitted by earmark.encoders.ast_weights)",
        )
    odd = dim % HEAD_WIDTH != 0 and "heads" not in options
    if odd or not 0 < dim <= MAX_DIM or not 0 < depth <= MAX_DEPTH:
        raise CheckpointError(
            origin.name,
            f"its weights claim a width of {dim} and {depth} blocks; allowed are multiples of {HEAD_WIDTH} "
            f"up to {MAX_DIM} and 1 to {MAX_DEPTH}",
        )
    n_patches = entries - 1 - options.get("distilled", True)
    bands, stride, frames = _grid(n_patches, patch, known, origin)
    fields: dict[str, Any] = {"heads": dim // HEAD_WIDTH, **options}
    return AST(
        n_bands=bands,
        max_frames=frames,
        patch=patch,
        stride=(stride, stride),
        dim=dim,
        depth=depth,
        **fields,
    )


def _grid(
    n_patches: int, patch: int, known: Iterable[tuple[int, int, int]], origin: Origin
) -> tuple[int, int, int]:
    """Bands, stride and frames that a number of patches tells."""
    for bands, stride, frames in known:
        rows, columns = (bands - patch) // stride + 1, (frames - patch) // stride + 1
        if min(rows, columns) > 0 and rows * columns == n_patches:
            return bands, stride, frames
    for stride in STRIDES:
        columns, rest = divmod(n_patches, (128 - patch) // stride + 1)
        if columns > 0 and not rest:
            return 128, stride, (columns - 1) * stride + patch
    raise CheckpointError(
        origin.name,
        f"its position table is for {n_patches} patches; 128 bands at stride 10, 12, 14 or 16 give a "
        "multiple of 12, 10, 9 or 8 (with patches of 16), and the known ones for 64 bands 1261, 343 or 195",
    )


def is_original(encoder: object) -> bool:
    """Whether an encoder is one that the authors' code could have made."""
    return isinstance(encoder, AST) and encoder.qkv_bias and encoder.final_norm and encoder.eps == AST().eps


AST_FAMILY = Family(
    name="AST",
    recognizes=is_ast,
    describe=describe,
    to_published=lambda _, state: renamed(state, NAMES),
    from_published=lambda _, state: renamed(state, swapped(NAMES)),
    writes=lambda config: is_original(config.encoder) and config.head == LinearHead(),
)
