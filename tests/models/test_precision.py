"""Fewer bits: every encoder computes in them, nearly as before, and each clip by itself."""

import copy
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from earmark.config import ConfigError
from earmark.encoders import PaSST, ResidualCNN
from earmark.encoders.layers import LONG, attend
from earmark.frontends import LogMel
from earmark.labels import LabelSet
from earmark.models import Tagger, TaggerConfig, load, save, with_precision
from earmark.models.ensemble import Ensemble
from earmark.models.precision import Int8Linear, LoweredEncoder
from encoders.test_contract import ENCODERS, Case, features

LOWER = pytest.mark.parametrize("precision", ["bf16", "int8"])
SAMPLES = 32000


def small(encoder: Any = None, seed: int = 0) -> Tagger:
    torch.manual_seed(seed)
    encoder = encoder or PaSST(n_bands=64, max_frames=100, dim=48, depth=3, heads=3)
    labels = LabelSet(names=("Dog", "Rain", "Wind"))
    model = TaggerConfig(frontend=LogMel(n_mels=64), encoder=encoder, labels=labels, clip_seconds=0.99)
    return large_weights(model.build().eval())


def large_weights(tagger: Tagger) -> Tagger:
    """Weights as large as a trained model's, so that tokens differ."""
    with torch.no_grad():
        for parameter in tagger.parameters():
            if parameter.ndim == 2:
                parameter.mul_(10.0)
    return tagger


def waveforms(batch: int = 3) -> Tensor:
    return 0.1 * torch.randn(batch, SAMPLES, generator=torch.Generator().manual_seed(1))


def off(found: Tensor, expected: Tensor) -> float:
    return float((found - expected).detach().norm() / expected.detach().norm())


@ENCODERS
@pytest.mark.parametrize("native", [False, True], ids=["emulated", "native"])
@LOWER
def test_every_encoder_computes_in_fewer_bits(case: Case, precision: Any, native: bool) -> None:
    torch.manual_seed(0)
    encoder, batch = case.config.build().eval(), features(case, 3)
    exact = encoder(batch)
    try:
        lowered = LoweredEncoder(copy.deepcopy(encoder), precision, native).eval()
    except ConfigError:
        assert precision == "int8"
        assert not any(type(module) is nn.Linear for module in encoder.modules())
        return
    found = lowered(batch)
    assert {value.dtype for value in found} == {torch.float32}
    assert [value.shape for value in found] == [value.shape for value in exact]
    assert off(found.summary, exact.summary) < (0.2 if native else 0.06)
    assert off(found.frames, exact.frames) < (0.2 if native else 0.06)
    torch.testing.assert_close(lowered.summarize(batch), found.summary, atol=1e-5, rtol=1e-4)
    assert torch.equal(lowered(batch).summary, found.summary)


@LOWER
def test_the_model_that_was_given_stays_as_it_is(precision: Any) -> None:
    model = small()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    logits = model(waveforms())
    lowered = with_precision(model, precision)
    assert 1e-5 < off(lowered(waveforms()), logits) < 0.1
    assert lowered.config == model.config
    assert lowered.head is not None
    assert model.state_dict().keys() == before.keys()
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert torch.equal(model(waveforms()), logits)


def test_single_precision_is_the_model_itself() -> None:
    model = small()
    assert with_precision(model, "fp32") is model


@LOWER
def test_a_clip_does_not_depend_on_the_others_of_its_batch(precision: Any) -> None:
    model = with_precision(small(), precision)
    together = model(waveforms())
    alone = torch.cat([model(clip[None]) for clip in waveforms()])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-5)


def test_a_clip_that_is_not_finite_spoils_only_itself() -> None:
    model, batch = with_precision(small(), "int8"), waveforms()
    expected = model(batch)
    for strange in (float("nan"), float("inf")):
        spoiled = batch.clone()
        spoiled[1, 500] = strange
        found = model(spoiled)
        assert not torch.isfinite(found[1]).any()
        torch.testing.assert_close(found[[0, 2]], expected[[0, 2]])
    assert torch.isfinite(model(torch.zeros(1, SAMPLES))).all()


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_the_largest_products_do_not_overflow(sign: float) -> None:
    """Processors without VNNI add two products in 16 bits."""
    linear = nn.Linear(512, 8)
    nn.init.constant_(linear.weight, 3.0)
    tokens = torch.full((4, 512), sign * 2.0)
    torch.testing.assert_close(Int8Linear(linear)(tokens), linear(tokens), rtol=1e-4, atol=1e-2)


