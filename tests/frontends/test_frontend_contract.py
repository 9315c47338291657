"""What every front end promises; a new one is tested by being listed."""

from typing import Any, get_args

import pytest
import torch
from torch import Tensor

from earmark.frontends import FrontendConfig, KaldiFbank, LogMel, MagnitudeMel, RawWaveform, SlaneyDb

SMALL: dict[str, Any] = {
    "KaldiFbank": KaldiFbank(n_mels=40),
    "KaldiFbank of 128 frames": KaldiFbank(n_mels=40, length=128, deviations=1.0),
    "LogMel": LogMel(n_mels=32),
    "LogMel at 16 kHz": LogMel(
        sample_rate=16000, n_fft=512, win_length=400, hop_length=160, n_mels=64, fmax=8000, fmax_jitter=1
    ),
    "MagnitudeMel": MagnitudeMel(n_mels=40),
    "MagnitudeMel of 16 bits": MagnitudeMel(n_mels=40, int16=True),
    "RawWaveform": RawWaveform(),
    "SlaneyDb": SlaneyDb(n_mels=32),
    "SlaneyDb of 60 frames": SlaneyDb(n_mels=32, length=60, decibels="doubled"),
}
FRONTENDS = pytest.mark.parametrize("config", SMALL.values(), ids=SMALL.keys())


def waveform(samples: int, batch: int = 2) -> Tensor:
    return torch.randn(batch, samples, generator=torch.Generator().manual_seed(0)) / 10


def test_every_front_end_is_listed() -> None:
    assert {type(config) for config in SMALL.values()} == set(get_args(get_args(FrontendConfig)[0]))


@FRONTENDS
def test_it_gives_the_stated_bands_and_frames(config: Any) -> None:
    frontend = config.build().eval()
    for samples in (config.min_samples, config.min_samples + 1, config.samples_for(7), 12345):
        assert frontend(waveform(samples)).shape == (2, config.n_bands, config.n_frames(samples))


@FRONTENDS
def test_samples_for_is_the_fewest(config: Any) -> None:
    for frames in (1, 2, 9):
        enough = config.samples_for(frames)
        assert config.n_frames(enough) >= frames
        assert enough == config.min_samples or config.n_frames(enough - 1) < frames


@FRONTENDS
def test_a_batch_equals_its_clips_one_by_one(config: Any) -> None:
    frontend, batch = config.build().eval(), waveform(8000, 3)
    alone = torch.cat([frontend(clip[None]) for clip in batch])
    torch.testing.assert_close(frontend(batch), alone, atol=1e-5, rtol=1e-5)


@FRONTENDS
def test_it_learns_nothing_and_saves_nothing(config: Any) -> None:
    frontend = config.build()
    assert not list(frontend.parameters())
    assert not frontend.state_dict()


@FRONTENDS
def test_silence_is_finite(config: Any) -> None:
    assert bool(torch.isfinite(config.build().eval()(torch.zeros(1, 8000))).all())


@FRONTENDS
@pytest.mark.parametrize("training", [False, True])
def test_it_computes_in_float32_when_a_model_is_turned_into_bfloat16(config: Any, training: bool) -> None:
    """Only the window and the mel bank are rounded, to 8 bits."""
    found: list[Tensor] = []
    for frontend in (config.build(), config.build().bfloat16()):
        torch.manual_seed(0)
        found.append(frontend.train(training)(waveform(8000)))
    exact, rounded = found
    assert rounded.dtype == torch.float32
    assert (rounded - exact).abs().mean() < 0.02


@FRONTENDS
def test_its_description_survives_json(config: Any) -> None:
    assert type(config).from_json(config.to_json()) == config


@FRONTENDS
def test_a_click_peaks_in_the_frame_that_is_stated(config: Any) -> None:
    frontend, background = config.build().eval(), waveform(16000, 1) / 10
    click = background.clone()
    k = 9
    seconds = config.first_frame_seconds + k * config.frame_seconds
    click[0, round(seconds * config.sample_rate)] = 0.9
    difference = (frontend(click) - frontend(background)).abs().sum(dim=(0, 1))
    difference = (difference - 2 * difference.median()).clamp(min=0)  # its share in the mean moves all frames
    center = float((difference * torch.arange(len(difference))).sum() / difference.sum())
    assert center == pytest.approx(k, abs=0.6)
