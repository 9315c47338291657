"""What the student makes small: how badly it guesses the clusters of hidden frames."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor


class Guesses(NamedTuple):
    """How one cluster head guessed, as sums: of parts of a batch and of processes they add up.

    Attributes:
        hidden: of each clip, the sum of the cross-entropies of what was hidden.
        shown: of each clip, the same of what was not.
        right: of each clip, how many hidden ones were guessed.
        chances: of each cluster, the sum of its probabilities, over all that is no padding.
    """

    hidden: Float[Tensor, "batch"]
    shown: Float[Tensor, "batch"]
    right: Float[Tensor, "batch"]
    chances: Float[Tensor, "cluster"]


class Counts(NamedTuple):
    """What the sums of the whole batch are divided by.

    Attributes:
        hidden: frames, or clips, that were hidden.
        shown: that were not.
    """

    hidden: float
    shown: float


class Weights(NamedTuple):
    """The coefficients of one location.

    Attributes:
        hidden: of what is hidden.
        shown: of what is not.
        diversity: of the call for all clusters.
    """

    hidden: float
    shown: float
    diversity: float


def guesses(
    similarities: Float[Tensor, "batch *frame cluster"],
    clusters: Int64[Tensor, "batch *frame"],
    hidden: Bool[Tensor, "batch *frame"],
    shown: Bool[Tensor, "batch *frame"],
    temperature: float,
) -> Guesses:
    """Compare what a cluster head says with what the generator found.

    Args:
        similarities: of a cluster head, -1 to 1.
        clusters: that are to be guessed.
        hidden: frames that the student did not see; for heads on the summary, the clips.
        shown: frames that it saw; neither holds for padding.
        temperature: similarities are divided by it; the smaller, the surer.

    Example:
        >>> said = torch.tensor([[[1.0, -1.0], [1.0, -1.0]]])
        >>> found, hidden = torch.tensor([[0, 1]]), torch.tensor([[True, False]])
        >>> sums = guesses(said, found, hidden, ~hidden, 1.0)
        >>> sums.hidden, sums.shown, sums.right
        (tensor([0.1269]), tensor([2.1269]), tensor([1.]))
    """
    scores = similarities.float() / temperature
    logs = scores.log_softmax(dim=-1)
    losses = -logs.gather(-1, clusters[..., None])[..., 0]
    right = (scores.argmax(dim=-1) == clusters) & hidden
    counted = (hidden | shown)[..., None]
    return Guesses(
        hidden=_by_clip(torch.where(hidden, losses, 0.0)),
        shown=_by_clip(torch.where(shown, losses, 0.0)),
        right=_by_clip(right.float()),
        chances=torch.where(counted, logs.exp(), 0.0).flatten(0, -2).sum(dim=0),
    )


def share_of_loss(
    sums: Guesses, counts: Counts, weights: Weights, mean_chances: Float[Tensor, "cluster"] | None
) -> Float[Tensor, ""]:
    """What a part of a batch adds to the loss of one cluster head.

    The call for diversity, log K - H(mean chances), is no sum over clips, but its gradient is: a part adds
    its chances times the slope of the whole at `mean_chances`.  The shares of all parts and processes sum to
    the loss, up to log K - 1 times its weight; their gradients sum to its gradient.

    Args:
        sums: of the part.
        counts: of the whole batch, over all processes.
        weights: the coefficients.
        mean_chances: of the whole batch; None leaves diversity out.

    Example:
        >>> said, found = torch.zeros(1, 4), torch.tensor([2])          # one clip, K = 4: knows nothing
        >>> sums = guesses(said, found, torch.tensor([True]), torch.tensor([False]), 0.1)
        >>> share_of_loss(sums, Counts(1.0, 0.0), Weights(1.0, 0.0, 0.0), None).exp()
        tensor(4.)
    """
    loss = weights.hidden * sums.hidden.sum() / max(counts.hidden, 1)
    if weights.shown:
        loss = loss + weights.hidden * weights.shown * sums.shown.sum() / max(counts.shown, 1)
    if mean_chances is not None:
        slope = mean_chances.clamp(min=1e-12).log() + 1
        loss = loss + weights.diversity * (slope * sums.chances).sum() / (counts.hidden + counts.shown)
    return loss


def lack_of_diversity(mean_chances: Float[Tensor, "cluster"]) -> Float[Tensor, ""]:
    """How far the mean of some distributions is from even: log K minus its entropy, 0 or more.

    Example:
        >>> lack_of_diversity(torch.tensor([0.25, 0.25, 0.25, 0.25]))
        tensor(0.)
        >>> lack_of_diversity(torch.tensor([1.0, 0.0])).exp()
        tensor(2.)
    """
    sure = mean_chances.clamp(min=1e-12)
    return sure.new_tensor(float(len(sure))).log() + (mean_chances * sure.log()).sum()


def sum_of(parts: Sequence[Guesses]) -> Guesses:
    """The sums of several parts of a batch as one."""
    together = Guesses(*(torch.cat(list(values)) for values in zip(*parts, strict=True)))
    return together._replace(chances=torch.stack([part.chances for part in parts]).sum(dim=0))


def measured(hidden: float, right: float, count: float, n_clusters: int) -> dict[str, float]:
    """Cross-entropy and accuracy of a head on what was hidden, from the sums of the whole batch.

    Args:
        hidden: sum of the cross-entropies.
        right: how many were guessed.
        count: how many were hidden.
        n_clusters: of the head.

    Returns:
        `ce`, `ce_share` (of log K; 1 is what knowing nothing gives) and `accuracy`.

    Example:
        >>> measured(hidden=10 * math.log(4), right=5.0, count=10.0, n_clusters=4)["ce_share"]
        1.0
    """
    ce, chance = hidden / max(count, 1), max(math.log(n_clusters), 1e-9)
    return {"ce": ce, "ce_share": ce / chance, "accuracy": right / max(count, 1)}


def _by_clip(values: Float[Tensor, "batch *frame"]) -> Float[Tensor, "batch"]:
    return values.reshape(len(values), -1).sum(dim=1)
