"""AST's weights by their published names: the authors', Hugging Face's, and those of the minimal models."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

import earmark
from earmark.encoders import AST
from earmark.encoders.ast import ASTEncoder
from earmark.frontends import KaldiFbank, SlaneyDb
from earmark.models import CheckpointError, LinearHead, Tagger, TaggerConfig
from earmark.models.catalog import BY_NAME
from earmark.models.minimal import (
    MINIMAL_AST_DEEP_HISTORICAL,
    MINIMAL_AST_HISTORICAL,
    MINIMAL_CNN_HISTORICAL,
)
from earmark.models.published import Origin, tagger_from_state, to_published

State = dict[str, Tensor]

TINY = AST(max_frames=128, dim=64, depth=2, heads=1, carry_imagenet=True)
FITS_TINY = KaldiFbank(length=128, mean=-6.845978, std=5.5654526)
DIM = 64


def from_state(state: State, *settings: str) -> Tagger:
    return tagger_from_state(state, Origin("x.pth"), settings)


def trained(module: Any) -> Any:
    """A module none of whose numbers is as it was made."""
    torch.manual_seed(0)
    for tensor in module.state_dict().values():
        tensor.add_(torch.randn_like(tensor) * 0.1)
    return module.eval()


def original(config: AST = TINY, classes: int = 35) -> tuple[ASTEncoder, nn.Module, State]:
    """Encoder, head, and their weights as the authors' code saves them."""
    encoder = trained(config.build())
    head = trained(LinearHead().build(config.dim, config.dim, classes))
    state: State = {}
    for name, tensor in encoder.state_dict().items():
        name = name.replace("imagenet_head_", "head.").replace("imagenet_dist_", "head_dist.")
        state[f"v.{name}"] = tensor
    for name, tensor in head.state_dict().items():
        state[name.replace("norm", "mlp_head.0").replace("linear", "mlp_head.1")] = tensor
    return encoder, head, state


def hugging_face(dim: int = DIM, depth: int = 2, tokens: int = 146, classes: int = 35) -> State:
    """Random weights in the layout of `ASTForAudioClassification`."""
    embeddings = "audio_spectrogram_transformer.embeddings"
    shapes: dict[str, tuple[int, ...]] = {
        f"{embeddings}.cls_token": (1, 1, dim),
        f"{embeddings}.distillation_token": (1, 1, dim),
        f"{embeddings}.position_embeddings": (1, tokens, dim),
        f"{embeddings}.patch_embeddings.projection.weight": (dim, 1, 16, 16),
        f"{embeddings}.patch_embeddings.projection.bias": (dim,),
    }
    square = [f"attention.attention.{name}" for name in ("query", "key", "value")]
    linear = dict.fromkeys([*square, "attention.output.dense"], (dim, dim))
    linear |= {"intermediate.dense": (4 * dim, dim), "output.dense": (dim, 4 * dim)}
    for index in range(depth):
        layer = f"audio_spectrogram_transformer.encoder.layer.{index}"
        for name, shape in linear.items():
            shapes |= {f"{layer}.{name}.weight": shape, f"{layer}.{name}.bias": shape[:1]}
        for name in ("layernorm_before", "layernorm_after"):
            shapes |= {f"{layer}.{name}.weight": (dim,), f"{layer}.{name}.bias": (dim,)}
    for name in ("audio_spectrogram_transformer.layernorm", "classifier.layernorm"):
        shapes |= {f"{name}.weight": (dim,), f"{name}.bias": (dim,)}
    shapes |= {"classifier.dense.weight": (classes, dim), "classifier.dense.bias": (classes,)}
    generator = torch.Generator().manual_seed(0)
    return {name: torch.randn(shape, generator=generator) / 8 for name, shape in shapes.items()}


def bare(state: State) -> State:
    """The same without a classifier, as `ASTModel` saves it."""
    root = "audio_spectrogram_transformer."
    return {name.removeprefix(root): t for name, t in state.items() if name.startswith(root)}


def in_memory(state: State) -> State:
    """The same by the names that transformers 5 has in memory."""
    inside = {
        "encoder.layer.": "layers.",
        "attention.attention.query": "attention.q_proj",
        "attention.attention.key": "attention.k_proj",
        "attention.attention.value": "attention.v_proj",
        "attention.output.dense": "attention.o_proj",
        "intermediate.dense": "mlp.fc1",
        "output.dense": "mlp.fc2",
    }
    renamed: State = {}
    for name, tensor in state.items():
        for old, new in inside.items():
            name = name.replace(old, new)
        renamed[name] = tensor
    return renamed


