"""EfficientAT's weights: MN and DyMN, as their authors publish them."""

import re
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

from earmark.encoders import MN, DyMN
from earmark.encoders.mobilenet import divisible
from earmark.encoders.squeeze_excitation import Axis
from earmark.frontends import LogMel
from earmark.models.checkpoint import CheckpointError
from earmark.models.heads import ConvolutionalHead, MlpHead, MultiheadAttentionHead
from earmark.models.published.family import Family, Origin, State, labels_for, renamed, shape_of, swapped
from earmark.models.tagger import TaggerConfig

NAME = "EfficientAT"
HEADS = {
    "MlpHead": {"head.hidden.": "classifier.2.", "head.linear.": "classifier.5."},
    "ConvolutionalHead": {"head.conv.": "classifier.0.", "head.norm.": "classifier.1."},
    "MultiheadAttentionHead": {"head.": "classifier."},
}
"""Our beginnings of names and theirs, by kind of head."""

WIDTHS = (*(k / 10 for k in range(1, 81)), *(k / 100 for k in range(1, 801) if k % 10))
"""Widths that are looked for: those of one digit first, which the published ones are."""

FIRST_EXCITED = 4
Net = TypeVar("Net", MN, DyMN)
Classifier = ConvolutionalHead | MlpHead | MultiheadAttentionHead


def is_efficientat(state: State) -> bool:
    """Whether weights have the stem, the last convolution and the classifier of an MN or a DyMN."""
    ends = ({"features.0.0.weight", "features.16.0.weight"}, {"in_c.0.weight", "out_c.0.weight"})
    return any(pair <= state.keys() for pair in ends) and any(k.startswith("classifier.") for k in state)


def describe(state: State, origin: Origin) -> TaggerConfig:
    """Read an MN or a DyMN off the shapes of its weights.

    Width, tail, excitation and head are read.  Strides, hop and bands do not show in the weights: they are
    told by the authors' file name, such as `mn10_as_hop_15`, `mn10_as_mels_40` or `mn10_as_fc_s2221`, or else
    by settings; the usual ones are strides of 2, a hop of 10 ms and 128 bands.  Nor do dilation, the merging
    of several excitations, and the temperature of a DyMN show.
    """
    n_bands, hop_length, strides = _told(origin.name)
    usual: dict[str, Any] = {"n_bands": n_bands, "strides": strides}
    encoder = _dymn(state, origin, usual) if "in_c.0.weight" in state else _mn(state, origin, usual)
    head, n_classes = _head(state, origin)
    return TaggerConfig(
        frontend=LogMel(n_mels=n_bands, hop_length=hop_length),
        encoder=encoder,
        head=head,
        labels=labels_for(n_classes, origin),
        clip_seconds=10.0,
    )


def _told(name: str) -> tuple[int, int, tuple[int, ...]]:
    """Bands, hop in samples and strides that the authors' file name tells."""
    mels = re.search(r"mn\d\d_as_mels_(40|64|256)(?!\d)", name)
    hop = re.search(r"mn\d\d_as_hop_(5|15|20|25)(?!\d)", name)
    strides = re.search(r"mn\d\d_as_fc_s([12]{4})(?!\d)", name)
    return (
        int(mels[1]) if mels else 128,
        32 * int(hop[1]) if hop else 320,
        tuple(int(digit) for digit in strides[1]) if strides else (2, 2, 2, 2),
    )


