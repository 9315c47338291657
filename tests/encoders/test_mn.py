"""EfficientAT's MobileNets: the published sizes, and laws of their parts."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from earmark.encoders import MN, DyMN
from earmark.encoders.convolution import divisible
from earmark.encoders.dynamic_unit import ContextGenerator, DynamicConv, DynamicReLU
from earmark.encoders.mobilenet import Unit
from earmark.encoders.squeeze_excitation import Merge, SqueezeExcitation
from earmark.models.heads import ConvolutionalHead, MlpHead, MultiheadAttentionHead


def count(encoder: Any, head: Any) -> int:
    with torch.device("meta"):
        modules = (encoder.build(), head.build(encoder.dim, encoder.frame_dim, 527))
    return sum(p.numel() for module in modules for p in module.parameters())


@pytest.mark.parametrize(
    ("encoder", "head", "expected"),
    [
        (MN(width=0.1), MlpHead(hidden=128), 123_783),
        (MN(width=0.4), MlpHead(hidden=512), 983_599),
        (MN(width=0.5), MlpHead(hidden=640), 1_431_239),
        (MN(), MlpHead(), 4_876_831),
        (MN(width=1.2), MlpHead(hidden=1536), 6_836_831),
        (MN(width=4.0), MlpHead(hidden=5120), 68_427_303),
        (MN(), ConvolutionalHead(), 3_478_638),
        (MN(), MultiheadAttentionHead(), 7_023_244),
        (DyMN(width=0.4), MlpHead(hidden=512), 1_961_239),
        (DyMN(), MlpHead(), 10_548_479),
        (DyMN(width=2.0), MlpHead(hidden=2560), 39_966_143),
        (DyMN(dynamic="replace_se"), MlpHead(), 9_833_935),
    ],
)
def test_published_sizes_have_their_published_numbers_of_parameters(
    encoder: Any, head: Any, expected: int
) -> None:
    assert count(encoder, head) == expected


def test_channels_are_multiples_of_eight_and_lose_at_most_a_tenth() -> None:
    for channels in (1.6, 8, 11.9, 12, 20, 23.9, 96.4, 671.5):
        rounded = divisible(channels)
        assert rounded % 8 == 0
        assert rounded >= max(8, 0.9 * channels)


@pytest.mark.parametrize(
    ("strides", "expected"),
    [((2, 2, 2, 2), (4, 8, 32)), ((2, 2, 2, 1), (8, 16, 16)), ((2, 2, 1, 1), (16, 32, 8))],
)
@pytest.mark.parametrize("net", [MN, DyMN])
@torch.no_grad()
def test_strides_halve_both_axes(net: Any, strides: tuple[int, ...], expected: tuple[int, ...]) -> None:
    config = net(width=0.1, strides=strides)
    rows, columns, stride = expected
    assert config.frame_stride == stride
    seen: list[Tensor] = []
    encoder = config.build().eval()
    last = encoder.features[-1] if net is MN else encoder.out_c
    last.register_forward_hook(lambda _, arguments, grid: seen.append(grid))
    encoder(torch.zeros(1, 128, 250))
    assert seen[0].shape == (1, 96, rows, columns)


def test_a_unit_gains_a_shortcut_where_a_stride_of_one_meets_equal_channels() -> None:
    assert [u.has_shortcut for u in MN(width=0.1).units][12] is False
    assert [u.has_shortcut for u in MN(width=0.1, strides=(2, 2, 2, 1)).units][12] is True


def test_a_dilated_tail_keeps_the_grid_but_no_shortcut_appears() -> None:
    plain, dilated = MN(width=0.1), MN(width=0.1, dilated=True)
    assert dilated.frame_stride == plain.frame_stride // 2
    assert [u.has_shortcut for u in dilated.units] == [u.has_shortcut for u in plain.units]


@pytest.mark.parametrize(
    ("merge", "function"),
    [
        ("max", torch.maximum),
        ("min", torch.minimum),
        ("sum", torch.add),
        ("mean", lambda a, b: (a + b) / 2),
    ],
)
@torch.no_grad()
def test_excitations_merge_the_rescaled_maps(merge: Merge, function: Any) -> None:
    torch.manual_seed(0)
    both = SqueezeExcitation([("channel", 6), ("time", 9)], merge=merge)
    grid = torch.randn(2, 6, 5, 9)
    first, second = (branch(grid) for branch in both.conc_se_layers)
    torch.testing.assert_close(both(grid), function(first, second))


@pytest.mark.parametrize(("axis", "place"), [("channel", 1), ("frequency", 2), ("time", 3)])
@torch.no_grad()
def test_an_excitation_gives_one_factor_for_each_place_along_its_axis(axis: Any, place: int) -> None:
    torch.manual_seed(0)
    grid = torch.rand(2, 6, 5, 9) + 0.5
    factors = SqueezeExcitation([(axis, grid.shape[place])])(grid) / grid
    others = [other for other in (1, 2, 3) if other != place]
    assert float(factors.var(dim=others, correction=0).max()) < 1e-12
    assert bool((factors > 0).all() and (factors < 1).all())


@pytest.mark.parametrize("frames", [99, 101])
def test_excitation_along_time_ties_a_net_to_one_length(frames: int) -> None:
    config = MN(width=0.1, excitation=("time",), n_frames=100)
    assert (config.min_frames, config.longest) == (100, 100)
    with pytest.raises(ValueError, match=f"MN got 128 bands x {frames} frames; it takes 128 bands and 100"):
        config.build()(torch.zeros(1, 128, frames))


def test_another_number_of_bands_is_one_sentence() -> None:
    for config in (MN(width=0.1), DyMN(width=0.1)):
        with pytest.raises(ValueError, match="got 64 bands"):
            config.build()(torch.zeros(1, 64, 100))


@pytest.mark.parametrize(("kernel", "stride"), [(1, 1), (3, 2), (5, 1)])
@torch.no_grad()
def test_a_dynamic_convolution_is_an_ordinary_one_with_the_mixed_kernel(kernel: int, stride: int) -> None:
    torch.manual_seed(0)
    conv = DynamicConv(8, 8, 16, kernel, stride)
    grid, clip = torch.randn(2, 8, 7, 6), torch.randn(2, 16)
    mixture = conv.residuals(clip).softmax(dim=1)
    for row in range(2):
        weight = (mixture[row][:, None] * conv.weight[0, 0]).sum(dim=0).view(conv.shape)
        groups = 1 if kernel == 1 else 8
        expected = nn.functional.conv2d(grid[row], weight, None, stride, kernel // 2, groups=groups)
        torch.testing.assert_close(conv(grid, clip)[row], expected, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_a_hot_dynamic_net_mixes_its_kernels_evenly() -> None:
    torch.manual_seed(0)
    encoder = DyMN(width=0.1, n_bands=32).build()
    for module in encoder.modules():
        if isinstance(module, DynamicConv):
            nn.init.normal_(module.residuals[0].weight)
    encoder.set_temperature(1e6)
    conv = next(module for module in encoder.modules() if isinstance(module, DynamicConv))
    grid, clip = torch.randn(2, 8, 4, 4), torch.randn(2, conv.residuals[0].in_features)
    even = nn.functional.conv2d(grid, conv.weight[0, 0].mean(dim=0).view(conv.shape), None, 1, 1, groups=8)
    torch.testing.assert_close(conv(grid, clip), even, atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_a_dynamic_relu_without_context_is_a_relu() -> None:
    act = DynamicReLU(6, 16)
    grid = torch.randn(2, 6, 5, 4)
    for parameter in act.parameters():
        nn.init.zeros_(parameter)
    assert torch.equal(act(grid, torch.randn(2, 16)), grid.relu())


@pytest.mark.parametrize("shape", [(8, 13), (7, 6), (1, 1)])
@torch.no_grad()
def test_the_gates_of_a_dynamic_unit_fit_the_map_that_it_makes(shape: tuple[int, int]) -> None:
    unit = Unit(
        kernel=5,
        before=8,
        expanded=24,
        out=8,
        excited=True,
        hard=True,
        configured_stride=2,
        dilation=1,
    )
    clip, bands, times = ContextGenerator(unit, 16).eval()(torch.randn(2, 8, *shape))
    rows, columns = (shape[0] + 1) // 2, (shape[1] + 1) // 2
    assert clip.shape == (2, 16)
    assert bands.shape == (2, 24, rows, 1)
    assert times.shape == (2, 24, 1, columns)