def test_each_token_and_each_output_has_its_own_scale() -> None:
    torch.manual_seed(0)
    linear, tokens = nn.Linear(64, 32), torch.randn(10, 64)
    with torch.no_grad():
        linear.weight.mul_(10.0 ** torch.linspace(-3, 3, 32)[:, None])
        linear.bias.zero_()
    loudness = 10.0 ** torch.linspace(-3, 3, 10)[:, None]
    exact, found = linear(tokens * loudness), Int8Linear(linear)(tokens * loudness)
    assert all(off(f, e) < 0.03 for f, e in zip(found, exact, strict=True))
    assert all(off(f, e) < 0.03 for f, e in zip((found / loudness).T, (exact / loudness).T, strict=True))
    assert Int8Linear(linear)(tokens.view(2, 5, 64)).shape == (2, 5, 32)


@LOWER
def test_it_cannot_be_saved_or_lowered_again(precision: Any, tmp_path: Any) -> None:
    model = with_precision(small(), precision)
    with pytest.raises(ConfigError, match=f"weights are in {precision} and cannot be saved"):
        save(model, tmp_path / "model.safetensors")
    assert not list(tmp_path.iterdir())
    assert with_precision(model, precision) is model
    others: set[Any] = {"fp32", "bf16", "int8"} - {precision}
    for other in others:
        with pytest.raises(ConfigError, match=f"is in {precision} already; load it anew"):
            with_precision(model, other)
    assert torch.equal(copy.deepcopy(model)(waveforms()), model(waveforms()))


def test_what_cannot_be_done_is_told() -> None:
    with pytest.raises(ConfigError, match="this model's encoder has none"):
        with_precision(small(ResidualCNN(n_bands=64, widths=(4,), stem=4, blocks=1)), "int8")
    with pytest.raises(ConfigError, match="int8 computes on a processor only"):
        with_precision(small().to("meta"), "int8")
    with pytest.raises(ConfigError, match="int8 weights compute on a processor only"):
        with_precision(small(), "int8").to("meta")


def test_members_of_an_ensemble_are_lowered_each() -> None:
    members = [small(), small(seed=5)]
    both = with_precision(Ensemble(members).eval(), "int8")
    lowered = [with_precision(member, "int8")(waveforms()) for member in members]
    torch.testing.assert_close(both(waveforms()), sum(lowered) / 2, atol=1e-5, rtol=1e-5)


def test_models_are_loaded_in_a_precision() -> None:
    sound = waveforms(1)[:, :16000]
    exact, close = load()(sound), load(precision="bf16")(sound)
    assert 0 < off(close, exact) < 0.02
    with pytest.raises(ConfigError, match="int8 is for linear layers"):
        load(precision="int8")


def test_tags_need_no_frames_and_are_the_same() -> None:
    model = small()
    logits, encoding = model.both(waveforms())
    torch.testing.assert_close(model(waveforms()), logits, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(model.summarize(waveforms()), encoding.summary, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("queries", [2, LONG + 50])
def test_attention_head_by_head_is_the_fused_one(queries: int) -> None:
    rng = np.random.default_rng(0)
    q, k, v = (
        torch.from_numpy(rng.standard_normal((2, 3, n, 16), np.float32))
        for n in (queries, LONG + 50, LONG + 50)
    )
    fused = attend(q, k, v)
    with torch.no_grad():
        by_head = attend(q.bfloat16(), k.bfloat16(), v.bfloat16())
        with torch.autocast("cpu", torch.bfloat16):
            assert torch.equal(attend(q, k, v), by_head)
    assert by_head.dtype == torch.bfloat16
    assert 1e-5 < off(by_head.float(), fused) < 0.02
