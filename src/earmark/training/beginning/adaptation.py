"""Weights of one model fitted to another: longer or shorter clips, fewer blocks, other classes."""

import re
from collections.abc import Mapping

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from earmark.config import ConfigError
from earmark.encoders import AST, EncoderConfig, PaSST
from earmark.encoders.passt_weights import adapt_channels, kept_blocks
from earmark.encoders.position_grid import resize_grid
from earmark.models import Tagger

State = dict[str, Shaped[Tensor, "..."]]

LEAST_SHARE = 0.5
"""At least this share of an encoder's numbers must fit; less is another net."""


def adapted_encoder(
    state: Mapping[str, Shaped[Tensor, "..."]], source: EncoderConfig, target: EncoderConfig
) -> State:
    """What an encoder's weights become in another encoder of its kind.

    Positions are fitted to another length or stride, blocks are left out where it has fewer, and all else is
    taken where names and shapes agree.

    Args:
        state: the weights, by the encoder's own names.
        source: whose they are.
        target: what they shall serve.

    Raises:
        ConfigError: the two have little or nothing in common.

    Source:
        Fewer blocks are those of PaSST's `lighten_model`; AST's positions follow `resize_grid` as published.
        PaSST's for other lengths are ours: read off at the new places, or stretched where there are more.
    """
    state = dict(state)
    if isinstance(source, PaSST) and isinstance(target, PaSST):
        state = _passt(lighter(state, target.depth), source, target)
    elif isinstance(source, AST) and isinstance(target, AST):
        state = _ast(lighter(state, target.depth), source, target)
    heads = [getattr(config, "heads", None) for config in (source, target)]
    if source.kind != target.kind or heads[0] != heads[1]:
        raise ConfigError(_strangers(source, target))
    return state


def fitting(state: Mapping[str, Shaped[Tensor, "..."]], model: nn.Module) -> State:
    """Of some weights those that a module has by this name and shape.

    Raises:
        ConfigError: they are less than half of the module's numbers.
    """
    own = model.state_dict()
    taken = {name: state[name] for name in own if name in state and state[name].shape == own[name].shape}
    share = sum(t.numel() for t in taken.values()) / max(1, sum(t.numel() for t in own.values()))
    if share < LEAST_SHARE:
        raise ConfigError(
            f"only {share:.0%} of the weights to begin with fit the recipe's encoder, which is of another "
            "size; take a model of the same size, or leave `init` away"
        )
    return taken


def lighter(state: Mapping[str, Shaped[Tensor, "..."]], depth: int) -> State:
    """A transformer's weights with fewer blocks: the first, and the last `depth - 1`.

    Args:
        state: with names such as `blocks.3.norm1.weight`.
        depth: how many blocks are wanted; more than there are leave the weights as they are.

    Example:
        >>> state = {f"blocks.{index}.bias": torch.tensor(index) for index in range(12)}
        >>> [int(tensor) for tensor in lighter(state, 4).values()]
        [0, 9, 10, 11]
    """
    found = 1 + max((int(m[1]) for name in state if (m := re.match(r"blocks\.(\d+)\.", name))), default=-1)
    kept = kept_blocks(found, found - depth) if 0 < depth < found else list(range(found))
    place = {old: new for new, old in enumerate(kept)}
    lightened: State = {}
    for name, tensor in state.items():
        match = re.match(r"blocks\.(\d+)(\..*)", name)
        if match is None:
            lightened[name] = tensor
        elif int(match[1]) in place:
            lightened[f"blocks.{place[int(match[1])]}{match[2]}"] = tensor
    return lightened


