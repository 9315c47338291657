"""What every head promises; a new head is tested by being listed."""

from typing import Any, get_args

import pytest
import torch

from earmark.encoders import Encoding
from earmark.models import HeadConfig
from earmark.models.heads import (
    AttentionHead,
    ConvolutionalHead,
    LinearHead,
    MlpHead,
    MultiheadAttentionHead,
    PoolingHead,
)

SMALL: dict[str, Any] = {
    "AttentionHead": AttentionHead(heads=3),
    "AttentionHead with one head": AttentionHead(heads=1, attention="softmax_over_classes"),
    "AttentionHead without a head": AttentionHead(heads=0),
    "ConvolutionalHead": ConvolutionalHead(),
    "LinearHead": LinearHead(),
    "LinearHead without norm": LinearHead(norm=False),
    "LinearHead with ReLU": LinearHead(relu=True, eps=1e-12),
    "MlpHead": MlpHead(hidden=24),
    "MultiheadAttentionHead": MultiheadAttentionHead(heads=3),
    "PoolingHead": PoolingHead(),
    "PoolingHead, max": PoolingHead(pooling="max"),
    "PoolingHead, linear": PoolingHead(pooling="linear"),
    "PoolingHead, all poolings mixed": PoolingHead(pooling="mixed"),
    "PoolingHead, attention by sigmoids": PoolingHead(attention="sigmoid"),
    "PoolingHead, without a sigmoid": PoolingHead(probability="clamped"),
}
HEADS = pytest.mark.parametrize("config", SMALL.values(), ids=SMALL.keys())


def encoding(batch: int = 4, seed: int = 0) -> Encoding:
    generator = torch.Generator().manual_seed(seed)
    frames = torch.randn(batch, 9, 12, generator=generator)
    return Encoding(frames=frames, summary=torch.randn(batch, 16, generator=generator))


def test_every_head_is_listed() -> None:
    assert {type(config) for config in SMALL.values()} == set(get_args(get_args(HeadConfig)[0]))


@HEADS
def test_it_gives_a_logit_for_each_class(config: Any) -> None:
    logits = config.build(16, 12, 5).eval()(encoding())
    assert logits.shape == (4, 5)
    assert bool(torch.isfinite(logits).all())


@HEADS
def test_every_parameter_gets_a_gradient(config: Any) -> None:
    head = config.build(16, 12, 5).train()
    torch.manual_seed(0)
    head(encoding(8)).square().sum().backward()
    assert not [name for name, p in head.named_parameters() if p.grad is None or not bool(p.grad.any())]


@HEADS
def test_a_batch_equals_its_clips_one_by_one(config: Any) -> None:
    head, whole = config.build(16, 12, 5).eval(), encoding()
    alone = [head(Encoding(f[None], s[None])) for f, s in zip(whole.frames, whole.summary, strict=True)]
    torch.testing.assert_close(head(whole), torch.cat(alone))


@HEADS
def test_its_description_survives_json(config: Any) -> None:
    assert type(config).from_json(config.to_json()) == config


@HEADS
def test_it_works_in_half_precision(config: Any) -> None:
    head, given = config.build(16, 12, 5).eval(), encoding()
    half = Encoding(frames=given.frames.bfloat16(), summary=given.summary.bfloat16())
    logits = head.bfloat16()(half)
    assert logits.shape == (4, 5)
    assert bool(torch.isfinite(logits).all())
