"""Weights as AudioTagging Done Right saves them become a Tagger, and the same weights again."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import earmark
from earmark.encoders import CRNN, CNNTransformer, FNet, LinearFrames, Transformer
from earmark.frontends import KaldiFbank, SlaneyDb
from earmark.labels import LabelSet, audioset_labels
from earmark.models import CheckpointError, TaggerConfig
from earmark.models.heads import PoolingHead
from earmark.models.published import FAMILIES, Origin, tagger_from_state, to_published
from earmark.models.tagger import Tagger

SMALL: dict[str, tuple[Any, PoolingHead]] = {
    "TALNet": (CRNN(n_bands=16, dim=32, blocks=4, pools=2), PoolingHead()),
    "TALNet, 128 bands": (CRNN(n_bands=128, dim=128, blocks=5, pools=5), PoolingHead(pooling="linear")),
    "TALNet without batch norm": (
        CRNN(n_bands=16, dim=32, blocks=6, pools=3, kernel=(5, 3), batch_norm=False),
        PoolingHead(pooling="linear"),
    ),
    "NewNet": (CRNN(n_bands=16, dim=32, blocks=4, pools=2), PoolingHead(pooling="mixed")),
    "TALtrans": (CNNTransformer(n_bands=16, dim=32, blocks=4, pools=2), PoolingHead()),
    "TALtrans with addpos": (
        CNNTransformer(n_bands=16, dim=32, blocks=2, pools=2, positions="spectrogram", position_frames=48),
        PoolingHead(pooling="linear"),
    ),
    "Transformer": (Transformer(n_bands=16, dim=24, depth=3), PoolingHead()),
    "LinearModel": (LinearFrames(n_bands=16, dim=12, depth=2), PoolingHead()),
    "FNet": (FNet(n_bands=128, dim=12, hidden=20, depth=3), PoolingHead(probability="clamped")),
    "FFNet": (
        FNet(n_bands=16, dim=12, hidden=20, depth=2, mixing="alternating"),
        PoolingHead(attention="sigmoid"),
    ),
}
ALL = pytest.mark.parametrize("name", SMALL)


def tagger(name: str, classes: int = 7) -> Tagger:
    encoder, head = SMALL[name]
    bands = encoder.n_bands
    frontend = SlaneyDb(n_mels=bands) if bands <= 100 else KaldiFbank(n_mels=bands)
    labels = LabelSet(names=tuple(f"class {index}" for index in range(classes)))
    torch.manual_seed(0)
    model = TaggerConfig(frontend=frontend, encoder=encoder, head=head, labels=labels).build()
    for buffer_name, buffer in model.named_buffers():
        if buffer_name.endswith("running_mean"):
            torch.nn.init.uniform_(buffer, -0.1, 0.1)
        elif buffer_name.endswith("running_var"):
            torch.nn.init.uniform_(buffer, 0.5, 1.5)
    return model.eval()


def published(name: str, classes: int = 7) -> dict[str, Tensor]:
    """A state dict as the authors' code would save it."""
    return to_published(tagger(name, classes))


@ALL
def test_a_saved_training_gives_the_probabilities_of_the_model_it_came_from(
    name: str, tmp_path: Path
) -> None:
    source = tagger(name)
    state = {f"module.{key}": tensor for key, tensor in to_published(source).items()}
    torch.save(state, tmp_path / "audio_model.5.pth")
    model = earmark.load(tmp_path / "audio_model.5.pth")
    assert model.config.encoder == source.config.encoder
    assert model.config.head == source.config.head
    features = torch.randn(2, model.config.encoder.n_bands, 64)
    with torch.inference_mode():
        logits = model.classify(model.encoder(features))
        assert bool((logits.std(dim=0) > 0).all())
        assert torch.equal(logits, source.classify(source.encoder(features)))
        assert model(torch.randn(1, 160000)).shape == (1, 7)


@ALL
def test_its_weights_come_back_as_they_were(name: str) -> None:
    state = published(name)
    again = to_published(tagger_from_state(state, Origin("x.pth")))
    assert again.keys() == state.keys()
    assert all(torch.equal(again[key], state[key]) for key in state)


@ALL
def test_each_family_recognizes_its_own_alone(name: str) -> None:
    state = published(name)
    assert [family.name for family in FAMILIES if family.recognizes(state)] == [
        {"NewNet": "TALNet", "LinearModel": "linear model", "FFNet": "FNet"}.get(
            name, name.split(" ")[0].rstrip(",")
        )
    ]


