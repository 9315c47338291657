"""A recipe: everything that decides what a training run computes, and nothing about where it runs."""

from typing import Literal

from pydantic import Field, model_validator

from earmark.config import Frozen
from earmark.data import CorpusConfig
from earmark.models import TaggerConfig
from earmark.training.augmentation.description import Augment
from earmark.training.optimizing.averaging import AveragingConfig
from earmark.training.optimizing.optimizer import AdamW, OptimizerConfig
from earmark.training.optimizing.schedule import Cosine, ScheduleConfig
from earmark.training.supervised.distillation import Distillation
from earmark.training.supervised.sampling import SamplingConfig, Shuffled


class Recipe(Frozen):
    """One training run, completely.

    Attributes:
        model: what is trained.
        init: a model, by name or file, whose weights are begun with as far as they fit; None for random ones.
        corpus: what it learns from, and which part is held out.
        epochs: how many; fixed, never chosen by the held-out part.
        epoch_clips: clips in an epoch; None for as many as there are to learn from.
        batch_size: clips in a step, over all processes together.
        crop_seconds: training hears only so much of a clip at a time, from where `augment.crop` or
            `augment.random_offset` draws it; evaluation hears the model's `clip_seconds`.  None for as much.
        seed: every random draw is a function of it.
        sampling: which clips an epoch has, and in which order.
        augment: random changes of the clips.
        distillation: what is learned from a teacher besides the labels; None for nothing.
        optimizer: how a step is made.
        schedule: how the rate changes.
        clip_norm: a longer gradient is shortened to this; None for never.
        averaging: of the weights; None for the last ones.
        binary: binary cross-entropy even where labels exclude one another, as AST on Speech Commands.
        label_smoothing: moved from the true labels to all.
        precision: of the products in encoder and head: fp32, or autocast to bf16 or fp16.
        weights: precision of the checkpoints that are written.
        license: under which the weights may be passed on, as far as the corpus decides that.
    """

    model: TaggerConfig
    init: str | None = None
    corpus: CorpusConfig
    epochs: int = Field(gt=0, le=1_000_000)
    epoch_clips: int | None = Field(default=None, gt=0)
    batch_size: int = Field(default=32, gt=0)
    crop_seconds: float | None = Field(default=None, gt=0, le=600)
    seed: int = Field(default=0, ge=0, lt=2**63)
    sampling: SamplingConfig = Shuffled()
    augment: Augment = Augment()
    distillation: Distillation | None = None
    optimizer: OptimizerConfig = AdamW()
    schedule: ScheduleConfig = Cosine()
    clip_norm: float | None = Field(default=None, gt=0)
    averaging: AveragingConfig | None = None
    binary: bool = False
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    weights: Literal["fp32", "fp16"] = "fp32"
    license: str = ""

    @model_validator(mode="after")
    def _check(self) -> "Recipe":
        if self.model.head is None:
            raise ValueError("model.head is None, so there are no logits to learn by; give the model a head")
        misfit = self._label_misfit() or self.augment.misfit(self.model.frontend) or self._crop_misfit()
        if misfit:
            raise ValueError(misfit)
        return self

    @property
    def heard_seconds(self) -> float:
        """How much of a clip training hears at a time."""
        return self.model.clip_seconds if self.crop_seconds is None else self.crop_seconds

    @property
    def heard_model(self) -> TaggerConfig:
        """The model, as it hears clips in training."""
        return self.model.replace(clip_seconds=self.heard_seconds)

    @property
    def keeps_copy(self) -> bool:
        """Whether a copy of the weights is kept besides: their average."""
        return self.averaging is not None

    def _label_misfit(self) -> str | None:
        """In what the model's labels are not those of the corpus, as a sentence; None if they are."""
        ours, theirs = self.model.labels, self.corpus.labels
        if ours == theirs:
            return None
        if len(ours) != len(theirs):
            what = f"the model has {len(ours)} labels but the corpus has {len(theirs)}"
        elif ours.exclusive != theirs.exclusive:
            kinds = {True: "exclude one another", False: "may be given together"}
            what = f"the model's labels {kinds[ours.exclusive]} but the corpus's {kinds[theirs.exclusive]}"
        else:
            what = "the model's labels have other names or another order than the corpus's"
        return f"{what}; take model.replace(labels=corpus.labels)"

    def _crop_misfit(self) -> str | None:
        """Why clips cannot be cut to `crop_seconds`, as a sentence; None if they can."""
        if self.crop_seconds is None:
            return None
        frontend, asked = self.model.frontend, f"crop_seconds is {self.crop_seconds:g}"
        if self.crop_seconds > self.model.clip_seconds:
            return (
                f"{asked} but the model's clips have {self.model.clip_seconds:g} s; give no more than that, "
                "or a longer model.clip_seconds"
            )
        if not (self.augment.crop or self.augment.random_offset):
            return (
                f"{asked} but nothing says where in a clip a crop begins; set augment.crop, or "
                "augment.random_offset for crops that do not run over a clip's end"
            )
        shortest = frontend.samples_for(self.model.encoder.min_frames)
        if round(self.crop_seconds * frontend.sample_rate) < shortest:
            return (
                f"{asked} but front end and encoder need {shortest / frontend.sample_rate:.4g} s at least; "
                "give more, or None for whole clips"
            )
        return None
