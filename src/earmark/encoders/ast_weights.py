"""Rules by which the weights of an image transformer, or of an AST for other clips, become an AST's."""

import math
from collections.abc import Mapping

from torch import Tensor

from earmark.encoders.ast import AST
from earmark.encoders.passt_weights import adapt_channels
from earmark.encoders.position_grid import resize_positions


def from_imagenet(state: Mapping[str, Tensor], config: AST) -> dict[str, Tensor]:
    """The encoder's state that a DeiT for square color images gives.

    The patch projection is summed over the colors; the square of positions is cut to its middle or
    interpolated, each axis by itself.

    Args:
        state: by timm's names (`pos_embed`, `patch_embed.proj.weight`, `blocks.0.norm1.weight`, ...).
        config: what to fit it to; its size must be the DeiT's.

    Raises:
        ValueError: what follows the summary tokens in the position table is no square.

    Source:
        Gong et al., arXiv:2104.01778, section 2.2; agrees with recorded outputs.
    """
    patches = state["pos_embed"].shape[1] - config.n_summary
    side = math.isqrt(max(0, patches))
    encoder = _fitted(state, (side, side), config)
    weight = adapt_channels(encoder["patch_embed.proj.weight"], 1)
    return encoder | {"patch_embed.proj.weight": weight}


def from_audioset(state: Mapping[str, Tensor], config: AST, source: AST | None = None) -> dict[str, Tensor]:
    """The encoder's state that a published AST gives, for clips of another length; its classifier is left.

    Args:
        state: by the published names (`v.pos_embed`, ..., `mlp_head.1.weight`).
        config: what to fit it to.
        source: the published model; its position grid is what counts.  None: the one for AudioSet.

    Raises:
        ValueError: the position table is not that of `source`.

    Source:
        Gong et al., arXiv:2104.01778, section 3.2; agrees with recorded outputs.  The authors fit ImageNet's
        positions to the new clip first and then overwrite them, which comes to the same.
    """
    inner = {name.removeprefix("v."): tensor for name, tensor in state.items() if name.startswith("v.")}
    return _fitted(inner, (source or AST()).table, config)


def _fitted(state: Mapping[str, Tensor], grid: tuple[int, int], config: AST) -> dict[str, Tensor]:
    """A transformer's state with positions for `config`, and DeiT's classifiers where they are carried."""
    carried = {"head.": "imagenet_head_", "head_dist.": "imagenet_dist_"} if config.carry_imagenet else {}
    encoder = {name: tensor for name, tensor in state.items() if not name.startswith("head")}
    for theirs, ours in carried.items():
        encoder |= {ours + n.removeprefix(theirs): t for n, t in state.items() if n.startswith(theirs)}
    positions = resize_positions(state["pos_embed"], config.n_summary, grid, config.table)
    return encoder | {"pos_embed": positions}
