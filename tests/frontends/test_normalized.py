"""The front ends of AST and PSLA (Kaldi's filter bank) and of AudioTagging Done Right (decibels)."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from earmark.config import ConfigError
from earmark.encoders import PaSST, ResidualCNN
from earmark.frontends import KaldiFbank, SlaneyDb
from earmark.frontends.mel import kaldi_bank, slaney_bank, slaney_to_hz
from earmark.labels import LabelSet
from earmark.models import TaggerConfig

RATE = 16000
BOTH = pytest.mark.parametrize("config", [KaldiFbank(), SlaneyDb()], ids=lambda config: config.kind)


def plain(config: Any) -> Any:
    return config.replace(mean=0.0, std=1.0, deviations=1.0)


def noise(samples: int = RATE, batch: int = 1) -> Tensor:
    return torch.randn(batch, samples, generator=torch.Generator().manual_seed(0)) * 0.1


def tone(frequency: float) -> Tensor:
    return 0.5 * torch.sin(2 * math.pi * frequency * torch.arange(RATE) / RATE)[None]


@pytest.mark.parametrize("frequency", [150.0, 440.0, 1000.0, 3000.0, 7000.0])
def test_a_tone_peaks_in_its_own_band(frequency: float) -> None:
    low, high = (1127 * math.log(1 + edge / 700) for edge in (20, 8000))
    expected = (1127 * math.log(1 + frequency / 700) - low) / (high - low) * 129 - 1
    band = int(KaldiFbank().build()(tone(frequency))[0].mean(dim=1).argmax())
    assert abs(band - expected) <= 1
    edges = slaney_to_hz(torch.linspace(0, 15 + 27 * math.log(8) / math.log(6.4), 66))
    band = int(SlaneyDb().build()(tone(frequency))[0].mean(dim=1).argmax())
    assert edges[band] <= frequency <= edges[band + 2]


@BOTH
def test_gain_shifts_log_mel_by_a_constant(config: Any) -> None:
    frontend = config.build()
    quiet, loud = frontend(noise()), frontend(noise() * 2)
    _, scale = config.log_scale
    above = quiet > quiet.amin() + 0.1  # one band of Kaldi's is empty and stays at the floor
    shift = (loud - quiet)[above]
    torch.testing.assert_close(shift, torch.full_like(shift, math.log(4) / scale), atol=1e-4, rtol=0)


@BOTH
def test_log_scale_leads_back_to_the_natural_logarithm_of_power(config: Any) -> None:
    for given in (config, config.replace(mean=3.0, std=2.0, deviations=1.0)):
        offset, scale = given.log_scale
        logarithm = given.build()(noise()) * scale - offset
        bare = plain(config)
        torch.testing.assert_close(logarithm, bare.build()(noise()) * bare.log_scale[1], atol=1e-4, rtol=1e-5)


@BOTH
def test_a_constant_offset_of_the_waveform_changes_nothing(config: Any) -> None:
    frontend = config.build()
    torch.testing.assert_close(frontend(noise() + 0.25), frontend(noise()), atol=2e-3, rtol=0)


@BOTH
def test_masks_and_padding_are_zero_before_normalization(config: Any) -> None:
    padded = config.replace(length=120)
    features, bare = padded.build()(noise()), plain(padded).build()(noise())
    own = config.n_frames(RATE)
    assert features.shape[2] == 120 > own
    assert not bool(bare[:, :, own:].any())
    torch.testing.assert_close(features[:, :, own:], torch.full_like(features[:, :, own:], config.fill))
    assert torch.equal(features[:, :, :own], config.build()(noise()))


@BOTH
def test_one_surplus_frame_is_cut_and_two_are_refused(config: Any) -> None:
    frames = config.n_frames(RATE)
    cut = config.replace(length=frames - 1).build()(noise())
    assert torch.equal(cut, config.build()(noise())[:, :, :-1])
    short = config.replace(length=frames - 2)
    with pytest.raises(ValueError, match=rf"give {frames} frames but frontend.length is {frames - 2}"):
        short.build()(noise())
    longest = short.max_samples
    assert short.build()(noise(longest)).shape[2] == frames - 2
    with pytest.raises(ValueError, match="samples give"):
        short.build()(noise(longest + 1))


@BOTH
def test_a_model_for_longer_clips_than_its_front_end_takes_cannot_be_described(config: Any) -> None:
    fitting = config.replace(length=config.n_frames(2 * RATE))
    model = {"encoder": ResidualCNN(n_bands=config.n_mels), "labels": LabelSet(names=("Dog",))}
    assert TaggerConfig(frontend=fitting, clip_seconds=2.0, **model).build().eval()(noise()).shape == (1, 1)
    with pytest.raises(ConfigError, match="take at most 2"):
        TaggerConfig(frontend=fitting, clip_seconds=3.0, **model)


def test_a_model_whose_encoder_needs_more_frames_than_its_front_end_gives_cannot_be_described() -> None:
    encoder = PaSST(n_bands=128)
    short = KaldiFbank(length=encoder.min_frames - 1)
    with pytest.raises(ConfigError, match=f"{encoder.min_frames} frames are asked for"):
        TaggerConfig(frontend=short, encoder=encoder, clip_seconds=0.03, labels=LabelSet(names=("Dog",)))


@pytest.mark.parametrize("samples", [400, 559, 560, 16000, 160000])
def test_kaldis_frames_begin_every_160_samples_and_lie_inside(samples: int) -> None:
    assert KaldiFbank().build()(torch.zeros(1, samples)).shape[2] == 1 + (samples - 400) // 160


def test_ten_seconds_give_the_published_number_of_frames() -> None:
    assert KaldiFbank().n_frames(160000) == 998
    assert SlaneyDb().n_frames(160000) == 401
    assert SlaneyDb(length=400).n_frames(160000) == 400


def test_kaldis_filter_bank_agrees_with_its_definition_frame_by_frame() -> None:
    waveform = noise(3000).double() + 0.1
    window = 0.5 - 0.5 * torch.cos(2 * math.pi * torch.arange(400, dtype=torch.float64) / 399)
    rows: list[Tensor] = []
    for start in range(0, 3000 - 399, 160):
        frame = waveform[0, start : start + 400]
        frame = frame - frame.mean()
        frame = frame - 0.97 * torch.cat([frame[:1], frame[:-1]])
        power = torch.fft.rfft(frame * window, n=512).abs().square()
        rows.append((kaldi_bank(128, 512, RATE, 20.0, 8000.0).double() @ power).clamp(min=2**-23).log())
    expected = (torch.stack(rows, dim=1) + 4.2677393) / (2 * 4.5689974)
    got = KaldiFbank().build()(waveform.float())[0]
    torch.testing.assert_close(got, expected.float(), atol=3e-4, rtol=0)


def test_decibels_agree_with_the_textbook_short_time_fourier_transform() -> None:
    waveform = noise() - noise().mean()
    spectrum = torch.stft(
        waveform, 4096, 400, 1024, torch.hann_window(1024), pad_mode="constant", return_complex=True
    )
    power = slaney_bank(64, 4096, RATE, 0.0, 8000.0) @ spectrum.abs().square()
    torch.testing.assert_close(plain(SlaneyDb()).build()(noise()), 10 * power.log10(), atol=1e-3, rtol=0)


def test_doubled_decibels_are_exactly_twice_the_right_ones() -> None:
    right = plain(SlaneyDb())
    doubled = right.replace(decibels="doubled")
    torch.testing.assert_close(doubled.build()(noise()), 2 * right.build()(noise()), atol=1e-4, rtol=0)
    silence = torch.zeros(1, 4000)
    assert (float(right.build()(silence).max()), float(doubled.build()(silence).max())) == (-100.0, -200.0)


def test_the_published_statistics_of_doubled_decibels_give_the_features_of_the_default() -> None:
    published = SlaneyDb(decibels="doubled", mean=-38.193954, std=45.802143)
    torch.testing.assert_close(published.build()(noise()), SlaneyDb().build()(noise()), atol=1e-5, rtol=0)


@BOTH
def test_features_stay_single_precision_under_autocast(config: Any) -> None:
    frontend = config.build()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(frontend(noise()), frontend(noise().float()))
        assert frontend(noise()).dtype == torch.float32


def test_a_waveform_below_one_window_is_refused_in_a_sentence() -> None:
    with pytest.raises(ValueError, match=r"399 samples is too short.*at least 400"):
        KaldiFbank().build()(torch.zeros(1, 399))


@pytest.mark.parametrize(
    ("kind", "fields", "words"),
    [
        (KaldiFbank, {"fmin": 8000.0}, "it must lie below"),
        (KaldiFbank, {"deviation": 1.0}, "did you mean 'deviations'"),
        (KaldiFbank, {"std": 0.0}, "std"),
        (SlaneyDb, {"win_length": 8192}, "win_length is 8192 but n_fft is 4096"),
        (SlaneyDb, {"decibels": "amplitude"}, "decibels"),
    ],
)
def test_an_impossible_front_end_cannot_be_described(kind: Any, fields: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        kind(**fields)
