"""What `embed` can give: embeddings, logits, both, and what a layer hears."""

from typing import get_args

import numpy as np
import pytest
import torch

from earmark.config import ConfigError
from earmark.encoders import PaSST
from earmark.frontends import KaldiFbank
from earmark.inference.embedding import embed
from earmark.inference.settings import Pooling
from earmark.inference.tagging import tag
from earmark.labels import LabelSet
from earmark.models import TaggerConfig
from earmark.models.ensemble import Ensemble
from inference.sounds import RATE, make_model

NOISE = np.random.default_rng(0).normal(0, 0.1, RATE // 2).astype(np.float32)
SOUND = (NOISE, RATE)


@torch.inference_mode()
def test_logits_and_embedding_stand_in_one_vector_logits_first() -> None:
    model = make_model()
    logits = embed(SOUND, model=model, mode="logits").embeddings
    summary = embed(SOUND, model=model).embeddings
    both = embed(SOUND, model=model, mode="all").embeddings
    assert np.array_equal(both, np.concatenate([logits, summary], axis=1))
    assert np.allclose(logits, model.eval()(model.padded(torch.from_numpy(NOISE)[None])), atol=1e-5)


@torch.inference_mode()
def test_a_layer_gives_its_own_width_and_grid() -> None:
    model = make_model()
    waveform = model.eval().padded(torch.from_numpy(NOISE)[None])
    for index, layer in enumerate(model.config.encoder.layers):
        clip = embed(SOUND, model=model, layer=index).embeddings
        assert np.allclose(clip, model.encode(waveform, index).summary, atol=1e-5)
        frames = embed(SOUND, model=model, layer=index, level="frame")
        assert frames.embeddings.shape[1] == layer.frame_dim
        spacing = layer.frame_stride * model.config.frontend.frame_seconds
        assert np.allclose(np.diff((frames.starts + frames.ends)[2:-2] / 2), spacing)


@torch.inference_mode()
def test_several_layers_stand_behind_one_another_each_as_it_is_alone() -> None:
    model = make_model()
    for pool in get_args(Pooling):
        alone = [embed(SOUND, model=model, layer=[place], pool=pool) for place in ("bands", 0, "end")]
        several = embed(SOUND, model=model, layer=["bands", 0, "end"], pool=pool)
        assert np.array_equal(several.embeddings, np.concatenate([one.embeddings for one in alone], axis=1))


@torch.inference_mode()
def test_pools_are_the_statistics_of_the_frames() -> None:
    model = make_model()
    waveform = model.eval().padded(torch.from_numpy(NOISE)[None])
    frames = model.encode(waveform, 0).frames[0].numpy()
    found = embed(SOUND, model=model, layer=0, pool="mean+deviation").embeddings[0]
    assert np.allclose(found, np.concatenate([frames.mean(axis=0), frames.std(axis=0)]), atol=1e-5)
    bands = model.frontend(waveform)[0].numpy()
    assert np.allclose(
        embed(SOUND, model=model, layer=["bands"]).embeddings[0], bands.mean(axis=1), atol=1e-5
    )
    tracks = embed(SOUND, model=model, layer=["bands"], level="frame")
    assert tracks.embeddings.shape[1] == model.config.frontend.n_bands
    centers = (tracks.starts + tracks.ends)[1:-1] / 2
    assert np.allclose(np.diff(centers), model.config.frontend.frame_seconds)


@pytest.mark.parametrize("samples", [1, 160, 800])
def test_a_sound_that_ends_before_the_first_center_has_one_frame_within_it(samples: int) -> None:
    model = TaggerConfig(
        frontend=KaldiFbank(n_mels=32, length=100),
        encoder=PaSST(n_bands=32, max_frames=100, dim=24, depth=1, heads=3),
        labels=LabelSet(names=("Dog", "Rain")),
        clip_seconds=1.0,
    ).build()
    assert samples / RATE < model.first_frame_seconds
    found = embed((NOISE[:samples], RATE), model=model, level="frame")
    assert len(found.embeddings) == 1
    assert 0 <= found.starts[0] < found.ends[0] <= samples / RATE


@torch.inference_mode()
def test_an_ensemble_tags_and_embeds_like_its_members() -> None:
    one, other = make_model(), make_model()
    both = Ensemble([one, other]).eval()
    assert embed(SOUND, model=both).embeddings.shape[1] == 2 * one.embedding_dim
    mean = (
        embed(SOUND, model=one, mode="logits").embeddings
        + embed(SOUND, model=other, mode="logits").embeddings
    ) / 2
    assert np.allclose(embed(SOUND, model=both, mode="logits").embeddings, mean, atol=1e-5)
    expected = dict(
        zip(one.labels.names, both.probabilities(torch.from_numpy(mean))[0].tolist(), strict=True)
    )
    assert {t.label: t.score for t in tag(SOUND, model=both, top=99).tags} == pytest.approx(
        expected, abs=1e-5
    )


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"mode": "logits", "level": "frame"}, "logits are of whole clips"),
        ({"mode": "all", "layer": 0}, "logits are of whole clips"),
        ({"mode": "all", "pool": "mean"}, "logits are of whole clips"),
        ({"layer": [0, 0]}, "each once"),
        ({"layer": []}, "one layer or more"),
        ({"layer": [0, "end"], "level": "frame"}, "frames of their own lengths"),
        ({"layer": 99}, "layer is 99 but the encoder has"),
    ],
)
def test_what_makes_no_sense_is_said(options: dict[str, object], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        embed(SOUND, model=make_model(), **options)


def test_an_ensemble_has_no_frames() -> None:
    with pytest.raises(ConfigError, match="no frames or layers in common"):
        embed(SOUND, model=Ensemble([make_model(), make_model()]), level="frame")


def test_a_model_without_a_head_has_no_logits() -> None:
    model = make_model()
    with pytest.raises(ConfigError, match="no head"):
        embed(SOUND, model=model.config.replace(head=None).build(), mode="logits")
