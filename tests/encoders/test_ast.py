"""AST, the minimal AST and its CNN baseline: sizes, lengths, initial weights and quirks by name."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from earmark.config import ConfigError
from earmark.encoders import AST, Encoding, Patchout, PlainCNN
from earmark.encoders.ast import SIZES
from earmark.encoders.ast_weights import from_audioset, from_imagenet
from earmark.encoders.plain_cnn import shrunk
from earmark.encoders.position_grid import resize_grid, resize_positions
from earmark.models import LinearHead, Tagger, TaggerConfig
from earmark.models.minimal import (
    MINIMAL_AST,
    MINIMAL_AST_DEEP_HISTORICAL,
    MINIMAL_AST_HISTORICAL,
    MINIMAL_CNN,
    MINIMAL_CNN_HISTORICAL,
)

TINY = AST(n_bands=64, max_frames=100, dim=24, depth=2, heads=3)
SINGLE = TINY.replace(distilled=False, qkv_bias=False, final_norm=False, eps=1e-5)


def spectrogram(frames: int = 100, seed: int = 0, bands: int = 64) -> Tensor:
    return torch.randn(2, bands, frames, generator=torch.Generator().manual_seed(seed))


def deit(config: AST, side: int) -> dict[str, Tensor]:
    """A color image transformer of an AST's size, by timm's names."""
    torch.manual_seed(0)
    square = config.replace(n_bands=16 * side, max_frames=16 * side, stride=(16, 16))
    state = square.build().state_dict()
    state["patch_embed.proj.weight"] = torch.randn(config.dim, 3, 16, 16)
    heads = {"head.weight": (1000, config.dim), "head.bias": (1000,)}
    heads |= {"head_dist.weight": (1000, config.dim), "head_dist.bias": (1000,)}
    return state | {name: torch.randn(shape) for name, shape in heads.items()}


@pytest.mark.parametrize(
    ("size", "classes", "expected"),
    [("tiny224", 527, 6_109_663), ("base224", 527, 88_132_063), ("base384", 527, 88_132_063)],
)
def test_the_published_sizes_have_as_many_numbers_as_published(
    size: str, classes: int, expected: int
) -> None:
    config = AST(carry_imagenet=True, **SIZES[size])
    with torch.device("meta"):
        whole = nn.ModuleList([config.build(), LinearHead().build(config.dim, config.dim, classes)])
    assert sum(tensor.numel() for tensor in whole.state_dict().values()) == expected


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (MINIMAL_AST, 14_861_618),
        (MINIMAL_AST_HISTORICAL, 14_861_618),
        (MINIMAL_AST_DEEP_HISTORICAL, 29_032_754),
        (MINIMAL_CNN_HISTORICAL, 516_716),
    ],
)
def test_the_minimal_models_have_as_many_parameters_as_published(config: TaggerConfig, expected: int) -> None:
    assert Tagger(config, hollow=True).count_parameters() == expected


@pytest.mark.parametrize(
    ("bands", "frames", "stride", "grid"),
    [
        (128, 1024, 10, (12, 101)),
        (128, 1024, 12, (10, 85)),
        (128, 1024, 14, (9, 73)),
        (128, 1024, 16, (8, 64)),
        (64, 400, 4, (13, 97)),
        (64, 400, 8, (7, 49)),
        (128, 498, 10, (12, 49)),
    ],
)
def test_the_position_table_has_the_published_grid(
    bands: int, frames: int, stride: int, grid: tuple[int, int]
) -> None:
    assert AST(n_bands=bands, max_frames=frames, stride=(stride, stride)).table == grid


@pytest.mark.parametrize("frames", [95, 106])
def test_input_of_another_length_is_refused_in_a_sentence(frames: int) -> None:
    encoder = TINY.build().eval()
    with pytest.raises(ValueError, match=rf"AST got 64 bands x {frames} frames.*96 to 105 frames"):
        encoder(spectrogram(frames))
    with pytest.raises(ValueError, match="63 bands"):
        encoder(spectrogram(bands=63))


@pytest.mark.parametrize("frames", [16, 50, 99, 160, 333])
def test_a_resized_table_is_that_of_a_model_fitted_to_the_length(frames: int) -> None:
    torch.manual_seed(0)
    whole = TINY.replace(other_lengths="resize").build().eval()
    fitted = TINY.replace(max_frames=frames)
    twin, state = fitted.build().eval(), whole.state_dict()
    twin.load_state_dict(
        state | {"pos_embed": resize_positions(state["pos_embed"], 2, TINY.table, fitted.table)}
    )
    torch.testing.assert_close(whole(spectrogram(frames)).frames, twin(spectrogram(frames)).frames)


def test_a_table_is_cut_to_its_middle_and_interpolated_beyond_its_ends() -> None:
    ramp = torch.arange(12.0 * 101).view(1, 1, 12, 101)
    assert torch.equal(resize_grid(ramp, (12, 101)), ramp)
    assert torch.equal(resize_grid(ramp, (12, 12)), ramp[..., 44:56])
    assert torch.equal(resize_grid(ramp, (5, 101)), ramp[:, :, 4:9])
    longer = resize_grid(ramp, (24, 202))
    assert longer.shape == (1, 1, 24, 202)
    assert torch.equal(longer[..., 0, 0], ramp[..., 0, 0])
    assert torch.equal(longer[..., -1, -1], ramp[..., -1, -1])
    assert bool((longer.diff(dim=3) >= 0).all())
    with pytest.raises(ValueError, match="1214 entries does not hold 2 summary tokens and 10 x 101"):
        resize_positions(torch.zeros(1, 1214, 4), 2, (10, 101), (5, 5))


@pytest.mark.parametrize("carry", [False, True])
def test_an_image_transformer_becomes_an_ast(carry: bool) -> None:
    config = TINY.replace(carry_imagenet=carry)
    source = deit(config, side=6)
    encoder: Any = config.build()
    encoder.load_state_dict(from_imagenet(source, config))
    assert torch.equal(encoder.blocks[1].mlp.fc2.weight, source["blocks.1.mlp.fc2.weight"])
    summed = source["patch_embed.proj.weight"].sum(dim=1, keepdim=True)
    torch.testing.assert_close(encoder.patch_embed["proj"].weight.detach(), summed)
    square = source["pos_embed"][0, 2:].view(6, 6, 24)
    # Five of six rows, from the first on; nine columns, interpolated.
    columns = nn.functional.interpolate(square.permute(2, 0, 1)[None], (6, 9), mode="bilinear")[0]
    expected = columns[:, 1:6].permute(1, 2, 0).reshape(45, 24)
    torch.testing.assert_close(encoder.pos_embed[0, 2:].detach(), expected)
    if carry:
        assert torch.equal(encoder.imagenet_dist_weight, source["head_dist.weight"])


def test_an_image_transformer_of_no_square_is_refused() -> None:
    source = deit(TINY, side=6)
    source["pos_embed"] = source["pos_embed"][:, :-1]
    with pytest.raises(ValueError, match="37 entries"):
        from_imagenet(source, TINY)


def test_an_ast_for_other_clips_is_fitted_without_its_classifier() -> None:
    torch.manual_seed(0)
    source = TINY.build()
    state = {f"v.{name}": tensor for name, tensor in source.state_dict().items()}
    state |= {"mlp_head.1.weight": torch.zeros(527, 24), "v.head.weight": torch.zeros(1000, 24)}
    longer = TINY.replace(max_frames=200)
    fitted = longer.build()
    fitted.load_state_dict(from_audioset(state, longer, TINY))
    assert fitted.pos_embed.shape == (1, 2 + math.prod(longer.table), 24)
    assert torch.equal(fitted.pos_embed[:, :2], source.pos_embed[:, :2])
    with pytest.raises(ValueError, match="give the grid"):
        from_audioset(state, longer)


def test_the_class_token_alone_pools_and_the_slip_is_an_option() -> None:
    torch.manual_seed(0)
    right, slip = SINGLE.build().eval(), SINGLE.replace(pool="class_and_first_patch").build().eval()
    slip.load_state_dict(right.state_dict())
    tokens: list[Any] = []
    right.blocks[-1].register_forward_hook(lambda _, args, out: tokens.append(out))
    summary = right(spectrogram()).summary
    assert torch.equal(summary, tokens[0][:, 0])
    torch.testing.assert_close(slip(spectrogram()).summary, tokens[0][:, :2].mean(dim=1))


@pytest.mark.parametrize("config", [TINY, SINGLE, SINGLE.replace(pool="class_and_first_patch")])
@torch.no_grad()
def test_the_summary_alone_is_that_of_the_whole(config: AST) -> None:
    torch.manual_seed(0)
    encoder = config.build().eval()
    whole = encoder(spectrogram()).summary
    torch.testing.assert_close(encoder.summarize(spectrogram()), whole, atol=1e-6, rtol=1e-5)


def test_logits_may_be_negative_and_the_slip_is_an_option() -> None:
    torch.manual_seed(0)
    right, slip = LinearHead().build(24, 24, 50), LinearHead(relu=True).build(24, 24, 50)
    slip.load_state_dict(right.state_dict())
    encoding = Encoding(frames=torch.zeros(2, 1, 24), summary=torch.randn(2, 24))
    assert bool((right(encoding) < 0).any())
    assert torch.equal(slip(encoding), right(encoding).relu())


def test_historical_tokens_start_at_zero() -> None:
    encoder: Any = TINY.replace(distilled=False, init="zeros").build()
    assert not bool(encoder.cls_token.any())
    assert not bool(encoder.pos_embed.any())
    assert bool(encoder.blocks[0].attn.qkv.weight.any())


@pytest.mark.parametrize("change", [{"dropout": 0.5}, {"patchout": Patchout(time=3)}])
def test_dropout_and_patchout_are_for_training_alone(change: dict[str, object]) -> None:
    torch.manual_seed(0)
    plain, noisy = TINY.build(), TINY.replace(**change).build()
    noisy.load_state_dict(plain.state_dict())
    plain.eval()
    assert torch.equal(noisy.eval()(spectrogram()).summary, plain(spectrogram()).summary)
    assert not torch.allclose(noisy.train()(spectrogram()).summary, plain(spectrogram()).summary)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"heads": 5}, "dim is 768 but heads is 5"),
        ({"stride": (0, 10)}, "1 or more"),
        ({"max_frames": 9}, "12 x 0 patches"),
        ({"max_frames": 1_000_000, "stride": (1, 1)}, "113 x 999985 patches"),
        ({"pool": "class_and_first_patch"}, "for distilled=False"),
    ],
)
def test_an_impossible_ast_is_one_sentence(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        AST(**fields)


def test_the_cnn_takes_any_number_of_frames_unless_it_is_flattened() -> None:
    mean = PlainCNN(n_bands=40, channels=2).build().eval()
    assert {mean(spectrogram(n, bands=40)).summary.shape for n in (36, 100, 1000)} == {(2, 84)}
    flat = MINIMAL_CNN_HISTORICAL.encoder.build().eval()
    assert flat(spectrogram(499, bands=128)).summary.shape == (2, 84)
    with pytest.raises(ValueError, match=r"128 bands x 500 frames.*492 to 499 frames"):
        flat(spectrogram(500, bands=128))
    with pytest.raises(ConfigError, match="make more than"):
        PlainCNN(pool="flatten", max_frames=100_000, hidden=8192)


def test_a_shared_convolution_is_a_third_one_with_the_second_ones_weights() -> None:
    torch.manual_seed(0)
    shared = PlainCNN(shared_conv=True).build().eval()
    own = PlainCNN().build().eval()
    second = {f"conv3.{part}": getattr(shared.conv2, part).detach() for part in ("weight", "bias")}
    own.load_state_dict(shared.state_dict() | second)
    assert torch.equal(own(spectrogram(bands=128)).summary, shared(spectrogram(bands=128)).summary)
    assert shrunk(128) * shrunk(498) * 6 == 4176


def test_the_corrected_models_tag_half_a_second() -> None:
    model = MINIMAL_CNN.build().eval()
    assert model(torch.randn(2, 4000)).shape == (2, 50)
