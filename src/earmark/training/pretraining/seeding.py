"""Where centroids begin: k-means++ on collected features."""

import torch
from jaxtyping import Float, Int64
from pydantic import Field
from torch import Tensor

from earmark.config import Frozen
from earmark.training.pretraining.generators import Distance, distances_between


class Seeding(Frozen):
    """How features are collected before the first iteration, and made to centroids.

    Attributes:
        batches: so many at least; nothing is learned from them.
        clips_per_cluster: and so many clips at least for each cluster of clip summaries.
        frames: so many at most, evenly from all clips.
        rounds: of k-means after k-means++.
    """

    batches: int = Field(default=50, ge=1, le=100_000)
    clips_per_cluster: int = Field(default=10, ge=0, le=10_000)
    frames: int = Field(default=20_000, ge=1, le=10_000_000)
    rounds: int = Field(default=0, ge=0, le=10_000)


def k_means_plus_plus(
    vectors: Float[Tensor, "vector dim"],
    n_clusters: int,
    generator: torch.Generator,
    distance: Distance = "euclid",
) -> Float[Tensor, "cluster dim"]:
    """Choose some vectors that lie far from one another.

    The first is drawn evenly; each further one with a chance that grows with its distance to the nearest that
    was chosen.  If fewer vectors differ than are to be chosen, some are chosen more than once.

    Args:
        vectors: to choose from, on the CPU.
        n_clusters: how many to choose.
        generator: source of randomness, on the CPU.
        distance: see `generators.Clustering`.

    Raises:
        ValueError: there are no vectors.

    Source:
        Arthur and Vassilvitskii, "k-means++: the advantages of careful seeding", SODA 2007.

    Example:
        >>> vectors = torch.tensor([[0.0], [0.1], [9.0], [9.1]])
        >>> chosen = k_means_plus_plus(vectors, 2, torch.Generator().manual_seed(0))
        >>> bool((chosen[0] - chosen[1]).abs() > 8)
        True
    """
    if not len(vectors):
        raise ValueError("there are no features to choose centroids from; collect more batches")
    chosen: list[int] = []
    chances = torch.ones(len(vectors), dtype=torch.float64)
    nearest = torch.full((len(vectors),), torch.inf)
    for _ in range(n_clusters):
        chosen.append(_draw(chances, generator))
        nearest = nearest.minimum(distances_between(vectors, vectors[chosen[-1:]], distance)[:, 0])
        nearest[chosen[-1]] = 0
        chances = nearest.double() if bool(nearest.any()) else torch.ones_like(chances)
    return vectors[chosen]


def k_means(
    vectors: Float[Tensor, "vector dim"], centroids: Float[Tensor, "cluster dim"], rounds: int
) -> Float[Tensor, "cluster dim"]:
    """Move centroids to the mean of what belongs to them, over and over.

    Args:
        vectors: what is clustered, by the Euclidean distance.
        centroids: to begin with; one that nothing belongs to stays.
        rounds: at most; fewer if nothing moves any more.

    Source:
        Lloyd, "Least squares quantization in PCM", 1982.

    Example:
        >>> k_means(torch.tensor([[0.0], [2.0], [9.0]]), torch.tensor([[0.0], [9.0]]), 5)
        tensor([[1.],
                [9.]])
    """
    for _ in range(rounds):
        clusters = distances_between(vectors, centroids, "euclid").argmin(dim=1)
        moved = _means(vectors, clusters, centroids)
        if torch.equal(moved, centroids):
            break
        centroids = moved
    return centroids


def _means(
    vectors: Float[Tensor, "vector dim"],
    clusters: Int64[Tensor, "vector"],
    otherwise: Float[Tensor, "cluster dim"],
) -> Float[Tensor, "cluster dim"]:
    sums = torch.zeros_like(otherwise).index_add_(0, clusters, vectors)
    counts = clusters.bincount(minlength=len(otherwise))[:, None]
    return torch.where(counts > 0, sums / counts.clamp(min=1), otherwise)


def _draw(chances: Float[Tensor, "vector"], generator: torch.Generator) -> int:
    """One of many, by chances that need not sum to 1; never one without a chance."""
    upto = chances.cumsum(dim=0)
    mark = torch.rand((), generator=generator, dtype=torch.float64) * upto[-1]
    found = int(torch.searchsorted(upto, mark, right=True))
    return min(found, int(chances.nonzero()[-1]))
