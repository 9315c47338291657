"""Squeeze and excitation along channels, bands or time."""

from collections.abc import Sequence
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from earmark.encoders.convolution import divisible

Axis = Literal["channel", "frequency", "time"]
Merge = Literal["max", "mean", "sum", "min"]

PLACES: dict[Axis, int] = {"channel": 1, "frequency": 2, "time": 3}
"""Where an axis stands in a map of (batch channel band frame)."""


class SqueezeExcitation(nn.Module):
    """Rescales a map along one or more of its axes by what two linear layers make of its means.

    Args:
        sizes: each axis with the length that the map has along it, in the order of the branches.
        reduction: the hidden layer is narrower by this factor, rounded to a multiple of 8.
        merge: how the branches' maps become one, element by element.

    Source:
        EfficientAT (arXiv:2211.04772, section on dynamic dimensions).  As published, the rescaled maps are
        merged, not the scales: where a map is negative, "max" takes the smallest scale.

    Example:
        >>> SqueezeExcitation([("channel", 24)])(torch.ones(2, 24, 16, 25)).shape
        torch.Size([2, 24, 16, 25])
    """

    def __init__(self, sizes: Sequence[tuple[Axis, int]], reduction: int = 4, merge: Merge = "max") -> None:
        super().__init__()
        self.conc_se_layers = nn.ModuleList(Branch(axis, size, reduction) for axis, size in sizes)
        self.merge = merge

    def forward(self, grid: Float[Tensor, "batch dim row column"]) -> Float[Tensor, "batch dim row column"]:
        """The rescaled map."""
        maps = [branch(grid) for branch in self.conc_se_layers]
        if len(maps) == 1:
            return maps[0]
        stacked = torch.stack(maps)
        if self.merge == "max":
            return stacked.amax(dim=0)
        if self.merge == "min":
            return stacked.amin(dim=0)
        return stacked.mean(dim=0) if self.merge == "mean" else stacked.sum(dim=0)


class Branch(nn.Module):
    """Squeeze and excitation along one axis; parameter names are the published ones."""

    def __init__(self, axis: Axis, size: int, reduction: int) -> None:
        super().__init__()
        hidden = divisible(size // reduction)
        self.place = PLACES[axis]
        self.fc1 = nn.Linear(size, hidden)
        self.fc2 = nn.Linear(hidden, size)

    def forward(self, grid: Float[Tensor, "batch dim row column"]) -> Float[Tensor, "batch dim row column"]:
        """The map, rescaled along the axis."""
        others = [place for place in PLACES.values() if place != self.place]
        squeezed = grid.mean(dim=others)
        scale = self.fc2(torch.relu(self.fc1(squeezed))).sigmoid()
        shape = [grid.shape[0], 1, 1, 1]
        shape[self.place] = -1
        return grid * scale.view(shape)
