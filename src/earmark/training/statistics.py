"""Mean and deviation of a front end over a corpus: the numbers that its normalization takes."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Float32
from pydantic import Field, model_validator
from torch import Tensor, nn

from earmark import audio
from earmark.config import ConfigError, Frozen
from earmark.data import Clip, CorpusConfig
from earmark.frontends import FrontendConfig, LogMel
from earmark.frontends.normalized import Normalized
from earmark.training.augmentation.spectrogram import spec_augment
from earmark.training.augmentation.waveform import mix_waveforms
from earmark.training.randomness import generator
from earmark.training.settings import TrainingError


class Measurement(Frozen):
    """What is measured: a front end over the clips that a model may learn from, masked and mixed if asked.

    Masks of 0 and mixtures shift the statistics, so the published runs measure them anew for each setting.

    Attributes:
        frontend: waveform to features; its own normalization is left out, its padding to a length is not.
        corpus: where the clips come from; the held-out part is not heard.
        clip_seconds: longer clips are cut off at their end; None for what the front end takes.
        freq_mask: widest SpecAugment mask in bands; masked cells become 0 before normalization.
        time_mask: widest SpecAugment mask in frames.
        mixup: share of the clips that are mixed with another of the corpus, as waveforms, by Beta(10, 10).
        seed: every random draw is a function of it and of the clip.
    """

    frontend: FrontendConfig
    corpus: CorpusConfig
    clip_seconds: float | None = Field(default=None, gt=0, le=600)
    freq_mask: int = Field(default=0, ge=0)
    time_mask: int = Field(default=0, ge=0)
    mixup: float = Field(default=0.0, ge=0, le=1)
    seed: int = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _check(self) -> "Measurement":
        if self.freq_mask > self.frontend.n_bands:
            raise ValueError(
                f"freq_mask is {self.freq_mask} but the front end has {self.frontend.n_bands} bands; "
                "it must not be greater"
            )
        without_normalization(self.frontend)
        if self.clip_seconds is not None:
            self.frontend.n_frames(round(self.clip_seconds * self.frontend.sample_rate))  # refuses too many
        return self


class Statistics(NamedTuple):
    """What was found.

    Attributes:
        mean: of all cells of all clips, in the unit of the front end before normalization.
        std: their standard deviation.
        clips: how many clips were heard.
        failed: sentences for those that could not be.
    """

    mean: float
    std: float
    clips: int
    failed: list[str]


@dataclass
class Moments:
    """Mean and deviation of numbers that come piece by piece, in double precision.

    Source:
        Chan, Golub and LeVeque, Updating Formulae and a Pairwise Algorithm for Computing Sample Variances
        (1979).

    Example:
        >>> moments = Moments()
        >>> moments.add(torch.tensor([1.0, 2.0]))
        >>> moments.add(torch.tensor([6.0]))
        >>> moments.mean, round(moments.std, 4)
        (3.0, 2.1602)
    """

    count: int = 0
    mean: float = 0.0
    squares: float = 0.0

    def add(self, values: Float[Tensor, "*any"]) -> None:
        """Take in one piece, which must not be empty."""
        values = values.double()
        more, mean = values.numel(), float(values.mean())
        total, shift = self.count + more, mean - self.mean
        self.squares += float((values - mean).square().sum()) + shift**2 * self.count * more / total
        self.mean += shift * more / total
        self.count = total

    @property
    def std(self) -> float:
        """The standard deviation of the numbers themselves (not an estimate for those to come)."""
        return math.sqrt(self.squares / self.count)


def measure(measurement: Measurement, data: Path, heard: Callable[[float], None] | None = None) -> Statistics:
    """Measure mean and deviation of a front end over a corpus, in memory that holds two clips.

    Args:
        measurement: what to measure.
        data: where the corpus lies.
        heard: called after each clip with its seconds.

    Raises:
        ConfigError: the corpus is not there or has no clips.
        TrainingError: not one clip can be decoded.

    Source:
        The statistics published with AST and AudioTagging Done Right.  Deviation: the standard deviation is
        that of all cells; their script averages those of batches, which leaves out what differs between
        batches.
    """
    clips = measurement.corpus.read(data).train
    if not clips:
        raise ConfigError(f"no training clips under {data}; check the folder and the corpus")
    frontend = without_normalization(measurement.frontend).build().eval()
    moments, failed, n_heard = Moments(), dict[Path, str](), 0
    for index, clip in enumerate(clips):
        draws = generator(measurement.seed, 0, index, "statistics")
        waveform = _waveform(measurement, clips, clip, draws, failed)
        if waveform is not None:
            features = spec_augment(
                frontend(_fitting(measurement, waveform)[None]),
                freq_mask=measurement.freq_mask,
                time_mask=measurement.time_mask,
                fill=0.0,
                generators=[draws],
            )
            moments.add(features)
            n_heard += 1
            if heard:
                heard(len(waveform) / measurement.frontend.sample_rate)
    if not n_heard:
        raise TrainingError(f"none of {len(clips)} clips can be decoded; the first: {min(failed.values())}")
    return Statistics(moments.mean, moments.std, n_heard, list(failed.values()))


def without_normalization(frontend: FrontendConfig) -> LogMel | Normalized:
    """The same front end, but that its features are the bare logarithms.

    Raises:
        ConfigError: it has no normalization by the statistics of a corpus.
    """
    if isinstance(frontend, LogMel):
        return frontend.replace(offset=0.0, scale=1.0)
    if isinstance(frontend, Normalized):
        return frontend.replace(mean=0.0, std=1.0, deviations=1.0)
    raise ConfigError(
        f"{frontend.kind} is not normalized by the statistics of a corpus, so there is nothing to measure; "
        "take KaldiFbank, LogMel or SlaneyDb"
    )


def normalized_by(frontend: FrontendConfig, mean: float, std: float) -> dict[str, float]:
    """The fields of a front end that bring features of these statistics to mean 0."""
    return {"offset": -mean, "scale": std} if isinstance(frontend, LogMel) else {"mean": mean, "std": std}


def _waveform(
    measurement: Measurement,
    clips: list[Clip],
    clip: Clip,
    draws: np.random.Generator,
    failed: dict[Path, str],
) -> Float32[Tensor, "sample"] | None:
    """A clip, mixed if the draws say so; None if it cannot be heard.  A partner that cannot is left out."""
    rate = measurement.frontend.sample_rate
    mixed, partner, share = draws.random(), int(draws.integers(len(clips))), draws.beta(10, 10)
    waveform = _load(clip, rate, failed)
    if waveform is None or mixed >= measurement.mixup:
        return waveform
    other = _load(clips[partner], rate, failed)
    return waveform if other is None else mix_waveforms(waveform, other, share)


def _load(clip: Clip, sample_rate: int, failed: dict[Path, str]) -> Float32[Tensor, "sample"] | None:
    if clip.path in failed:
        return None
    try:
        return torch.from_numpy(np.array(audio.load(clip.path, sample_rate)))
    except audio.AudioError as error:
        failed[clip.path] = str(error)
        return None


def _fitting(measurement: Measurement, waveform: Float32[Tensor, "sample"]) -> Float32[Tensor, "fitting"]:
    """A clip cut to what is asked for and to what the front end takes, or padded to what it needs."""
    frontend = measurement.frontend
    if measurement.clip_seconds is not None:
        waveform = waveform[: round(measurement.clip_seconds * frontend.sample_rate)]
    if isinstance(frontend, Normalized):
        waveform = waveform[: frontend.max_samples]
    return nn.functional.pad(waveform, (0, max(0, frontend.min_samples - len(waveform))))
