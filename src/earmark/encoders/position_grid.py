"""One position for each patch of a spectrogram, fitted to other grids of patches."""

import torch
from jaxtyping import Float
from torch import Tensor, nn


def resize_grid(
    table: Float[Tensor, "1 dim row column"], grid: tuple[int, int]
) -> Float[Tensor, "1 dim row2 column2"]:
    """Fit a table of positions to another grid of patches, time first, then frequency.

    An axis that shall be shorter is cut to its middle, one that shall be longer is interpolated (bilinear).

    Args:
        table: the positions; a row is a range of bands, a column a range of frames.
        grid: rows and columns wanted.

    Source:
        Gong et al., arXiv:2104.01778, section 2.2; agrees with recorded outputs of the authors' code, for
        ImageNet's square tables and for AudioSet's 12 x 101.

    Example:
        >>> import torch
        >>> table = torch.arange(24.0).view(1, 1, 1, 24)
        >>> resize_grid(table, (1, 5))
        tensor([[[[10., 11., 12., 13., 14.]]]])
    """
    rows, columns = grid
    return _resized(_resized(table, 3, columns), 2, rows)


def _resized(table: Float[Tensor, "1 dim row column"], axis: int, size: int) -> Float[Tensor, "1 dim _ _"]:
    found = table.shape[axis]
    if size <= found:
        return table.narrow(axis, found // 2 - size // 2, size)
    shape = [size if at == axis else table.shape[at] for at in (2, 3)]
    return nn.functional.interpolate(table, shape, mode="bilinear", align_corners=False)


def resize_positions(
    table: Float[Tensor, "1 token dim"], n_summary: int, old: tuple[int, int], new: tuple[int, int]
) -> Float[Tensor, "1 token2 dim"]:
    """Fit a whole position table to another grid of patches.

    Args:
        table: summary tokens first, then the patches, row by row.
        n_summary: how many summary tokens lead the table; they stay as they are.
        old: rows and columns of the table.
        new: rows and columns wanted.

    Raises:
        ValueError: the table has another number of entries than `n_summary` and `old` say.

    Example:
        >>> import torch
        >>> resize_positions(torch.zeros(1, 2 + 24 * 24, 768), 2, (24, 24), (12, 101)).shape
        torch.Size([1, 1214, 768])
    """
    if table.shape[1] != n_summary + old[0] * old[1]:
        raise ValueError(
            f"a position table of {table.shape[1]} entries does not hold {n_summary} summary tokens and "
            f"{old[0]} x {old[1]} patches; give the grid that it was made for"
        )
    grid = table[:, n_summary:].transpose(1, 2).unflatten(2, old)
    patches = resize_grid(grid, new).flatten(2).transpose(1, 2)
    return torch.cat([table[:, :n_summary], patches], dim=1)
