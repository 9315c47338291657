"""TALNet, TALtrans, Transformer, the linear model and FNet: their sizes, and what each can hear."""

from typing import Any

import pytest
import torch

from earmark import ConfigError
from earmark.encoders import CRNN, CNNTransformer, FNet, LinearFrames, Transformer
from earmark.encoders.fnet import mix
from earmark.encoders.sinusoid import Sinusoid, sinusoid
from earmark.encoders.transformer import PostNormAttention
from earmark.models.heads import PoolingHead

TINY = CNNTransformer(n_bands=16, dim=32, blocks=2, pools=2, heads=4)


@pytest.mark.parametrize(
    ("encoder", "parameters"),
    [
        (CRNN(), 10_520_702),
        (CRNN(n_bands=128, dim=2048), 25_761_918),
        (CNNTransformer(), 12_097_662),
        (CNNTransformer(n_bands=128, dim=2048), 32_061_566),
        (Transformer(), 17_948_702),
        (LinearFrames(), 194_590),
        (FNet(), 13_500_958),
    ],
    ids=str,
)
def test_published_sizes_have_the_published_number_of_parameters(encoder: Any, parameters: int) -> None:
    with torch.device("meta"):
        model = torch.nn.ModuleList(
            [encoder.build(), PoolingHead().build(encoder.dim, encoder.frame_dim, 527)]
        )
    assert sum(parameter.numel() for parameter in model.parameters()) == parameters


@pytest.mark.parametrize("size", [(64, 1024), (128, 2048)], ids=str)
def test_both_published_conv_stacks_have_the_same_channels(size: tuple[int, int]) -> None:
    stages = CRNN(n_bands=size[0], dim=size[1]).stages
    assert [stage.channels for stage in stages] == [32, 32, 64, 64, 128, 128, 256, 256, 512, 512]
    assert [stage.pool for stage in stages[1::2]] == [(2, 2), (2, 2), (1, 2), (1, 2), (1, 2)]
    assert all(stage.pool == (1, 1) for stage in stages[::2])
    assert stages[-1].channels * stages[-1].bands == size[1]


