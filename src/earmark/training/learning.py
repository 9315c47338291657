"""What one loop needs of what it runs: supervised training and pretraining both give it."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol, runtime_checkable

import torch
from jaxtyping import Shaped
from torch import Tensor

from earmark.data import Split
from earmark.models import Tagger, TaggerConfig
from earmark.training.optimizing.averaging import WeightAverage
from earmark.training.optimizing.optimizer import Optimizer
from earmark.training.reading import Reading
from earmark.training.supervised.validation import Validation

Tensors = Mapping[str, Shaped[Tensor, "..."]]


class Outcome(NamedTuple):
    """What came of a step.

    Attributes:
        loss: mean over the clips of the whole batch; NaN or infinite if the step was not applied for that;
            None if nothing was to be learned from it.
        gradient_norm: of the whole gradient, before it was clipped.
        applied: whether the weights were changed.
    """

    loss: float | None
    gradient_norm: float
    applied: bool

    @property
    def overflowed(self) -> bool:
        """Whether the gradient alone was not finite, which fp16 can be to blame for."""
        return not self.applied and self.loss is not None and math.isfinite(self.loss)


@runtime_checkable
class AnyRecipe(Protocol):
    """A recipe, as far as the loop and its folder know it."""

    @property
    def model(self) -> TaggerConfig:
        """What is trained."""
        ...

    @property
    def init(self) -> str | None:
        """A model whose weights are begun with."""
        ...

    @property
    def epochs(self) -> int:
        """How many."""
        ...

    @property
    def seed(self) -> int:
        """Every random draw is a function of it."""
        ...

    @property
    def optimizer(self) -> Optimizer:
        """How a step is made."""
        ...

    @property
    def schedule(self) -> "Schedule":
        """How the rate changes."""
        ...

    @property
    def weights(self) -> Literal["fp32", "fp16"]:
        """Precision of the checkpoints that are written."""
        ...

    @property
    def corpus(self) -> "Readable":
        """What is learned from."""
        ...

    @property
    def epoch_clips(self) -> int | None:
        """Clips in an epoch; None for as many as there are."""
        ...

    @property
    def batch_size(self) -> int:
        """Clips in a step, over all processes."""
        ...

    @property
    def precision(self) -> Literal["fp32", "bf16", "fp16"]:
        """Of the products in the network."""
        ...

    @property
    def heard_seconds(self) -> float:
        """How much of a clip is heard at a time."""
        ...

    @property
    def heard_model(self) -> TaggerConfig:
        """The model, as it hears clips in training."""
        ...

    @property
    def keeps_copy(self) -> bool:
        """Whether a copy of the weights is kept besides."""
        ...

    def replace(self, **fields: Any) -> Any:
        """A copy with some fields changed."""
        ...

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        ...

    def to_json(self) -> str:
        """One line of JSON."""
        ...


@runtime_checkable
class Readable(Protocol):
    """A corpus."""

    def read(self, root: Path) -> Split:
        """Read the clips."""
        ...


@runtime_checkable
class Shared(Protocol):
    """One process's share of a batch, as far as the loop knows it."""

    @property
    def clips(self) -> list[int]:
        """Which clips they are."""
        ...

    @property
    def total(self) -> int:
        """How many clips the whole batch has, over all processes."""
        ...

    @property
    def failures(self) -> dict[int, str]:
        """Clips that could not be decoded and were replaced, with the reason."""
        ...


@runtime_checkable
class Schedule(Protocol):
    """How the rate changes."""

    def factor(self, step: int, steps_per_epoch: int, epochs: int) -> float:
        """What the optimizer's rate is multiplied by at a step."""
        ...


@runtime_checkable
class Learning(Protocol):
    """Who learns, and what it remembers besides the model's weights and the optimizer's memory.

    Attributes:
        measures: of the last step, by name, over all processes; the run records their means.
    """

    measures: dict[str, float]

    @property
    def optimizer(self) -> torch.optim.Optimizer:
        """Of the weights; the run sets its rate."""
        ...

    @property
    def scaler(self) -> torch.amp.GradScaler:
        """Of the gradients."""
        ...

    def step(self, batch: Any, epoch: int, number: int, micro_batch: int | None) -> Outcome:
        """Learn from a batch.

        Args:
            batch: this process's share.
            epoch: counted from 0.
            number: of the step, over the whole run.
            micro_batch: clips that are in memory at once; None for all.
        """
        ...

    def state(self) -> Tensors:
        """What must be kept for going on to the bit, but for the weights and the optimizer's memory."""
        ...

    def restore(self, state: Tensors) -> None:
        """Stand where a state stands."""
        ...


class Parts(NamedTuple):
    """What a run works with.

    Attributes:
        model: on its device.
        feed: gives its batches.
        learner: learns from them.
        average: the weights that are handed out; None for those of the model.
        validation: what is measured after each epoch.
    """

    model: Tagger
    feed: Reading
    learner: Learning
    average: WeightAverage | None
    validation: Validation | None


class Means:
    """The means of measures that not every step has.

    Example:
        >>> means = Means()
        >>> means.add({"a": 1.0, "b": 5.0})
        >>> means.add({"a": 2.0})
        >>> means.values()
        {'a': 1.5, 'b': 5.0}
    """

    def __init__(self, sums: Mapping[str, Sequence[float | int]] | None = None) -> None:
        self.sums = {name: (float(total), int(count)) for name, (total, count) in (sums or {}).items()}

    def add(self, measures: Mapping[str, float]) -> None:
        """Take those of a step."""
        for name, value in measures.items():
            total, count = self.sums.get(name, (0.0, 0))
            self.sums[name] = (total + value, count + 1)

    def values(self) -> dict[str, float]:
        """The means, by name."""
        return {name: total / count for name, (total, count) in self.sums.items()}
