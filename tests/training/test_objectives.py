"""Losses of clips."""

import pytest
import torch
from torch import nn

from earmark.training.supervised.objectives import clip_losses

LOGITS = torch.randn(4, 5, generator=torch.Generator().manual_seed(0))
LABELS = (torch.rand(4, 5, generator=torch.Generator().manual_seed(1)) < 0.4).float()


def test_there_is_one_loss_for_each_kind_of_labels() -> None:
    exclusive = clip_losses(LOGITS, torch.eye(5)[:4], None, exclusive=True)
    torch.testing.assert_close(
        exclusive, nn.functional.cross_entropy(LOGITS, torch.arange(4), reduction="none")
    )
    several = clip_losses(LOGITS, LABELS, None, exclusive=False)
    torch.testing.assert_close(several.mean(), nn.functional.binary_cross_entropy_with_logits(LOGITS, LABELS))


@pytest.mark.parametrize("exclusive", [True, False])
def test_the_loss_of_mixed_targets_is_the_mixed_loss(exclusive: bool) -> None:
    one, other = torch.eye(5)[:4], torch.eye(5)[[4, 3, 2, 0]]
    mixed = clip_losses(LOGITS, 0.7 * one + 0.3 * other, None, exclusive)
    parts = [clip_losses(LOGITS, targets, None, exclusive) for targets in (one, other)]
    torch.testing.assert_close(mixed, 0.7 * parts[0] + 0.3 * parts[1])


def test_unknown_labels_add_nothing_and_the_mean_is_still_over_all_cells() -> None:
    known = torch.rand(4, 5, generator=torch.Generator().manual_seed(2)) < 0.5
    cells = nn.functional.binary_cross_entropy_with_logits(LOGITS, LABELS, reduction="none")
    got = clip_losses(LOGITS, LABELS, known, exclusive=False)
    torch.testing.assert_close(got.mean(), (cells * known).mean())
    nothing = clip_losses(LOGITS, LABELS, torch.zeros_like(known), exclusive=False)
    assert nothing.tolist() == [0.0] * 4


def test_exclusive_labels_cannot_be_unknown_one_by_one() -> None:
    with pytest.raises(ValueError, match="leave such clips out"):
        clip_losses(LOGITS, torch.eye(5)[:4], LABELS > 0, exclusive=True)


def test_label_smoothing_moves_a_share_to_all_classes() -> None:
    targets = torch.eye(5)[:4]
    smooth = clip_losses(LOGITS, targets, None, exclusive=True, label_smoothing=0.1)
    torch.testing.assert_close(smooth, clip_losses(LOGITS, targets * 0.9 + 0.02, None, exclusive=True))
    several = clip_losses(LOGITS, LABELS, None, exclusive=False, label_smoothing=0.1)
    torch.testing.assert_close(several, clip_losses(LOGITS, LABELS * 0.9 + 0.05, None, exclusive=False))


def test_the_loss_of_clamped_logits_is_that_of_clamped_probabilities() -> None:
    """AudioTagging Done Right: BCELoss of probabilities clamped to [1e-7, 1 - 1e-7]."""
    pooled = torch.cat([torch.rand(60), torch.tensor([0.0, 1.0, 1e-9, 1 - 1e-6])]).reshape(4, 16)
    labels = (torch.rand(4, 16) < 0.5).float()
    pooled.requires_grad_()
    published = nn.functional.binary_cross_entropy(pooled.clamp(1e-7, 1 - 1e-7), labels)
    (slope,) = torch.autograd.grad(published, pooled)
    ours = clip_losses(torch.logit(pooled, eps=1e-7), labels, None, exclusive=False).mean()
    (our_slope,) = torch.autograd.grad(ours, pooled)
    torch.testing.assert_close(ours, published, rtol=1e-4, atol=1e-5)
    inside = (pooled > 1e-5) & (pooled < 1 - 1e-5)
    torch.testing.assert_close(our_slope[inside], slope[inside], rtol=1e-3, atol=1e-6)