def adapted_head(source: Tagger, model: Tagger) -> tuple[State, int]:
    """What one model's head becomes in another: hidden layers, and the rows of classes of the same name.

    Rows of classes that are new stay as they are, but for biases, which begin at the mean of the known ones:
    one must not begin far above the other.

    Returns:
        Weights by the head's own names, and how many classes are known.
    """
    theirs, ours = source.head, model.head
    if theirs is None or ours is None or source.config.head != model.config.head:
        return {}, 0
    known = {name.casefold(): row for row, name in enumerate(source.labels.names)}
    pairs = [(row, known[n.casefold()]) for row, n in enumerate(model.labels.names) if n.casefold() in known]
    own, found = ours.state_dict(), theirs.state_dict()
    taken: State = {}
    for name, axis in class_axes(model).items():
        if name not in found:
            continue
        if axis is None:
            if found[name].shape == own[name].shape:
                taken[name] = found[name]
        elif pairs:
            taken[name] = _rows(own[name].movedim(axis, 0), found[name].movedim(axis, 0), pairs).movedim(
                0, axis
            )
    return taken, len(pairs)


def class_axes(model: Tagger) -> dict[str, int | None]:
    """Which axis of each of a head's tensors counts classes; None for those of hidden layers.

    Raises:
        ConfigError: the model has no head.
    """
    config = model.config
    if config.head is None:
        raise ConfigError("an embedding model has no head; give it one")
    sizes: list[dict[str, tuple[int, ...]]] = []
    for more in (0, 1):
        with torch.device("meta"):
            head = config.head.build(config.encoder.dim, config.encoder.frame_dim, len(config.labels) + more)
        sizes.append({name: tuple(tensor.shape) for name, tensor in head.state_dict().items()})
    return {
        name: next((i for i, (a, b) in enumerate(zip(shape, sizes[1][name], strict=True)) if a != b), None)
        for name, shape in sizes[0].items()
    }


def _rows(
    own: Float[Tensor, "class *rest"], theirs: Float[Tensor, "other *rest"], pairs: list[tuple[int, int]]
) -> Float[Tensor, "class *rest"]:
    rows, found = [row for row, _ in pairs], [row for _, row in pairs]
    new = own.clone()
    if own.ndim == 1:
        new[:] = theirs[found].mean()
    new[rows] = theirs[found]
    return new


def _passt(state: State, source: PaSST, target: PaSST) -> State:
    fitted = dict(state)
    for axis, name in ((0, "freq_new_pos_embed"), (1, "time_new_pos_embed")):
        table = state[name].flatten(2)
        new = _moved(table, target.table[axis], source.stride[axis], target.stride[axis])
        fitted[name] = new[..., None] if axis == 0 else new[:, :, None]
    try:
        weight = adapt_channels(state["patch_embed.proj.weight"], target.channels)
    except ValueError as error:
        raise ConfigError(str(error)) from None
    return fitted | {"patch_embed.proj.weight": weight}


def _moved(
    table: Float[Tensor, "1 dim place"], places: int, old: int, new: int
) -> Float[Tensor, "1 dim place2"]:
    """A table of positions `old` apart, read off at `places` positions `new` apart; stretched if too
    short."""
    if (places - 1) * new > table.shape[2] * old:
        return nn.functional.interpolate(table, places, mode="linear", align_corners=False)
    at = (torch.arange(places) * (new / old)).clamp(max=table.shape[2] - 1)
    low = at.floor().long()
    high = (low + 1).clamp(max=table.shape[2] - 1)
    return table[..., low].lerp(table[..., high], (at - low).to(table))


def _ast(state: State, source: AST, target: AST) -> State:
    table = state["pos_embed"]
    grid = table[:, source.n_summary :].transpose(1, 2).unflatten(2, source.table)
    if source.stride == target.stride:
        grid = resize_grid(grid, target.table)
    else:
        grid = nn.functional.interpolate(grid, target.table, mode="bilinear", align_corners=False)
    if source.n_summary != target.n_summary:
        return {name: tensor for name, tensor in state.items() if name != "pos_embed"}
    positions = torch.cat([table[:, : source.n_summary], grid.flatten(2).transpose(1, 2)], dim=1)
    return state | {"pos_embed": positions}


def _strangers(source: EncoderConfig, target: EncoderConfig) -> str:
    words = [
        f"{config.kind}" + (f" with {heads} heads" if (heads := getattr(config, "heads", None)) else "")
        for config in (source, target)
    ]
    return (
        f"the model to begin with is a {words[0]} and the recipe's is a {words[1]}; their weights mean "
        "different things: take a model of the same kind, or leave `init` away"
    )
