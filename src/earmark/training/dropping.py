"""Dropout that does not depend on how a batch is cut: several processes drop what one does."""

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from torch import Tensor, nn

from earmark.training.distributing.shares import rank_share
from earmark.training.distributing.world import World

MOST_SHARES = 8
"""A batch that is cut into more shares has its own draws in each: each would draw the whole batch's."""


class Share(NamedTuple):
    """Some neighboring clips of a batch.

    Attributes:
        start: the first of them.
        clips: how many.
        total: clips of the batch.
    """

    start: int
    clips: int
    total: int


def own_share(clips: int, total: int, world: World) -> Share:
    """This process's share of a batch, which `rank_share` cut.

    Args:
        clips: how many it has, one at least.
        total: clips of the batch.
        world: who takes part.
    """
    first = int(rank_share(np.arange(total), world.rank, world.size)[0])
    return Share(first, clips, total)


class SharedDropout(nn.Dropout):
    """Dropout that draws for the whole batch and keeps what its share of the clips needs.

    Source:
        Srivastava et al., JMLR 15 (2014).  With the same state of the generator it drops, over all shares,
        what `nn.Dropout` drops in the whole batch.

    Attributes:
        share: which clips these are; None for all of the batch.

    Example:
        >>> import torch
        >>> grid, dropout = torch.ones(4, 3), SharedDropout(0.5)
        >>> whole = (torch.manual_seed(0), dropout(grid))[1]
        >>> dropout.share = Share(2, 2, 4)
        >>> torch.equal((torch.manual_seed(0), dropout(grid[2:]))[1], whole[2:])
        True
    """

    share: Share | None = None

    def forward(self, input: Float[Tensor, "rows *size"]) -> Float[Tensor, "rows *size"]:  # noqa: A002 (torch calls it so)
        """Drop values at random in training; each clip has one row or several, clips in their order."""
        if self.share is None or not self.training or self.p == 0:
            return super().forward(input)
        start, clips, total = self.share
        rows = len(input) // clips
        drawn = input.new_empty(rows * total, *input.shape[1:]).bernoulli_(1 - self.p)
        return input * drawn[rows * start : rows * (start + clips)].div_(1 - self.p)


def share_dropout(model: nn.Module) -> None:
    """Let every dropout of a model know shares."""
    for module in model.modules():
        if type(module) is nn.Dropout:
            module.__class__ = SharedDropout


@contextmanager
def hearing(model: nn.Module, share: Share) -> Generator[None, None, None]:
    """Within, what comes is that share of the batch."""
    dropouts = list(_dropouts(model)) if share.clips < share.total else []
    for dropout in dropouts:
        dropout.share = share
    yield
    for dropout in dropouts:
        dropout.share = None


def _dropouts(model: nn.Module) -> Iterator[SharedDropout]:
    return (module for module in model.modules() if isinstance(module, SharedDropout))
