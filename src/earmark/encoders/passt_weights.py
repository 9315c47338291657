"""Rules by which published weights become PaSST's: positions, colors, depth, names."""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from earmark.encoders.passt import PaSST


def split_positions(
    table: Float[Tensor, "1 token dim"], n_summary: int, grid: tuple[int, int]
) -> dict[str, Tensor]:
    """Turn the position table of an image transformer into PaSST's three tables.

    The square grid is resized (bicubic) to the patch grid; its mean over time becomes the frequency table and
    its mean over frequency the time table.

    Args:
        table: summary tokens first, then a square grid, row by row.
        n_summary: how many summary tokens lead the table.
        grid: rows and columns of PaSST's position tables.

    Raises:
        ValueError: what follows the summary tokens is no square.

    Source:
        PaSST, arXiv:2110.05069, appendix; agrees with recorded outputs.

    Example:
        >>> tables = split_positions(torch.zeros(1, 2 + 24 * 24, 768), 2, (12, 99))
        >>> [tuple(t.shape) for t in tables.values()]
        [(1, 2, 768), (1, 768, 12, 1), (1, 768, 1, 99)]
    """
    patches = table[:, n_summary:]
    side = math.isqrt(patches.shape[1])
    if side * side != patches.shape[1]:
        raise ValueError(
            f"a position table of {table.shape[1]} entries with {n_summary} summary tokens holds no square "
            "grid; it must hold n_summary + side * side"
        )
    square = patches.reshape(1, side, side, -1).permute(0, 3, 1, 2)
    resized = nn.functional.interpolate(square, size=grid, mode="bicubic", align_corners=False)
    return {
        "new_pos_embed": table[:, :n_summary],
        "freq_new_pos_embed": resized.mean(dim=3, keepdim=True),
        "time_new_pos_embed": resized.mean(dim=2, keepdim=True),
    }


def adapt_channels(
    weight: Float[Tensor, "out channel row column"], channels: int
) -> Float[Tensor, "out channel2 row column"]:
    """Fit the patch projection of a color image to spectrograms.

    One channel gets the sum over the colors (over each three of them where there are more than three); more
    channels get the colors repeated, cut and scaled to keep the size of the response.

    Raises:
        ValueError: the weight has more than three channels and not a multiple of three, or `channels` is not
            1 and the weight has not three.

    Source:
        timm's `adapt_input_conv`, which PaSST uses; agrees with recorded outputs.
    """
    found = weight.shape[1]
    if found == channels:
        return weight
    summed = weight.float()
    if channels == 1 and found > 3 and found % 3 == 0:
        return summed.unflatten(1, (found // 3, 3)).sum(dim=2).to(weight)
    if channels == 1 and found <= 3:
        return summed.sum(dim=1, keepdim=True).to(weight)
    if found != 3:
        raise ValueError(f"a patch projection of {found} channels cannot be fitted to {channels}; only 3 can")
    repeated = summed.repeat(1, math.ceil(channels / 3), 1, 1)[:, :channels]
    return (repeated * (3.0 / channels)).to(weight)


def kept_blocks(depth: int, cut: int) -> list[int]:
    """Which blocks stay when PaSST is made lighter.

    Args:
        depth: blocks before.
        cut: that many blocks behind the first are dropped; if negative, the first and the last stay and of
            those between every |cut|-th; 0 keeps all.

    Source:
        PaSST's `lighten_model`; PaSST-L in the paper is depth 12 with a cut of 5.

    Example:
        >>> kept_blocks(12, 5)
        [0, 6, 7, 8, 9, 10, 11]
        >>> kept_blocks(12, -2)
        [0, 1, 3, 5, 7, 9, 11]
    """
    blocks = list(range(depth))
    if cut >= 0:
        return blocks[:1] + blocks[cut + 1 :]
    return blocks[:1] + blocks[1:-1][::-cut] + blocks[-1:]


def encoder_state(state: dict[str, Tensor], config: PaSST) -> dict[str, Tensor]:
    """The encoder's part of a published PaSST, DeiT or ViT state dict, adapted to `config`.

    Keys of classifiers are left out; `head_state` reads them.

    Raises:
        ValueError: the time table has another length than `config`: there is no published rule for that.
    """
    state = dict(state)
    if "pos_embed" in state:
        n_summary = 1 + config.distilled
        state |= split_positions(state.pop("pos_embed"), n_summary, config.table)
    weight = state["patch_embed.proj.weight"]
    state["patch_embed.proj.weight"] = adapt_channels(weight, config.channels)
    found = (state["freq_new_pos_embed"].shape[2], state["time_new_pos_embed"].shape[3])
    if found != config.table:
        raise ValueError(
            f"these weights have position tables for a {found[0]} x {found[1]} grid of patches but the model "
            f"has {config.table[0]} x {config.table[1]}; build it with the weights' stride and max_frames"
        )
    return {key: tensor for key, tensor in state.items() if not key.startswith("head")}


def head_state(state: dict[str, Tensor], n_classes: int) -> dict[str, Tensor]:
    """The head's part of a published PaSST state dict, by `LinearHead`'s names.

    With another number of classes the layer norm is kept and the classifiers are left out, as the published
    code does; a DeiT or ViT state dict has no head of ours and gives nothing.
    """
    names = {"head.0.weight": "norm.weight", "head.0.bias": "norm.bias"}
    if "head.1.weight" in state and state["head.1.weight"].shape[0] == n_classes:
        names |= {"head.1.weight": "linear.weight", "head.1.bias": "linear.bias"}
        names |= {"head_dist.weight": "distillation_weight", "head_dist.bias": "distillation_bias"}
    return {ours: state[theirs] for theirs, ours in names.items() if theirs in state}


def published_state(encoder: dict[str, Tensor], head: dict[str, Tensor]) -> dict[str, torch.Tensor]:
    """The published names of an encoder's and a head's state: the way back of the two functions above."""
    names = {
        "norm.weight": "head.0.weight",
        "norm.bias": "head.0.bias",
        "linear.weight": "head.1.weight",
        "linear.bias": "head.1.bias",
        "distillation_weight": "head_dist.weight",
        "distillation_bias": "head_dist.bias",
    }
    return encoder | {names[name]: tensor for name, tensor in head.items()}
