"""Real against centroid."""

from itertools import pairwise

import torch

from earmark.training.pretraining.game import passed_centroids, real_losses, unmasked_centroids

SIMILARITIES = torch.rand(5, 4, generator=torch.Generator().manual_seed(0)) * 2 - 1
CLUSTERS = torch.tensor([0, 1, 2, 3, 0])


def test_a_real_vector_costs_more_the_likelier_it_seems_generated() -> None:
    usual = torch.nn.functional.cross_entropy(SIMILARITIES / 0.1, CLUSTERS, reduction="none")
    losses = [
        real_losses(SIMILARITIES, CLUSTERS, torch.tensor(score), 0.1) for score in (-1e4, -5.0, 0.0, 5.0)
    ]
    torch.testing.assert_close(losses[0], usual)
    assert all(bool((later > before).all()) for before, later in pairwise(losses))


def test_what_one_player_gains_the_other_loses() -> None:
    scores = [torch.tensor(score) for score in (-9.0, -3.0, 0.0, 3.0, 9.0)]
    student = [float(unmasked_centroids(SIMILARITIES, score, 0.1)) for score in scores]
    generator = [float(passed_centroids(SIMILARITIES, score, 0.1)) for score in scores]
    assert student == sorted(student, reverse=True)
    assert generator == sorted(generator)
    assert min(student + generator) >= 0


def test_chances_of_both_outcomes_sum_to_one() -> None:
    one, score = SIMILARITIES[:1], torch.tensor(0.7)
    unmasked, passed = (f(one, score, 0.1) for f in (unmasked_centroids, passed_centroids))
    generated, real = (-unmasked).exp(), 1 - (-unmasked).exp()
    torch.testing.assert_close((-passed).exp(), real)
    assert 0 < float(generated) < 1