def _mn(state: State, origin: Origin, usual: dict[str, Any]) -> MN:
    """The MN whose channels the weights have."""
    shapes = _branches(state, origin)
    excitation = ("channel",) * bool(shapes)  # that there is one moves names; which axes it has does not
    net = _nearest(
        (
            MN(width=width, reduced_tail=reduced, excitation=excitation, **usual)
            for width in WIDTHS
            for reduced in (False, True)
        ),
        state,
        origin,
    )
    if not shapes:
        return net
    rows = net.replace(excitation=("frequency",)).excitation_sizes()[FIRST_EXCITED - 1][0][1]
    axes = tuple(_axis(size, net.units[FIRST_EXCITED - 1].expanded, rows) for _, size in shapes)
    hidden, size = max(shapes, key=lambda shape: shape[1])
    fitting = (by for by in (4, 2, 8, 16, 32, 1) if divisible(size // by) == hidden)
    return net.replace(excitation=axes, excitation_reduction=next(fitting, 4))


def _branches(state: State, origin: Origin) -> list[tuple[int, ...]]:
    """The shapes of the first layers of the first excitation, branch by branch."""
    names = [
        f"features.{FIRST_EXCITED}.block.{place}.conc_se_layers.{branch}.fc1.weight"
        for place in (1, 2)
        for branch in range(3)
    ]
    return [shape_of(state, name, 2, origin, NAME) for name in names if name in state][:3]


def _axis(size: int, channels: int, rows: int) -> Axis:
    return "channel" if size == channels else "frequency" if size == rows else "time"


def _dymn(state: State, origin: Origin, usual: dict[str, Any]) -> DyMN:
    """The DyMN whose channels the weights have."""
    dynamic = "all" if "layers.0.depth_conv.weight" in state else "replace_se"
    return _nearest((DyMN(width=width, dynamic=dynamic, **usual) for width in WIDTHS), state, origin)


def _nearest(nets: Iterable[Net], state: State, origin: Origin) -> Net:
    """The first net whose batch norms are all as long as the weights', else the one with the most."""
    best, most = None, 0.5
    for net in nets:
        lengths = dict(_norms(net))
        fitting = [name in state and tuple(state[name].shape) == (n,) for name, n in lengths.items()]
        share = sum(fitting) / len(fitting)
        if share > most:
            best, most = net, share
        if share == 1:
            break
    if best is None:
        raise CheckpointError(
            origin.name, f"its weights make no {NAME}: no width from 0.01 to 8 has channels like theirs"
        )
    return best


def _norms(net: MN | DyMN) -> Iterator[tuple[str, int]]:
    """Names of a net's batch norms, each with its channels."""
    if isinstance(net, MN):
        yield from (("features.0.1.weight", net.stem), ("features.16.1.weight", net.dim))
    else:
        yield from (("in_c.1.weight", net.stem), ("out_c.1.weight", net.dim))
    for index, unit in enumerate(net.units):
        if isinstance(net, DyMN) and net.is_dynamic(unit):
            yield f"layers.{index}.context_gen.joint_norm.weight", net.context(unit)
            yield f"layers.{index}.depth_norm.weight", unit.expanded
            yield f"layers.{index}.proj_norm.weight", unit.out
            continue
        start = f"layers.{index}" if isinstance(net, DyMN) else f"features.{index + 1}"
        excited = isinstance(net, MN) and unit.excited and bool(net.excitation)
        yield f"{start}.block.{int(unit.expands)}.1.weight", unit.expanded
        yield f"{start}.block.{int(unit.expands) + 1 + excited}.1.weight", unit.out


def _head(state: State, origin: Origin) -> tuple[Classifier, int]:
    """The head and the number of its classes."""
    if "classifier.head_weight" in state:
        heads = shape_of(state, "classifier.head_weight", 3, origin, NAME)[1]
        rows = shape_of(state, "classifier.subspace_proj.weight", 2, origin, NAME)[0]
        return MultiheadAttentionHead(heads=heads), rows // (2 * max(1, heads))
    if "classifier.0.weight" in state:
        return ConvolutionalHead(), shape_of(state, "classifier.0.weight", 4, origin, NAME)[0]
    hidden = shape_of(state, "classifier.2.weight", 2, origin, NAME)[0]
    return MlpHead(hidden=hidden), shape_of(state, "classifier.5.weight", 2, origin, NAME)[0]


def _names(config: TaggerConfig) -> dict[str, str]:
    return {"encoder.": ""} | HEADS[config.head.kind if config.head else ""]


EFFICIENTAT = Family(
    name=NAME,
    recognizes=is_efficientat,
    describe=describe,
    to_published=lambda config, state: renamed(state, _names(config)),
    from_published=lambda config, state: renamed(state, swapped(_names(config))),
    writes=lambda config: (
        isinstance(config.encoder, MN | DyMN) and config.head is not None and config.head.kind in HEADS
    ),
)
