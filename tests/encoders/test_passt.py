import pytest
import torch

from earmark.config import ConfigError
from earmark.encoders import PaSST, Patchout
from earmark.encoders.passt_weights import (
    adapt_channels,
    encoder_state,
    head_state,
    kept_blocks,
    published_state,
)
from earmark.encoders.patchout import drop_patches
from earmark.models.heads import LinearHead

TINY = PaSST(n_bands=64, max_frames=120, dim=24, depth=1, heads=3)


@pytest.mark.parametrize(
    ("config", "classes", "parameters"),
    [
        (PaSST(), 527, 86_153_758),
        (PaSST(stride=(12, 12)), 527, 86_139_934),
        (PaSST(stride=(14, 14)), 527, 86_129_950),
        (PaSST(stride=(16, 16)), 527, 86_122_270),
        (PaSST(depth=7), 527, 50_714_398),
        (PaSST(max_frames=2000), 527, 86_231_326),
        (PaSST(max_frames=3200), 527, 86_323_486),
        (PaSST(), 20, 85_373_992),
        (PaSST(), 50, 85_420_132),
        (PaSST(stride=(16, 16)), 200, 85_619_344),
    ],
)
def test_a_published_size_has_the_published_number_of_weights(
    config: PaSST, classes: int, parameters: int
) -> None:
    with torch.device("meta"):
        encoder = config.build()
        head = LinearHead(carry_distillation=True).build(config.dim, config.dim, classes)
    assert sum(t.numel() for m in (encoder, head) for t in m.state_dict().values()) == parameters


@pytest.mark.parametrize(
    "patchout",
    [Patchout(time=3), Patchout(frequency=2), Patchout(patches=11), Patchout(time=2, frequency=1, patches=4)],
)
def test_patchout_keeps_an_ordered_subset(patchout: Patchout) -> None:
    rows, columns = 5, 9
    numbers = torch.arange(rows * columns, dtype=torch.float32).view(1, 1, rows, columns)
    kept = drop_patches(numbers, patchout)[0, :, 0]
    expected = (rows - patchout.frequency) * (columns - patchout.time) - patchout.patches
    assert len(kept) == expected
    assert bool((kept.diff() > 0).all())


def test_patchout_is_off_in_evaluation() -> None:
    spectrogram = torch.randn(1, 64, 120)
    plain = TINY.build().eval()
    with_patchout = TINY.replace(patchout=Patchout(time=3, patches=5)).build().eval()
    with_patchout.load_state_dict(plain.state_dict())
    assert torch.equal(plain(spectrogram).summary, with_patchout(spectrogram).summary)


def test_patchout_that_leaves_nothing_says_so() -> None:
    with pytest.raises(ValueError, match=r"time=5.* leaves no patch of a 4 x 5 grid .*drop fewer"):
        drop_patches(torch.zeros(1, 2, 4, 5), Patchout(time=5))


def test_equal_generators_keep_equal_patches() -> None:
    grid = torch.randn(1, 3, 6, 20)
    draws = [
        drop_patches(grid, Patchout(time=4, frequency=2, patches=7), torch.Generator().manual_seed(5))
        for _ in "ab"
    ]
    assert torch.equal(*draws)


def test_learning_from_the_summary_alone_gives_the_gradients_of_the_whole() -> None:
    encoder = TINY.replace(depth=2, patchout=Patchout(time=3, frequency=1, patches=5)).build().train()
    spectrogram, wanted = torch.randn(2, 64, 120), torch.randn(2, 24)
    gradients: list[list[torch.Tensor]] = []
    for way in (encoder.summarize, lambda features: encoder(features).summary):
        torch.manual_seed(0)
        loss = (way(spectrogram) * wanted).sum()
        gradients.append(list(torch.autograd.grad(loss, list(encoder.parameters()))))
    for alone, whole in zip(*gradients, strict=True):
        assert float(whole.abs().max()) > 0
        torch.testing.assert_close(alone, whole, atol=1e-5, rtol=1e-4)


def test_input_beyond_the_time_table_is_an_error_or_cut_or_interpolated() -> None:
    spectrogram = torch.randn(1, 64, 200)
    with pytest.raises(ValueError, match="19 columns of patches but its time table has 12"):
        TINY.build().eval()(spectrogram)
    assert TINY.replace(long_input="cut").build().eval()(spectrogram).frames.shape[1] == 12
    assert TINY.replace(long_input="interpolate").build().eval()(spectrogram).frames.shape[1] == 19


@torch.no_grad()
def test_a_short_training_input_takes_a_random_part_of_the_time_table_and_evaluation_the_first() -> None:
    grid = torch.zeros(1, 24, 5, 4)
    encoder = TINY.build().train()
    torch.manual_seed(0)
    seen = {float(encoder.add_positions(grid)[0, 0, 0, 0]) for _ in range(60)}
    assert len(seen) == 9
    first = encoder.eval().add_positions(grid)
    expected = encoder.time_new_pos_embed[..., :4] + encoder.freq_new_pos_embed[:, :, :5]
    torch.testing.assert_close(first, expected.expand_as(grid))


@pytest.mark.parametrize("frames", [15, 1])
def test_input_shorter_than_a_patch_is_refused_in_a_sentence(frames: int) -> None:
    with pytest.raises(
        ValueError, match=f"64 bands x {frames} frames; it takes 64 bands and at least 16 frames"
    ):
        TINY.build()(torch.zeros(1, 64, frames))


def test_published_names_go_both_ways() -> None:
    encoder, head = TINY.build(), LinearHead(carry_distillation=True).build(24, 24, 7)
    published = published_state(encoder.state_dict(), head.state_dict())
    assert {"head.0.weight", "head.1.bias", "head_dist.weight", "blocks.0.attn.qkv.weight"} <= set(published)
    encoder.load_state_dict(encoder_state(published, TINY))
    head.load_state_dict(head_state(published, 7))


def test_another_number_of_classes_keeps_only_the_norm_of_the_head() -> None:
    published = published_state(
        TINY.build().state_dict(), LinearHead(carry_distillation=True).build(24, 24, 7).state_dict()
    )
    assert set(head_state(published, 9)) == {"norm.weight", "norm.bias"}


def test_weights_of_another_length_are_refused_with_both_grids() -> None:
    published = published_state(TINY.build().state_dict(), {})
    with pytest.raises(ValueError, match="6 x 12 grid of patches but the model has 6 x 30"):
        encoder_state(published, TINY.replace(max_frames=300))


@pytest.mark.parametrize(("depth", "cut", "kept"), [(12, 0, 12), (12, 5, 7), (12, -3, 6), (3, 1, 2)])
def test_a_lighter_model_keeps_its_first_block(depth: int, cut: int, kept: int) -> None:
    blocks = kept_blocks(depth, cut)
    assert blocks[0] == 0
    assert len(blocks) == kept


def test_a_projection_of_four_channels_cannot_be_fitted() -> None:
    with pytest.raises(ValueError, match="4 channels cannot be fitted to 1"):
        adapt_channels(torch.zeros(2, 4, 3, 3), 1)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"dim": 100, "heads": 3}, "dim must be a multiple of heads"),
        ({"stride": (0, 10)}, "1 or more"),
        ({"patch": 200}, "does not fit 64 bands"),
    ],
)
def test_an_impossible_transformer_cannot_be_described(fields: dict[str, int], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        TINY.replace(**fields)
