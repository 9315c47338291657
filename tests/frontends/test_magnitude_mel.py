import math

import pytest
import torch

from earmark.config import ConfigError
from earmark.frontends import MagnitudeMel


def noise(samples: int = 8000, batch: int = 1) -> torch.Tensor:
    return torch.randn(batch, samples, generator=torch.Generator().manual_seed(0)) * 0.1


@pytest.mark.parametrize("frequency", [440.0, 600.0, 1000.0, 3000.0])
def test_a_tone_peaks_in_its_own_band(frequency: float) -> None:
    tone = 0.5 * torch.sin(2 * math.pi * frequency * torch.arange(8000) / 8000)[None]
    band = int(MagnitudeMel().build()(tone)[0].mean(dim=1).argmax())
    expected = math.log(1 + frequency / 700) / math.log(1 + 4000 / 700) * 129 - 1
    assert abs(band - expected) <= 1


def test_each_clip_has_mean_0_and_deviation_1_whatever_its_neighbors() -> None:
    features = MagnitudeMel().build()(noise(batch=3) * torch.tensor([[1.0], [0.1], [0.01]]))
    torch.testing.assert_close(features.mean(dim=(1, 2)), torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(features.std(dim=(1, 2), correction=0), torch.ones(3), atol=1e-5, rtol=0)


def test_gain_changes_nothing() -> None:
    frontend = MagnitudeMel().build()
    torch.testing.assert_close(frontend(noise() * 0.125), frontend(noise()), atol=1e-5, rtol=0)


def test_twice_the_amplitude_is_the_logarithm_of_2_more_and_not_of_4() -> None:
    frontend = MagnitudeMel().build()
    rise = frontend.log_mel(noise() * 2) - frontend.log_mel(noise())
    torch.testing.assert_close(rise, torch.full_like(rise, math.log(2)), atol=1e-5, rtol=0)


def test_silence_is_zero_everywhere() -> None:
    assert not bool(MagnitudeMel().build()(torch.zeros(2, 5000)).abs().max())


def test_sixteen_bits_cut_samples_toward_zero_and_stay_in_range() -> None:
    samples = torch.tensor([[0.5, -0.5, 1e-5, -4e-5, 1.5, -1.5]])
    cut = MagnitudeMel(int16=True).build().samples(samples)
    assert cut.tolist() == [[16383.0, -16383.0, 0.0, -1.0, 32767.0, -32768.0]]
    assert torch.equal(MagnitudeMel().build().samples(samples), samples * 32767.0)


def test_the_faintest_sound_is_silent_in_sixteen_bits_only() -> None:
    faint = noise() * 1e-5
    assert not bool(MagnitudeMel(int16=True).build()(faint).any())
    assert bool(MagnitudeMel().build()(faint).any())


def test_five_seconds_give_the_published_number_of_frames() -> None:
    assert MagnitudeMel().build()(noise(40000)).shape == (1, 128, 498)


def test_a_waveform_below_one_window_is_refused_in_a_sentence() -> None:
    with pytest.raises(ValueError, match=r"199 samples is too short.*at least 200"):
        MagnitudeMel().build()(torch.zeros(1, 199))


def test_a_window_longer_than_the_transform_cannot_be_described() -> None:
    with pytest.raises(ConfigError, match="win_length is 600 but n_fft is 512"):
        MagnitudeMel(win_length=600)
