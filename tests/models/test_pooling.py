"""Frame probabilities to clip probabilities."""

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from earmark.encoders import Encoding
from earmark.models.heads import PoolingHead
from earmark.models.heads.pooling import PoolingHeadModule, pool_over_time

POOLINGS = ("max", "mean", "linear", "exp")
ALL = (*POOLINGS, "attention", "mixed")
Probabilities = st.lists(st.floats(1e-6, 1 - 1e-6), min_size=1, max_size=20)


def encoding(batch: int = 3, frames: int = 9, dim: int = 12, scale: float = 1.0) -> Encoding:
    x = scale * torch.randn(batch, frames, dim, generator=torch.Generator().manual_seed(0))
    return Encoding(frames=x, summary=x.mean(dim=1))


def built(seed: int = 0, classes: int = 5, **fields: Any) -> PoolingHeadModule:
    torch.manual_seed(seed)
    head = PoolingHead(**fields).build(12, 12, classes).eval()
    for parameter in head.parameters():
        torch.nn.init.normal_(parameter)
    return head


def column(values: list[float]) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)[None, :, None]


@given(Probabilities)
def test_the_poolings_lie_in_order_between_the_least_and_the_greatest(values: list[float]) -> None:
    p = column(values)
    most, mean, linear, exp = (float(pool_over_time(p, how)) for how in POOLINGS)
    near = 1e-9
    assert min(values) - near <= mean <= exp + near
    assert exp <= linear + near
    assert linear <= most + near
    assert most == max(values)


@given(Probabilities)
def test_what_does_not_change_over_time_is_pooled_to_itself(values: list[float]) -> None:
    p = column(values[:1] * 7)
    assert all(float(pool_over_time(p, how)) == pytest.approx(values[0]) for how in POOLINGS)


@pytest.mark.parametrize("pooling", ALL)
def test_a_clip_said_twice_is_tagged_as_once(pooling: Any) -> None:
    head, once = built(pooling=pooling), encoding()
    twice = Encoding(frames=torch.cat([once.frames, once.frames], dim=1), summary=once.summary)
    torch.testing.assert_close(head(twice), head(once), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("pooling", ALL)
def test_the_order_of_frames_does_not_matter(pooling: Any) -> None:
    head, clip = built(pooling=pooling), encoding()
    turned = Encoding(frames=clip.frames.flip(1), summary=clip.summary)
    torch.testing.assert_close(head(turned), head(clip), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("pooling", ALL)
def test_the_sigmoid_of_its_logits_is_the_pooled_probability(pooling: Any) -> None:
    head, clip = built(pooling=pooling), encoding()
    torch.testing.assert_close(head(clip).sigmoid(), head.pool(clip.frames), atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("pooling", ALL)
def test_of_one_frame_the_pooled_probability_is_that_of_the_frame(pooling: Any) -> None:
    head, clip = built(pooling=pooling), encoding(frames=1)
    torch.testing.assert_close(head.pool(clip.frames), head.frame_probabilities(clip.frames)[:, 0])


@pytest.mark.parametrize("attention", ["softmax", "sigmoid"])
@pytest.mark.parametrize("probability", ["sigmoid", "clamped"])
def test_attention_sums_to_one_over_time(attention: Any, probability: Any) -> None:
    head = built(attention=attention, probability=probability)
    weights = head.attention(encoding(scale=30.0).frames)
    torch.testing.assert_close(weights.sum(dim=1), torch.ones(3, 5))
    assert bool((weights >= 0).all())


def test_the_mixture_weighs_five_poolings_for_each_class() -> None:
    head, clip = built(pooling="mixed"), encoding()
    pooled = head.poolings(clip.frames)
    p = head.frame_probabilities(clip.frames)
    torch.testing.assert_close(pooled[:, 0], p.amax(dim=1))
    torch.testing.assert_close(pooled[:, 2], p.square().sum(dim=1) / p.sum(dim=1))
    torch.testing.assert_close(head.mixture(pooled).sum(dim=1), torch.ones(3, 5))
    low, high = pooled.amin(dim=1), pooled.amax(dim=1)
    assert bool(((head.pool(clip.frames) >= low - 1e-6) & (head.pool(clip.frames) <= high + 1e-6)).all())


def test_without_the_sigmoid_outputs_are_cut_to_probabilities() -> None:
    head = built(probability="clamped")
    clip = encoding()
    raw = head.fc_prob(clip.frames)
    p = head.frame_probabilities(clip.frames)
    inside = (raw > 1e-7) & (raw < 1 - 1e-7)
    assert bool(inside.any())
    assert torch.equal(p[inside], raw[inside])
    assert bool((p[raw < 0] < 2e-7).all())


@pytest.mark.parametrize("probability", ["sigmoid", "clamped"])
@pytest.mark.parametrize("pooling", ALL)
def test_logits_are_finite_however_certain_the_frames_are(pooling: Any, probability: Any) -> None:
    head = built(pooling=pooling, probability=probability)
    assert bool(torch.isfinite(head(encoding(scale=1e4))).all())


@pytest.mark.parametrize("pooling", ALL)
def test_under_half_precision_logits_stay_finite_and_near(pooling: Any) -> None:
    head, clip = built(pooling=pooling), encoding()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half = head(clip)
        certain = head(encoding(scale=1e4))
    torch.testing.assert_close(half.float(), head(clip), atol=0.3, rtol=0.05)
    assert bool(torch.isfinite(certain).all())
