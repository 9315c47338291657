"""Mixtures of two clips: of what a batch holds, of features and of targets."""

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor


def neighbors(size: int) -> Int64[np.ndarray, "batch"]:
    """The partner of each clip of a batch: the other of its pair; a last clip without a pair is its own.

    The order of a batch is random, so the partner is.

    Example:
        >>> neighbors(5).tolist()
        [1, 0, 3, 2, 4]
    """
    partner = np.arange(size) ^ 1
    return np.minimum(partner, size - 1).astype(np.int64)


def dominant(share: float) -> float:
    """The greater of a share and its rest: the clip itself stays the louder one.

    Example:
        >>> dominant(0.25)
        0.75
    """
    return max(share, 1 - share)


def mix_linear(
    values: Float[Tensor, "batch *any"], partner: Int64[Tensor, "batch"], share: Float[Tensor, "batch"]
) -> Float[Tensor, "batch *any"]:
    """Mix the rows of a batch as they are.

    Args:
        values: features or targets.
        partner: which row each row is mixed with.
        share: of the row itself, 0 to 1; its partner has the rest.

    Source:
        Zhang et al., arXiv:1710.09412, as PaSST's training code has it; agrees with recorded outputs.

    Example:
        >>> mix_linear(torch.eye(2), torch.tensor([1, 1]), torch.tensor([0.75, 1.0]))
        tensor([[0.7500, 0.2500],
                [0.0000, 1.0000]])
    """
    share = share.to(values.dtype).reshape(-1, *[1] * (values.ndim - 1))
    return torch.lerp(values.index_select(0, partner), values, share)


def mix_power(
    features: Float[Tensor, "batch band frame"],
    partner: Int64[Tensor, "batch"],
    share: Float[Tensor, "batch"],
    scale: float,
) -> Float[Tensor, "batch band frame"]:
    """Mix logarithmic spectrograms in power, as sounds mix in air.

    Args:
        features: times `scale`, plus anything, the natural logarithm of power.
        partner: as in `mix_linear`.
        share: of the power; a row with 1 stays as it is.
        scale: of the features.

    Source:
        Ours; published mixup mixes the logarithms.

    Example:
        >>> power = torch.tensor([1.0, 3.0]).reshape(2, 1, 1)
        >>> mix_power(power.log(), torch.tensor([1, 0]), torch.tensor([0.5, 1.0]), 1.0).exp().flatten()
        tensor([2., 3.])
    """
    rows = (share < 1).nonzero()[:, 0]
    own = share[rows].to(features)[:, None, None]
    louder = features.index_select(0, rows).mul_(scale).add_(own.log())
    softer = features.index_select(0, partner[rows]).mul_(scale).add_((1 - own).log())
    mixed = torch.logaddexp(louder, softer, out=louder).div_(scale)
    return features.index_copy(0, rows, mixed)
