"""Centroids that nothing belongs to begin anew at a random vector."""

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from pydantic import Field
from torch import Tensor

from earmark.config import Frozen
from earmark.training.distributing.world import World
from earmark.training.pretraining.batch import Crops
from earmark.training.pretraining.generators import Clustering

NEVER = -1.0
"""The average count before it was first counted."""


class Reassign(Frozen):
    """When a centroid is dead.

    Attributes:
        every: iterations in which it is counted how many vectors belong to a centroid.
        memory: share of the running average of these counts that stays each time.
        below: a centroid whose average is below this is dead.
    """

    every: int = Field(default=100, ge=1, le=1_000_000)
    memory: float = Field(default=0.9, ge=0, lt=1)
    below: float = Field(default=0.02, ge=0, le=1_000_000)


class Usage:
    """How many vectors belong to each centroid of a clustering, of late.

    Args:
        n_clusters: how many centroids.
        device: where they lie.

    Example:
        >>> usage = Usage(2)
        >>> usage.add(torch.tensor([7.0, 0.0]))
        >>> usage.dead(Reassign()).tolist()
        [False, True]
    """

    def __init__(self, n_clusters: int, device: torch.device | None = None) -> None:
        self.counts = torch.zeros(n_clusters, device=device)
        self.average = torch.full((n_clusters,), NEVER, device=device)

    def add(self, counts: Float[Tensor, "cluster"]) -> None:
        """Count an iteration."""
        self.counts += counts

    def dead(self, config: Reassign) -> Bool[Tensor, "cluster"]:
        """Which centroids begin anew; from here on they count as if they had just been used."""
        share = 1.0 if bool((self.average == NEVER).all()) else 1 - config.memory
        self.average = self.average.lerp(self.counts, share)
        self.counts.zero_()
        dead = self.average < config.below
        self.average = torch.where(dead, max(config.below, 1.0), self.average)
        return dead


@torch.no_grad()
def revive(
    clustering: Clustering,
    optimizer: torch.optim.Optimizer,
    dead: Bool[Tensor, "cluster"],
    vectors: Float[Tensor, "dead dim"],
) -> None:
    """Put dead centroids where vectors are, and let the optimizer forget how they moved.

    Args:
        clustering: whose centroids they are.
        optimizer: Adam, of the centroids.
        dead: which of them.
        vectors: where they begin anew.
    """
    clustering.centroids[dead] = vectors
    memory = optimizer.state.get(clustering.centroids, {})
    for name in ("exp_avg", "exp_avg_sq"):
        if name in memory:
            memory[name][dead] = 0


def drawn_vectors(
    vectors: Float[Tensor, "batch *frame dim"],
    lengths: Int64[Tensor, "batch"] | None,
    batch: Crops,
    n: int,
    draw: np.random.Generator,
    world: World,
) -> Float[Tensor, "n dim"]:
    """Some vectors of the whole batch, over all processes: the same ones on any number of processes.

    Args:
        vectors: of this process.
        lengths: how many of each clip there are, the others are padding; None for all.
        batch: whose vectors they are.
        n: how many to draw.
        draw: source of randomness; the same in all processes.
        world: who takes part.
    """
    places = sorted(place for share in world.gather(batch.places) for place in share)
    found = vectors.new_zeros(n, vectors.shape[-1])
    for row in range(n):
        place, along = places[int(draw.integers(len(places)))], draw.random()
        if place in batch.places:
            clip = batch.places.index(place)
            of_clip = vectors[clip].reshape(-1, vectors.shape[-1])
            found[row] = of_clip[int(along * (len(of_clip) if lengths is None else int(lengths[clip])))]
    return world.total(found.flatten()).reshape(found.shape)