def computed(state: State, features: Tensor) -> Tensor:
    """What `ASTForAudioClassification` computes with one head, written down once more without our modules."""
    root, linear = "audio_spectrogram_transformer.", nn.functional.linear

    def norm(name: str, x: Tensor) -> Tensor:
        return nn.functional.layer_norm(
            x, x.shape[-1:], state[f"{name}.weight"], state[f"{name}.bias"], 1e-12
        )

    def dense(name: str, x: Tensor) -> Tensor:
        return linear(x, state[f"{name}.weight"], state[f"{name}.bias"])

    projection = f"{root}embeddings.patch_embeddings.projection"
    grid = nn.functional.conv2d(
        features[:, None], state[f"{projection}.weight"], state[f"{projection}.bias"], 10
    )
    first = [state[f"{root}embeddings.{name}_token"] for name in ("cls", "distillation")]
    x = torch.cat([t.expand(len(features), -1, -1) for t in first] + [grid.flatten(2).transpose(1, 2)], dim=1)
    x = x + state[f"{root}embeddings.position_embeddings"]
    for index in range(2):
        layer = f"{root}encoder.layer.{index}"
        y = norm(f"{layer}.layernorm_before", x)
        q, k, v = (dense(f"{layer}.attention.attention.{name}", y) for name in ("query", "key", "value"))
        mixed = (q @ k.transpose(1, 2) / DIM**0.5).softmax(dim=-1) @ v
        x = x + dense(f"{layer}.attention.output.dense", mixed)
        y = nn.functional.gelu(dense(f"{layer}.intermediate.dense", norm(f"{layer}.layernorm_after", x)))
        x = x + dense(f"{layer}.output.dense", y)
    pooled = norm(f"{root}layernorm", x)[:, :2].mean(dim=1)
    return dense("classifier.dense", norm("classifier.layernorm", pooled))


def minimal(config: TaggerConfig) -> State:
    """Weights of a minimal model, larger than at first, as its code saves them."""
    return to_published(trained(config.build()))


SMALL_MINIMAL = MINIMAL_AST_HISTORICAL.replace(encoder=MINIMAL_AST_HISTORICAL.encoder.replace(dim=48))
PUBLISHED: dict[str, Callable[[], State]] = {
    "AST": lambda: original()[2],
    "AST without ImageNet's classifiers": lambda: original(TINY.replace(carry_imagenet=False))[2],
    "AST with one token": lambda: original(TINY.replace(distilled=False))[2],
    "Hugging Face": hugging_face,
    "Hugging Face without a classifier": lambda: bare(hugging_face()),
    "minimal AST": lambda: minimal(SMALL_MINIMAL),
    "minimal CNN": lambda: minimal(MINIMAL_CNN_HISTORICAL),
}


@pytest.mark.parametrize("state", PUBLISHED.values(), ids=PUBLISHED.keys())
def test_published_weights_come_back_as_they_were(state: Callable[[], State], tmp_path: Path) -> None:
    wanted = state()
    torch.save({f"module.{name}": tensor for name, tensor in wanted.items()}, tmp_path / "x.pth")
    again = to_published(earmark.load(tmp_path / "x.pth"))
    assert again.keys() == wanted.keys()
    assert all(torch.equal(again[name], wanted[name]) for name in wanted)


def test_an_authors_file_gives_the_logits_of_the_encoder_and_head_it_came_from(tmp_path: Path) -> None:
    encoder, head, state = original()
    torch.save({f"module.{name}": tensor for name, tensor in state.items()}, tmp_path / "x.pth")
    model = earmark.load(tmp_path / "x.pth")
    waveform = torch.randn(2, 16000) / 10
    with torch.inference_mode():
        expected = head(encoder(FITS_TINY.build()(waveform)))
        torch.testing.assert_close(model(waveform), expected, atol=1e-6, rtol=1e-5)
        assert torch.equal(model.both(waveform)[0], expected)
    assert model.config.frontend == FITS_TINY
    assert model.config.encoder == TINY
    assert model.clip_seconds == 1.0


@pytest.mark.parametrize(
    ("bands", "frames", "stride", "classes", "seconds"),
    [
        (128, 1024, 10, 527, 10),
        (128, 1024, 12, 527, 10),
        (128, 1024, 14, 527, 10),
        (128, 1024, 16, 527, 10),
        (128, 512, 10, 50, 5),
        (128, 128, 10, 35, 1),
        (64, 400, 4, 527, 10),
        (64, 400, 8, 527, 10),
    ],
)
def test_bands_stride_and_length_are_read_from_the_number_of_positions(
    bands: int, frames: int, stride: int, classes: int, seconds: float
) -> None:
    config = AST(n_bands=bands, max_frames=frames, stride=(stride, stride), dim=64, depth=1, heads=1)
    model = from_state(original(config, classes)[2])
    assert model.config.encoder == config
    assert model.clip_seconds == seconds
    assert model.labels.exclusive == (classes in (35, 50))
    samples = round(seconds * 16000)
    assert model.config.frontend.n_frames(samples) == frames
    assert model(torch.randn(1, samples) / 10).shape == (1, classes)