def test_527_classes_get_audiosets_names_and_the_front_end_the_published_length() -> None:
    small = tagger_from_state(published("TALtrans", 527), Origin("x.pth")).config
    assert small.labels == audioset_labels()
    assert isinstance(small.frontend, SlaneyDb)
    assert (small.frontend.decibels, small.frontend.length) == ("doubled", 400)
    large = tagger_from_state(published("TALNet, 128 bands", 527), Origin("x.pth")).config
    assert isinstance(large.frontend, KaldiFbank)
    assert (large.frontend.length, large.clip_seconds) == (1024, 10.0)


@pytest.mark.parametrize("pooling", ["max", "mean", "exp"])
def test_a_pooling_without_weights_can_be_told(pooling: str) -> None:
    state = published("TALNet, 128 bands")
    model = tagger_from_state(state, Origin("x.pth"), [f"head.pooling={pooling}", "frontend.mean=-4"])
    assert model.config.head == PoolingHead(pooling=pooling)
    assert to_published(model).keys() == state.keys()


def test_both_names_of_a_convolution_must_hold_the_same() -> None:
    state = published("TALNet")
    assert torch.equal(state["conv3.conv.weight"], state["conv.2.conv.weight"])
    state["conv3.conv.weight"] = state["conv3.conv.weight"] + 1
    with pytest.raises(
        CheckpointError, match=r"conv3\.conv\.weight and conv\.2\.conv\.weight are one tensor"
    ):
        tagger_from_state(state, Origin("x.pth"))


@pytest.mark.parametrize(
    ("name", "key", "tensor", "words"),
    [
        ("TALNet", "conv.0.conv.weight", torch.zeros(0, 1, 3, 3), "convolutions are empty"),
        ("TALNet", "conv.0.conv.weight", torch.zeros(4, 1, 3), "4 axes"),
        ("TALNet", "conv.0.conv.weight", torch.zeros(3, 1, 3, 3), "blocks must be a multiple of pools"),
        ("TALNet", "conv.1.conv.weight", torch.zeros(4, 4, 3, 2), "conv.1.conv.weight is"),
        ("TALNet", "conv1.conv.bias", torch.zeros(9), "conv1.conv.bias is"),
        ("TALNet", "conv.9.conv.weight", torch.zeros(4, 4, 3, 3), "conv.4.conv.weight is missing"),
        ("TALNet", "fc_prob.weight", torch.zeros(0, 32), "0 classes"),
        ("TALNet", "surplus", torch.zeros(1), "surplus is not part of it"),
        ("TALtrans with addpos", "positional_encoding.pe", torch.zeros(1, 0, 16), "position_frames"),
        ("TALtrans with addpos", "positional_encoding.pe", torch.zeros(48, 16), "3 axes"),
        ("Transformer", "linear_in.weight", torch.zeros(25, 16), "multiple of heads"),
        ("Transformer", "layer_stack.7.x", torch.zeros(1), "layer_stack.3"),
        ("LinearModel", "linear.0.weight", torch.zeros(12, 0), "n_bands|n_mels"),
        ("FNet", "encoder.layer.0.feed_forward.weight", torch.zeros(0, 12), "hidden"),
        ("FNet", "pooler.fc.weight", torch.zeros(7), "2 axes"),
    ],
)
def test_impossible_shapes_are_one_sentence(name: str, key: str, tensor: Tensor, words: str) -> None:
    with pytest.raises(CheckpointError, match=words):
        tagger_from_state(published(name) | {key: tensor}, Origin("bad.pth"))


RECORDED = os.environ.get("EARMARK_DATA")
KEYS = Path(RECORDED).parent / "golden" / "dev" / "09_state_dict_keys" / "meta.json" if RECORDED else None


@pytest.mark.skipif(
    KEYS is None or not KEYS.exists(), reason="EARMARK_DATA is unset, or no recordings lie beside it"
)
@pytest.mark.parametrize("name", ["TAL_64mel", "TALtrans_64mel", "fnet"])
def test_every_recorded_name_and_shape_is_mapped(name: str) -> None:
    assert KEYS is not None
    recorded = json.loads(KEYS.read_text())["models"][f"atdr/{name}"]["keys"]
    state = {
        key: torch.zeros(shape, dtype=torch.int64 if key.endswith("tracked") else torch.float32)
        for key, shape in recorded.items()
    }
    again = to_published(tagger_from_state(state, Origin(f"{name}.pth")))
    assert {key: list(tensor.shape) for key, tensor in again.items()} == recorded
