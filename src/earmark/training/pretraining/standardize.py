"""Features with mean 0 and deviation 1, so that one rate suits the centroids of all locations."""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from pydantic import Field
from torch import Tensor, nn

from earmark.config import Frozen

EPS = 1e-4


class Standardize(Frozen):
    """How fast the running moments of features follow.

    Attributes:
        momentum: share of a new batch at first.
        late_momentum: share at last; it is reached when the teacher's decay reaches its last value.
        each: every vector is first brought to mean 0 and variance 1 by itself, as by a layer norm.  Without,
            most convolutional features are alike but for how loud a frame is, and a few loud frames far from
            all others take most of the clusters.
    """

    momentum: float = Field(default=0.05, gt=0, le=1)
    late_momentum: float = Field(default=0.01, gt=0, le=1)
    each: bool = False


class Moments(NamedTuple):
    """Mean and variance of the features of a batch, value by value."""

    mean: Float[Tensor, "dim"]
    variance: Float[Tensor, "dim"]

    @property
    def deviation(self) -> Float[Tensor, ""]:
        """How much the vectors differ from one another: the mean of the standard deviations."""
        return self.variance.sqrt().mean()


class RunningMoments(nn.Module):
    """Running mean and variance of the features of one location; nothing here is learned.

    The first batches are averaged evenly, so that the start leaves no trace.

    Args:
        dim: width of a vector.

    Example:
        >>> moments = RunningMoments(1)
        >>> vectors = torch.tensor([[3.0], [5.0]])
        >>> moments.update(moments.of_batch(moments.sums(vectors)), 0.05)
        >>> moments(vectors).round(decimals=3).squeeze()
        tensor([-1.,  1.])
    """

    mean: Tensor
    variance: Tensor
    batches: Tensor

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(dim))
        self.register_buffer("variance", torch.ones(dim))
        self.register_buffer("batches", torch.zeros((), dtype=torch.int64))

    def sums(
        self, vectors: Float[Tensor, "*n dim"], counted: Bool[Tensor, "*n"] | None = None
    ) -> Float[Tensor, "sums"]:
        """What processes add up: the differences from the running mean, their squares, and the count.

        Args:
            vectors: of this process.
            counted: which of them are no padding; None for all.
        """
        away = vectors - self.mean
        if counted is not None:
            away = torch.where(counted[..., None], away, 0.0)
        flat = away.reshape(-1, away.shape[-1])
        count = len(flat) if counted is None else counted.sum()
        return torch.cat([flat.sum(dim=0), flat.square().sum(dim=0), flat.new_tensor([float(count)])])

    def of_batch(self, sums: Float[Tensor, "sums"]) -> Moments:
        """The moments of the batch that has these sums, over all processes."""
        first, second = sums[:-1].div(sums[-1].clamp(min=1)).chunk(2)
        return Moments(self.mean + first, (second - first.square()).clamp(min=0))

    def update(self, batch: Moments, momentum: float) -> None:
        """Move towards the moments of a batch."""
        self.batches += 1
        share = max(momentum, 1 / int(self.batches))
        self.mean.lerp_(batch.mean, share)
        self.variance.lerp_(batch.variance, share)

    def forward(self, vectors: Float[Tensor, "*n dim"]) -> Float[Tensor, "*n dim"]:
        """Standardized vectors."""
        return (vectors - self.mean) / (self.variance.sqrt() + EPS)

    def undo(self, vectors: Float[Tensor, "*n dim"]) -> Float[Tensor, "*n dim"]:
        """The vectors that `forward` makes these of."""
        return vectors * (self.variance.sqrt() + EPS) + self.mean
