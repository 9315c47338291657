"""Weights by their published names become a Tagger, and the same weights again."""

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor

import earmark
from earmark.data import esc50
from earmark.encoders import PaSST
from earmark.encoders.passt_weights import published_state
from earmark.labels import audioset_labels
from earmark.models import CheckpointError, LinearHead, load, save
from earmark.models.catalog import BY_NAME, PUBLISHED
from earmark.models.foreign import read_state_dict
from earmark.models.published import Origin, tagger_from_state, to_published
from earmark.models.tagger import Tagger
from earmark.models.zoo import NAMES, resolve

TINY = PaSST(max_frames=112, stride=(16, 16), dim=64, depth=2, heads=1)


def published(config: PaSST = TINY, classes: int = 7, distillation: bool = True) -> dict[str, Tensor]:
    """A state dict as the authors' code would save it."""
    torch.manual_seed(0)
    head = LinearHead(carry_distillation=distillation).build(config.dim, config.dim, classes)
    for buffer in head.buffers():
        torch.nn.init.normal_(buffer)
    return published_state(config.build().state_dict(), head.state_dict())


def passt_from_state(state: dict[str, Tensor], name: str, *settings: str) -> Tagger:
    return tagger_from_state(state, Origin(name), settings)


def saved(state: object, path: Path) -> Path:
    torch.save(state, path)
    return path


def test_a_published_file_gives_the_logits_of_the_encoder_and_head_it_came_from(tmp_path: Path) -> None:
    torch.manual_seed(1)
    encoder = TINY.build().eval()
    head = LinearHead(carry_distillation=True).build(64, 64, 7).eval()
    state = published_state(encoder.state_dict(), head.state_dict())
    model = earmark.load(saved(state, tmp_path / "x.pt"))
    waveform = torch.randn(2, 32000)
    with torch.inference_mode():
        expected = head(encoder(model.frontend(waveform)))
        torch.testing.assert_close(model(waveform), expected, atol=1e-6, rtol=1e-6)
    assert model.config.head == LinearHead(carry_distillation=True)
    assert not model.training
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_published_weights_come_back_as_they_were(tmp_path: Path) -> None:
    state = published()
    model = load(saved(state, tmp_path / "x.pt"))
    again = to_published(model)
    assert again.keys() == state.keys()
    assert all(torch.equal(again[name], state[name]) for name in state)
    save(model, tmp_path / "x.safetensors")
    kept = to_published(load(tmp_path / "x.safetensors"))
    assert all(torch.equal(kept[name], state[name]) for name in state)


@pytest.mark.parametrize(
    ("stride", "max_frames", "seconds"),
    [
        (10, 998, 10),
        (12, 998, 10),
        (14, 998, 10),
        (16, 998, 10),
        (10, 2000, 20),
        (10, 3000, 30),
        (10, 640, 6.4),
    ],
)
def test_stride_and_length_are_read_from_the_position_tables(
    stride: int, max_frames: int, seconds: float
) -> None:
    config = PaSST(max_frames=max_frames, stride=(stride, stride), dim=64, depth=1, heads=1)
    found = passt_from_state(published(config), "x.pt").config
    assert found.encoder == config
    assert found.clip_seconds == seconds
    assert found.padding == "none"
    samples = round(seconds * 32000)
    assert found.encoder.grid(found.frontend.n_frames(samples))[1] <= config.table[1]


@pytest.mark.parametrize(
    ("frames", "name", "settings", "expected", "seconds"),
    [
        (3200, "x.pt", (), 100, 10),
        (2000, "passt-s-f128-stfthop160-p16-s10-ap.473-swa.pt", (), 160, 10),
        (2000, "x.pt", ("frontend.hop_length=160", "clip_seconds=10"), 160, 10),
        (2000, "x.pt", (), 320, 20),
    ],
)
def test_the_hop_is_given_or_told_by_the_name_or_the_usual_one(
    frames: int, name: str, settings: tuple[str, ...], expected: int, seconds: float
) -> None:
    config = PaSST(max_frames=frames, dim=64, depth=1, heads=1)
    found = passt_from_state(published(config), name, *settings).config
    assert (found.frontend.hop_length, found.clip_seconds) == (expected, seconds)


@pytest.mark.parametrize("change", [{"distilled": False}, {"depth": 7}, {"dim": 192, "heads": 3}])
def test_depth_width_and_tokens_are_read_from_the_weights(change: dict[str, object]) -> None:
    config = TINY.replace(**change)
    assert passt_from_state(published(config), "x").config.encoder == config


def test_a_file_without_a_distillation_classifier_has_none() -> None:
    state = published(distillation=False)
    assert to_published(passt_from_state(state, "x")).keys() == state.keys()


def test_527_classes_have_audioset_names_and_ids() -> None:
    labels = passt_from_state(published(classes=527), "x").labels
    assert labels == audioset_labels()
    assert (labels.names[74], labels.ids[74], labels.exclusive) == ("Dog", "/m/0bt9lr", False)
    assert len(set(labels.ids)) == 527


def test_50_classes_have_the_names_that_the_corpus_has() -> None:
    assert passt_from_state(published(classes=50), "x").labels == esc50.ESC50().labels


