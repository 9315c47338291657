"""EfficientNet, ResNet and MobileNetV2: their sizes, their padding, and what their last map becomes."""

from typing import Any

import pytest
import torch
from torch import Tensor

from earmark.config import ConfigError
from earmark.encoders import EfficientNet, MobileNetV2, ResNet
from earmark.encoders.efficientnet import Step
from earmark.models.heads import AttentionHead, LinearHead

SMALL_RESNET = ResNet(n_bands=64, blocks=(1, 2, 1, 1), width=8)


def noise(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("encoder", "head", "count"),
    [
        (EfficientNet(b=0), AttentionHead(), 9_407_672),
        (EfficientNet(b=1), AttentionHead(), 11_913_308),
        (EfficientNet(b=2), AttentionHead(), 13_640_766),
        (EfficientNet(b=3), AttentionHead(), 17_175_508),
        (ResNet(n_bands=64, reading="flattened"), AttentionHead(heads=1), 24_379_742),
        (MobileNetV2(), LinearHead(norm=False), 2_898_383),
    ],
)
def test_a_published_size_has_the_published_number_of_parameters(encoder: Any, head: Any, count: int) -> None:
    with torch.device("meta"):
        modules = [encoder.build(), head.build(encoder.dim, encoder.frame_dim, 527)]
    assert sum(parameter.numel() for module in modules for parameter in module.parameters()) == count


def test_the_eight_sizes_grow_in_width_and_depth() -> None:
    sizes = [EfficientNet(b=b) for b in range(8)]
    assert [size.dim for size in sizes] == [1280, 1280, 1408, 1536, 1792, 2048, 2304, 2560]
    assert [len(size.blocks) for size in sizes] == [16, 23, 23, 26, 32, 39, 45, 55]


@pytest.mark.parametrize(
    ("step", "padding", "side"),
    [
        (Step(kernel=3, stride=2, side=224), (0, 1), 112),
        (Step(kernel=3, stride=2, side=65), (1, 1), 33),
        (Step(kernel=5, stride=2, side=28), (1, 2), 14),
        (Step(kernel=5, stride=2, side=33), (2, 2), 17),
        (Step(kernel=5, stride=1, side=14), (2, 2), 14),
    ],
)
def test_padding_is_that_of_tensorflow_on_the_nominal_image(
    step: Step, padding: tuple[int, int], side: int
) -> None:
    assert (step.padding, step.side_out) == (padding, side)
    assert (step.side + sum(padding) - step.kernel) // step.stride + 1 == side
    fewest = step.needs(side)
    assert (fewest + sum(padding) - step.kernel) // step.stride + 1 == side
    assert (fewest - 1 + sum(padding) - step.kernel) // step.stride + 1 < side


@pytest.mark.parametrize("b", [0, 3, 7, *(pytest.param(b, marks=pytest.mark.slow) for b in (1, 2, 4, 5, 6))])
def test_the_shortest_input_gives_one_frame_and_a_shorter_one_a_sentence(b: int) -> None:
    config = EfficientNet(b=b)
    with torch.device("meta"):
        encoder = config.build().eval()
        assert encoder(torch.zeros(1, 128, config.min_frames)).frames.shape == (1, 1, config.dim)
        with pytest.raises(ValueError, match=f"at least {config.min_frames} frames"):
            encoder(torch.zeros(1, 128, config.min_frames - 1))
    with pytest.raises(ConfigError, match="take more bands"):
        config.replace(n_bands=config.min_frames - 1)


def test_two_clips_of_10_and_30_seconds_have_the_published_number_of_frames() -> None:
    with torch.device("meta"):
        encoder = EfficientNet().build().eval()
        frames = [encoder(torch.zeros(1, 128, n)).frames.shape[1] for n in (1024, 1056, 3000)]
    assert frames == [32, 33, 94]


@pytest.mark.parametrize(("n_bands", "rows"), [(128, 4), (64, 2), (33, 1)])
@torch.no_grad()
def test_frames_are_the_mean_over_however_many_rows_the_last_map_has(n_bands: int, rows: int) -> None:
    encoder = EfficientNet(n_bands=n_bands, b=0).build().eval()
    maps: list[Tensor] = []
    encoder.get_submodule("_bn1").register_forward_hook(lambda *seen: maps.append(seen[2]))
    encoding = encoder(noise(1, n_bands, 96))
    assert maps[0].shape == (1, 1280, rows, 3)
    seen = torch.nn.functional.silu(maps[0]).mean(dim=2).transpose(1, 2)
    torch.testing.assert_close(encoding.frames, seen)
    torch.testing.assert_close(encoding.summary, seen.mean(dim=1))


def test_skipped_blocks_leave_the_mean_as_it_is_and_evaluation_skips_none() -> None:
    torch.manual_seed(0)
    block: Any = EfficientNet(b=0, drop_connect=0.9).build().get_submodule("_blocks.15")
    assert (block.drop.p, block.has_shortcut) == (pytest.approx(0.9 * 15 / 16), False)
    ones = torch.ones(4000, 1, 1, 1)
    kept = block.train().sometimes(ones)
    assert kept.unique().tolist() == [0.0, pytest.approx(1 / (1 - block.drop.p))]
    assert float(kept.mean()) == pytest.approx(1, abs=0.2)
    assert torch.equal(block.eval().sometimes(ones), ones)


@pytest.mark.parametrize("n_bands", [128, 64, 40])
@torch.no_grad()
def test_a_resnet_takes_any_number_of_bands_and_frames(n_bands: int) -> None:
    config = SMALL_RESNET.replace(n_bands=n_bands)
    encoder = config.build().eval()
    for n_frames in (1, 32, 33, 100):
        assert encoder(noise(1, n_bands, n_frames)).frames.shape == (1, -(-n_frames // 32), config.dim)


@torch.no_grad()
def test_the_historical_reading_cuts_the_flat_map_anew() -> None:
    config = SMALL_RESNET.replace(reading="flattened")
    encoder, clip = config.build().eval(), noise(1, 64, 400)
    maps: list[Tensor] = []
    encoder.layer4[-1].register_forward_hook(lambda *seen: maps.append(seen[2]))
    encoding = encoder(clip)
    flat = maps[0].flatten()
    assert maps[0].shape == (1, 256, 2, 13)
    assert (config.frame_dim, encoding.frames.shape) == (104, (1, 16, 104))
    for frame, channel in ((0, 0), (15, 0), (3, 77)):
        rows = [float(flat[(channel * 4 + row) * 16 + frame]) for row in range(4)]
        assert float(encoding.frames[0, frame, channel]) == pytest.approx(sum(rows) / 4, abs=1e-6)
    torch.testing.assert_close(encoding.summary, maps[0].mean(dim=(2, 3)))
    torch.testing.assert_close(encoder(clip, -1).frames, maps[0].mean(dim=2).transpose(1, 2))


@pytest.mark.parametrize("n_frames", [384, 417])
def test_the_historical_reading_takes_one_size_only(n_frames: int) -> None:
    config = SMALL_RESNET.replace(reading="flattened")
    assert (config.min_frames, config.longest) == (385, 416)
    with pytest.raises(ValueError, match=r"64 bands and 385 to 416 frames.*or take reading"):
        config.build().eval()(torch.zeros(1, 64, n_frames))
    with pytest.raises(ConfigError, match='take reading="map"'):
        config.replace(n_bands=128)
    with pytest.raises(ConfigError, match="a multiple of 8"):
        config.replace(width=12)
