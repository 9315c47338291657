import itertools

import numpy as np
import pytest
import torch

from earmark.training import Augment, Mixup
from earmark.training.augment import (
    augment_features,
    crop,
    equalize,
    gain,
    low_pass,
    mix,
    mix_waveforms,
    spec_augment,
)
from earmark.training.randomness import clip_generators, generator

CLIPS = list(range(6))


def features(seed: int = 0) -> torch.Tensor:
    return torch.randn(6, 64, 100, generator=torch.Generator().manual_seed(seed))


def draws(epoch: int = 0, clips: list[int] = CLIPS) -> list[np.random.Generator]:
    return clip_generators(0, epoch, clips, "test")


def test_a_crop_of_a_short_clip_repeats_it_in_a_circle() -> None:
    clip = np.arange(5, dtype=np.int16)
    cut = np.round(crop(clip, 12, generator(0, 0, 0, "crop")) * 32768).astype(int)
    assert all((b - a) % 5 == 1 for a, b in itertools.pairwise(cut))


def test_gain_stays_within_its_range() -> None:
    loud = gain(torch.ones(6, 10), 6.0, draws())
    assert bool((20 * loud[:, 0].log10().abs() <= 6.0).all())
    assert len(set(loud[:, 0].tolist())) == 6


def test_mixup_mixes_power_and_targets_by_the_same_share() -> None:
    powers = torch.rand(6, 64, 100) + 0.1
    targets = torch.eye(6)
    mixed, wanted = mix(powers.log(), targets, Mixup(alpha=0.3), draws())
    own = wanted.diagonal()
    expected = own[:, None, None] * powers + (1 - own)[:, None, None] * powers.roll(1, 0)
    torch.testing.assert_close(mixed.exp(), expected, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(wanted.sum(dim=1), torch.ones(6))
    assert bool((own >= 0.5).all())


def test_without_a_share_nothing_is_mixed() -> None:
    log_mel, targets = features(), torch.eye(6)
    mixed, wanted = mix(log_mel, targets, Mixup(share=0.0), draws())
    torch.testing.assert_close(mixed, log_mel)
    assert torch.equal(wanted, targets)


def test_masks_are_stretches_narrower_than_asked_for() -> None:
    masked = spec_augment(features(), freq_mask=10, time_mask=20, fill=99.0, generators=draws())
    for clip in masked == 99.0:
        bands, frames = clip.all(dim=1).nonzero()[:, 0], clip.all(dim=0).nonzero()[:, 0]
        assert len(bands) < 10
        assert len(frames) < 20
        assert bool((bands.diff() == 1).all())
        assert bool((frames.diff() == 1).all())


def test_masks_of_width_zero_change_nothing() -> None:
    assert torch.equal(spec_augment(features(), freq_mask=0, time_mask=0, fill=9.0), features())


def test_the_equalizer_is_constant_in_time_and_bounded() -> None:
    change = equalize(features(), 6.0, draws()) - features()
    torch.testing.assert_close(change, change[:, :, :1].expand_as(change), atol=1e-5, rtol=0)
    assert float(change.abs().max()) <= 6.0 * np.log(10) / 10 + 1e-5


def test_a_low_pass_only_takes_from_the_upper_half() -> None:
    cut = low_pass(features(), 1.0, -11.5, draws())
    assert torch.equal(cut[:, :32], features()[:, :32])
    assert bool((cut == -11.5).any())


def test_what_a_clip_gets_does_not_depend_on_its_batch() -> None:
    augment = Augment(equalizer_db=6.0, low_pass=0.5, stretch=0.25, warp=0.1, freq_mask=0, time_mask=0)
    targets = torch.eye(6)
    together, _ = augment_features(features(), targets, augment, (4.5, 5.0), draws())
    floor = features() * 5.0 - 4.5
    alone, _ = augment_features(features()[2:3], targets[2:3], augment, (4.5, 5.0), draws(clips=[2]))
    inside = together[2:3] != (float(floor.amin()) + 4.5) / 5.0  # the floor itself is taken from the batch
    torch.testing.assert_close(together[2:3][inside], alone[inside], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("change", [{"seed": 1}, {"epoch": 1}, {"index": 1}, {"stream": "other"}])
def test_each_purpose_has_a_generator_of_its_own(change: dict[str, int | str]) -> None:
    purpose = {"seed": 0, "epoch": 0, "index": 0, "stream": "order"}
    assert generator(**purpose).random() == generator(**purpose).random()
    assert generator(**purpose).random() != generator(**(purpose | change)).random()


@pytest.mark.parametrize("generators", [None, draws()], ids=["torch's", "each its own"])
def test_shared_masks_hit_the_same_cells_of_all_clips(generators: list[np.random.Generator] | None) -> None:
    torch.manual_seed(3)
    masks = {"freq_mask": 30, "time_mask": 60, "fill": 99.0, "generators": generators}
    hit = spec_augment(features(), **masks, shared=True) == 99.0
    assert bool(hit.any())
    assert torch.equal(hit, hit[:1].expand_as(hit))
    alone = spec_augment(features(), **masks) == 99.0
    assert not torch.equal(alone, alone[:1].expand_as(alone))


@pytest.mark.parametrize("shared", [True, False])
def test_a_recipe_can_ask_for_shared_masks(shared: bool) -> None:
    augment = Augment(freq_mask=30, time_mask=60, shared_masks=shared)
    masked, _ = augment_features(features(), torch.eye(6), augment, (4.5, 5.0), draws())
    hit = (masked - features()).abs() > 1e-4
    assert bool(hit.any())
    everywhere = hit.all(dim=0).sum() > 0.99 * hit.any(dim=0).sum()  # a cell may have had the fill before
    assert bool(everywhere) == shared


def test_waveforms_are_mixed_by_their_share_and_have_no_mean() -> None:
    noise = torch.randn(2, 500, generator=torch.Generator().manual_seed(0)) + 0.5
    long, short = noise[0], noise[1, :300]
    mixed = mix_waveforms(long, short, 0.75)
    expected = 0.75 * (long - long.mean())
    expected[:300] += 0.25 * (short - short.mean())
    torch.testing.assert_close(mixed, expected - expected.mean())
    assert len(mix_waveforms(short, long, 0.75)) == 300
    torch.testing.assert_close(mix_waveforms(long, short, 1.0), long - long.mean())


@pytest.mark.parametrize("mask_with", ["mean", "zero"])
def test_masked_cells_become_what_the_recipe_says(mask_with: str) -> None:
    augment = Augment(freq_mask=40, time_mask=60, n_masks=1, mask_with=mask_with)
    masked, _ = augment_features(features(), torch.eye(6), augment, (4.5, 5.0), draws())
    hit = (masked - features()).abs() > 1e-4
    expected = float(features().mean()) if mask_with == "mean" else 4.5 / 5.0
    assert bool(hit.any())
    torch.testing.assert_close(masked[hit], torch.full_like(masked[hit], expected), atol=1e-4, rtol=1e-4)