def test_other_numbers_of_classes_are_numbered() -> None:
    labels = passt_from_state(published(classes=3), "x").labels
    assert labels.names == ("class 0", "class 1", "class 2")
    assert not labels.exclusive


def test_half_precision_weights_become_float32() -> None:
    state = {name: tensor.half() for name, tensor in published().items()}
    model = passt_from_state(state, "x")
    assert {tensor.dtype for tensor in model.state_dict().values()} == {torch.float32}


def test_each_parameter_that_differs_is_told() -> None:
    state = published()
    del state["blocks.0.norm1.bias"]
    state["blocks.1.mlp.fc1.weight"] = torch.zeros(3, 4)
    state["surplus"] = torch.zeros(1)
    state["norm.bias"] = torch.zeros(64, dtype=torch.int64)
    with pytest.raises(CheckpointError) as caught:
        passt_from_state(state, "bad.pt")
    text = str(caught.value)
    assert text.startswith("bad.pt: ")
    assert "blocks.0.norm1.bias is missing" in text
    assert "blocks.1.mlp.fc1.weight is (3, 4) but must be (256, 64)" in text
    assert "surplus is not part of it" in text
    assert "norm.bias holds torch.int64" in text


@pytest.mark.parametrize(
    ("name", "tensor", "words"),
    [
        ("freq_new_pos_embed", torch.zeros(1, 64, 11, 1), "11 rows"),
        ("freq_new_pos_embed", torch.zeros(1, 60, 8, 1), "multiples of 64"),
        ("freq_new_pos_embed", torch.zeros(64), "4 axes"),
        ("time_new_pos_embed", torch.zeros(1, 64, 1, 0), "0 columns"),
        ("patch_embed.proj.weight", torch.zeros(64, 3, 16), "4 axes"),
        ("patch_embed.proj.weight", torch.zeros(64, 0, 16, 16), "channels"),
        ("patch_embed.proj.weight", torch.zeros(64, 1, 200, 200), "patch of 200"),
        ("head.1.weight", torch.zeros(0, 64), "0 classes"),
        ("head.1.weight", torch.zeros(8, 64), "head.1.bias is"),
        ("blocks.99.norm1.bias", torch.zeros(64), "blocks.2.attn"),
    ],
)
def test_impossible_shapes_are_one_sentence(name: str, tensor: Tensor, words: str) -> None:
    with pytest.raises(CheckpointError, match=words):
        passt_from_state(published() | {name: tensor}, "bad.pt")


def test_weights_of_no_known_family_are_told_by_their_names() -> None:
    with pytest.raises(CheckpointError, match=r"no model that earmark knows.*PaSST.*conv1.weight"):
        passt_from_state({"conv1.weight": torch.zeros(2)}, "x")


@pytest.mark.parametrize(
    "wrap",
    [
        lambda s: {"model": s, "epoch": 3},
        lambda s: {"state_dict": {f"net.{k}": v for k, v in s.items()}},
        lambda s: {"model_state_dict": {f"module.{k}": v for k, v in s.items()}},
        lambda s: {f"net._orig_mod.{k}": v for k, v in s.items()},
        lambda s: {f"module.model.{k}": v for k, v in s.items()},
        lambda s: {"device_proxy": torch.zeros(1)} | {f"net.{k}": v for k, v in s.items()},
        lambda s: {f"net.{k}": v + 1 for k, v in s.items()} | {f"net_swa.{k}": v for k, v in s.items()},
        lambda s: {k: torch.nn.Parameter(v) for k, v in s.items()},
    ],
)
def test_what_training_code_puts_around_weights_is_taken_off(wrap: object, tmp_path: Path) -> None:
    state = published()
    assert callable(wrap)
    found = read_state_dict(saved(wrap(state), tmp_path / "x.pt"))
    assert found.keys() == state.keys()
    assert all(torch.equal(found[name], state[name]) for name in state)


def test_tied_weights_are_read(tmp_path: Path) -> None:
    weight = torch.randn(3, 4)
    found = read_state_dict(saved({"a": weight, "b": weight.T}, tmp_path / "x.pt"))
    assert torch.equal(found["a"], found["b"].T)
    assert found["b"].is_contiguous()


def test_every_published_name_and_address_is_one_of_a_kind() -> None:
    assert len(BY_NAME) == len(PUBLISHED) == len({entry.url for entry in PUBLISHED})
    assert all(entry.url.startswith("https://") for entry in PUBLISHED)
    assert NAMES[0] == "builtin"


def test_an_unknown_name_suggests_a_published_one() -> None:
    with pytest.raises(earmark.ConfigError, match=r"did you mean 'passt-s\.as2m-swa'"):
        resolve("passt-s.as2m-swaa")


def test_the_command_lists_the_models(capsys: pytest.CaptureFixture[str]) -> None:
    from earmark.cli.models import models

    assert models(json_=True) == 0
    rows = json.loads(capsys.readouterr().out)
    assert {"name", "url", "score", "classes", "clip_seconds", "license", "sha256", "size"} <= rows[0].keys()
    assert models() == 0
    assert "passt-s.as2m-swa" in capsys.readouterr().out
