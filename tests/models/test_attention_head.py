"""PSLA's pooling: what each frame counts for, and what several heads make of it."""

from typing import Any

import pytest
import torch
from torch import Tensor

from earmark.encoders import Encoding
from earmark.models.heads import AttentionHead

ACTIVATIONS = ("sigmoid", "softmax_over_classes", "relu", "linear")


def frames(n: int = 9) -> Tensor:
    return torch.randn(2, n, 12, generator=torch.Generator().manual_seed(0))


def built(**options: Any) -> Any:
    torch.manual_seed(0)
    return AttentionHead(**options).build(12, 12, 5).eval()


def logits(head: Any, of: Tensor) -> Tensor:
    return head(Encoding(frames=of, summary=of.mean(dim=1)))


@torch.no_grad()
def test_no_head_is_the_mean_of_the_probabilities_over_time() -> None:
    head = built(heads=0)
    each = torch.stack([logits(head, frames()[:, k : k + 1]).sigmoid() for k in range(9)])
    torch.testing.assert_close(logits(head, frames()).sigmoid(), each.mean(dim=0))


@pytest.mark.parametrize("attention", ACTIVATIONS)
@torch.no_grad()
def test_the_only_frame_counts_whole_whatever_the_attention(attention: str) -> None:
    head = built(heads=1, attention=attention)
    expected = head.cla(frames(1).transpose(1, 2)[..., None])[..., 0, 0]
    torch.testing.assert_close(logits(head, frames(1)), expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("attention", ACTIVATIONS)
@torch.no_grad()
def test_what_frames_count_sums_to_one_over_time(attention: str) -> None:
    head = built(heads=1, attention=attention)
    weights = head.weights(head.att, frames().transpose(1, 2)[..., None])
    assert bool((weights > 0).all())
    torch.testing.assert_close(weights.sum(dim=2), torch.ones(2, 5))


@pytest.mark.parametrize("heads", [0, 1, 4])
@torch.no_grad()
def test_the_order_of_frames_does_not_matter(heads: int) -> None:
    head = built(heads=heads)
    torch.testing.assert_close(logits(head, frames()), logits(head, frames().flip(1)))


@torch.no_grad()
def test_several_heads_are_the_weighted_sum_of_each_one() -> None:
    head, one = built(heads=3), built(heads=1)
    head.head_weight.copy_(torch.tensor([0.5, 0.2, 0.1]))
    expected = torch.zeros(2, 5)
    for index, factor in enumerate((0.5, 0.2, 0.1)):
        one.att.load_state_dict(head.att[index].state_dict())
        one.cla.load_state_dict(head.cla[index].state_dict())
        expected += factor * logits(one, frames()).sigmoid()
    torch.testing.assert_close(logits(head, frames()).sigmoid(), expected)


@torch.no_grad()
def test_the_historical_softmax_is_over_the_classes_of_a_frame() -> None:
    head = built(heads=1, value="softmax_over_classes")
    values = head.values(head.cla, frames().transpose(1, 2)[..., None])
    torch.testing.assert_close(values.sum(dim=1), torch.ones(2, 9))


@pytest.mark.parametrize(("factor", "sign"), [(3.0, 1), (-3.0, -1)])
@torch.no_grad()
def test_a_sum_beyond_a_probability_gives_the_largest_logit(factor: float, sign: int) -> None:
    head = built(heads=2)
    head.cla[0].bias.fill_(20.0)
    head.head_weight.fill_(factor)
    assert logits(head, frames()) == pytest.approx(sign * torch.full((2, 5), 16.1), abs=0.2)


@pytest.mark.parametrize("heads", [0, 1, 4])
@torch.no_grad()
def test_certainty_has_a_finite_logit_in_half_precision(heads: int) -> None:
    head = built(heads=heads)
    for name, parameter in head.cla.named_parameters():
        if name.endswith("bias"):
            parameter.fill_(20.0)
    with torch.autocast("cpu", torch.bfloat16):
        found = logits(head, frames())
    assert found == pytest.approx(torch.full((2, 5), 16.0), abs=0.3)
