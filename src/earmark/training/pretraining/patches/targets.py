"""What is to be told of hidden patches: their content, or the cluster that it belongs to."""

from collections.abc import Mapping

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64, Shaped
from torch import Tensor

from earmark.training.distributing.world import World
from earmark.training.pretraining.batch import Crops
from earmark.training.pretraining.generators import distances_between
from earmark.training.pretraining.patches.description import MaskedPatches, PatchClusters
from earmark.training.pretraining.seeding import k_means, k_means_plus_plus
from earmark.training.randomness import clip_generators, generator

SILENT = 1e-4
"""Added to variances: what varies by less than a hundredth of the front end's unit is no sound."""


def standardized(
    patches: Float[Tensor, "batch patch pixel"],
    sounding: Bool[Tensor, "batch patch pixel"],
    objective: MaskedPatches,
) -> Float[Tensor, "batch patch pixel"]:
    """Patches with mean 0 and deviation 1, each or those of a clip together; zeros where there is no sound.

    Args:
        patches: of the features.
        sounding: which parts of them are no padding.
        objective: `standardize` says what has that mean and deviation.

    Example:
        >>> patches = torch.tensor([[[1.0, 3.0], [5.0, 5.0]]])
        >>> standardized(patches, patches > 0, MaskedPatches()).round(decimals=2)
        tensor([[[-1.,  1.],
                 [ 0.,  0.]]])
    """
    axes = (2,) if objective.standardize == "patch" else (1, 2)
    count = sounding.sum(axes, keepdim=True).clamp(min=1)
    mean = torch.where(sounding, patches, 0.0).sum(axes, keepdim=True) / count
    away = torch.where(sounding, patches - mean, 0.0)
    variance = away.square().sum(axes, keepdim=True) / count
    return away * (variance + SILENT).rsqrt()


class Codebook:
    """Clusters of patches: patches are collected at first, then k-means finds centroids, which stay.

    Args:
        config: how many.
        pixels: of a patch.
        seed: of the run.
        world: who takes part; all processes hold the same.

    Attributes:
        centroids: None until they are found.
    """

    def __init__(self, config: PatchClusters, pixels: int, seed: int, world: World) -> None:
        self.config, self.seed, self.world = config, seed, world
        self.batches, self.rows = 0, torch.zeros(0, pixels)
        self.centroids: Float[Tensor, "cluster pixel"] | None = None

    def collect(self, patches: Float[Tensor, "batch patch pixel"], batch: Crops, epoch: int) -> None:
        """Keep some patches of each clip, and find the centroids as soon as there are enough.

        Args:
            patches: of this process's share of the batch, standardized.
            batch: whose they are.
            epoch: counted from 0.
        """
        each = max(1, self.config.patches // (self.config.batches * batch.total))
        draws = clip_generators(self.seed, epoch, batch.places, "seeding")
        kept = [torch.from_numpy(np.sort(draw.integers(patches.shape[1], size=each))) for draw in draws]
        mine = {
            place: patches[row, chosen.to(patches.device)].cpu()
            for row, (place, chosen) in enumerate(zip(batch.places, kept, strict=True))
        }
        everyone = {place: found for share in self.world.gather(mine) for place, found in share.items()}
        self.rows = torch.cat([self.rows, *(everyone[place] for place in sorted(everyone))])
        self.batches += 1
        if self.batches >= self.config.batches:
            self._find()

    def clusters(self, patches: Float[Tensor, "batch patch pixel"]) -> Int64[Tensor, "batch patch"]:
        """The cluster that each patch belongs to."""
        if self.centroids is None:
            raise ValueError("the clusters are not found yet; collect more batches")
        return (
            distances_between(patches.flatten(0, 1), self.centroids, "euclid")
            .argmin(1)
            .view(patches.shape[:2])
        )

    def state(self) -> dict[str, Shaped[Tensor, "..."]]:
        """What must be kept for going on to the bit."""
        state: dict[str, Tensor] = {"batches": torch.tensor([self.batches]), "rows": self.rows}
        return state if self.centroids is None else state | {"centroids": self.centroids}

    def restore(self, state: Mapping[str, Shaped[Tensor, "..."]]) -> None:
        """Stand where a state stands."""
        self.batches, self.rows = int(state["batches"]), state["rows"].cpu()
        if "centroids" in state:
            self.centroids = state["centroids"].to(self.world.device)

    def _find(self) -> None:
        number = int(generator(self.seed, 0, 0, "seeding of patches").integers(2**62))
        rows = self.rows[: self.config.patches]
        begun = k_means_plus_plus(rows, self.config.count, torch.Generator().manual_seed(number))
        self.centroids = k_means(rows, begun, self.config.rounds).to(self.world.device)
        self.rows = self.rows[:0]
