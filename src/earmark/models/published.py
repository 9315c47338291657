"""Published weights: recognized by their names and shapes, and turned into a `Tagger`.

Each family of models is one pair of functions: does a state dict look like ours, and the model that it makes.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor

from earmark.config import ConfigError
from earmark.encoders import PaSST
from earmark.encoders.passt_weights import encoder_state, head_state, published_state
from earmark.frontends import LogMel
from earmark.labels import ESC50, LabelSet
from earmark.models.audioset import audioset_labels
from earmark.models.checkpoint import CheckpointError
from earmark.models.heads import LinearHead
from earmark.models.tagger import Tagger, TaggerConfig

STRIDES = {12: 10, 10: 12, 9: 14, 8: 16}
"""Rows of PaSST's frequency table for 128 bands, and the stride that gives them."""

LENGTHS = (998, 2000, 3000, 3200)
"""Frames that published time tables were built for; 998 serves the 1000 frames of 10 s."""

HEAD_WIDTH = 64
MAX_DIM, MAX_DEPTH, MAX_CLASSES = 4096, 64, 100_000

State = Mapping[str, Tensor]


class Family(NamedTuple):
    """A family of published models.

    Attributes:
        name: what errors call it.
        recognizes: whether a state dict has the names that only this family has.
        build: the model of a state dict, what errors call the weights, and the hop in samples if known.
    """

    name: str
    recognizes: Callable[[State], bool]
    build: Callable[[State, str, int | None], Tagger]


def tagger_from_state(state: dict[str, Tensor], name: str, hop_length: int | None = None) -> Tagger:
    """The model that published weights make.

    Args:
        state: weights by their published names.
        name: file or name, for errors; a file's name may also tell the hop.
        hop_length: samples between frames, which weights do not tell; None where the name or the usual rule
            tells it (see `passt_from_state`).

    Raises:
        CheckpointError: no family has these names, or the shapes do not fit it.
    """
    for family in FAMILIES:
        if family.recognizes(state):
            return family.build(state, name, hop_length)
    known = ", ".join(family.name for family in FAMILIES)
    shown = ", ".join(list(state)[:3])
    raise CheckpointError(
        name, f"holds the weights of no model that earmark knows ({known}); its first names are {shown:.200}"
    )


def is_passt(state: State) -> bool:
    """Whether weights have the separate position tables that only PaSST has."""
    return "time_new_pos_embed" in state and "freq_new_pos_embed" in state


def passt_from_state(state: State, name: str, hop_length: int | None = None) -> Tagger:
    """The PaSST that published weights make.

    The stride is read from the frequency table, the length from the time table; depth, width, distillation
    token and classes from the rest.  527 classes get AudioSet's names, 50 those of ESC-50 (and exclude one
    another); any other number is called `class 0`, `class 1`, ..., because the weights do not tell.

    Args:
        state: weights by their published names.
        name: file or name, for errors.
        hop_length: samples between frames at 32 kHz.  If None, the number behind `stfthop` in `name`, else
            100 where the time table is that of the published hop-100 model, else 320.

    Returns:
        The model in evaluation mode; `published_state` gives the weights back as they were, as float32.

    Raises:
        CheckpointError: the weights do not fit together; each parameter that differs is told.
    """
    encoder = _passt_config(state, name)
    n_classes = _shape(state, "head.1.weight", 2, name)[0]
    hop = hop_length or _hop_length(name, encoder.max_frames)
    try:
        config = TaggerConfig(
            frontend=LogMel(hop_length=hop),
            encoder=encoder,
            head=LinearHead(carry_distillation="head_dist.weight" in state),
            labels=_labels(n_classes, name),
            clip_seconds=(1000 if encoder.max_frames == 998 else encoder.max_frames) * hop / 32000,
        )
    except ConfigError as error:
        raise CheckpointError(name, f"its weights make no PaSST: {error}") from None
    return _filled(config, state, name)


