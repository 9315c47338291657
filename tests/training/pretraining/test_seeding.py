"""Where centroids begin."""

from itertools import pairwise

import pytest
import torch

from earmark.training.pretraining.generators import distances_between
from earmark.training.pretraining.seeding import k_means, k_means_plus_plus


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def groups(n: int, dim: int = 4) -> torch.Tensor:
    """Twenty vectors around each of some places far from one another."""
    places = 50 * torch.eye(n, dim)
    return (places[:, None] + torch.randn(n, 20, dim, generator=seeded(9))).reshape(-1, dim)


@pytest.mark.parametrize("seed", range(5))
def test_each_of_some_groups_far_apart_gets_a_centroid(seed: int) -> None:
    chosen = k_means_plus_plus(groups(4), 4, seeded(seed))
    assert sorted(chosen.argmax(dim=1).tolist()) == [0, 1, 2, 3]


def test_centroids_are_some_of_the_vectors_and_differ() -> None:
    vectors = groups(3)
    chosen = k_means_plus_plus(vectors, 30, seeded())
    places = [int((vectors == one).all(dim=1).nonzero()) for one in chosen]
    assert len(set(places)) == 30


def test_the_same_generator_chooses_the_same_and_another_others() -> None:
    vectors = groups(4)
    again = [k_means_plus_plus(vectors, 6, seeded(seed)) for seed in (3, 3, 4)]
    assert torch.equal(again[0], again[1])
    assert not torch.equal(again[0], again[2])


def test_chances_grow_with_the_squared_distance() -> None:
    vectors = torch.tensor([[0.0], [1.0], [3.0]])  # from 0 on, 3 has nine times the chance of 1
    second = [
        chosen[1].item()
        for seed in range(600)
        if (chosen := k_means_plus_plus(vectors, 2, seeded(seed)))[0] == 0
    ]
    share = second.count(3.0) / len(second)
    assert len(second) > 150
    assert 0.83 < share < 0.97


def test_fewer_vectors_than_clusters_are_chosen_several_times() -> None:
    vectors = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    chosen = k_means_plus_plus(vectors, 5, seeded())
    assert {tuple(one) for one in chosen.tolist()} == {(1.0, 0.0), (0.0, 1.0)}


def test_nothing_cannot_be_seeded_from() -> None:
    with pytest.raises(ValueError, match="collect more"):
        k_means_plus_plus(torch.zeros(0, 3), 2, seeded())


def test_cosine_seeds_lie_in_different_directions() -> None:
    vectors = torch.tensor([[1.0, 0.0], [100.0, 1.0], [0.0, 1.0]])
    for seed in range(10):
        chosen = k_means_plus_plus(vectors, 2, seeded(seed), "cosine")
        assert torch.nn.functional.cosine_similarity(chosen[0], chosen[1], dim=0) < 0.1


def test_rounds_never_raise_the_distances_and_end_where_nothing_moves() -> None:
    vectors = torch.randn(200, 3, generator=seeded())
    centroids = vectors[:8]
    sums = [
        float(distances_between(vectors, k_means(vectors, centroids, n), "euclid").amin(dim=1).sum())
        for n in range(12)
    ]
    assert all(later <= before + 1e-4 for before, later in pairwise(sums))
    assert sums[-1] < sums[0]
    end = k_means(vectors, centroids, 1000)
    assert torch.equal(end, k_means(vectors, end, 1))


def test_a_centroid_that_nothing_belongs_to_stays() -> None:
    moved = k_means(torch.tensor([[0.0], [2.0]]), torch.tensor([[1.5], [99.0]]), 1)
    assert moved.tolist() == [[1.0], [99.0]]
