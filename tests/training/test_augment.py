"""Random changes of features: laws, and independence of the batch."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from earmark.config import ConfigError
from earmark.frontends import KaldiFbank, LogMel, RawWaveform
from earmark.training import Augment, Mixup
from earmark.training.augmentation.description import Draws, augment_batch
from earmark.training.augmentation.mixing import mix_linear, mix_power, neighbors
from earmark.training.augmentation.spectrogram import (
    add_noise,
    equalize,
    hide,
    low_pass,
    roll_frames,
    spec_augment,
    stretch_and_warp,
    stripes,
)
from earmark.training.randomness import clip_generators, generator

CLIPS = list(range(6))
FRONTEND = LogMel(n_mels=64)
ALL = Augment(
    equalizer_db=6.0,
    low_pass=0.5,
    stretch=0.25,
    warp=0.1,
    mixup=Mixup(),
    freq_mask=12,
    time_mask=30,
    n_masks=2,
    noise=0.1,
    roll_frames=9,
)


def features(seed: int = 0) -> torch.Tensor:
    return torch.randn(6, 64, 100, generator=torch.Generator().manual_seed(seed))


def draws(epoch: int = 0, clips: list[int] = CLIPS) -> Draws:
    return Draws(clip_generators(0, epoch, clips, "test"), generator(0, epoch, 0, "batch"))


def augmented(augment: Augment, rows: slice = slice(0, 6)) -> tuple[torch.Tensor, torch.Tensor]:
    changed, targets, _ = augment_batch(
        features()[rows], torch.eye(6)[rows], None, augment, FRONTEND, draws(clips=CLIPS[rows])
    )
    return changed, targets


@pytest.mark.parametrize("augment", [ALL, ALL.replace(shared_masks=True), ALL.replace(mask_with="zero")])
def test_a_batch_cut_at_even_places_gives_the_numbers_of_the_whole(augment: Augment) -> None:
    whole, targets = augmented(augment)
    parts = [augmented(augment, rows) for rows in (slice(0, 2), slice(2, 6))]
    assert not torch.equal(whole, features())
    torch.testing.assert_close(torch.cat([part for part, _ in parts]), whole, atol=1e-6, rtol=1e-6)
    assert torch.equal(torch.cat([part for _, part in parts]), targets)


def test_without_anything_asked_for_nothing_changes() -> None:
    changed, targets = augmented(Augment())
    assert torch.equal(changed, features())
    assert torch.equal(targets, torch.eye(6))


def test_clips_are_mixed_in_pairs_of_neighbors_and_a_last_one_is_left_alone() -> None:
    targets = torch.eye(5)
    mixup = Augment(mixup=Mixup())
    mixed, wanted, _ = augment_batch(
        features()[:5], targets, None, mixup, FRONTEND, draws(clips=[0, 1, 2, 3, 4])
    )
    pairs = (wanted > 0).nonzero().tolist()
    assert pairs == [[0, 0], [0, 1], [1, 0], [1, 1], [2, 2], [2, 3], [3, 2], [3, 3], [4, 4]]
    assert torch.equal(mixed[4], features()[4])
    assert bool((wanted.diagonal() >= 0.5).all())


@pytest.mark.parametrize("scale", [1.0, 5.0])
def test_mixup_in_power_mixes_power_as_targets_are_mixed(scale: float) -> None:
    powers = torch.rand(6, 64, 100) + 0.1
    share, partner = torch.tensor([0.5, 0.6, 0.7, 1.0, 0.9, 0.8]), torch.from_numpy(neighbors(6))
    mixed = mix_power(powers.log() / scale, partner, share, scale)
    torch.testing.assert_close(
        (mixed * scale).exp(), mix_linear(powers, partner, share), atol=1e-4, rtol=1e-4
    )
    assert torch.equal(mixed[3], powers[3].log() / scale)


def test_mixup_in_the_logarithmic_domain_mixes_features_as_they_are() -> None:
    changed, targets = augmented(Augment(mixup=Mixup(domain="log", alpha=1.0)))
    own = targets.diagonal()[:, None, None]
    expected = own * features() + (1 - own) * features()[[1, 0, 3, 2, 5, 4]]
    torch.testing.assert_close(changed, expected)


def test_a_share_that_need_not_dominate_may_be_small() -> None:
    own = torch.cat([augmented(Augment(mixup=Mixup(dominant=False)))[1].diagonal() for _ in range(1)])
    assert bool((own < 0.5).any())


def test_without_a_share_nothing_is_mixed() -> None:
    changed, targets = augmented(Augment(mixup=Mixup(share=0.0)))
    assert torch.equal(changed, features())
    assert torch.equal(targets, torch.eye(6))


def test_in_a_mixture_is_known_what_is_known_of_either_clip_and_the_unknown_adds_nothing() -> None:
    targets, known = torch.ones(2, 3), torch.tensor([[True, False, False], [False, True, False]])
    _, mixed, still_known = augment_batch(
        features()[:2], targets, known, Augment(mixup=Mixup()), FRONTEND, draws(clips=[0, 1])
    )
    assert still_known is not None
    assert still_known.tolist() == [[True, True, False]] * 2
    torch.testing.assert_close(mixed[:, 2], torch.zeros(2))
    torch.testing.assert_close(mixed[:, :2].sum(dim=1), torch.ones(2))


@given(st.integers(1, 60), st.floats(0, 1), st.floats(0, 1), st.integers(0, 80))
@settings(max_examples=60, deadline=None)
def test_a_stripe_is_one_stretch_inside_its_axis_and_narrower_than_asked_for(
    size: int, width: float, start: float, most: int
) -> None:
    hit = np.flatnonzero(stripes(np.array([[width * 0.999, start]]), size, most)[0])
    assert len(hit) < max(most, 1)
    assert len(hit) <= size
    assert bool((np.diff(hit) == 1).all())


@pytest.mark.parametrize("generators", [None, draws().clips], ids=["torch's", "each its own"])
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
    masked, _ = augmented(Augment(freq_mask=30, time_mask=60, shared_masks=shared))
    hit = masked != features()
    assert bool(hit.any())
    assert torch.equal(hit, hit[:1].expand_as(hit)) == shared


@pytest.mark.parametrize("mask_with", ["mean", "zero"])
def test_masked_cells_become_what_the_recipe_says_and_others_stay_to_the_bit(mask_with: str) -> None:
    masked, _ = augmented(Augment(freq_mask=40, time_mask=60, n_masks=3, mask_with=mask_with))
    means = features().mean(dim=(1, 2), keepdim=True)
    expected = means if mask_with == "mean" else torch.full_like(means, FRONTEND.fill)
    hit = masked != features()
    assert bool(hit.any())
    torch.testing.assert_close(masked[hit], expected.expand_as(masked)[hit])


def test_hiding_takes_bands_or_frames_of_one_clip_only() -> None:
    bands, frames = torch.zeros(6, 64, dtype=torch.bool), torch.zeros(6, 100, dtype=torch.bool)
    bands[2, 5] = frames[2, 7] = True
    changed = hide(features(), bands, frames, torch.full((6,), 9.0)) == 9.0
    assert int(changed.sum()) == 64 + 100 - 1
    assert bool(changed[2, 5].all() & changed[2, :, 7].all())


def test_the_equalizer_is_constant_in_time_and_bounded() -> None:
    change = augmented(Augment(equalizer_db=6.0))[0] - features()
    torch.testing.assert_close(change, change[:, :, :1].expand_as(change), atol=1e-5, rtol=0)
    power_db = change * 5.0 * 10 / np.log(10)  # LogMel's features are the logarithm over 5
    assert 3.0 < float(power_db.abs().max()) <= 6.0 + 1e-3
    assert bool((equalize(features(), torch.zeros(6, 5)) == features()).all())


def test_a_low_pass_takes_the_bands_above_its_edge_to_the_floor_of_the_clip() -> None:
    cut = low_pass(features(), torch.tensor([32.0, 40.5, 64.0, 33.0, 50.0, 63.0]))
    floor = features().amin(dim=(1, 2), keepdim=True)
    assert torch.equal(cut[0, :32], features()[0, :32])
    assert torch.equal(cut[0, 32:], floor[0].expand(32, 100))
    assert torch.equal(cut[1, :41], features()[1, :41])
    assert torch.equal(cut[2], features()[2])


def test_a_stretch_by_one_changes_nothing_and_by_two_hears_twice_as_much() -> None:
    one = torch.ones(6)
    torch.testing.assert_close(stretch_and_warp(features(), one, one), features(), atol=1e-4, rtol=0)
    fast = stretch_and_warp(features(), 2 * one, one)
    pairs = features().reshape(6, 64, 50, 2).mean(dim=3)
    torch.testing.assert_close(fast, pairs.repeat(1, 1, 2), atol=1e-4, rtol=0)
    high = stretch_and_warp(features(), one, 2 * one)
    torch.testing.assert_close(high[:, :32], features().reshape(6, 32, 2, 100).mean(dim=2), atol=1e-4, rtol=0)
    assert torch.equal(high[:, 33:], high[:, 63:].expand(6, 31, 100))  # above the highest band: the border


@given(st.floats(0.6, 1.6), st.floats(0.8, 1.2))
@settings(max_examples=20, deadline=None)
def test_stretch_and_warp_agree_with_bilinear_sampling(time: float, frequency: float) -> None:
    log_mel = features()[:1, :20, :30]
    rows = ((torch.arange(20) + 0.5) * frequency - 0.5).clamp(0, 19)
    columns = ((((torch.arange(30) + 0.5) * time) % 30) - 0.5).clamp(0, 29)
    grid = torch.stack(torch.meshgrid(columns / 29 * 2 - 1, rows / 19 * 2 - 1, indexing="xy"), dim=-1)
    expected = torch.nn.functional.grid_sample(log_mel[:, None], grid[None], align_corners=True)[:, 0]
    got = stretch_and_warp(log_mel, torch.tensor([time]), torch.tensor([frequency]))
    torch.testing.assert_close(got, expected, atol=1e-3, rtol=0)


def test_noise_is_positive_and_smaller_than_asked_for() -> None:
    added = add_noise(features(), 0.1, draws().clips) - features()
    assert bool((added > -1e-6).all())
    assert 0.01 < float(added.max()) < 0.1


def test_rolled_frames_come_back_after_the_opposite_turn() -> None:
    shifts = [0, 1, -3, 9, -9, 100]
    turned = roll_frames(features(), shifts)
    assert torch.equal(turned[1, :, 1:], features()[1, :, :-1])
    assert torch.equal(roll_frames(turned, [-shift for shift in shifts]), features())


@pytest.mark.parametrize("change", [{"seed": 1}, {"epoch": 1}, {"index": 1}, {"stream": "other"}])
def test_each_purpose_has_a_generator_of_its_own(change: dict[str, int | str]) -> None:
    purpose = {"seed": 0, "epoch": 0, "index": 0, "stream": "order"}
    assert generator(**purpose).random() == generator(**purpose).random()
    assert generator(**purpose).random() != generator(**(purpose | change)).random()


def test_a_seed_of_more_than_32_bits_is_a_seed() -> None:
    assert generator(2**40, 0, 0, "order").random() != generator(0, 0, 0, "order").random()


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"crop": True, "random_offset": True}, "leave random_offset away"),
        ({"gain_db": 2.5, "whole_gain": True}, "give a whole number"),
        ({"whole_gain": True}, "give a whole number"),
        ({"gain_db": float("inf")}, "finite"),
    ],
)
def test_what_cannot_be_asked_for_is_a_sentence(fields: dict[str, object], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        Augment(**fields)


def test_what_does_not_fit_a_front_end_is_a_sentence() -> None:
    assert ALL.misfit(FRONTEND) is None
    assert Augment(stretch=0.1, mixup=Mixup(domain="log")).misfit(KaldiFbank()) is None
    assert "leave it away" in str(Augment(mixup=Mixup()).misfit(RawWaveform()))
    assert "hides frames" in str(Augment(time_mask=3).misfit(RawWaveform()))
    assert "has 64 bands" in str(Augment(freq_mask=65).misfit(FRONTEND))
    assert Augment(mixup=Mixup(domain="log")).misfit(RawWaveform()) is None
