"""PSLA's weights, those of the ResNets beside it, and MBNet's: read off their shapes, and written back."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import earmark
from earmark.encoders import EfficientNet, MobileNetV2, ResNet
from earmark.frontends import KaldiFbank, SlaneyDb
from earmark.models import CheckpointError, LinearHead
from earmark.models.catalog import BY_NAME
from earmark.models.heads import AttentionHead
from earmark.models.published import Origin, tagger_from_state, to_published
from earmark.models.tagger import Tagger

DATA = os.environ.get("EARMARK_DATA")
KEYS = Path(DATA).parent / "golden" / "dev" / "09_state_dict_keys" / "meta.json" if DATA else None

SMALL_RESNET = ResNet(blocks=(1, 2, 1, 1), width=8)


def weights(module: torch.nn.Module, beginning: str) -> dict[str, Tensor]:
    return {f"{beginning}{name}": tensor for name, tensor in module.state_dict().items()}


def published(
    encoder: Any, heads: int = 4, classes: int = 3, beginning: str = "effnet."
) -> dict[str, Tensor]:
    """A state dict as the authors' code would save it."""
    torch.manual_seed(0)
    head = AttentionHead(heads=heads).build(encoder.dim, encoder.frame_dim, classes)
    return weights(encoder.build(), beginning) | weights(head, "attention.")


def mbnet(classes: int = 3) -> dict[str, Tensor]:
    torch.manual_seed(0)
    classifier = torch.nn.Linear(1280, classes)
    return weights(MobileNetV2().build(), "model.") | weights(classifier, "model.classifier.")


def model(state: dict[str, Tensor], *settings: str) -> Tagger:
    return tagger_from_state(state, Origin("x.pth"), settings)


def same(found: dict[str, Tensor], wanted: dict[str, Tensor]) -> bool:
    return found.keys() == wanted.keys() and all(torch.equal(found[name], wanted[name]) for name in wanted)


@pytest.mark.parametrize("heads", [0, 1, 4])
def test_size_heads_and_classes_are_read_from_the_weights(heads: int) -> None:
    state = published(EfficientNet(b=0), heads)
    found = model(state)
    assert found.config.encoder == EfficientNet(b=0)
    assert found.config.head == AttentionHead(heads=heads)
    assert len(found.labels) == 3
    assert same(to_published(found), state)


@pytest.mark.parametrize(("classes", "seconds", "length"), [(3, 10, 1056), (200, 30, 3000)])
def test_the_front_end_is_that_of_the_corpus(classes: int, seconds: float, length: int) -> None:
    config = model(published(EfficientNet(b=0), 0, classes)).config
    assert config.frontend == KaldiFbank(mean=-4.6476, std=4.5699, deviations=1.0, length=length)
    assert config.clip_seconds == seconds


def test_a_published_file_gives_the_logits_of_the_encoder_and_head_it_came_from(tmp_path: Path) -> None:
    state = published(EfficientNet(b=0), classes=2)
    fc = {"effnet._fc.weight": torch.zeros(1000, 1280), "effnet._fc.bias": torch.zeros(1000)}
    torch.save({f"module.{name}": t for name, t in (state | fc).items()}, tmp_path / "as_mdl_0.pth")
    found = earmark.load(tmp_path / "as_mdl_0.pth")
    encoder, head = EfficientNet(b=0).build().eval(), AttentionHead().build(1280, 1280, 2).eval()
    encoder.load_state_dict({n.removeprefix("effnet."): t for n, t in state.items() if n.startswith("eff")})
    head.load_state_dict({n.removeprefix("attention."): t for n, t in state.items() if n.startswith("att")})
    waveform = torch.randn(1, 48000)
    with torch.inference_mode():
        encoding = encoder(found.frontend(waveform))
        torch.testing.assert_close(found(waveform), head(encoding))
    assert encoding.frames.shape[1] == 33
    assert same(to_published(found), state)


def test_weights_of_the_other_activations_are_read_by_two_settings() -> None:
    settings = ("head.attention=softmax_over_classes", "head.value=softmax_over_classes")
    head = model(published(EfficientNet(b=0), 1), *settings).config.head
    assert head == AttentionHead(heads=1, attention="softmax_over_classes", value="softmax_over_classes")


