"""Which patches the encoder hears, and which parts of the spectrogram it then knows nothing of."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64, Shaped
from torch import Tensor, nn

from earmark.encoders import AST, PaSST
from earmark.training.pretraining.patches.description import MaskedPatches
from earmark.training.randomness import clip_generators

Patched = PaSST | AST


def heard_patches(
    objective: MaskedPatches, grid: tuple[int, int], seed: int, epoch: int, places: Sequence[int]
) -> Int64[np.ndarray, "batch kept"]:
    """Draw which patches of each clip are heard; equally many of all clips, so that they stay one tensor.

    A clip's draw depends on its place in the epoch, not on the process that has it.

    Args:
        objective: how many, and how large the blocks are.
        grid: rows and columns of patches.
        seed: of the run.
        epoch: counted from 0.
        places: of the clips in the epoch.

    Returns:
        Sorted numbers of patches, counted row by row.

    Source:
        MAE's random masking, with blocks.  Patchout (arXiv:2110.05069) has one draw for a whole batch.

    Example:
        >>> heard_patches(MaskedPatches(hidden=0.5), (2, 3), 0, 0, [0, 1]).shape
        (2, 3)
    """
    draws = clip_generators(seed, epoch, places, "hidden")
    kept = objective.kept(grid[0] * grid[1])
    ranks = [_ranks(grid, objective.block, draw).ravel() for draw in draws]
    return np.stack([np.sort(np.argsort(rank)[:kept]) for rank in ranks]).astype(np.int64)


def _ranks(
    grid: tuple[int, int], block: tuple[int, int], draw: np.random.Generator
) -> Float[np.ndarray, "row column"]:
    """Random numbers by which patches are chosen, in a random order of blocks that begin anywhere."""
    places = [(np.arange(n) + draw.integers(size)) // size for n, size in zip(grid, block, strict=True)]
    rows, columns = (int(one[-1]) + 1 for one in places)
    order = draw.permutation(rows * columns).reshape(rows, columns)
    return order[np.ix_(*places)] + draw.random(grid)


def cut(features: Shaped[Tensor, "batch band frame"], config: Patched) -> Shaped[Tensor, "batch patch pixel"]:
    """Cut spectrograms into the patches that an encoder takes, row by row.

    Example:
        >>> config = AST(n_bands=4, max_frames=6, patch=2, stride=(2, 2), dim=8, heads=1)
        >>> cut(torch.arange(24.0).reshape(1, 4, 6), config)[0, :2]
        tensor([[0., 1., 6., 7.],
                [2., 3., 8., 9.]])
    """
    rows, columns = config.grid(features.shape[2])
    patches = features.unfold(1, config.patch, config.stride[0]).unfold(2, config.patch, config.stride[1])
    return patches[:, :rows, :columns].flatten(3).flatten(1, 2)


def unheard(
    heard: Int64[Tensor, "batch kept"], valid: Bool[Tensor, "batch frame"], config: Patched
) -> Bool[Tensor, "batch patch pixel"]:
    """Which parts of each patch are sound that no heard patch covers.

    Args:
        heard: numbers of the patches that are heard.
        valid: frames that are no padding.
        config: of the encoder.
    """
    clips, n_frames = valid.shape
    rows, columns = config.grid(n_frames)
    grid = torch.zeros(clips, rows * columns, device=heard.device).scatter_(1, heard, 1.0)
    patch = torch.ones(1, 1, config.patch, config.patch, device=heard.device)
    covered = nn.functional.conv_transpose2d(grid.view(clips, 1, rows, columns), patch, stride=config.stride)[
        :, 0
    ]
    free = torch.zeros(clips, config.n_bands, n_frames, device=heard.device)
    free[:, : covered.shape[1], : covered.shape[2]] = (covered == 0).float()
    return cut(free * valid[:, None], config) > 0
