"""Random changes of waveforms."""

import itertools
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from earmark.config import ConfigError
from earmark.training import Augment, WaveMixup
from earmark.training.augmentation.waveform import (
    convolve,
    draw_waveform,
    gain_db,
    load_responses,
    mix_waveforms,
    mixing_partner,
    reverberate,
)
from earmark.training.randomness import generator


class Ramp:
    """One clip whose sample n is n, and a count of what was read of it."""

    sample_rate = 8000

    def __init__(self, samples: int) -> None:
        self.failures: dict[int, str] = {}
        self.clip = np.arange(samples, dtype=np.int16)
        self.was_read = 0

    def __len__(self) -> int:
        return 1

    def n_samples(self, index: int) -> int:
        return len(self.clip)

    def read(self, index: int, start: int = 0, count: int | None = None) -> np.ndarray:
        part = self.clip[start : None if count is None else start + count]
        self.was_read += len(part)
        return part

    def scale(self, index: int) -> float:
        return 1.0


def heard(samples: int, length: int, augment: Augment, padding: str, epoch: int = 0) -> list[int]:
    waveform = draw_waveform(Ramp(samples), 0, length, augment, padding, generator(0, epoch, 0, "w"))
    return np.round(waveform * 32768).astype(int).tolist()


@given(st.integers(1, 40), st.integers(1, 90), st.integers(0, 5))
@settings(max_examples=80, deadline=None)
def test_a_crop_goes_round_in_a_circle(samples: int, length: int, epoch: int) -> None:
    cut = heard(samples, length, Augment(crop=True), "loop", epoch)
    assert len(cut) == length
    assert all((b - a) % samples == 1 % samples for a, b in itertools.pairwise(cut))


@given(st.integers(1, 40), st.integers(1, 90), st.integers(0, 5))
@settings(max_examples=80, deadline=None)
def test_a_random_offset_hears_one_stretch_and_never_the_end_before_the_start(
    samples: int, length: int, epoch: int
) -> None:
    cut = heard(samples, length, Augment(random_offset=True), "zeros", epoch)
    inside = cut[: min(samples, length)]
    assert all(b - a == 1 for a, b in itertools.pairwise(inside))
    assert cut[len(inside) :] == [0] * (length - len(inside))


def test_a_short_clip_is_repeated_or_followed_by_silence_as_the_model_does() -> None:
    assert heard(3, 7, Augment(), "loop") == [0, 1, 2, 0, 1, 2, 0]
    assert heard(3, 5, Augment(), "zeros") == heard(3, 5, Augment(), "none") == [0, 1, 2, 0, 0]
    assert heard(9, 4, Augment(), "zeros") == [0, 1, 2, 3]


def test_a_roll_turns_the_waveform_by_so_many_samples_at_most() -> None:
    turns = {heard(50, 50, Augment(roll=2), "zeros", epoch).index(0) for epoch in range(40)}
    assert turns == {0, 1, 2, 48, 49}


def test_only_what_is_heard_is_decoded() -> None:
    for epoch in range(20):
        sounds = Ramp(10000)
        draw_waveform(sounds, 0, 300, Augment(crop=True), "loop", generator(0, epoch, 0, "w"))
        assert sounds.was_read == 300


def test_gain_is_in_decibels_within_its_range() -> None:
    uniform = [gain_db(Augment(gain_db=6.0), generator(0, epoch, 0, "g")) for epoch in range(200)]
    assert -6 <= min(uniform) < -5 < 5 < max(uniform) <= 6
    whole = {gain_db(Augment(gain_db=7, whole_gain=True), generator(0, e, 0, "g")) for e in range(200)}
    assert whole == set(range(-7, 7))
    loud = draw_waveform(Ramp(50), 0, 50, Augment(gain_db=6.0), "zeros", generator(0, 3, 0, "g"))
    expected = 10 ** (gain_db(Augment(gain_db=6.0), generator(0, 3, 0, "g")) / 20) * 49 / 32768
    assert loud[49] == pytest.approx(expected, rel=1e-6)