@pytest.mark.parametrize("encoder", [SMALL_RESNET, ResNet(blocks=(1, 1, 1, 1), width=16)])
def test_a_resnet_is_read_with_its_reading(encoder: ResNet) -> None:
    state = published(encoder, 1, beginning="model.")
    found = model(state)
    assert found.config.encoder == encoder
    assert found.config.head == AttentionHead(heads=1)
    assert same(to_published(found), state)
    flattened = encoder.replace(n_bands=64, reading="flattened")
    state = published(flattened, 1, beginning="model.")
    found = model(state)
    assert found.config.encoder == flattened
    assert isinstance(found.config.frontend, SlaneyDb)
    assert found.config.frontend.decibels == "doubled"
    assert found(torch.zeros(1, 160000)).shape == (1, 3)
    assert same(to_published(found), state)


def test_mbnet_is_read_with_and_without_the_beginning_that_all_its_names_have(tmp_path: Path) -> None:
    state = mbnet()
    torch.save(state, tmp_path / "mbnet.pth")
    for found in (model(state), earmark.load(tmp_path / "mbnet.pth")):
        assert (found.config.encoder, found.config.head) == (MobileNetV2(), LinearHead(norm=False))
        assert same(to_published(found), state)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            {"effnet._conv_head.weight": torch.zeros(1300, 320, 1, 1)},
            r"1300 channels and 16 blocks.*b2 \(1408",
        ),
        ({"effnet._blocks.16._bn1.bias": torch.zeros(3)}, "1280 channels and 17 blocks"),
        ({"effnet._conv_head.weight": torch.zeros(3)}, "must have 4 axes"),
        ({"effnet._blocks.0._bn1.bias": torch.zeros(3)}, r"_bn1.bias is \(3,\) but must be \(32,\)"),
        ({"attention.head_weight": torch.zeros(2000)}, "heads"),
        ({"attention.head_weight": torch.zeros(3)}, "attention.att.3.bias is not part of it"),
        ({"attention.cla.0.weight": torch.zeros(0, 1280, 1, 1)}, "0 classes"),
        ({"effnet.surplus": torch.zeros(3)}, "effnet.surplus is not part of it"),
    ],
)
def test_impossible_weights_are_one_sentence(change: dict[str, Tensor], words: str) -> None:
    with pytest.raises(CheckpointError, match=words):
        model(published(EfficientNet(b=0)) | change)


def test_a_resnet_without_a_stage_or_with_a_foreign_width_is_one_sentence() -> None:
    state = published(SMALL_RESNET, 1, beginning="model.")
    with pytest.raises(CheckpointError, match="blocks"):
        model({name: t for name, t in state.items() if not name.startswith("model.layer3.")})
    odd = {f"attention.{layer}.weight": torch.zeros(3, 100, 1, 1) for layer in ("att", "cla")}
    with pytest.raises(CheckpointError, match=r"\(3, 100, 1, 1\) but must be \(3, 104, 1, 1\)"):
        model(state | odd)


def test_the_four_published_checkpoints_are_listed_with_their_licence() -> None:
    entries = [BY_NAME[f"psla-b2.{name}"] for name in ("as2m", "as2m-wa", "fsd50k", "fsd50k-wa")]
    assert [entry.score for entry in entries] == [0.440, 0.444, 0.559, 0.562]
    assert [entry.classes for entry in entries] == [527, 527, 200, 200]
    assert {entry.license for entry in entries} == {"BSD-3-Clause"}
    assert all(entry.url.endswith(".pth?dl=1") for entry in entries)


@pytest.mark.skipif(KEYS is None or not KEYS.is_file(), reason="EARMARK_DATA is unset, or no recordings")
@pytest.mark.parametrize("name", ["atdr/psla_b0_heads4", "atdr/psla_b2_heads4"])
def test_the_names_and_shapes_of_the_published_code_map_completely_both_ways(name: str) -> None:
    assert KEYS is not None
    shapes = json.loads(KEYS.read_text())["models"][name]["keys"]
    state = {key: torch.zeros(shape) if shape else torch.tensor(0) for key, shape in shapes.items()}
    found = model(state)
    assert same(to_published(found), state)
    assert found.labels.names[74] == "Dog"
