"""EfficientAT's weights become a Tagger, and the same weights again."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import earmark
from earmark.encoders import MN, DyMN
from earmark.frontends import LogMel
from earmark.labels import LabelSet, audioset_labels
from earmark.models import CheckpointError, Tagger, TaggerConfig
from earmark.models.catalog import BY_NAME
from earmark.models.heads import ConvolutionalHead, MlpHead, MultiheadAttentionHead
from earmark.models.published import Origin, tagger_from_state, to_published

DATA = os.environ.get("EARMARK_DATA")
KEYS = "golden/dev/10_efficientat__state_dict_keys/meta.json"
MN04 = "weights/efficientat_mn04/mn04_as_mAP_432.pt"
REAL = pytest.mark.skipif(not DATA, reason="EARMARK_DATA is unset: no published weights here")


def described(encoder: Any, head: Any = None, classes: int = 5) -> TaggerConfig:
    return TaggerConfig(
        frontend=LogMel(n_mels=encoder.n_bands),
        encoder=encoder,
        head=head or MlpHead(hidden=24),
        labels=LabelSet(names=tuple(f"class {i}" for i in range(classes))),
        clip_seconds=10.0,
    )


def published(config: TaggerConfig) -> dict[str, Tensor]:
    """A state dict as the authors' code would save it, of weights that all differ."""
    torch.manual_seed(0)
    tagger = config.build()
    for tensor in tagger.state_dict().values():
        if tensor.is_floating_point():
            torch.nn.init.normal_(tensor)
    return to_published(tagger)


def efficientat(state: dict[str, Tensor], name: str = "x.pt", *settings: str) -> Tagger:
    return tagger_from_state(state, Origin(name), settings)


CONFIGS = [
    described(MN(width=0.1)),
    described(MN(width=0.2), ConvolutionalHead()),
    described(MN(width=0.3), MultiheadAttentionHead(heads=4)),
    described(MN(width=0.1), MultiheadAttentionHead(heads=2), classes=1),
    described(MN(width=0.35)),
    described(MN(width=0.3, reduced_tail=True)),
    described(MN(width=0.1, excitation=())),
    described(MN(width=0.1, excitation=("time", "channel", "frequency"))),
    described(MN(width=0.4, excitation_reduction=2)),
    described(DyMN(width=0.1)),
    described(DyMN(width=0.2, dynamic="replace_se"), ConvolutionalHead()),
]


@pytest.mark.parametrize("config", CONFIGS, ids=lambda c: f"{c.encoder.kind} {c.encoder.width} {c.head.kind}")
def test_weights_tell_their_net_and_come_back_bit_for_bit(config: TaggerConfig) -> None:
    state = published(config)
    tagger = efficientat(state)
    assert tagger.config == config
    again = to_published(tagger)
    assert again.keys() == state.keys()
    assert all(torch.equal(again[name], state[name]) for name in state)


def test_a_net_computes_the_same_under_its_published_names() -> None:
    torch.manual_seed(0)
    tagger = described(MN(width=0.1)).build().eval()
    waveform = torch.randn(2, 32000) / 10
    with torch.inference_mode():
        assert torch.equal(efficientat(to_published(tagger))(waveform), tagger(waveform))


@pytest.mark.parametrize("config", CONFIGS[:2] + CONFIGS[9:])
def test_names_are_the_published_ones(config: TaggerConfig) -> None:
    names = set(published(config))
    stem = "features.0.0.weight" if isinstance(config.encoder, MN) else "in_c.0.weight"
    assert stem in names
    assert not [name for name in names if name.startswith(("encoder.", "head."))]
    units = {name.split(".")[1] for name in names if name.startswith(("features.", "layers."))}
    assert len(units) == (17 if isinstance(config.encoder, MN) else 15)


@pytest.mark.parametrize(
    ("name", "change", "field", "value"),
    [
        ("mn10_as_hop_5_mAP_475.pt", {}, "frontend.hop_length", 160),
        ("downloads/mn10_as_hop_25_mAP_447.pt", {}, "frontend.hop_length", 800),
        ("mn10_as_mels_40_mAP_453.pt", {}, "encoder.n_bands", 40),
        ("mn10_as_fc_s2211_mAP_466.pt", {}, "encoder.strides", (2, 2, 1, 1)),
        ("mn10_as_mAP_471.pt", {}, "frontend.hop_length", 320),
    ],
)
def test_what_weights_do_not_tell_the_authors_file_name_does(
    name: str, change: dict[str, Any], field: str, value: object
) -> None:
    config = efficientat(published(described(MN(width=0.1))), name).config
    part, leaf = field.split(".")
    assert getattr(getattr(config, part), leaf) == value


