"""A recipe: everything that decides what a training run computes, and nothing about where it runs."""

from typing import Literal

from pydantic import Field, model_validator

from earmark.config import Frozen
from earmark.data import CorpusConfig
from earmark.models import TaggerConfig


class Mixup(Frozen):
    """Mix each clip with another of its batch.

    Attributes:
        alpha: both parameters of the Beta distribution that the share is drawn from.
        share: of the clips that are mixed, 0 to 1.
    """

    alpha: float = Field(default=0.3, gt=0)
    share: float = Field(default=1.0, ge=0, le=1)


class Augment(Frozen):
    """Random changes of the training clips; each is off at its default.

    Attributes:
        crop: a clip starts at a random place and goes on at its own start (circular).
        gain_db: gain between -gain_db and +gain_db.
        equalizer_db: five points of a smooth random equalizer, each within +-equalizer_db.
        low_pass: share of the clips whose upper bands fade to the floor, as in narrow recordings.
        stretch: time is stretched by a factor between 1 / (1 + stretch) and 1 + stretch.
        warp: frequency is scaled by a factor between 1 / (1 + warp) and 1 + warp.
        mixup: mixing of clips, in power; the targets are mixed likewise.
        freq_mask: widest SpecAugment mask in bands.
        time_mask: widest SpecAugment mask in frames.
        n_masks: how many masks of each kind.
        mask_with: what masked cells become: the batch's mean, or 0 before normalization, as published.
        shared_masks: all clips of a batch get the same masks, as in PaSST's own training environments.
    """

    crop: bool = False
    gain_db: float = Field(default=0.0, ge=0)
    equalizer_db: float = Field(default=0.0, ge=0)
    low_pass: float = Field(default=0.0, ge=0, le=1)
    stretch: float = Field(default=0.0, ge=0)
    warp: float = Field(default=0.0, ge=0)
    mixup: Mixup | None = None
    freq_mask: int = Field(default=0, ge=0)
    time_mask: int = Field(default=0, ge=0)
    n_masks: int = Field(default=1, ge=0)
    mask_with: Literal["mean", "zero"] = "mean"
    shared_masks: bool = False


class AdamW(Frozen):
    """AdamW, fused.

    Attributes:
        lr: the highest rate of the schedule.
        weight_decay: of matrices and filters; biases and norms are never decayed.
    """

    lr: float = Field(default=1e-3, gt=0)
    weight_decay: float = Field(default=1e-4, ge=0)


class Cosine(Frozen):
    """A linear rise, then half a cosine down to zero, by step.

    Attributes:
        warmup: share of all steps that the rise takes.
    """

    warmup: float = Field(default=0.1, ge=0, lt=1)


class EMA(Frozen):
    """An exponential average of the weights, which becomes the result.

    Attributes:
        decay: share of the average that is kept at each step; early in a run less, so that the random start
            is forgotten.
    """

    decay: float = Field(default=0.99, gt=0, lt=1)


class Recipe(Frozen):
    """One training run, completely.

    Attributes:
        model: what is trained.
        corpus: what it learns from, and which part is held out.
        epochs: passes over the training clips; fixed, never chosen by the held-out part.
        batch_size: clips in a step, over all processes together.
        seed: every random draw is a function of it.
        augment: random changes of the clips.
        optimizer: how a step is made.
        schedule: how the rate changes.
        averaging: of the weights; None for the last ones.
        label_smoothing: moved from the true labels to all.
        weights: precision of the checkpoint that is written.
        license: under which the weights may be passed on, as far as the corpus decides that.
    """

    model: TaggerConfig
    corpus: CorpusConfig
    epochs: int = Field(gt=0)
    batch_size: int = Field(default=32, gt=0)
    seed: int = Field(default=0, ge=0)
    augment: Augment = Augment()
    optimizer: AdamW = AdamW()
    schedule: Cosine = Cosine()
    averaging: EMA | None = None
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    weights: Literal["fp32", "fp16"] = "fp32"
    license: str = ""

    @model_validator(mode="after")
    def _check(self) -> "Recipe":
        if self.model.labels != self.corpus.labels:
            raise ValueError(
                f"the model has {len(self.model.labels)} labels but the corpus has {len(self.corpus.labels)} "
                "or others; take model.replace(labels=corpus.labels)"
            )
        if self.model.padding != "loop":
            raise ValueError(
                f"model.padding is {self.model.padding!r} but training repeats short clips; set it to "
                "'loop', so that what is learned from is what is heard later"
            )
        if self.model.frontend.log_scale is None:
            raise ValueError(
                f"model.frontend is {self.model.frontend.kind}, which gives no log-mel spectrogram; training "
                "augments spectrograms only: take a front end of log-mel power"
            )
        return self
