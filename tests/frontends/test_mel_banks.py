"""What is known of the mel filter banks without any program that computes them."""

from typing import Any

import pytest
import torch

from earmark.config import ConfigError
from earmark.frontends import KaldiFbank, LogMel, MagnitudeMel, SlaneyDb
from earmark.frontends.mel import kaldi_bank, slaney_bank, slaney_to_hz

BINS = torch.arange(2049, dtype=torch.float64) * 16000 / 4096


def edges(n_mels: int = 64) -> torch.Tensor:
    highest = 15 + 27 * torch.log(torch.tensor(8.0, dtype=torch.float64)) / torch.log(torch.tensor(6.4))
    return slaney_to_hz(torch.linspace(0.0, float(highest), n_mels + 2, dtype=torch.float64))


def test_slaneys_scale_is_straight_up_to_1000_hz_and_exponential_above() -> None:
    hz = slaney_to_hz(torch.tensor([0.0, 3.0, 15.0, 42.0, 69.0]))
    torch.testing.assert_close(hz, torch.tensor([0.0, 200.0, 1000.0, 6400.0, 40960.0]))


def test_slaney_filters_are_evenly_spaced_below_1000_hz() -> None:
    peaks = BINS[slaney_bank(64, 4096, 16000, 0.0, 8000.0).argmax(dim=1)]
    low = peaks[peaks < 950]
    assert len(low) > 15
    assert float((low.diff() - low.diff().mean()).abs().max()) < 16000 / 4096 + 1e-9


def test_each_slaney_filter_peaks_at_2_over_its_width_and_has_area_1() -> None:
    bank = slaney_bank(64, 4096, 16000, 0.0, 8000.0).double()
    left, right = edges()[:-2], edges()[2:]
    peak = bank.max(dim=1).values * (right - left)
    assert float(peak.max()) <= 2.0 + 1e-6
    assert float(peak.min()) > 1.85  # no bin falls on the very top
    torch.testing.assert_close(bank.sum(dim=1) * 16000 / 4096, torch.ones(64).double(), atol=0.01, rtol=0)


def test_slaney_filters_are_zero_outside_their_edges() -> None:
    bank, border = slaney_bank(64, 4096, 16000, 0.0, 8000.0), edges()
    outside = (BINS[None] <= border[:-2, None] - 1e-6) | (BINS[None] >= border[2:, None] + 1e-6)
    assert float(bank[outside].abs().max()) == 0.0


def test_one_kaldi_filter_of_128_at_16_khz_is_empty() -> None:
    empty = kaldi_bank(128, 512, 16000, 20.0, 8000.0).sum(dim=1) == 0
    assert empty.nonzero().flatten().tolist() == [3]


def test_kaldi_filters_are_those_of_the_scale_with_the_decimal_logarithm() -> None:
    edge = torch.linspace(0.0, 2595 * float(torch.log10(torch.tensor(1 + 4000 / 700))), 130)
    mel = 2595 * torch.log10(1 + torch.arange(257) * 8000 / 512 / 700)
    rise = (mel[None] - edge[:-2, None]) / edge.diff()[:-1, None]
    fall = (edge[2:, None] - mel[None]) / edge.diff()[1:, None]
    expected = torch.minimum(rise, fall).clamp(min=0)
    torch.testing.assert_close(kaldi_bank(128, 512, 8000, 0.0, 4000.0), expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize(("fmin", "fmax"), [(-1.0, 8000.0), (0.0, 8001.0), (500.0, 500.0)])
def test_impossible_edges_are_refused(fmin: float, fmax: float) -> None:
    for bank in (kaldi_bank, slaney_bank):
        with pytest.raises(ValueError, match=r"must satisfy 0 <= fmin < fmax <= sample_rate / 2"):
            bank(8, 512, 16000, fmin, fmax)


def test_a_device_context_does_not_poison_the_cached_bank() -> None:
    with torch.device("meta"):
        bank = slaney_bank(33, 512, 16000, 20.0, 8000.0)
    assert bank.device.type == "cpu"


@pytest.mark.parametrize("kind", [KaldiFbank, LogMel, MagnitudeMel, SlaneyDb])
def test_a_bank_that_would_fill_the_memory_cannot_be_described(kind: Any) -> None:
    size = {"win_length": 32768} if kind is KaldiFbank else {"n_fft": 32768}
    kind(n_mels=600, **size)
    with pytest.raises(ConfigError, match=r"700 bands .* 32768 samples .* at most 10000000 are allowed"):
        kind(n_mels=700, **size)
