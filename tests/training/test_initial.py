"""Beginning with another model's weights: what is taken, what is fitted, what stays random, what is
refused."""

from pathlib import Path
from typing import Any

import pytest
import torch
from tone_recipe import TINY

from earmark.config import ConfigError
from earmark.encoders import AST, EfficientNet, PaSST, ResidualCNN
from earmark.encoders.ast_weights import from_audioset
from earmark.encoders.passt_weights import encoder_state
from earmark.frontends import LogMel
from earmark.labels import LabelSet
from earmark.models import Tagger, TaggerConfig, save
from earmark.training.beginning.adaptation import class_axes
from earmark.training.beginning.initial import begin, begin_with, transfer

FRONTEND = LogMel(
    sample_rate=8000, n_fft=256, win_length=256, hop_length=80, n_mels=64, fmax=4000.0, fmax_jitter=1
)
SMALL = PaSST(n_bands=64, max_frames=100, dim=24, depth=4, heads=3)
SMALL_AST = AST(n_bands=64, max_frames=100, dim=24, depth=2, heads=3)
ANIMALS = LabelSet(names=("Dog", "Cat", "Cow", "Hen"))


def model_of(encoder: Any, labels: LabelSet = ANIMALS, seed: int = 0, **fields: Any) -> Tagger:
    torch.manual_seed(seed)
    config = TaggerConfig(
        frontend=FRONTEND, encoder=encoder, labels=labels, clip_seconds=(encoder.max_frames - 1) / 100
    )
    return config.replace(**fields).build().eval()


@torch.no_grad()
def logits(model: Tagger, frames: int = 100) -> torch.Tensor:
    features = torch.randn(2, 64, frames, generator=torch.Generator().manual_seed(3))
    return model.classify(model.encoder(features))


@pytest.mark.parametrize("encoder", [SMALL, SMALL_AST])
def test_the_same_description_becomes_the_same_model(encoder: Any) -> None:
    source, model = model_of(encoder), model_of(encoder, seed=1)
    begun = transfer(source, model)
    assert (begun.new, begun.known_classes) == ([], 4)
    assert torch.equal(logits(source), logits(model))


def test_classes_of_the_same_name_keep_their_rows_wherever_they_stand() -> None:
    source = model_of(SMALL)
    with torch.no_grad():
        source.head.linear.bias.copy_(torch.tensor([1.0, 2.0, 3.0, 4.0]))  # pyright: ignore
    model = model_of(SMALL, LabelSet(names=("cow", "Violin", "DOG"), exclusive=True), seed=1)
    own = model.head.linear.weight[1].clone()  # pyright: ignore
    begun = transfer(source, model)
    assert begun.known_classes == 2
    assert torch.equal(logits(model)[:, [0, 2]], logits(source)[:, [2, 0]])
    bias = model.head.linear.bias  # pyright: ignore
    assert bias.tolist() == [3.0, 2.0, 1.0], "a new class begins at the mean of the known ones"
    assert torch.equal(model.head.linear.weight[1], own)  # pyright: ignore


def test_without_a_common_name_the_classifier_is_new_and_the_rest_is_not() -> None:
    source, model = model_of(SMALL), model_of(SMALL, LabelSet(names=("Violin", "Flute")), seed=1)
    begun = transfer(source, model)
    assert begun.new == ["head.linear.weight", "head.linear.bias"]
    assert torch.equal(source.head.norm.weight, model.head.norm.weight)  # pyright: ignore


def test_an_embedding_model_gets_a_head_that_is_wholly_new() -> None:
    source, model = model_of(SMALL, head=None), model_of(SMALL, seed=1)
    assert all(name.startswith("head.") for name in transfer(source, model).new)


def test_class_axes_are_found_in_every_kind_of_head() -> None:
    from earmark.models.heads import AttentionHead, ConvolutionalHead, MlpHead, PoolingHead

    for head in (AttentionHead(), ConvolutionalHead(), MlpHead(), PoolingHead(pooling="mixed")):
        axes = class_axes(model_of(SMALL, head=head))
        assert 0 in axes.values()
    assert axes["ens.weight"] is None


def test_fewer_blocks_are_the_first_and_the_last() -> None:
    source, model = model_of(SMALL), model_of(SMALL.replace(depth=2), seed=1)
    assert transfer(source, model).new == []
    blocks: Any = source.encoder.blocks
    assert torch.equal(model.encoder.blocks[1].mlp.fc1.weight, blocks[3].mlp.fc1.weight)  # pyright: ignore
    deeper = model_of(SMALL.replace(depth=5), seed=1)
    new = transfer(source, deeper).new
    assert new
    assert all(name.startswith("encoder.blocks.4.") for name in new)


def test_a_shorter_passt_hears_as_the_longer_one_does() -> None:
    source, model = model_of(SMALL), model_of(SMALL.replace(max_frames=50), seed=1)
    transfer(source, model)
    torch.testing.assert_close(logits(model, 50), logits(source, 50))


def test_positions_of_another_stride_are_read_off_where_they_now_are() -> None:
    source, model = model_of(SMALL), model_of(SMALL.replace(stride=(16, 15)), seed=1)
    with torch.no_grad():
        source.encoder.time_new_pos_embed.copy_(torch.arange(10.0).expand(1, 24, 1, 10))  # pyright: ignore
    transfer(source, model)
    table: Any = model.encoder.time_new_pos_embed
    assert table[0, 0, 0].tolist() == [0.0, 1.5, 3.0, 4.5, 6.0, 7.5]