@pytest.mark.parametrize("frames", [4, 7, 101, 402])
@pytest.mark.parametrize("config", [CRNN(n_bands=16, dim=32, blocks=2, pools=2), TINY, Transformer(dim=16)])
def test_any_number_of_frames_gives_a_quarter_of_them(config: Any, frames: int) -> None:
    encoding = config.build().eval()(torch.randn(1, config.n_bands, frames))
    assert encoding.frames.shape[1] == frames // 4
    assert torch.equal(encoding.summary, encoding.frames.mean(dim=1))


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"blocks": 10, "pools": 4}, "blocks must be a multiple of pools"),
        ({"n_bands": 40}, "n_bands is 40, which cannot be halved 5 times"),
        ({"n_bands": 64, "dim": 1000}, "twice dim must be a multiple of n_bands"),
        ({"kernel": (2, 3)}, "must be odd"),
        ({"kernel": (3, 65)}, "63 at most"),
        ({"n_bands": 2, "dim": 7, "pools": 1}, "it must be even"),
    ],
)
def test_an_impossible_conv_stack_is_a_sentence(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        CRNN(**fields)


@pytest.mark.parametrize("kind", [CNNTransformer, Transformer])
def test_heads_must_divide_the_width(kind: Any) -> None:
    with pytest.raises(ConfigError, match="must be a multiple of heads"):
        kind(heads=7)


@pytest.mark.parametrize(
    "config", [TINY, Transformer(n_bands=16, dim=16), LinearFrames(n_bands=16), FNet(n_bands=16, depth=1)]
)
def test_wrong_input_is_told_with_what_is_taken(config: Any) -> None:
    encoder = config.build().eval()
    with pytest.raises(
        ValueError, match=f"{type(config).__name__} got 8 bands x 40 frames; it takes 16 bands"
    ):
        encoder(torch.zeros(1, 8, 40))
    with pytest.raises(ValueError, match=f"at least {config.frame_stride} frames"):
        encoder(torch.zeros(1, 16, config.frame_stride - 1))


def test_one_transformer_layer_serves_all_turns() -> None:
    once, thrice = TINY.replace(depth=1).build().eval(), TINY.replace(depth=3).build().eval()
    thrice.load_state_dict(once.state_dict())
    features = torch.randn(1, 16, 40)
    frames = once(features).frames
    expected = once.enc_layer(once.enc_layer(frames))
    torch.testing.assert_close(thrice(features).frames, expected)


def test_the_transformer_takes_a_spectrogram_for_a_bag_of_frames() -> None:
    encoder = Transformer(n_bands=16, dim=16).build().eval()
    features = torch.randn(1, 16, 40)
    order = torch.randperm(10)
    shuffled = features.unflatten(2, (10, 4))[:, :, order].flatten(2)
    torch.testing.assert_close(encoder(shuffled).frames, encoder(features).frames[:, order])
    torch.testing.assert_close(encoder(shuffled).summary, encoder(features).summary)


def test_the_recurrent_net_hears_the_order() -> None:
    encoder = CRNN(n_bands=16, dim=32, blocks=2, pools=2).build().eval()
    features = torch.randn(1, 16, 40)
    assert not torch.allclose(encoder(features.flip(2)).summary, encoder(features).summary, atol=1e-4)


def test_frames_of_the_linear_model_know_nothing_of_one_another() -> None:
    encoder = LinearFrames(n_bands=16).build().eval()
    features = torch.randn(1, 16, 9)
    torch.testing.assert_close(encoder(features[..., 4:5]).frames[0, 0], encoder(features).frames[0, 4])


def test_mixing_is_the_real_part_of_both_transforms() -> None:
    x = torch.randn(1, 5, 6, dtype=torch.float64)
    time = torch.exp(-2j * torch.pi * torch.outer(torch.arange(5), torch.arange(5)) / 5)
    dim = torch.exp(-2j * torch.pi * torch.outer(torch.arange(6), torch.arange(6)) / 6)
    expected = (time.to(torch.complex128) @ x[0].to(torch.complex128) @ dim.to(torch.complex128)).real
    torch.testing.assert_close(mix(x, (1, 2))[0], expected, atol=1e-5, rtol=1e-5)


def test_fused_attention_is_a_softmax_over_keys() -> None:
    attention = PostNormAttention(dim=8, heads=2, dropout=0.5).eval()
    x = torch.randn(1, 5, 8)
    q, k, v = (project(x)[0].view(5, 2, 4) for project in (attention.w_qs, attention.w_ks, attention.w_vs))
    mixed = [(q[:, h] @ k[:, h].T / 2).softmax(dim=1) @ v[:, h] for h in range(2)]
    expected = attention.layer_norm(x + attention.fc(torch.cat(mixed, dim=1)))
    torch.testing.assert_close(attention(x), expected)


def test_dropout_acts_in_training_only() -> None:
    attention, x = PostNormAttention(dim=8, heads=2, dropout=0.5), torch.randn(2, 50, 8)
    assert not torch.equal(attention.train()(x), attention(x))
    assert torch.equal(attention.eval()(x), attention(x))


def test_a_sinusoid_longer_than_its_table_continues_it() -> None:
    table = Sinusoid(10, 16)
    torch.testing.assert_close(table(torch.zeros(1, 30, 16))[0, :10], table(torch.zeros(1, 10, 16))[0])
    assert table(torch.zeros(1, 4, 16)).shape == (1, 4, 16)


def test_rows_of_the_sinusoid_turn_by_the_same_angles() -> None:
    table = sinusoid(40, 16)
    sines, cosines = table[:, ::2], table[:, 1::2]
    torch.testing.assert_close(sines.square() + cosines.square(), torch.ones(40, 8))
    fast = torch.complex(cosines[:, 0], sines[:, 0])
    torch.testing.assert_close(fast[1:] / fast[:-1], fast[1].expand(39), atol=1e-4, rtol=1e-4)
    assert sinusoid(3, 5).shape == (3, 5)


def test_the_published_positions_are_added_to_the_spectrogram() -> None:
    plain = TINY.build().eval()
    placed = TINY.replace(positions="spectrogram").build().eval()
    placed.load_state_dict(plain.state_dict() | {"positional_encoding.pe": sinusoid(400, 16)[None]})
    features = torch.randn(1, 16, 40)
    torch.testing.assert_close(placed(features).frames, plain(8 * features + sinusoid(40, 16).T).frames)
