"""The generators: clusterings whose centroids learn by gradient to lie where features are."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from earmark.encoders.dbert import DBERT
from earmark.training.pretraining.features import LOCATIONS, Location

Distance = Literal["euclid", "cosine"]


class Fit(NamedTuple):
    """How centroids fit some vectors.

    Attributes:
        clusters: the nearest centroid of each vector; without meaning where a vector does not count.
        total: sum of the distances to it, over the vectors that count.
        n: how many count.
        nearest: of each centroid, the distance of the vector that is nearest to it; infinite without vectors.
    """

    clusters: Int64[Tensor, "..."]
    total: Float[Tensor, ""]
    n: Float[Tensor, ""]
    nearest: Float[Tensor, "cluster"]


class Clustering(nn.Module):
    """Clusters of vectors; a vector belongs to the nearest centroid.

    The loss is the mean distance (with cosine: the sum) of a vector to its centroid.  The forcing term adds
    the mean (the sum) of the distances from each centroid to the vector that is nearest to it, which draws
    in centroids that no vector belongs to.

    Args:
        n_clusters: how many.
        dim: width of a vector.
        distance: "euclid" for the squared Euclidean distance, "cosine" for 1 - cosine.
        forcing: weight of the forcing term; 0 for none.

    Source:
        audio_dbert's `KMean` (github.com/RF5/audio_dbert); agrees with its recorded losses and gradients.

    Example:
        >>> clustering = Clustering(2, 1)
        >>> _ = clustering.centroids.data.copy_(torch.tensor([[0.0], [9.0]]))
        >>> loss, clusters = clustering(torch.tensor([[1.0], [8.0], [7.0]]))
        >>> clusters.tolist(), round(loss.item(), 3)        # (1 + 1 + 4) / 3 + .01 * (1 + 1) / 2
        ([0, 1, 1], 2.01)
    """

    def __init__(
        self, n_clusters: int, dim: int, distance: Distance = "euclid", forcing: float = 0.01
    ) -> None:
        super().__init__()
        self.distance: Distance = distance
        self.forcing = forcing
        self.centroids = nn.Parameter(0.2 * torch.randn(n_clusters, dim))

    def forward(
        self, vectors: Float[Tensor, "*n dim"], counted: Bool[Tensor, "*n"] | None = None
    ) -> tuple[Float[Tensor, ""], Int64[Tensor, "*n"]]:
        """The loss, and the cluster of each vector.

        Args:
            vectors: what is clustered.
            counted: which of them there are, the others are padding; None for all.
        """
        fit = self.fit(vectors, counted)
        return self.loss(fit, fit.n), fit.clusters

    def fit(self, vectors: Float[Tensor, "*n dim"], counted: Bool[Tensor, "*n"] | None = None) -> Fit:
        """See `forward`; what its loss is made of, as sums that several processes can add."""
        distances = distances_between(vectors, self.centroids, self.distance)
        least, clusters = distances.min(dim=-1)
        if counted is None:
            count, total = least.new_tensor(float(least.numel())), least.sum()
        else:
            count, total = counted.sum().to(least.dtype), torch.where(counted, least, 0.0).sum()
            distances = torch.where(counted[..., None], distances, torch.inf)
        flat = distances.reshape(-1, len(self.centroids))
        nearest = flat.min(dim=0).values if len(flat) else flat.new_full((flat.shape[1],), torch.inf)
        return Fit(clusters, total, count, nearest)

    def loss(
        self, fit: Fit, count: Float[Tensor, ""], owned: Bool[Tensor, "cluster"] | None = None
    ) -> Float[Tensor, ""]:
        """This process's share of the loss.

        Args:
            fit: of this process's vectors.
            count: of vectors that count, over all processes.
            owned: centroids whose nearest vector is one of this process's; None for all.
        """
        nearest = fit.nearest if owned is None else torch.where(owned, fit.nearest, 0.0)
        if self.distance == "cosine":
            return fit.total + self.forcing * nearest.sum()
        return fit.total / count.clamp(min=1) + self.forcing * nearest.sum() / len(nearest)


class Generators(nn.Module):
    """All clusterings of the features of an encoder: for each location, one for each of its cluster heads.

    Args:
        config: of the encoder, with clusters.
        distance: see `Clustering`.
        forcing: see `Clustering`.

    Raises:
        ValueError: the encoder has no clusters.

    Example:
        >>> from earmark.encoders.clusters import Clusters
        >>> generators = Generators(DBERT(clusters=Clusters(output=(100, 500))))
        >>> [len(clustering.centroids) for clustering in generators.at("output")]
        [100, 500]
    """

    def __init__(self, config: DBERT, distance: Distance = "euclid", forcing: float = 0.01) -> None:
        super().__init__()
        if config.clusters is None:
            raise ValueError("this dBERT has no clusters to guess; describe them: DBERT(clusters=Clusters())")
        for location in LOCATIONS:
            dim = config.summary_dim if location == "summary" else config.conv_dim
            sizes: Sequence[int] = getattr(config.clusters, location)
            self.add_module(location, nn.ModuleList(Clustering(n, dim, distance, forcing) for n in sizes))

    def at(self, location: Location) -> list[Clustering]:
        """The clusterings of a location."""
        return list(getattr(self, location))

    def named(self) -> list[tuple[str, Location, Clustering]]:
        """Each clustering with a name and its location; names count where a location has several."""
        found: list[tuple[str, Location, Clustering]] = []
        for location in LOCATIONS:
            several = self.at(location)
            for number, clustering in enumerate(several, start=1):
                name = location if len(several) == 1 else f"{location}{number}"
                found.append((name, location, clustering))
        return found


def distances_between(
    vectors: Float[Tensor, "*n dim"], centroids: Float[Tensor, "cluster dim"], distance: Distance
) -> Float[Tensor, "*n cluster"]:
    """The distance of each vector to each centroid, by one product of matrices.

    Args:
        vectors: any number.
        centroids: what they are compared with.
        distance: see `Clustering`.

    Example:
        >>> distances_between(torch.tensor([[3.0, 4.0]]), torch.tensor([[0.0, 0.0], [3.0, 0.0]]), "euclid")
        tensor([[25., 16.]])
    """
    if distance == "cosine":
        unit = nn.functional.normalize(centroids, dim=-1)
        return 1 - nn.functional.normalize(vectors, dim=-1) @ unit.T
    lengths = vectors.square().sum(dim=-1, keepdim=True) + centroids.square().sum(dim=-1)
    return (lengths - 2 * (vectors @ centroids.T)).clamp(min=0)
