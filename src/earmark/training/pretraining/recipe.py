"""A recipe of pretraining: everything that decides what a run computes, and nothing about where it runs."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from earmark.config import Frozen
from earmark.data.unlabeled import SoundCorpus, Unlabeled
from earmark.encoders import AST, DBERT, PaSST, Patchout
from earmark.models import TaggerConfig
from earmark.training.optimizing.optimizer import AdamW
from earmark.training.optimizing.schedule import Linear, ScheduleConfig
from earmark.training.pretraining.objective import ClusterGuessing
from earmark.training.pretraining.patches.description import MaskedPatches

UNUSED = ("layer_decay", "head_factor", "freeze", "decay_all")
"""Fields of an optimizer that pretraining knows nothing of."""

LEAST_PATCHES = 2


def _with_kind(given: Any) -> Any:
    """Recipes that were written when there was one objective do not say which it is."""
    return {"kind": "ClusterGuessing"} | given if isinstance(given, dict) else given


Objective = Annotated[
    Annotated[ClusterGuessing | MaskedPatches, Field(discriminator="kind")], BeforeValidator(_with_kind)
]


class PretrainRecipe(Frozen):
    """One run of self-supervised pretraining, completely.

    Attributes:
        model: what is trained, without a head: a dBERT with clusters and all its layers, or for masked
            patches a PaSST or an AST.
        init: a model, by name or file, whose weights are begun with as far as they fit; None for random ones.
        objective: what is made small.
        corpus: what it hears; of a corpus with labels only the clips to learn from, without their labels.
        epochs: how many.
        epoch_clips: crops in an epoch; None for one of each clip, or as many of each as fit; see `crops`.
        crops: "clips": all clips give as many crops, be they long or short; "seconds": as many as fit into
            them, so that all seconds count the same.  The lengths of all clips are looked up for that, which
            takes a while without a cache.
        batch_size: crops in a step, over all processes together.  A batch has so many clip summaries: the
            summary's clusters can only all be in use if they are not many more.
        crop_seconds: of the longest crops.
        jitter: those of each batch are shorter by a share between 0 and this.
        seed: every random draw is a function of it.
        optimizer: of the student.
        schedule: how its rate changes.
        clip_norm: a longer gradient is shortened to this; None for never.
        precision: of the products in student and teacher: fp32, or autocast to bf16 or fp16.
        weights: precision of the checkpoints that are written.
        license: under which the weights may be passed on, as far as the corpus decides that.
    """

    kind: Literal["Pretrain"] = "Pretrain"
    model: TaggerConfig
    init: str | None = None
    objective: Objective = ClusterGuessing()
    corpus: SoundCorpus = Unlabeled()
    epochs: int = Field(gt=0, le=1_000_000)
    epoch_clips: int | None = Field(default=None, gt=0, le=1_000_000_000)
    crops: Literal["clips", "seconds"] = "clips"
    batch_size: int = Field(default=32, gt=0, le=1_000_000)
    crop_seconds: float = Field(default=8.0, gt=0, le=600)
    jitter: float = Field(default=0.1, ge=0, le=0.9)
    seed: int = Field(default=0, ge=0, lt=2**63)
    optimizer: AdamW = AdamW(lr=5e-4, betas=(0.9, 0.98), eps=1e-6, weight_decay=0.01)
    schedule: ScheduleConfig = Linear()
    clip_norm: float | None = Field(default=1.0, gt=0)
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    weights: Literal["fp32", "fp16"] = "fp32"
    license: str = ""

    @model_validator(mode="after")
    def _check(self) -> "PretrainRecipe":
        misfit = self._model_misfit() or self._batch_misfit() or self._optimizer_misfit()
        if misfit:
            raise ValueError(misfit)
        return self

    @property
    def heard_seconds(self) -> float:
        """How much of a clip is heard at a time."""
        return self.crop_seconds

    @property
    def heard_model(self) -> TaggerConfig:
        """The model, as it hears clips in training: without patches that are hidden from it."""
        model, encoder = self.model.replace(clip_seconds=self.crop_seconds), self.model.encoder
        if not (isinstance(self.objective, MaskedPatches) and isinstance(encoder, PaSST | AST)):
            return model
        frontend = model.frontend
        rows, columns = encoder.grid(frontend.n_frames(round(self.crop_seconds * frontend.sample_rate)))
        hidden = rows * columns - self.objective.kept(rows * columns)
        return model.replace(encoder=encoder.replace(patchout=Patchout(patches=hidden)))

    @property
    def keeps_copy(self) -> bool:
        """Whether a copy of the weights is kept besides: the teacher's."""
        return isinstance(self.objective, ClusterGuessing) and self.objective.teacher is not None

    def _model_misfit(self) -> str | None:
        """Why the model cannot be pretrained, as a sentence; None if it can."""
        encoder, frontend = self.model.encoder, self.model.frontend
        if isinstance(self.objective, MaskedPatches):
            misfit = self._patch_misfit()
            if misfit:
                return misfit
        elif not isinstance(encoder, DBERT) or encoder.clusters is None or encoder.layer is not None:
            cut = getattr(encoder, "layer", None)
            what = f"a {encoder.kind}" if cut is None else f"a {encoder.kind} that is cut off at layer {cut}"
            return (
                f"the encoder is {what}; guessing clusters takes a dBERT with clusters and all its layers, "
                "as DBERT(clusters=Clusters())"
            )
        if self.model.head is not None:
            return "model.head is set, but nothing is tagged in pretraining; leave it None"
        shortest = frontend.samples_for(encoder.min_frames) / frontend.sample_rate
        if self.crop_seconds * (1 - self.jitter) < shortest:
            return (
                f"crop_seconds is {self.crop_seconds:g} and jitter {self.jitter:g}, but the encoder needs "
                f"{shortest:.4g} s at least; give longer crops, or less jitter"
            )
        return None

    def _patch_misfit(self) -> str | None:
        """Why the model's patches cannot be masked."""
        encoder, frontend = self.model.encoder, self.model.frontend
        if not isinstance(encoder, PaSST | AST):
            return f"the encoder is a {encoder.kind}; masked patches are for PaSST and AST, take one of them"
        if isinstance(encoder, PaSST) and encoder.channels > 1:
            return f"encoder.channels is {encoder.channels}; masked patches are those of one spectrogram: 1"
        frames = frontend.n_frames(round(self.crop_seconds * frontend.sample_rate))
        if encoder.longest is not None and frames > encoder.longest:
            return (
                f"crop_seconds is {self.crop_seconds:g}, which gives {frames} frames, but the encoder hears "
                f"{encoder.longest}; give shorter crops"
            )
        shortest = frontend.n_frames(int(self.crop_seconds * (1 - self.jitter) * frontend.sample_rate))
        rows, columns = encoder.grid(shortest)
        if rows * columns < LEAST_PATCHES and shortest >= encoder.min_frames:
            return (
                f"the shortest crops have {rows} x {columns} patches, so none can be hidden; give longer ones"
            )
        return None

    def _batch_misfit(self) -> str | None:
        """Why a batch has too few clips for the summary's clusters."""
        clusters = self.model.encoder.clusters if isinstance(self.model.encoder, DBERT) else None
        most = max(clusters.summary, default=0) if clusters else 0
        guessing = isinstance(self.objective, ClusterGuessing)
        if guessing and self.objective.collapse is not None and 3 * self.batch_size < most:
            return (
                f"batch_size is {self.batch_size} and the summary has {most} clusters, so that less than a "
                f"third of them could be in use; take batches of {-(-most // 3)} at least, or fewer clusters "
                "in model.encoder.clusters.summary"
            )
        return None

    def _optimizer_misfit(self) -> str | None:
        """Which field of the optimizer would change nothing."""
        usual = AdamW()
        changed = [name for name in UNUSED if getattr(self.optimizer, name) != getattr(usual, name)]
        if changed:
            return f"optimizer.{changed[0]} is set, but pretraining does not know it; leave it as it is"
        return None
