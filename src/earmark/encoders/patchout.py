"""Patchout: training on a part of the patches, for speed and as regularization."""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from pydantic import Field
from torch import Tensor

from earmark.config import Frozen


class Patchout(Frozen):
    """How many patches a transformer leaves out in training.

    Attributes:
        time: whole columns (stretches of time) dropped.
        frequency: whole rows (ranges of mel bands) dropped.
        patches: single patches dropped from what is left.
    """

    time: int = Field(default=0, ge=0)
    frequency: int = Field(default=0, ge=0)
    patches: int = Field(default=0, ge=0)

    def __bool__(self) -> bool:
        return bool(self.time or self.frequency or self.patches)


class Kept(NamedTuple):
    """One draw of patchout; None where nothing was dropped."""

    columns: Int[Tensor, "column"] | None
    rows: Int[Tensor, "row"] | None
    patches: Int[Tensor, "patch"] | None


def draw_patchout(
    n_rows: int, n_columns: int, patchout: Patchout, generator: torch.Generator | None = None
) -> Kept:
    """Draw which rows, columns and patches stay, each a sorted random subset.

    Args:
        n_rows: height of the patch grid.
        n_columns: width of the patch grid.
        patchout: how many to drop.
        generator: source of randomness, on the CPU; the global one if None.

    Raises:
        ValueError: nothing would be left to train on.
    """
    rows, columns = n_rows - patchout.frequency, n_columns - patchout.time
    if rows < 1 or columns < 1 or rows * columns - patchout.patches < 1:
        raise ValueError(
            f"{patchout!r} leaves no patch of a {n_rows} x {n_columns} grid (frequency x time); "
            "drop fewer, or train on longer clips"
        )
    return Kept(
        columns=_subset(n_columns, columns, generator),
        rows=_subset(n_rows, rows, generator),
        patches=_subset(rows * columns, rows * columns - patchout.patches, generator),
    )


def keep_patches(grid: Float[Tensor, "batch dim row column"], kept: Kept) -> Float[Tensor, "batch kept dim"]:
    """Cut a grid down to a draw and flatten it, row by row, in the original order."""
    if kept.columns is not None:
        grid = grid.index_select(3, kept.columns.to(grid.device))
    if kept.rows is not None:
        grid = grid.index_select(2, kept.rows.to(grid.device))
    sequence = grid.flatten(2).transpose(1, 2)
    if kept.patches is not None:
        sequence = sequence.index_select(1, kept.patches.to(grid.device))
    return sequence


def drop_patches(
    grid: Float[Tensor, "batch dim row column"],
    patchout: Patchout,
    generator: torch.Generator | None = None,
) -> Float[Tensor, "batch kept dim"]:
    """Drop patches from a grid and return the rest as a sequence.

    One draw serves the whole batch, so that the kept patches stay a dense tensor.  Call it after the
    positions are added: a kept patch then still knows where it came from.

    Args:
        grid: patch embeddings; a row is a range of mel bands, lowest first, and a column a range of frames,
            earliest first.
        patchout: how many rows, columns and single patches to drop.
        generator: source of randomness, on the CPU; the global one if None.

    Returns:
        The kept patches, row by row, in their original order.

    Raises:
        ValueError: nothing would be left to train on.

    Source:
        Koutini et al., arXiv:2110.05069, section 2.2; drawn once per batch, as the authors' published code
        does, and in its order (columns, rows, patches), so that equal seeds keep equal patches.

    Example:
        >>> grid = torch.zeros(2, 768, 12, 99)      # two 10 s clips in PaSST-S
        >>> drop_patches(grid, Patchout(time=40, frequency=4)).shape
        torch.Size([2, 472, 768])
    """
    return keep_patches(grid, draw_patchout(grid.shape[2], grid.shape[3], patchout, generator))


def _subset(n: int, keep: int, generator: torch.Generator | None) -> Int[Tensor, "kept"] | None:
    if keep == n:
        return None
    return torch.randperm(n, generator=generator)[:keep].sort().values