def test_the_front_end_has_the_statistics_of_the_corpus() -> None:
    config = TINY.replace(carry_imagenet=False, depth=1)
    of = {n: from_state(original(config, n)[2]).config.frontend for n in (527, 50, 35, 7)}
    assert {n: (f.mean, f.std) for n, f in of.items() if isinstance(f, KaldiFbank)} == {
        527: (-4.2677393, 4.5689974),
        50: (-6.6268077, 5.358466),
        35: (-6.845978, 5.5654526),
        7: (-4.2677393, 4.5689974),
    }
    small = original(config.replace(n_bands=64, max_frames=400, stride=(4, 4)), 527)[2]
    doubled = SlaneyDb(length=400, decibels="doubled", mean=-29.686901, std=40.898224)
    assert from_state(small).config.frontend == doubled


def test_an_unpublished_length_is_the_fewest_frames_and_can_be_corrected() -> None:
    config = TINY.replace(max_frames=300)
    state = original(config)[2]
    assert getattr(from_state(state).config.encoder, "max_frames", None) == 296
    told = from_state(state, "encoder.max_frames=300", "frontend.length=300", "clip_seconds=3")
    assert told.config.encoder == config
    assert told(torch.randn(1, 48000)).shape == (1, 35)


def test_a_hugging_face_file_gives_what_that_library_computes(tmp_path: Path) -> None:
    state = hugging_face()
    save_file(state, tmp_path / "model.safetensors")
    model = earmark.load(tmp_path / "model.safetensors")
    waveform = torch.randn(2, 16000) / 10
    with torch.inference_mode():
        expected = computed(state, FITS_TINY.build()(waveform))
        torch.testing.assert_close(model(waveform), expected, atol=1e-5, rtol=1e-4)
        fifth = from_state(in_memory(state))
        assert torch.equal(fifth(waveform), model(waveform))
        alone = from_state(bare(state))
        assert not alone.has_head
        summary = model.encoder(model.frontend(waveform)).summary
        assert torch.equal(alone.encoder(model.frontend(waveform)).summary, summary)


def test_the_minimal_models_are_read_with_their_quirks() -> None:
    for config in (SMALL_MINIMAL, MINIMAL_CNN_HISTORICAL):
        found = from_state(minimal(config)).config
        assert found == config
        assert found.labels.exclusive
    assert SMALL_MINIMAL.head == LinearHead(relu=True)


def test_the_heads_of_a_minimal_ast_are_those_published_for_its_depth_or_told() -> None:
    deep = MINIMAL_AST_DEEP_HISTORICAL
    state = minimal(deep.replace(encoder=deep.encoder.replace(dim=48)))
    assert getattr(from_state(state).config.encoder, "heads", None) == 8
    assert getattr(from_state(state, "encoder.heads=4").config.encoder, "heads", None) == 4


def test_each_parameter_that_differs_is_told() -> None:
    state = original()[2]
    del state["v.blocks.0.norm1.bias"]
    state["v.norm.bias"] = torch.zeros(3)
    state["v.surplus"] = torch.zeros(1)
    words = r"v\.blocks\.0\.norm1\.bias is missing; v\.norm\.bias is \(3,\) but must be \(64,\); v\.surplus"
    with pytest.raises(CheckpointError, match=words):
        from_state(state)
    face = hugging_face()
    name = "audio_spectrogram_transformer.encoder.layer.1.attention.attention.key.weight"
    with pytest.raises(CheckpointError, match=r"layer\.1\.attention\.attention\.key\.weight is \(3, 64\)"):
        from_state(face | {name: torch.zeros(3, 64)})


@pytest.mark.parametrize(
    ("name", "tensor", "words"),
    [
        ("v.pos_embed", torch.zeros(1, 2 + 13, 64), "for 13 patches"),
        ("v.pos_embed", torch.zeros(1, 1, 64), "for -1 patches"),
        ("v.pos_embed", torch.zeros(1, 146, 60), "multiples of 64"),
        ("v.pos_embed", torch.zeros(146, 64), "3 axes"),
        ("v.patch_embed.proj.weight", torch.zeros(64, 3, 16, 16), "3 channels"),
        ("v.patch_embed.proj.weight", torch.zeros(64, 1, 0, 0), "0 high"),
        ("mlp_head.1.weight", torch.zeros(0, 64), "0 classes"),
        ("v.blocks.77.norm1.bias", torch.zeros(64), "blocks.2.attn"),
    ],
)
def test_impossible_shapes_are_one_sentence(name: str, tensor: Tensor, words: str) -> None:
    with pytest.raises(CheckpointError, match=words):
        from_state(original()[2] | {name: tensor})


def test_a_cnn_for_other_bands_is_one_sentence() -> None:
    state = minimal(MINIMAL_CNN_HISTORICAL) | {"fc1.weight": torch.zeros(120, 4177)}
    with pytest.raises(CheckpointError, match="multiple of 72"):
        from_state(state)


def test_the_published_asts_are_in_the_catalog() -> None:
    assert (BY_NAME["ast.as2m"].score, BY_NAME["ast.as2m"].license) == (0.4593, "BSD-3-Clause")
    assert BY_NAME["ast.speechcommands"].clip_seconds == 1.0
    assert {"ast-s12.as2m", "ast-s14.as2m", "ast-s16.as2m", "ast.as20k"} <= BY_NAME.keys()
