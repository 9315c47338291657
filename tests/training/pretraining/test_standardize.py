"""Running moments of features."""

import torch

from earmark.training.pretraining.standardize import RunningMoments


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)) * 3 + 5


def test_the_first_batch_is_standardized_by_its_own_moments() -> None:
    vectors, moments = random(40, 3), RunningMoments(3)
    moments.update(moments.of_batch(moments.sums(vectors)), 0.05)
    got = moments(vectors)
    torch.testing.assert_close(got.mean(dim=0), torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(got.var(dim=0, correction=0), torch.ones(3), atol=1e-3, rtol=0)


def test_early_batches_are_averaged_evenly_and_later_ones_by_momentum() -> None:
    moments, batches = RunningMoments(2), [random(30, 2, seed=seed) for seed in range(6)]
    for batch in batches[:5]:
        moments.update(moments.of_batch(moments.sums(batch)), 0.2)
    even = torch.stack([batch.mean(dim=0) for batch in batches[:5]]).mean(dim=0)
    torch.testing.assert_close(moments.mean, even)
    moments.update(moments.of_batch(moments.sums(batches[5])), 0.2)
    torch.testing.assert_close(moments.mean, 0.8 * even + 0.2 * batches[5].mean(dim=0))


def test_sums_of_processes_add_up_whatever_the_running_mean() -> None:
    vectors, moments = random(31, 4), RunningMoments(4)
    moments.update(moments.of_batch(moments.sums(random(9, 4, seed=3))), 0.05)
    parted = moments.of_batch(moments.sums(vectors[:10]) + moments.sums(vectors[10:]))
    torch.testing.assert_close(parted.mean, vectors.mean(dim=0))
    torch.testing.assert_close(parted.variance, vectors.var(dim=0, correction=0))


def test_padding_is_left_out() -> None:
    vectors, counted = random(3, 5, 4), torch.rand(3, 5, generator=torch.Generator().manual_seed(1)) < 0.6
    moments = RunningMoments(4)
    expected = moments.sums(vectors[counted])
    vectors[~counted] = 1e6
    torch.testing.assert_close(moments.sums(vectors, counted), expected)


def test_undoing_gives_back_the_vectors() -> None:
    vectors, moments = random(20, 3), RunningMoments(3)
    moments.update(moments.of_batch(moments.sums(vectors)), 0.05)
    torch.testing.assert_close(moments.undo(moments(vectors)), vectors)


def test_a_value_that_never_changes_stays_finite() -> None:
    moments = RunningMoments(1)
    moments.update(moments.of_batch(moments.sums(torch.full((9, 1), 4.0))), 0.05)
    assert moments(torch.full((2, 1), 4.0)).tolist() == [[0.0], [0.0]]


def test_deviation_is_the_mean_of_the_standard_deviations() -> None:
    vectors, moments = random(50, 6), RunningMoments(6)
    got = moments.of_batch(moments.sums(vectors)).deviation
    torch.testing.assert_close(got, vectors.std(dim=0, correction=0).mean())