def _filled(config: TaggerConfig, state: State, name: str) -> Tagger:
    """The model of a description with these weights, whose shapes must be exactly its own."""
    tagger = Tagger(config, hollow=True)
    encoder, head = tagger.encoder, tagger.head
    if head is None or not isinstance(config.encoder, PaSST):
        raise CheckpointError(name, "its weights make no PaSST with a head")
    wanted = published_state(encoder.state_dict(), head.state_dict())
    differences = list(_differences(state, wanted))
    if differences:
        more = f"; and {len(differences) - 8} more" if len(differences) > 8 else ""
        raise CheckpointError(name, "its weights do not fit a PaSST: " + "; ".join(differences[:8]) + more)
    weights = {key: tensor.float() for key, tensor in state.items()}
    encoder.load_state_dict(encoder_state(weights, config.encoder), assign=True)
    head.load_state_dict(head_state(weights, len(config.labels)), assign=True)
    for parameter in tagger.parameters():
        parameter.requires_grad_(True)
    return tagger.eval()


def _differences(found: State, wanted: State) -> Iterator[str]:
    """One clause for each parameter that is missing, foreign, or of another shape or type."""
    for name in sorted(wanted.keys() | found.keys()):
        if name not in found:
            yield f"{name} is missing"
        elif name not in wanted:
            yield f"{name:.100} is not part of it"
        elif found[name].shape != wanted[name].shape:
            yield f"{name} is {tuple(found[name].shape)} but must be {tuple(wanted[name].shape)}"
        elif not found[name].is_floating_point():
            yield f"{name} holds {found[name].dtype} but must hold floating-point numbers"


def _passt_config(state: State, name: str) -> PaSST:
    """Read PaSST's description off the shapes of its weights."""
    _, dim, rows, _ = _shape(state, "freq_new_pos_embed", 4, name)
    columns = _shape(state, "time_new_pos_embed", 4, name)[3]
    _, channels, patch, _ = _shape(state, "patch_embed.proj.weight", 4, name)
    if rows not in STRIDES:
        known = ", ".join(f"{n} (stride {stride})" for n, stride in STRIDES.items())
        raise CheckpointError(
            name, f"its frequency table has {rows} rows; the published PaSST have {known} for 128 bands"
        )
    blocks = {int(match[1]) for key in state if (match := re.match(r"blocks\.(\d{1,4})\.", key))}
    if dim % HEAD_WIDTH or not 0 < dim <= MAX_DIM or len(blocks) > MAX_DEPTH or not 0 < columns <= 100_000:
        raise CheckpointError(
            name,
            f"its weights claim a width of {dim}, {len(blocks)} blocks and {columns} columns; allowed are "
            f"multiples of {HEAD_WIDTH} up to {MAX_DIM}, 1 to {MAX_DEPTH} and 1 to 100000",
        )
    stride = STRIDES[rows]
    lengths = [length for length in LENGTHS if length // stride == columns]
    try:
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
    except ConfigError as error:
        raise CheckpointError(name, f"its weights make no PaSST: {error}") from None


def _shape(state: State, key: str, n_axes: int, name: str) -> tuple[int, ...]:
    if key not in state or state[key].ndim != n_axes:
        found = "is missing" if key not in state else f"is {tuple(state[key].shape)}"
        raise CheckpointError(name, f"its weights make no PaSST: {key} {found} but must have {n_axes} axes")
    return tuple(state[key].shape)


def _hop_length(name: str, max_frames: int) -> int:
    told = re.search(r"stfthop(\d{2,4})(?!\d)", name)
    if told:
        return int(told[1])
    return 100 if max_frames == 3200 else 320


def _labels(n_classes: int, name: str) -> LabelSet:
    """Names for a number of classes."""
    audioset = audioset_labels()
    if n_classes == len(audioset):
        return audioset
    if n_classes == 50:
        return LabelSet(names=tuple(ESC50.values()), exclusive=True)
    if not 0 < n_classes <= MAX_CLASSES:
        raise CheckpointError(name, f"has {n_classes} classes; 1 to {MAX_CLASSES} are allowed")
    return LabelSet(names=tuple(f"class {index}" for index in range(n_classes)))


def to_published(tagger: Tagger) -> dict[str, Float[Tensor, "..."]]:
    """A PaSST's weights by their published names: the way back of `passt_from_state`.

    Raises:
        ValueError: the model is no PaSST with a head.
    """
    if tagger.head is None or not isinstance(tagger.config.encoder, PaSST):
        raise ValueError("only a PaSST with a head has published names")
    return published_state(tagger.encoder.state_dict(), tagger.head.state_dict())


FAMILIES = (Family("PaSST", is_passt, passt_from_state),)
"""The families that are recognized, in the order in which they are tried."""
