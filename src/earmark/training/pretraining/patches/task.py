"""What is asked of a batch: which patches are heard, what the others hold, and what of that counts."""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from earmark.training.dropping import Share


class Task(NamedTuple):
    """What is to be told of a batch; a process without clips has a silent one of which nothing counts.

    Attributes:
        features: of the clips.
        heard: numbers of the patches that the encoder hears.
        targets: what patches hold: their standardized content.
        counted: which parts of the patches count: sound that no heard patch covers.
        sounding: which parts are sound.
        clusters: of each patch; None where its content is told.
        share: which clips of the whole batch these are; None for the silent one.
    """

    features: Float[Tensor, "batch band frame"]
    heard: Int64[Tensor, "batch kept"]
    targets: Float[Tensor, "batch patch pixel"]
    counted: Bool[Tensor, "batch patch pixel"]
    sounding: Bool[Tensor, "batch patch pixel"]
    clusters: Int64[Tensor, "batch patch"] | None
    share: Share | None

    def parts(self, size: int | None) -> Iterator["Task"]:
        """The task in parts of so many clips; None for the whole."""
        size = size or len(self.heard)
        for start in range(0, len(self.heard), size):
            features, heard, targets, counted, sounding = (one[start : start + size] for one in self[:5])
            clusters = None if self.clusters is None else self.clusters[start : start + size]
            share = self.share
            if share is not None:
                share = Share(share.start + start, len(heard), share.total)
            yield Task(features, heard, targets, counted, sounding, clusters, share)

    @property
    def weights(self) -> Float[Tensor, "batch patch"]:
        """How much each patch counts: the share of it that does."""
        return self.counted.float().mean(dim=2)


class Told(NamedTuple):
    """Sums over what counts in a batch; they are added up over its parts and over processes.

    Attributes:
        wrong: squared errors, or cross-entropies.
        right: clusters that were told; 0 where content is told.
        guesses: how much each cluster was told; of no length where content is told.
    """

    wrong: Float[Tensor, ""]
    right: Float[Tensor, ""]
    guesses: Float[Tensor, "cluster"]


def told(task: Task, said: Float[Tensor, "batch patch _"]) -> Told:
    """Compare what was said of a batch with what its patches hold.

    Args:
        task: the batch.
        said: of each patch its content, or a score for each cluster.
    """
    said = said.float()
    if task.clusters is None:
        errors = torch.where(task.counted, said - task.targets, 0.0).square().sum()
        return Told(errors, errors.new_zeros(()), errors.new_zeros(0))
    weights = task.weights
    losses = torch.nn.functional.cross_entropy(said.flatten(0, 1), task.clusters.flatten(), reduction="none")
    guessed = said.detach().argmax(dim=2)
    right = weights[guessed == task.clusters].sum()
    guesses = weights.new_zeros(said.shape[2]).index_add_(0, guessed.flatten(), weights.flatten())
    wrong = torch.where(weights > 0, losses.view_as(weights), 0.0)
    return Told((weights * wrong).sum(), right, guesses)
