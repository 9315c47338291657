import math

import pytest
import torch

from earmark.config import ConfigError
from earmark.frontends import LogMel
from earmark.frontends.mel import kaldi_bank

RATE = 32000


def tone(frequency: float, seconds: float = 0.5, amplitude: float = 0.5) -> torch.Tensor:
    time = torch.arange(int(seconds * RATE)) / RATE
    return (amplitude * torch.sin(2 * math.pi * frequency * time))[None]


def noise(seconds: float = 0.5, seed: int = 0) -> torch.Tensor:
    return torch.randn(1, int(seconds * RATE), generator=torch.Generator().manual_seed(seed)) * 0.1


@pytest.mark.parametrize("frequency", [100.0, 440.0, 1000.0, 5000.0, 12000.0])
def test_a_tone_peaks_in_its_own_band(frequency: float) -> None:
    features = LogMel().build().eval()(tone(frequency))[0]
    band = int(features[:, 10:-10].mean(dim=1).argmax())
    mel = 1127 * math.log(1 + frequency / 700)
    expected = mel / (1127 * math.log(1 + 15000 / 700)) * 129 - 1
    assert abs(band - expected) <= 1


def test_gain_shifts_log_mel_by_a_constant_where_power_is_far_above_the_floor() -> None:
    frontend = LogMel(log_floor=1e-12).build().eval()
    quiet, loud = frontend(noise()), frontend(noise() * 2)
    torch.testing.assert_close(loud - quiet, torch.full_like(quiet, math.log(4) / 5), atol=1e-4, rtol=0)


def test_a_shift_by_one_hop_shifts_the_frames_by_one() -> None:
    frontend, waveform = LogMel().build().eval(), noise(1.0)
    here, shifted = frontend(waveform), frontend(waveform[:, 320:])
    torch.testing.assert_close(here[..., 5:90], shifted[..., 4:89], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("hop", [100, 160, 320, 640])
def test_it_agrees_with_the_textbook_short_time_fourier_transform(hop: int) -> None:
    config, waveform = LogMel(hop_length=hop), noise()
    emphasized = waveform[:, 1:] - 0.97 * waveform[:, :-1]
    spectrum = torch.stft(
        emphasized, 1024, hop, 800, torch.hann_window(800, periodic=False), center=True, return_complex=True
    )
    mel = kaldi_bank(128, 1024, RATE, 0.0, 15000.0) @ spectrum.abs().square()
    expected = ((mel + 1e-5).log() + 4.5) / 5
    torch.testing.assert_close(config.build().eval()(waveform), expected, atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize("samples", [514, 515, 833, 834, 32000, 32001])
def test_the_number_of_frames_is_the_stated_one(samples: int) -> None:
    config = LogMel()
    assert config.build().eval()(torch.zeros(1, samples)).shape == (1, 128, config.n_frames(samples))


@pytest.mark.parametrize("frames", [1, 2, 16, 99])
def test_samples_for_is_the_fewest_samples_that_give_so_many_frames(frames: int) -> None:
    config = LogMel()
    fewest = config.samples_for(frames)
    assert config.n_frames(fewest) >= frames
    assert fewest == config.min_samples or config.n_frames(fewest - 1) < frames


def test_silence_gives_the_floor() -> None:
    features = LogMel().build().eval()(torch.zeros(1, RATE))
    torch.testing.assert_close(features, torch.full_like(features, (math.log(1e-5) + 4.5) / 5))


def test_training_moves_the_upper_edge_and_evaluation_never_does() -> None:
    frontend = LogMel().build()
    waveform = noise()
    torch.manual_seed(0)
    assert not torch.equal(frontend.train()(waveform), frontend.train()(waveform))
    assert torch.equal(frontend.eval()(waveform), frontend.eval()(waveform))


def test_drawn_edges_stay_in_the_published_range() -> None:
    frontend = LogMel().build()
    for _ in range(300):
        fmin, fmax = frontend.draw_edges()
        assert 0 <= fmin <= 9
        assert 14001 <= fmax <= 16000


def test_batches_equal_single_clips() -> None:
    frontend = LogMel().build().eval()
    batch = torch.cat([noise(seed=s) for s in range(3)])
    torch.testing.assert_close(frontend(batch), torch.cat([frontend(row[None]) for row in batch]))


def test_the_filter_bank_is_built_once() -> None:
    assert kaldi_bank(64, 512, 16000, 20.0, 8000.0) is kaldi_bank(64, 512, 16000, 20.0, 8000.0)


def test_a_device_context_does_not_poison_the_cached_bank() -> None:
    with torch.device("meta"):
        bank = kaldi_bank(33, 512, 16000, 20.0, 8000.0)
    assert bank.device.type == "cpu"


def test_a_waveform_below_the_reflection_is_refused_in_a_sentence() -> None:
    with pytest.raises(ValueError, match=r"513 samples is too short.*at least 514"):
        LogMel().build()(torch.zeros(1, 513))


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"win_length": 2048}, "win_length is 2048 but n_fft is 1024"),
        ({"fmax": 17000.0}, "do not fit a sample rate of 32000"),
        ({"fmin": 15000.0}, "must satisfy fmin < fmax"),
        ({"n_mel": 64}, "did you mean 'n_mels'"),
        ({"n_mels": 0}, "n_mels"),
    ],
)
def test_an_impossible_front_end_cannot_be_described(fields: dict[str, float], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        LogMel(**fields)
