"""Features of the first batches, from which the centroids begin."""

from collections.abc import Mapping

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from earmark.training.distributing.world import World
from earmark.training.pretraining.batch import Crops
from earmark.training.pretraining.features import LOCATIONS, Features, Location, Sound
from earmark.training.pretraining.generators import Generators
from earmark.training.pretraining.seeding import Seeding, k_means, k_means_plus_plus
from earmark.training.pretraining.standardize import RunningMoments
from earmark.training.randomness import clip_generators, generator

Rows = dict[Location, Float[Tensor, "vector _"]]


class Collection:
    """Features of the whole batches that were heard so far; all processes hold the same.

    Args:
        config: how many.
        seed: of the run.

    Attributes:
        batches: how many were heard.
        rows: raw features, on the CPU; with `batches` all that a state needs.
    """

    def __init__(self, config: Seeding, seed: int) -> None:
        self.config, self.seed = config, seed
        self.batches = 0
        self.rows: Rows = {}

    def add(
        self, features: Features, sound: Sound, batch: Crops, step: tuple[int, int], world: World
    ) -> None:
        """Keep some frames of each clip, and its summary.

        Args:
            features: of this process's share of the batch.
            sound: whose features they are.
            batch: whose features they are.
            step: epoch and number of the step over the whole run.
            world: who takes part.
        """
        each = max(1, self.config.frames // (self.config.batches * batch.total))
        lengths = [features.conv.shape[1]] * len(batch.clips)
        if sound.lengths is not None:
            lengths = sound.lengths.tolist()
        draws = clip_generators(self.seed, step[0], batch.places, "seeding")
        kept = [np.sort(d.integers(n, size=each)) for d, n in zip(draws, lengths, strict=True)]
        mine = {
            place: {
                "conv": features.conv[row, frames].cpu(),
                "summary": features.summary[row : row + 1].cpu(),
                "output": features.output[row, frames].cpu(),
            }
            for row, (place, frames) in enumerate(zip(batch.places, map(torch.from_numpy, kept), strict=True))
        }
        everyone = {place: found for share in world.gather(mine) for place, found in share.items()}
        for location in LOCATIONS:
            new = [everyone[place][location] for place in sorted(everyone)]
            joined = torch.cat([self.rows[location], *new] if location in self.rows else new)
            self.rows[location] = joined if location == "summary" else joined[: self.config.frames]
        self.batches += 1

    def is_enough(self, generators: Generators) -> bool:
        """Whether the centroids can begin."""
        clusters = max((len(one.centroids) for one in generators.at("summary")), default=0)
        clips = len(self.rows.get("summary", ()))
        return self.batches >= self.config.batches and clips >= self.config.clips_per_cluster * clusters

    @torch.no_grad()
    def plant(self, generators: Generators, moments: Mapping[Location, RunningMoments]) -> None:
        """Put the centroids where the features are, and forget the features.

        Args:
            generators: whose centroids they are.
            moments: to standardize the features by; none leaves them as they are.
        """
        for name, location, clustering in generators.named():
            number = int(generator(self.seed, 0, 0, f"seeding of {name}").integers(2**62))
            rows = self.rows[location].to(clustering.centroids.device)
            rows = (moments[location](rows) if location in moments else rows).cpu()
            drawn = torch.Generator().manual_seed(number)
            begun = k_means_plus_plus(rows, len(clustering.centroids), drawn, clustering.distance)
            clustering.centroids.copy_(k_means(rows, begun, self.config.rounds))
        self.rows = {}
