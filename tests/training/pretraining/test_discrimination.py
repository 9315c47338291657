"""The loss of the student."""

import math

import pytest
import torch

from earmark.training.pretraining.discrimination import (
    Counts,
    Weights,
    guesses,
    lack_of_diversity,
    share_of_loss,
    sum_of,
)

K = 6
SIMILARITIES = torch.rand(4, 9, K, generator=torch.Generator().manual_seed(0)) * 2 - 1
CLUSTERS = torch.randint(K, (4, 9), generator=torch.Generator().manual_seed(1))
VALID = torch.arange(9) < torch.tensor([9, 4, 1, 7])[:, None]
HIDDEN = VALID & (torch.rand(4, 9, generator=torch.Generator().manual_seed(2)) < 0.5)
SHOWN = VALID & ~HIDDEN
COUNTS = Counts(float(HIDDEN.sum()), float(SHOWN.sum()))


def loss_of(similarities: torch.Tensor, weights: Weights) -> torch.Tensor:
    """The whole loss, written down directly."""
    scores = similarities / 0.1
    cells = torch.nn.functional.cross_entropy(scores.flatten(0, 1), CLUSTERS.flatten(), reduction="none")
    cells = cells.reshape(CLUSTERS.shape)
    chances = scores[VALID].softmax(dim=-1).mean(dim=0)
    lack = math.log(K) + (chances * chances.log()).sum()
    loss = weights.hidden * (cells[HIDDEN].mean() + weights.shown * cells[SHOWN].mean())
    return loss + weights.diversity * lack


@pytest.mark.parametrize("weights", [Weights(1.0, 0.0, 0.0), Weights(0.7, 0.3, 0.0), Weights(1.0, 0.1, 0.5)])
def test_shares_of_parts_sum_to_the_loss_and_its_gradient(weights: Weights) -> None:
    direct = SIMILARITIES.clone().requires_grad_()
    expected = loss_of(direct, weights)
    expected.backward()
    parted = SIMILARITIES.clone().requires_grad_()
    parts = [
        guesses(parted[cut], CLUSTERS[cut], HIDDEN[cut], SHOWN[cut], 0.1)
        for cut in (slice(0, 1), slice(1, 4))
    ]
    chances = sum_of(parts).chances.detach() / (COUNTS.hidden + COUNTS.shown)
    shares = [share_of_loss(part, COUNTS, weights, chances if weights.diversity else None) for part in parts]
    got = torch.stack(shares).sum()
    got.backward()
    torch.testing.assert_close(got + weights.diversity * (math.log(K) - 1), expected)
    torch.testing.assert_close(parted.grad, direct.grad, atol=1e-6, rtol=1e-4)


def test_what_is_not_hidden_and_padding_give_no_gradient() -> None:
    similarities = SIMILARITIES.clone().requires_grad_()
    found = guesses(similarities, CLUSTERS, HIDDEN, SHOWN, 0.1)
    share_of_loss(found, COUNTS, Weights(1.0, 0.0, 0.0), None).backward()
    assert similarities.grad is not None
    touched = similarities.grad.abs().sum(dim=-1) > 0
    assert torch.equal(touched, HIDDEN)


def test_padding_has_no_say_in_diversity() -> None:
    changed = torch.where(VALID[..., None], SIMILARITIES, -SIMILARITIES)
    found = [guesses(one, CLUSTERS, HIDDEN, SHOWN, 0.1).chances for one in (SIMILARITIES, changed)]
    torch.testing.assert_close(found[0], found[1])


def test_knowing_nothing_costs_log_k_and_knowing_all_next_to_nothing() -> None:
    nothing = guesses(torch.zeros(4, 9, K), CLUSTERS, HIDDEN, SHOWN, 0.1)
    sure = torch.nn.functional.one_hot(CLUSTERS, K) * 2.0 - 1
    everything = guesses(sure, CLUSTERS, HIDDEN, SHOWN, 0.1)
    assert float(nothing.hidden.sum()) == pytest.approx(COUNTS.hidden * math.log(K), rel=1e-5)
    assert float(everything.hidden.sum()) < 1e-4
    assert float(everything.right.sum()) == COUNTS.hidden


def test_a_summary_head_guesses_once_for_each_clip() -> None:
    clips = torch.tensor([True, True, False, True])
    found = guesses(SIMILARITIES[:, 0], CLUSTERS[:, 0], clips, torch.zeros_like(clips), 0.1)
    expected = torch.nn.functional.cross_entropy(SIMILARITIES[:, 0] / 0.1, CLUSTERS[:, 0], reduction="none")
    torch.testing.assert_close(found.hidden, expected * clips)
    assert float(found.chances.sum()) == pytest.approx(3.0)


def test_diversity_is_lacking_by_log_k_where_all_guess_the_same() -> None:
    same, even = torch.eye(K)[0], torch.full((K,), 1 / K)
    assert float(lack_of_diversity(same)) == pytest.approx(math.log(K), rel=1e-5)
    assert float(lack_of_diversity(even)) == pytest.approx(0.0, abs=1e-6)
    between = [float(lack_of_diversity(same.lerp(even, share))) for share in (0.0, 0.3, 0.6, 1.0)]
    assert between == sorted(between, reverse=True)


def test_the_slope_of_diversity_makes_guesses_more_even() -> None:
    similarities = torch.zeros(8, 20, K)
    similarities[..., 0] = 0.3
    similarities.requires_grad_()
    ones = torch.ones(8, 20, dtype=torch.bool)
    nothing = torch.zeros(8, 20, dtype=torch.int64)
    found = guesses(similarities, nothing, ones, ~ones, 0.1)
    chances = found.chances.detach() / 160
    share_of_loss(found, Counts(160.0, 0.0), Weights(0.0, 0.0, 1.0), chances).backward()
    assert similarities.grad is not None
    with torch.no_grad():
        after = guesses(similarities - 50 * similarities.grad, nothing, ones, ~ones, 0.1).chances / 160
    assert lack_of_diversity(after) < lack_of_diversity(chances)