def test_what_weights_do_not_tell_settings_do() -> None:
    state = published(described(MN(width=0.1)))
    settings = ("frontend.n_mels=64", "encoder.n_bands=64", "encoder.strides=[2,2,2,1]")
    config = efficientat(state, "x.pt", *settings, "encoder.dilated=true").config
    assert config.encoder == MN(width=0.1, n_bands=64, strides=(2, 2, 2, 1), dilated=True)
    hot = efficientat(published(described(DyMN(width=0.1))), "x.pt", "encoder.temperature=30")
    assert hot.config.encoder.temperature == 30


def test_each_parameter_that_differs_is_told() -> None:
    state = published(described(MN(width=0.2)))
    del state["features.3.block.0.1.bias"]
    state["features.16.1.weight"] = torch.zeros(7)
    state["surplus"] = torch.zeros(1)
    with pytest.raises(CheckpointError) as caught:
        efficientat(state, "bad.pt")
    text = str(caught.value)
    assert "features.3.block.0.1.bias is missing" in text
    assert "features.16.1.weight is (7,) but must be (192,)" in text
    assert "surplus is not part of it" in text


@pytest.mark.parametrize(
    ("name", "tensor", "words"),
    [
        ("classifier.5.weight", torch.zeros(0, 24), "0 classes"),
        ("classifier.5.weight", torch.zeros(24), "2 axes"),
        ("classifier.2.weight", torch.zeros(99_999, 96), "65536"),
        ("features.4.block.1.conc_se_layers.0.fc1.weight", torch.zeros(3), "2 axes"),
        ("classifier.head_weight", torch.zeros(1, 0, 1), "heads"),
    ],
)
def test_impossible_shapes_are_one_sentence(name: str, tensor: Tensor, words: str) -> None:
    state = published(described(MN(width=0.1)))
    if name == "classifier.head_weight":
        state["classifier.subspace_proj.weight"] = torch.zeros(4, 96)
    with pytest.raises(CheckpointError, match=words):
        efficientat(state | {name: tensor}, "bad.pt")


def test_a_net_of_no_known_width_is_told() -> None:
    state = {name: torch.zeros(3) for name in published(described(DyMN(width=0.1)))}
    with pytest.raises(CheckpointError, match="no width from"):
        efficientat(state, "bad.pt")


def test_every_catalog_entry_has_settings_that_make_a_net() -> None:
    entries = [entry for entry in BY_NAME.values() if entry.family == "EfficientAT"]
    assert len(entries) == 34
    assert {entry.license for entry in entries} == {"MIT"}
    state = published(described(MN(width=0.1)))
    for settings in {entry.settings for entry in entries}:
        config = efficientat(state, "mn", *settings).config
        assert config.encoder.n_bands == config.frontend.n_bands


@pytest.mark.skipif(
    not DATA or not (Path(DATA).parent / KEYS).is_file(),
    reason="EARMARK_DATA is unset, or no recordings lie beside it",
)
def test_recorded_names_and_shapes_of_published_sizes_map_completely() -> None:
    assert DATA is not None
    models = json.loads((Path(DATA).parent / KEYS).read_text())["models"]
    assert models
    for name, recorded in models.items():
        state = {key: torch.zeros(shape) for key, shape in recorded["keys"].items()}
        for key in state:
            if key.endswith("num_batches_tracked"):
                state[key] = state[key].long()
        tagger = efficientat(state)
        assert tagger.config.encoder.width == recorded["args"]["width_mult"], name
        assert tagger.count_parameters() == recorded["n_parameters"], name
        assert {key: tuple(t.shape) for key, t in to_published(tagger).items()} == {
            key: tuple(shape) for key, shape in recorded["keys"].items()
        }, name


@REAL
def test_the_published_mn04_tags_a_real_dog() -> None:
    assert DATA is not None
    model = earmark.load(Path(DATA) / MN04)
    assert model.config.encoder == MN(width=0.4)
    assert model.labels == audioset_labels()
    result = earmark.tag(Path(DATA) / "esc10" / "audio" / "1-100032-A-0.ogg", model=model, top=5)
    assert [tag.label for tag in result.rows[0].tags][:3] == ["Bark", "Animal", "Dog"]


@REAL
def test_the_published_mn04_is_the_file_that_the_catalog_names() -> None:
    import hashlib

    assert DATA is not None
    data = (Path(DATA) / MN04).read_bytes()
    entry = BY_NAME["mn04.as2m"]
    assert (len(data), hashlib.sha256(data).hexdigest()) == (entry.size, entry.sha256)
