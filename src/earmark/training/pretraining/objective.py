"""The description of dBERT's pretraining: every coefficient, with where it comes from."""

from typing import Literal

from pydantic import Field, model_validator

from earmark.config import Frozen
from earmark.training.pretraining.features import Location
from earmark.training.pretraining.generation import Generation
from earmark.training.pretraining.health import Collapse
from earmark.training.pretraining.masking import SpanMask
from earmark.training.pretraining.seeding import Seeding
from earmark.training.pretraining.standardize import Standardize
from earmark.training.pretraining.teacher import SlowCopy


class ClusterGuessing(Frozen):
    """Guess the clusters of hidden frames, while the clusters follow the features.

    A teacher hears the clip as it is.  Generators cluster its features at three locations: behind the
    convolutions, the clip summary, and the output.  The student hears the clip with spans of frames hidden,
    and learns to guess the clusters.

    Attributes:
        mask: what is hidden.
        temperature: similarities are divided by it.
        conv_weight: of guessing clusters of the convolutional features.
        summary_weight: of guessing clusters of the summary.
        output_weight: of guessing clusters of the output.
        shown_weight: of frames that are not hidden, relative to those that are.
        diversity: weight of log K - H(mean guess), which calls for guesses of all clusters.
        real_vs_centroid: weight of the game of telling centroids from real frames; see `game`.
        every: the student learns at every so-manyth iteration, the generators at each.
        conv_gradient: the gradient of the convolutions is multiplied by it.
        generation: how centroids learn.
        seeding: how they begin.
        standardize: how the moments of features follow, by which they are standardized; None: they are not.
        teacher: how it follows the student; None: the student teaches itself.
        collapse: when a run ends for it; None for never.

    Source:
        audio_dbert (github.com/RF5/audio_dbert) publishes the heads, the clusterings, their rates and the
        masks, but neither loss nor loop; five iterations to a step is read off the name of its checkpoint.
        Cross-entropy at temperature .1 on hidden frames: HuBERT, arXiv:2106.07447.  A tenth of the gradient:
        wav2vec 2.0, arXiv:2006.11477.  Teacher, standardized features, diversity and reassignment are ours:
        without a teacher of its own the summary's clusters collapse at once.

    Example:
        >>> ClusterGuessing().every, ClusterGuessing().teacher.decay
        (5, 0.999)
        >>> ClusterGuessing(conv_weight=0, summary_weight=0, output_weight=0)
        Traceback (most recent call last):
        earmark.config.ConfigError: all weights are 0, so the student has nothing to learn; ...
    """

    kind: Literal["ClusterGuessing"] = "ClusterGuessing"
    mask: SpanMask = SpanMask()
    temperature: float = Field(default=0.1, gt=0, le=1e3)
    conv_weight: float = Field(default=1.0, ge=0, le=1e3)
    summary_weight: float = Field(default=1.0, ge=0, le=1e3)
    output_weight: float = Field(default=1.0, ge=0, le=1e3)
    shown_weight: float = Field(default=0.0, ge=0, le=1e3)
    diversity: float = Field(default=0.5, ge=0, le=1e3)
    real_vs_centroid: float = Field(default=0.0, ge=0, le=1e3)
    every: int = Field(default=5, ge=1, le=10_000)
    conv_gradient: float = Field(default=0.1, ge=0, le=1e3)
    generation: Generation = Generation()
    seeding: Seeding = Seeding()
    standardize: Standardize | None = Standardize()
    teacher: SlowCopy | None = SlowCopy()
    collapse: Collapse | None = Collapse()

    @model_validator(mode="after")
    def _check(self) -> "ClusterGuessing":
        if not (self.conv_weight or self.summary_weight or self.output_weight):
            raise ValueError(
                "all weights are 0, so the student has nothing to learn; give conv_weight, summary_weight or "
                "output_weight"
            )
        if self.real_vs_centroid and self.standardize is not None and self.standardize.each:
            raise ValueError(
                "standardize.each takes away what the game would need to make centroids look like the "
                "encoder's output; set it to false, or real_vs_centroid to 0"
            )
        return self

    def weight(self, location: Location) -> float:
        """The weight of a location."""
        weights = {"conv": self.conv_weight, "summary": self.summary_weight, "output": self.output_weight}
        return weights[location]

    def momentum_at(self, updates: int) -> float:
        """How fast moments follow after so many updates of the student.

        Example:
            >>> [round(ClusterGuessing().momentum_at(n), 4) for n in (0, 15_000, 60_000)]
            [0.05, 0.03, 0.01]
        """
        if self.standardize is None:
            return 1.0
        first, last = self.standardize.momentum, self.standardize.late_momentum
        steps = (self.teacher or SlowCopy()).steps
        return first + (last - first) * min(1.0, updates / steps)


LITERAL = ClusterGuessing(diversity=0.0, standardize=None, teacher=None, generation=Generation(reassign=None))
"""Only what audio_dbert's author says: the student's own features are the targets.  Its summary collapses."""