def test_a_longer_passt_stretches_its_positions() -> None:
    source, model = model_of(SMALL), model_of(SMALL.replace(max_frames=200), seed=1)
    transfer(source, model)
    table: Any = model.encoder.time_new_pos_embed
    theirs: Any = source.encoder.time_new_pos_embed
    assert table.shape[3] == 20
    assert torch.equal(table[..., 0], theirs[..., 0])
    assert torch.equal(table[..., -1], theirs[..., -1])


def test_an_ast_for_other_clips_gets_the_published_positions() -> None:
    source, model = model_of(SMALL_AST), model_of(SMALL_AST.replace(max_frames=60), seed=1)
    transfer(source, model)
    published = {f"v.{name}": tensor for name, tensor in source.encoder.state_dict().items()}
    expected = from_audioset(published, model.config.encoder, SMALL_AST)["pos_embed"]  # pyright: ignore
    assert torch.equal(model.encoder.pos_embed, expected)  # pyright: ignore


@pytest.mark.parametrize(
    ("source", "target", "words"),
    [
        (SMALL, SMALL_AST, "a PaSST with 3 heads and the recipe's is a AST with 3 heads"),
        (SMALL, SMALL.replace(heads=2), "PaSST with 3 heads .* PaSST with 2 heads"),
        (SMALL, SMALL.replace(dim=48), "of the weights to begin with fit"),
    ],
)
def test_strangers_are_a_sentence(source: Any, target: Any, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        transfer(model_of(source), model_of(target))


def test_what_a_run_begins_with_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    torch.manual_seed(5)
    config = TINY.model.replace(labels=LabelSet(names=("dog", "Bassoon")))
    save(config.build(), tmp_path / "model.safetensors")
    model = begin(TINY.replace(init=str(tmp_path)))
    assert "1 of 10 classes are known" in caplog.text
    torch.manual_seed(5)
    assert torch.equal(next(model.encoder.parameters()), next(config.build().encoder.parameters()))
    with pytest.raises(ConfigError, match="is an ensemble"):
        begin(TINY.replace(init=f"{tmp_path},{tmp_path}"))
    with pytest.raises(ConfigError, match="no model 'pasta'"):
        begin(TINY.replace(init="pasta"))


def image_transformer(dim: int = 24, depth: int = 4, distilled: bool = True) -> dict[str, torch.Tensor]:
    """The weights of a small DeiT by timm's names."""
    state = (
        PaSST(n_bands=64, max_frames=100, dim=dim, depth=depth, heads=3, distilled=distilled)
        .build()
        .state_dict()
    )
    kept = {name: tensor for name, tensor in state.items() if "new_pos_embed" not in name}
    kept["patch_embed.proj.weight"] = torch.randn(dim, 3, 16, 16)
    kept |= {"pos_embed": torch.randn(1, 1 + distilled + 49, dim), "head.weight": torch.randn(1000, dim)}
    return kept | {"head.bias": torch.zeros(1000)}


def test_an_image_transformer_is_begun_with_by_the_published_rules(tmp_path: Path) -> None:
    state, path = image_transformer(), tmp_path / "deit.pth"
    torch.save({"model": state}, path)
    model = model_of(SMALL)
    begun = begin_with(str(path), model)
    assert begun.new == [f"head.{name}" for name in model.head.state_dict()]  # pyright: ignore
    for name, tensor in encoder_state(state, SMALL).items():
        assert torch.equal(model.encoder.state_dict()[name], tensor)
    ast = model_of(SMALL_AST)
    assert not [name for name in begin_with(str(path), ast).new if name.startswith("encoder.")]
    assert torch.equal(ast.encoder.state_dict()["blocks.1.norm1.weight"], state["blocks.3.norm1.weight"]), (
        "of four blocks the last one"
    )


def test_an_image_net_of_another_kind_or_size_is_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "vit.pth"
    torch.save(image_transformer(distilled=False), path)
    with pytest.raises(
        ConfigError, match="without a distillation token; the recipe's encoder has 24 and is with"
    ):
        begin_with(str(path), model_of(SMALL))
    with pytest.raises(ConfigError, match="image transformer but the recipe's encoder is a ResidualCNN"):
        begin_with(str(path), TaggerConfig(frontend=FRONTEND, encoder=ResidualCNN(), labels=ANIMALS).build())


def test_an_image_efficientnet_is_begun_with_by_the_sum_of_its_colors(tmp_path: Path) -> None:
    torch.manual_seed(0)
    encoder = EfficientNet(n_bands=64, b=0)
    state = encoder.build().state_dict()
    colors = torch.randn(32, 3, 3, 3)
    torch.save(
        state | {"_conv_stem.weight": colors, "_fc.weight": torch.zeros(1000, 1280)}, tmp_path / "b0.pth"
    )
    model = TaggerConfig(frontend=FRONTEND, encoder=encoder, labels=ANIMALS).build()
    assert not [
        name for name in begin_with(str(tmp_path / "b0.pth"), model).new if name.startswith("encoder.")
    ]
    torch.testing.assert_close(model.encoder.state_dict()["_conv_stem.weight"], colors.sum(1, keepdim=True))
