"""The shallow network, and the grid of its settings."""

import itertools
import random
from typing import NamedTuple

from torch import nn

from earmark.evaluation.hear_tasks.protocol import Protocol

LAYERS = (1, 2)
RATES = (3.2e-3, 1e-3, 3.2e-4, 1e-4)
INITIALIZATIONS = ("uniform", "normal")


class Point(NamedTuple):
    """A point of the grid.

    Attributes:
        layers: hidden ones.
        lr: of Adam.
        initialization: Xavier's, uniform or normal.
    """

    layers: int
    lr: float
    initialization: str


def grid(protocol: Protocol) -> list[Point]:
    """The points that are tried, drawn without repetition from all sixteen.

    Example:
        >>> len(grid(Protocol())), len(set(grid(Protocol(grid_points=16))))
        (8, 16)
    """
    every = [Point(*point) for point in itertools.product(LAYERS, RATES, INITIALIZATIONS)]
    return random.Random(protocol.seed).sample(every, protocol.grid_points)


def build(n_features: int, n_labels: int, point: Point, protocol: Protocol) -> nn.Sequential:
    """A freshly initialized network that gives logits.

    Args:
        n_features: width of the embeddings.
        n_labels: how many logits it gives.
        point: its settings.
        protocol: width and dropout.

    Source:
        hear-eval-kit: linear layer, batch norm, dropout and ReLU, once or twice; then a linear layer.

    Example:
        >>> [type(part).__name__ for part in build(8, 3, Point(1, 1e-3, "normal"), Protocol())]
        ['Linear', 'BatchNorm1d', 'Dropout', 'ReLU', 'Linear']
    """
    parts: list[nn.Module] = []
    width = n_features
    for place in range(point.layers):
        parts += [_linear(width, protocol.width, point, "relu" if place else "linear")]
        parts += [nn.BatchNorm1d(protocol.width), nn.Dropout(protocol.dropout), nn.ReLU()]
        width = protocol.width
    return nn.Sequential(*parts, _linear(width, n_labels, point, "relu"))


def _linear(n_in: int, n_out: int, point: Point, before: str) -> nn.Linear:
    layer = nn.Linear(n_in, n_out)
    draw = nn.init.xavier_uniform_ if point.initialization == "uniform" else nn.init.xavier_normal_
    draw(layer.weight, gain=nn.init.calculate_gain("relu" if before == "relu" else "linear"))
    return layer
