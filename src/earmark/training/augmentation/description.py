"""Random changes of training clips: what a recipe can ask for, and those of a batch of features.

Everything is drawn for a clip, or for a pair of neighbors in the batch, never over the batch: a batch that is
cut at even places gives the same numbers as the whole.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float
from pydantic import Field, model_validator
from torch import Tensor

from earmark.config import Frozen
from earmark.frontends import FrontendConfig
from earmark.training.augmentation.mixing import mix_linear, mix_power, neighbors
from earmark.training.augmentation.spectrogram import (
    add_noise,
    equalize,
    hide,
    low_pass,
    roll_frames,
    stretch_and_warp,
    stripes,
)

Batch = tuple[
    Float[Tensor, "batch band frame"], Float[Tensor, "batch class"], Bool[Tensor, "batch class"] | None
]

POINTS = 5
"""Gains of a random equalizer."""


class Mixup(Frozen):
    """Mix the features of each clip with those of its neighbor in the batch.

    Attributes:
        alpha: both parameters of the Beta distribution that the share is drawn from.
        share: of the clips that are mixed, 0 to 1.
        domain: "power" mixes as sounds mix in air; "log" mixes the features as they are, as published.
        dominant: a clip keeps the greater of the two shares, as PaSST; False: the one that is drawn.
    """

    alpha: float = Field(default=0.3, gt=0, le=1000)
    share: float = Field(default=1.0, ge=0, le=1)
    domain: Literal["power", "log"] = "power"
    dominant: bool = True


class WaveMixup(Frozen):
    """Mix the waveform of each clip with that of any other clip of the corpus.

    Attributes:
        alpha: both parameters of the Beta distribution that the share is drawn from.
        share: of the clips that are mixed, 0 to 1.
        dominant: a clip keeps the greater of the two shares, as PaSST; False: the one that is drawn, as AST.
    """

    alpha: float = Field(default=2.0, gt=0, le=1000)
    share: float = Field(default=0.5, ge=0, le=1)
    dominant: bool = True


class Augment(Frozen):
    """Random changes of the training clips; each is off at its default.

    Attributes:
        crop: a clip starts at a random place and goes on at its own start (circular).
        random_offset: of a longer clip a random stretch is heard instead of its beginning.
        reverb: share of the clips that are convolved with an impulse response, one of those given to a run.
        gain_db: gain between -gain_db and +gain_db.
        whole_gain: only whole decibels, from -gain_db to gain_db - 1, as published with PaSST.
        roll: the waveform is turned by up to so many samples, either way; its end comes in at its start.
        wave_mixup: mixing of waveforms; the targets are mixed likewise.
        equalizer_db: five points of a smooth random equalizer, each within +-equalizer_db.
        low_pass: share of the clips whose upper bands fade to the floor, as in narrow recordings.
        stretch: time is stretched by a factor between 1 / (1 + stretch) and 1 + stretch.
        warp: frequency is scaled by a factor between 1 / (1 + warp) and 1 + warp.
        mixup: mixing of features; the targets are mixed likewise.
        freq_mask: SpecAugment masks are narrower than this many bands.
        time_mask: SpecAugment masks are narrower than this many frames.
        n_masks: how many masks of each kind.
        mask_with: what masked cells become: the clip's mean, or 0 before normalization, as published.
        shared_masks: all clips of a batch get the same masks, as in PaSST's own training environments.
        noise: most that uniform noise adds to the normalized features; 0.1 for Speech Commands, as AST.
        roll_frames: the features are turned in time by up to so many frames; 10 for Speech Commands, as AST.
    """

    crop: bool = False
    random_offset: bool = False
    reverb: float = Field(default=0.0, ge=0, le=1)
    gain_db: float = Field(default=0.0, ge=0, le=120)
    whole_gain: bool = False
    roll: int = Field(default=0, ge=0, le=100_000_000)
    wave_mixup: WaveMixup | None = None
    equalizer_db: float = Field(default=0.0, ge=0, le=120)
    low_pass: float = Field(default=0.0, ge=0, le=1)
    stretch: float = Field(default=0.0, ge=0, le=100)
    warp: float = Field(default=0.0, ge=0, le=100)
    mixup: Mixup | None = None
    freq_mask: int = Field(default=0, ge=0, le=65536)
    time_mask: int = Field(default=0, ge=0, le=10_000_000)
    n_masks: int = Field(default=1, ge=0, le=100)
    mask_with: Literal["mean", "zero"] = "mean"
    shared_masks: bool = False
    noise: float = Field(default=0.0, ge=0, le=100)
    roll_frames: int = Field(default=0, ge=0, le=10_000_000)

    @model_validator(mode="after")
    def _check(self) -> "Augment":
        if self.crop and self.random_offset:
            raise ValueError(
                "crop starts a clip at a random place already, and goes on at its start; leave random_offset "
                "away"
            )
        if self.whole_gain and (self.gain_db < 1 or self.gain_db != int(self.gain_db)):
            raise ValueError(
                f"whole_gain draws whole decibels but gain_db is {self.gain_db:g}; give a whole number, "
                "at least 1"
            )
        return self

    def misfit(self, frontend: FrontendConfig) -> str | None:
        """Why a front end's features cannot be changed like this, as a sentence; None if they can."""
        asked = {name: getattr(self, name) for name in ("equalizer_db", "low_pass", "stretch", "warp")}
        asked["mixup.domain 'power'"] = self.mixup is not None and self.mixup.domain == "power"
        needs_power = [name for name, value in asked.items() if value]
        if frontend.log_scale is None and needs_power:
            return (
                f"augment.{needs_power[0]} changes spectrograms of log-mel power but the front end is "
                f"{frontend.kind}; leave it away, or take another front end"
            )
        for name, axis in (("freq_mask", "bands"), ("time_mask", "frames")):
            if getattr(self, name) and frontend.kind == "RawWaveform":
                return f"augment.{name} hides {axis} but {frontend.kind} has none; leave it away"
        if self.freq_mask > frontend.n_bands:
            return (
                f"augment.freq_mask is {self.freq_mask} but the front end has {frontend.n_bands} bands; "
                "it must not be greater"
            )
        return None


