"""audio_dbert's dictionary, a state dict beside its YAML, becomes a Tagger, and the same dictionary again."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file
from torch import Tensor

import earmark
from earmark.encoders import DBERT, Clusters
from earmark.encoders.dbert import CONVS
from earmark.frontends import RawWaveform
from earmark.models import CheckpointError, LinearHead, load, save
from earmark.models.catalog import BY_NAME
from earmark.models.published import Origin, tagger_from_state, to_published
from earmark.models.published.dbert import NOTE, published_file
from earmark.models.published.plain_yaml import read_plain_yaml
from earmark.models.tagger import Tagger, TaggerConfig

TINY = DBERT(
    convs=((16, 10, 5), (16, 3, 4), (16, 2, 3)),
    width=24,
    depth=3,
    heads=3,
    ff_multiple=2,
    position_kernel=8,
    position_groups=4,
    summary_dim=10,
    dropout=0.2,
    clusters=Clusters(summary=(5,), conv=(6, 3), output=(7,)),
)


def model(config: DBERT = TINY) -> Tagger:
    torch.manual_seed(0)
    described = TaggerConfig(frontend=RawWaveform(), encoder=config, head=None, clip_seconds=10.0)
    return described.build().eval()


def dictionary(config: DBERT = TINY) -> dict[str, Any]:
    return dict(published_file(model(config)))


def state_of(config: DBERT) -> dict[str, Tensor]:
    return dictionary(config)["model_state_dict"]


def saved(tree: object, path: Path) -> Path:
    torch.save(tree, path)
    return path


def from_text(text: str, state: dict[str, Tensor] | None = None) -> Tagger:
    return tagger_from_state(state or state_of(TINY), Origin("x.pt", {NOTE: text}))


def changed(**fields: object) -> str:
    tree = yaml.safe_load(dictionary()[NOTE])
    tree["model"] |= fields
    return yaml.safe_dump(tree)


def test_the_published_dictionary_becomes_the_model_it_came_from(tmp_path: Path) -> None:
    path = saved(dictionary(), tmp_path / "x.pt")
    found = earmark.load(path)
    assert found.config == model().config
    waveform = torch.randn(2, 1600)
    with torch.inference_mode():
        assert torch.equal(found.encode(waveform).frames, model().encode(waveform).frames)
    assert found.embedding_dim == 10
    assert not found.has_head
    assert not found.training


def test_it_embeds_clips_and_frames_of_a_file(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, 16000).astype(np.float32)
    path = saved(dictionary(), tmp_path / "x.pt")
    clip = earmark.embed((noise, 16000), model=path)
    assert clip.embeddings.shape == (1, 10)
    frames = earmark.embed((noise, 16000), model=path, level="frame")
    assert frames.embeddings.shape == (TINY.n_frames(16000), 16)
    centers = (frames.starts + frames.ends) / 2
    assert float(centers[9]) == pytest.approx((TINY.first_frame + 9 * 60) / 16000, abs=1e-6)
    inner = earmark.embed((noise, 16000), model=path, layer=0)
    assert inner.embeddings.shape == (1, 24)
    short = earmark.embed((noise[:3], 16000), model=path)
    assert bool(np.isfinite(short.embeddings).all())


def test_tagging_with_it_says_that_it_has_no_head(tmp_path: Path) -> None:
    noise = np.zeros(16000, np.float32)
    with pytest.raises(earmark.ConfigError, match="no head"):
        earmark.tag((noise, 16000), model=saved(dictionary(), tmp_path / "x.pt"))


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"convs": ((24, 9, 4), (24, 2, 2)), "width": 24},
        {"position_kernel": 7, "position_groups": 3},
        {"depth": 1, "heads": 2, "ff_multiple": 4, "dropout": 0.0},
        {"clusters": Clusters(summary=(), conv=(2,), output=(9, 8, 7))},
    ],
)
def test_the_dictionary_comes_back_as_it_was(change: dict[str, Any], tmp_path: Path) -> None:
    tree = dictionary(TINY.replace(**change))
    found = load(saved(tree, tmp_path / "x.pt"))
    assert found.config.encoder == TINY.replace(**change)
    save(found, tmp_path / "x.safetensors")
    again = dict(published_file(load(tmp_path / "x.safetensors")))
    assert again[NOTE] == tree[NOTE]
    assert again["model_state_dict"].keys() == tree["model_state_dict"].keys()
    for name, tensor in tree["model_state_dict"].items():
        assert torch.equal(again["model_state_dict"][name], tensor), name


def test_the_names_are_the_published_ones() -> None:
    assert {
        "conv_extractor1.conv_layers.0.2.bias",
        "positional_embedding.pos_conv.0.weight_g",
        "positional_embedding.pos_conv.0.weight_v",
        "transformer_layers.2.self_attn.in_proj_weight",
        "summary_embedder.embedding.weight",
        "masker.embedding.weight",
        "c_heads.1.codebook",
        "s_heads.0.proj.weight",
    } <= state_of(TINY).keys()
    shapes = {name: tuple(tensor.shape) for name, tensor in state_of(TINY).items()}
    assert shapes["positional_embedding.pos_conv.0.weight_g"] == (1, 1, 8)
    assert shapes["positional_embedding.pos_conv.0.weight_v"] == (24, 6, 8)


def test_more_than_16_layers_end_after_16_as_the_published_package_has_it() -> None:
    deep = TINY.replace(depth=17)
    found = from_text(dictionary(deep)[NOTE], state_of(deep))
    assert found.config.encoder == deep.replace(layer=16)
    assert found.embedding_dim == 24
    whole = tagger_from_state(
        state_of(deep), Origin("x", {NOTE: dictionary(deep)[NOTE]}), ["encoder.layer=null"]
    )
    assert whole.config.encoder == deep


def test_without_yaml_strides_and_heads_are_the_published_ones() -> None:
    usual = DBERT(
        convs=tuple((16, kernel, stride) for _, kernel, stride in CONVS),
        width=128,
        depth=1,
        heads=2,
        position_kernel=4,
    )
    found = tagger_from_state(state_of(usual.replace(clusters=Clusters())), Origin("x"))
    assert found.config.encoder == usual.replace(clusters=Clusters())


def test_without_yaml_other_kernels_or_widths_are_refused_with_a_way_out() -> None:
    with pytest.raises(CheckpointError, match=r"24 wide.*cfg_yaml_string"):
        tagger_from_state(state_of(TINY), Origin("x"))
    wide = TINY.replace(width=64, heads=2)
    with pytest.raises(CheckpointError, match=r"\(16, 3\).*strides are not known.*cfg_yaml_string"):
        tagger_from_state(state_of(wide), Origin("x"))


def test_a_file_whose_weight_norm_was_multiplied_out_is_read_too() -> None:
    state = state_of(TINY)
    plain = {name: t for name, t in state.items() if "pos_conv.0.weight" not in name}
    conv = "positional_embedding.pos_conv.0.weight"
    g, v = state[f"{conv}_g"], state[f"{conv}_v"]
    plain[conv] = g * v / v.norm(dim=(0, 1), keepdim=True)
    found = from_text(dictionary()[NOTE], plain)
    assert found.config.encoder == TINY.replace(weight_norm=False)
    assert to_published(found).keys() == plain.keys()
    waveform = torch.randn(1, 1600)
    with torch.inference_mode():
        torch.testing.assert_close(found.encode(waveform).frames, model().encode(waveform).frames)
    with pytest.raises(ValueError, match="keep its weight norm"):
        published_file(found)


def test_an_encoder_without_the_parts_of_pretraining_is_read() -> None:
    bare = TINY.replace(clusters=None)
    state = to_published(model(bare))
    assert from_text(dictionary()[NOTE], state).config.encoder == bare


def test_a_dbert_with_another_norm_is_not_written_for_a_loader_that_does_not_know_it() -> None:
    with pytest.raises(ValueError, match="would say something else there"):
        published_file(model(TINY.replace(first_norm="clip")))


def test_a_dbert_with_a_head_has_no_published_names() -> None:
    labels = earmark.load().labels
    headed = model().config.replace(head=LinearHead(), labels=labels).build()
    with pytest.raises(ValueError, match="no names for a DBERT with a head"):
        published_file(headed)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no group 'model'"),
        ("- 1", "no group 'model'"),
        ("model: 3", "no group 'model'"),
        ("model: {n_heads: 3}", "needs the field 'conv1_cfg'"),
        ("model: [", "cannot be used"),
        ("a: &x [1]\nmodel: *x", "anchors, aliases or tags"),
        ("model: !!python/object/apply:os.system [ls]", "anchors, aliases or tags"),
        ("model: " + "[" * 200, "nests deeper than 16"),
        ("model: " + "x" * 70_000, "65536 are allowed"),
        (changed(n_heads="many"), "n_heads"),
        (changed(n_heads=5), "width is 24 but heads is 5"),
        (changed(n_heads=0), "heads"),
        (changed(conv1_cfg=[[16, 10, 5]]), "describes"),
        (changed(conv1_cfg=[[16, 10, 0], [16, 3, 4], [16, 2, 3]]), "convs"),
        (changed(conv1_cfg=[[16, 10], [16, 3], [16, 2]]), "conv1_cfg"),
        (changed(transformer_dp=7), "dropout"),
        (changed(sample_rate=1), "sample_rate"),
    ],
)
def test_yaml_that_does_not_fit_is_one_sentence(text: str, words: str) -> None:
    with pytest.raises(CheckpointError, match=words) as caught:
        from_text(text)
    assert str(caught.value).startswith("x.pt: ")
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize(
    ("name", "tensor", "words"),
    [
        ("layernorm.weight", torch.zeros(0), "dBERT"),
        ("layernorm.weight", torch.zeros(24, 2), "1 axes"),
        ("positional_embedding.pos_conv.0.weight_v", torch.zeros(24, 0, 8), "weight_g|weight_v|groups"),
        ("transformer_layers.0.linear1.weight", torch.zeros(0, 24), "ff_multiple"),
        ("transformer_layers.9.norm1.bias", torch.zeros(24), r"transformer_layers\.3"),
        ("s_heads.3.codebook", torch.zeros(2, 10), "s_heads"),
        ("s_heads.0.codebook", torch.zeros(0, 10), r"summary\.0"),
        ("conv_extractor1.conv_layers.0.0.weight", torch.zeros(16, 10), "3 axes"),
        ("surplus", torch.zeros(1), "surplus is not part of it"),
    ],
)
def test_impossible_shapes_are_one_sentence(name: str, tensor: Tensor, words: str) -> None:
    with pytest.raises(CheckpointError, match=words):
        from_text(dictionary()[NOTE], state_of(TINY) | {name: tensor})


def test_thousands_of_layers_are_refused_before_anything_is_built() -> None:
    many = {f"transformer_layers.{index}.norm1.bias": torch.zeros(1) for index in range(300)}
    with pytest.raises(CheckpointError, match="300 parts called transformer_layers"):
        from_text(dictionary()[NOTE], state_of(TINY) | many)


def test_plain_yaml_gives_text_only() -> None:
    assert read_plain_yaml("a: [1, true, null, 0.1]\nb: {c: '2'}") == {
        "a": ["1", "true", "null", "0.1"],
        "b": {"c": "2"},
    }


def test_the_catalog_has_the_released_file() -> None:
    entry = BY_NAME["dbert.e105"]
    assert (entry.classes, entry.license) == (0, "CC-BY-4.0")
    assert entry.url.endswith("e105-2_checkpoint_4_920000_Diter184001.pt")


RECORDED = (
    Path(os.environ.get("EARMARK_DATA", ".")).parent / "golden" / "dev" / "06_dbert_wrapper__final_layer"
)


@pytest.mark.skipif(not RECORDED.is_dir(), reason="EARMARK_DATA is unset, or no recordings lie beside it")
def test_the_recorded_dictionary_is_read_and_described_again_with_the_same_fields(tmp_path: Path) -> None:
    text = json.loads((RECORDED / "meta.json").read_text())[NOTE]
    tree = {NOTE: text, "model_state_dict": load_file(RECORDED / "weights.safetensors")}
    again = dict(published_file(load(saved(tree, tmp_path / "x.pt"))))
    assert yaml.safe_load(again[NOTE]) == yaml.safe_load(text)
    assert all(
        torch.equal(again["model_state_dict"][name], t) for name, t in tree["model_state_dict"].items()
    )
