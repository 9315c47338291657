"""A step of the generators: centroids move towards the features of a batch."""

from collections.abc import Callable, Mapping
from typing import Annotated, NamedTuple

import torch
from jaxtyping import Bool, Float, Int64
from pydantic import Field
from torch import Tensor

from earmark.config import Frozen
from earmark.training.distributing.world import World
from earmark.training.pretraining.features import Features, Location
from earmark.training.pretraining.generators import Distance, Fit, Generators
from earmark.training.pretraining.reassignment import Reassign

Beta = Annotated[float, Field(ge=0, lt=1)]


class Generation(Frozen):
    """How centroids learn: by Adam, at every iteration.

    Attributes:
        distance: "euclid" for the squared Euclidean distance, "cosine" for 1 - cosine.
        forcing: weight of the term that draws unused centroids towards features; 0 for none.
        lr: of Adam.
        betas: of Adam.
        reassign: when unused centroids begin anew; None for never.

    Source:
        audio_dbert's settings, but for `reassign`, which is off there.
    """

    distance: Distance = "euclid"
    forcing: float = Field(default=0.01, ge=0, le=1e6)
    lr: float = Field(default=3e-3, gt=0, le=1e3)
    betas: tuple[Beta, Beta] = (0.9, 0.5)
    reassign: Reassign | None = Reassign()


class Generated(NamedTuple):
    """What came of a step.

    Attributes:
        clusters: of each vector, by the name of the clustering: what the student guesses.
        counts: vectors in each cluster, over all processes, by the name of the clustering.
        loss: of the whole batch.
        applied: whether the centroids were moved: not, if a number was not finite.
    """

    clusters: dict[str, Int64[Tensor, "batch *frame"]]
    counts: dict[str, Float[Tensor, "cluster"]]
    loss: float
    applied: bool


class GeneratorLearner:
    """Generators and their optimizer.

    Args:
        generators: the clusterings, on their device.
        config: how they learn.
        world: who takes part; all processes hold the same centroids.
    """

    def __init__(self, generators: Generators, config: Generation, world: World) -> None:
        self.generators, self.world = generators, world
        self.optimizer = torch.optim.Adam(
            generators.parameters(), lr=config.lr, betas=config.betas, weight_decay=0.0, fused=True
        )

    def step(
        self,
        features: Features,
        valid: Bool[Tensor, "batch frame"] | None,
        totals: Mapping[Location, Float[Tensor, ""]],
        game: Callable[[], Float[Tensor, ""]] | None = None,
    ) -> Generated:
        """Find the cluster of each vector, and move the centroids.

        Args:
            features: of this process's share of the batch, standardized if the objective says so.
            valid: frames that are no padding; None if all are.
            totals: how many vectors of each location count, over all processes.
            game: what the centroids are to make small besides, alike in all processes.

        Returns:
            Clusters by the centroids as they were before this step.
        """
        named = self.generators.named()
        fits: dict[str, Fit] = {}
        for name, location, clustering in named:
            fits[name] = clustering.fit(getattr(features, location), None if location == "summary" else valid)
        owned = self._owned(fits)
        losses = [clustering.loss(fits[name], totals[at], owned[name]) for name, at, clustering in named]
        loss = torch.stack(losses).mean()
        if game is not None:
            loss = loss + game() / self.world.size
        clusters = {name: fit.clusters for name, fit in fits.items()}
        counts = {
            name: _histogram(
                fits[name].clusters, None if location == "summary" else valid, len(clustering.centroids)
            )
            for name, location, clustering in named
        }
        gradients = torch.autograd.grad(loss, list(self.generators.parameters()))
        loss, *shared = self._total([loss.detach(), *counts.values(), *gradients])
        counts = dict(zip(counts, shared, strict=False))
        return Generated(clusters, counts, float(loss), self._apply(loss, shared[len(counts) :]))

    def _owned(self, fits: Mapping[str, Fit]) -> dict[str, Bool[Tensor, "cluster"] | None]:
        """Of which centroids the nearest vector, over all processes, is one of this process's."""
        if self.world.size == 1:
            return dict.fromkeys(fits)
        mine = torch.cat([fit.nearest.detach() for fit in fits.values()])
        table = mine.new_zeros(self.world.size, len(mine))
        table[self.world.rank] = mine
        least = self.world.total(table.flatten()).reshape(table.shape).argmin(dim=0)
        parts = (least == self.world.rank).split([len(fit.nearest) for fit in fits.values()])
        return dict(zip(fits, parts, strict=True))

    def _total(self, values: list[Float[Tensor, "..."]]) -> list[Float[Tensor, "..."]]:
        """The sums over all processes, in one go."""
        flat = self.world.total(torch.cat([value.flatten() for value in values]))
        parts = flat.split([value.numel() for value in values])
        return [part.reshape(value.shape) for part, value in zip(parts, values, strict=True)]

    def _apply(self, loss: Float[Tensor, ""], gradients: list[Float[Tensor, "..."]]) -> bool:
        """Move the centroids, all or none."""
        finite = torch.stack([value.isfinite().all() for value in (loss, *gradients)]).all()
        if not bool(finite):
            return False
        for centroids, gradient in zip(self.generators.parameters(), gradients, strict=True):
            centroids.grad = gradient
        self.optimizer.step()
        return True


def _histogram(
    clusters: Int64[Tensor, "..."], counted: Bool[Tensor, "..."] | None, n_clusters: int
) -> Float[Tensor, "cluster"]:
    found = clusters.flatten() if counted is None else clusters[counted]
    return found.bincount(minlength=n_clusters).float()