class Draws(NamedTuple):
    """Where the randomness of a batch comes from.

    Attributes:
        clips: a generator for each clip.
        batch: one for what all clips of a batch share; the same in each process.
    """

    clips: Sequence[np.random.Generator]
    batch: np.random.Generator


def augment_batch(
    features: Float[Tensor, "batch band frame"],
    targets: Float[Tensor, "batch class"],
    known: Bool[Tensor, "batch class"] | None,
    augment: Augment,
    frontend: FrontendConfig,
    draws: Draws,
) -> Batch:
    """Change the features of a batch at random; targets are mixed as the clips are.

    In this order: stretch and warp, equalizer, low pass, mixup, masks, noise, roll of frames.

    Args:
        features: of the front end.
        targets: one row for each clip.
        known: where it is known whether a label holds; None if everywhere.
        augment: what to apply.
        frontend: whose features they are: its scale tells what power is, its fill what masked cells become.
        draws: of this batch.

    Returns:
        Features, targets, and what is known of the targets: in a mixture, what is known of either clip.

    Source:
        Deviation from PaSST: there masks come before mixup.  With shared masks and mixup in the logarithmic
        domain, as it was published, that is the same.
    """
    unit = _Unit(draws.clips)
    scale = frontend.log_scale[1] if frontend.log_scale else 1.0
    if augment.stretch or augment.warp:
        time, frequency = (unit.draw(-1.0, 1.0) * np.log1p(most) for most in (augment.stretch, augment.warp))
        features = stretch_and_warp(features, *(_tensor(np.exp(f), features) for f in (time, frequency)))
    if augment.equalizer_db:
        gains = unit.draw(-augment.equalizer_db, augment.equalizer_db, POINTS)
        features = equalize(features, _tensor(gains, features) * (np.log(10) / 10 / scale))
    if augment.low_pass:
        bands = features.shape[1]
        hit, edge = unit.draw(0.0, 1.0) < augment.low_pass, unit.draw(bands / 2, float(bands))
        features = low_pass(features, _tensor(np.where(hit, edge, bands), features))
    if augment.mixup:
        features, targets, known = _mixed(features, targets, known, augment.mixup, scale, draws.clips)
    features = _masked(features, augment, frontend.fill, draws)
    if augment.noise:
        features = add_noise(features, augment.noise, draws.clips)
    if augment.roll_frames:
        shifts = [int(g.integers(-augment.roll_frames, augment.roll_frames)) for g in draws.clips]
        features = roll_frames(features, shifts)
    return features, targets, known


def _mixed(
    features: Tensor,
    targets: Tensor,
    known: Tensor | None,
    mixup: Mixup,
    scale: float,
    generators: Sequence[np.random.Generator],
) -> tuple[Tensor, Tensor, Tensor | None]:
    share = np.array([g.beta(mixup.alpha, mixup.alpha) for g in generators])
    share = np.maximum(share, 1 - share) if mixup.dominant else share
    alone = np.array([g.random() for g in generators]) >= mixup.share
    partner = neighbors(len(features))
    alone |= partner == np.arange(len(features))
    own = torch.from_numpy(np.where(alone, 1.0, share)).float().to(features.device)
    other = torch.from_numpy(partner).to(features.device)
    if known is not None:
        targets = targets * known  # what is unknown adds nothing
        known = known | (known[other] & (own < 1)[:, None])
    if mixup.domain == "power":
        features = mix_power(features, other, own, scale)
    else:
        features = mix_linear(features, other, own)
    return features, mix_linear(targets, other, own), known


def _masked(features: Tensor, augment: Augment, fill: float, draws: Draws) -> Tensor:
    """SpecAugment, as many times as asked for."""
    if not augment.n_masks or not (augment.freq_mask or augment.time_mask):
        return features
    value = features.mean(dim=(1, 2)) if augment.mask_with == "mean" else features.new_full((1,), fill)
    unit = _Unit([draws.batch] if augment.shared_masks else draws.clips)

    def mask(axis: int, most: int) -> Tensor:
        drawn = unit.draw(0.0, 1.0, 2 * augment.n_masks)
        each = [stripes(two, features.shape[axis], most) for two in np.split(drawn, augment.n_masks, axis=1)]
        return torch.from_numpy(np.logical_or.reduce(each)).to(features.device)

    bands, frames = mask(1, augment.freq_mask), mask(2, augment.time_mask)
    return hide(features, bands, frames, value)


class _Unit:
    """Uniform draws of each clip, in the order of asking."""

    def __init__(self, generators: Sequence[np.random.Generator]) -> None:
        self.generators = generators

    def draw(self, low: float, high: float, count: int | None = None) -> np.ndarray:
        return low + (high - low) * np.array([generator.random(count) for generator in self.generators])


def _tensor(values: np.ndarray, features: Tensor) -> Tensor:
    return torch.from_numpy(values).to(features)
