"""Clusterings that learn by gradient."""

from itertools import pairwise

import pytest
import torch
from tiny_dbert import ENCODER

from earmark.encoders.clusters import Clusters
from earmark.encoders.dbert import DBERT
from earmark.training.pretraining.generators import Clustering, Distance, Generators, distances_between

KINDS: tuple[Distance, ...] = ("euclid", "cosine")


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def clustering(distance: Distance = "euclid", forcing: float = 0.01) -> Clustering:
    found = Clustering(5, 7, distance, forcing)
    found.centroids.data.copy_(random(5, 7, seed=1))
    return found


def test_distances_are_those_of_the_definition() -> None:
    vectors, centroids = random(3, 4, 7), random(5, 7, seed=1)
    squared = (vectors[..., None, :] - centroids).square().sum(dim=-1)
    torch.testing.assert_close(distances_between(vectors, centroids, "euclid"), squared)
    cosine = 1 - torch.nn.functional.cosine_similarity(vectors[..., None, :], centroids, dim=-1)
    torch.testing.assert_close(distances_between(vectors, centroids, "cosine"), cosine)


def test_a_distance_is_never_negative_even_far_from_the_origin() -> None:
    vectors = random(50, 64) + 100
    assert float(distances_between(vectors, vectors, "euclid").min()) >= 0


@pytest.mark.parametrize("distance", KINDS)
def test_the_cluster_is_the_nearest_centroid(distance: Distance) -> None:
    one = clustering(distance)
    _, clusters = one(one.centroids.detach() * 1.01)
    assert clusters.tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("distance", KINDS)
def test_padding_changes_neither_loss_nor_gradient(distance: Distance) -> None:
    vectors, counted = random(2, 6, 7), torch.tensor([[True] * 6, [True] * 2 + [False] * 4])
    padded, packed = clustering(distance), clustering(distance)
    # the padding lies nearest to every centroid, so that it would show
    vectors[1, 2:] = padded.centroids.detach()[:4]
    loss, clusters = padded(vectors, counted)
    loss.backward()
    expected, same = packed(vectors[counted])
    expected.backward()
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(clusters[counted], same)
    torch.testing.assert_close(padded.centroids.grad, packed.centroids.grad)


@pytest.mark.parametrize("distance", KINDS)
def test_shares_of_two_processes_sum_to_the_loss_and_its_gradient(distance: Distance) -> None:
    vectors, whole, parted = random(10, 7), clustering(distance), clustering(distance)
    loss, _ = whole(vectors)
    loss.backward()
    fits = [parted.fit(vectors[:3]), parted.fit(vectors[3:])]
    owner = torch.stack([fit.nearest for fit in fits]).argmin(dim=0)
    n = fits[0].n + fits[1].n
    total = sum(parted.loss(fit, n, owner == rank) for rank, fit in enumerate(fits))
    assert isinstance(total, torch.Tensor)
    total.backward()
    torch.testing.assert_close(total, loss)
    torch.testing.assert_close(parted.centroids.grad, whole.centroids.grad)


def test_no_vectors_fit_without_an_owner() -> None:
    one = clustering()
    fit = one.fit(torch.zeros(0, 7))
    assert one.loss(fit, torch.tensor(4.0), torch.zeros(5, dtype=torch.bool)).item() == 0
    assert bool(fit.nearest.isinf().all())


@pytest.mark.parametrize("distance", KINDS)
def test_only_forcing_moves_a_centroid_that_nothing_belongs_to(distance: Distance) -> None:
    moved = {}
    for forcing in (0.0, 0.01):
        one = clustering(distance, forcing)
        one.centroids.data[4] = -one.centroids.data[:4].sum(dim=0) * 9
        loss, clusters = one(one.centroids.detach()[:4] + 0.01 * random(4, 7))
        assert 4 not in clusters
        loss.backward()
        assert one.centroids.grad is not None
        moved[forcing] = float(one.centroids.grad[4].norm())
    assert moved[0.0] == 0
    assert moved[0.01] > 0


def test_gradient_steps_lower_the_loss_until_centroids_are_means() -> None:
    vectors = torch.cat([random(20, 7) * 0.1 + 3, random(20, 7, seed=2) * 0.1 - 3])
    one = Clustering(2, 7, forcing=0.0)
    one.centroids.data.copy_(torch.stack([vectors[0], vectors[-1]]) * 0.8)
    optimizer = torch.optim.SGD(one.parameters(), lr=0.5)
    losses = []
    for _ in range(40):
        optimizer.zero_grad()
        loss, _ = one(vectors)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert all(later <= before + 1e-4 for before, later in pairwise(losses))
    assert losses[-1] < losses[0] / 4
    means = torch.stack([vectors[:20].mean(dim=0), vectors[20:].mean(dim=0)])
    torch.testing.assert_close(one.centroids.detach(), means, atol=1e-4, rtol=0)


def test_there_is_a_clustering_for_each_cluster_head_and_names_count_where_there_are_several() -> None:
    config = ENCODER.replace(clusters=Clusters(summary=(3,), conv=(), output=(4, 5)))
    named = Generators(config).named()
    assert [(name, location, tuple(one.centroids.shape)) for name, location, one in named] == [
        ("summary", "summary", (3, config.summary_dim)),
        ("output1", "output", (4, config.conv_dim)),
        ("output2", "output", (5, config.conv_dim)),
    ]


def test_an_encoder_without_clusters_is_refused() -> None:
    with pytest.raises(ValueError, match="describe them"):
        Generators(DBERT())