def test_the_partner_of_a_mixture_is_any_clip_and_the_share_is_that_of_beta() -> None:
    partners = [mixing_partner(WaveMixup(share=0.5), 5, generator(0, e, 0, "m")) for e in range(400)]
    mixed = [partner for partner in partners if partner]
    assert 150 < len(mixed) < 250
    assert {clip for clip, _ in mixed} == set(range(5))
    assert all(0.5 <= share <= 1 for _, share in mixed)
    plain = [
        mixing_partner(WaveMixup(alpha=10.0, share=1.0, dominant=False), 5, generator(0, e, 0, "m"))
        for e in range(400)
    ]
    shares = np.array([partner[1] for partner in plain if partner])
    assert shares.mean() == pytest.approx(0.5, abs=0.02)
    assert shares.std() == pytest.approx((1 / 84) ** 0.5, abs=0.015)  # of Beta(10, 10)
    assert mixing_partner(None, 5, generator(0, 0, 0, "m")) is None


def test_waveforms_are_mixed_by_their_share_and_have_no_mean() -> None:
    noise = torch.randn(2, 500, generator=torch.Generator().manual_seed(0)) + 0.5
    long, short = noise[0], noise[1, :300]
    before = noise.clone()
    mixed = mix_waveforms(long, short, 0.75)
    expected = 0.75 * (long - long.mean())
    expected[:300] += 0.25 * (short - short.mean())
    torch.testing.assert_close(mixed, expected - expected.mean())
    assert torch.equal(noise, before)
    assert len(mix_waveforms(short, long, 0.75)) == 300
    torch.testing.assert_close(mix_waveforms(long, short, 1.0), long - long.mean())


@given(st.integers(1, 200), st.integers(1, 300))
@settings(max_examples=40, deadline=None)
def test_reverberation_is_the_plain_convolution_cut_and_at_the_clips_level(samples: int, taps: int) -> None:
    rng = np.random.default_rng(samples * 1000 + taps)
    waveform, response = rng.standard_normal(samples), rng.standard_normal(taps) + 0.1
    expected = np.convolve(waveform, response)[:samples]
    expected *= np.sqrt((waveform**2).sum() / (expected**2).sum())
    got = convolve(torch.from_numpy(waveform).float(), torch.from_numpy(response).float())
    np.testing.assert_allclose(got.numpy(), expected, atol=2e-4 * np.abs(expected).max() + 1e-6)


def test_silence_stays_silence_in_any_room() -> None:
    assert not convolve(torch.zeros(50), torch.ones(9)).any()


def test_impulse_responses_are_read_from_a_folder_and_used_in_their_share(tmp_path: Path) -> None:
    (tmp_path / "rooms").mkdir()
    soundfile.write(tmp_path / "rooms" / "b.wav", np.array([0.0, 0.5, 0.0, 0.0]), 8000)
    soundfile.write(tmp_path / "a.wav", np.array([0.5, 0.0, 0.0]), 8000)
    (tmp_path / "readme.txt").write_text("none of them")
    responses = load_responses(tmp_path, 8000)
    assert [int(np.argmax(response)) for response in responses] == [0, 1]
    click = np.zeros(64, dtype=np.float32)
    click[3] = 1.0
    heard = [reverberate(click, 0.5, responses, generator(0, e, 0, "ir")) for e in range(60)]
    places = [int(np.argmax(waveform)) for waveform in heard]
    assert 5 < places.count(4) < 30
    assert set(places) == {3, 4}
    assert all(reverberate(click, 0.0, responses, generator(0, e, 0, "ir")) is click for e in range(9))


def test_a_folder_without_usable_responses_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no impulse responses under"):
        load_responses(tmp_path, 8000)
    soundfile.write(tmp_path / "a.wav", np.zeros(9), 8000)
    with pytest.raises(ConfigError, match=r"a\.wav is silent"):
        load_responses(tmp_path, 8000)
    (tmp_path / "a.wav").write_bytes(b"no sound")
    with pytest.raises(ConfigError, match="cannot be used"):
        load_responses(tmp_path, 8000)
