"""Averages of a model's weights over a run."""

from collections.abc import Mapping
from typing import Annotated, Literal

import torch
from jaxtyping import Shaped
from pydantic import Field, model_validator
from torch import Tensor, nn

from earmark.config import ConfigError, Frozen
from earmark.training.optimizing.kinds import otherwise

Weights = dict[str, Shaped[Tensor, "..."]]
Epoch = Annotated[int, Field(ge=1, le=1_000_000)]


class EMA(Frozen):
    """An exponential average of the weights after each step, which becomes the result.

    Attributes:
        decay: share of the average that is kept at each step; early in a run less, so that the random start
            is forgotten.
    """

    kind: Literal["EMA"] = "EMA"
    decay: float = Field(default=0.99, gt=0, lt=1)

    def build(self, model: nn.Module, epochs: int | None = None) -> "ExponentialAverage":
        """The average, which starts as the model's weights are now."""
        return ExponentialAverage(model, self.decay)


class SWA(Frozen):
    """Stochastic weight averaging: the mean of the parameters at the starts of some epochs.

    Attributes:
        start: the first epoch, counted from 1; or, below 1, the share of all epochs that lie before it.
        every: epochs from one to the next.

    Source:
        PaSST's training code; agrees with recorded averages.  At the start of an epoch means before its
        training: with the defaults and 130 epochs, 17 snapshots after 49, 54, ... 129 epochs.  The rate is
        not changed.  Deviation: buffers, which it leaves as they were at the start of the run, are those of
        the last snapshot (PaSST has none that training changes).
    """

    kind: Literal["SWA"] = "SWA"
    start: Epoch | Annotated[float, Field(ge=0, lt=1)] = 50
    every: Epoch = 5

    def first(self, epochs: int | None) -> int:
        """The first epoch, counted from 0, at whose start a snapshot is taken.

        Raises:
            ConfigError: the start is a share, and nobody says of how many epochs.
        """
        if isinstance(self.start, int):
            return self.start - 1
        if epochs is None:
            raise ConfigError(
                f"averaging.start is {self.start:g}, a share of the epochs; say how many there are"
            )
        return max(0, int(epochs * self.start) - 1)

    def build(self, model: nn.Module, epochs: int | None = None) -> "MeanOfEpochs":
        """The average; `epochs` is how many the run has."""
        return MeanOfEpochs(model, self.first(epochs), None, self.every, at="start", buffers=False)


class EpochMean(Frozen):
    """The mean of the weights at the ends of epochs `first` to `last`, counted from 1, each once.

    Attributes:
        first: the first of them.
        last: the last of them.

    Source:
        The weight averages of AST, PSLA and AudioTagging Done Right, buffers included.  Deviation: PSLA's
        routine counts the first epoch twice; if fewer epochs are run than `last`, theirs fails, and this is
        the mean of those that there are.

    Example:
        >>> EpochMean(first=6, last=5)
        Traceback (most recent call last):
        earmark.config.ConfigError: averaging goes from epoch 6 to epoch 5; last must not be less than first
    """

    kind: Literal["EpochMean"] = "EpochMean"
    first: Epoch = 1
    last: Epoch

    @model_validator(mode="after")
    def _check(self) -> "EpochMean":
        if self.last < self.first:
            raise ValueError(
                f"averaging goes from epoch {self.first} to epoch {self.last}; last must not be less than "
                "first"
            )
        return self

    def build(self, model: nn.Module, epochs: int | None = None) -> "MeanOfEpochs":
        """The average, with nothing in it yet."""
        return MeanOfEpochs(model, self.first - 1, self.last - 1, 1, at="end", buffers=True)


AveragingConfig = Annotated[EMA | EpochMean | SWA, Field(discriminator="kind"), otherwise("EMA")]


class WeightAverage:
    """What all averages have in common: a count, and a copy of the weights that moves.

    Args:
        model: whose weights are averaged; by the names of its state dict.
    """

    def __init__(self, model: nn.Module) -> None:
        self.count = 0
        self.average: Weights = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}

    @property
    def weights(self) -> Weights | None:
        """The average, as the model's state dict; None as long as nothing was averaged."""
        return self.average if self.count else None

    def start_epoch(self, model: nn.Module, epoch: int) -> None:
        """An epoch, counted from 0, begins."""

    def after_step(self, model: nn.Module) -> None:
        """A step was applied."""

    def end_epoch(self, model: nn.Module, epoch: int) -> None:
        """An epoch, counted from 0, is over."""

    def state(self) -> Weights:
        """Everything that `restore` needs in order to go on to the bit."""
        return {"count": torch.tensor(self.count), **{f"weights.{k}": v for k, v in self.average.items()}}

    def restore(self, state: Mapping[str, Shaped[Tensor, "..."]]) -> None:
        """Go on from a state.

        Raises:
            ConfigError: it is that of another model.
        """
        if {f"weights.{name}" for name in self.average} | {"count"} != set(state):
            raise ConfigError("this average of weights is that of another model; resume with the same recipe")
        self.count = int(state["count"])
        for name, tensor in self.average.items():
            tensor.copy_(state[f"weights.{name}"])


class ExponentialAverage(WeightAverage):
    """An exponential average of a model's parameters and buffers.

    Early on the decay is (1 + n) / (10 + n) after n updates, so that the random start does not linger.

    Args:
        model: whose weights are averaged.
        decay: share of the average that is kept at each update, once the start is forgotten.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        super().__init__(model)
        self.decay = decay

    @torch.no_grad()
    def after_step(self, model: nn.Module) -> None:
        """Move the average towards the model's weights; counters are copied."""
        self.count += 1
        keep = min(self.decay, (1 + self.count) / (10 + self.count))
        for name, tensor in model.state_dict().items():
            if tensor.is_floating_point():
                self.average[name].lerp_(tensor, 1 - keep)
            else:
                self.average[name].copy_(tensor)


class MeanOfEpochs(WeightAverage):
    """The mean of the weights at some epochs.

    Args:
        model: whose weights are averaged.
        first: epoch, counted from 0.
        last: epoch; None for no end.
        every: epochs from one snapshot to the next.
        at: whether weights are taken at the start or at the end of an epoch.
        buffers: average buffers too; False copies them.
    """

    def __init__(
        self,
        model: nn.Module,
        first: int,
        last: int | None,
        every: int,
        at: Literal["start", "end"],
        *,
        buffers: bool,
    ) -> None:
        super().__init__(model)
        self.first, self.last, self.every, self.at = first, last, every, at
        parameters = {name for name, _ in model.named_parameters()}
        self.averaged = {
            k for k, v in self.average.items() if v.is_floating_point() and (buffers or k in parameters)
        }

    def takes(self, epoch: int) -> bool:
        """Whether this epoch, counted from 0, has a snapshot."""
        wanted = epoch >= self.first and (self.last is None or epoch <= self.last)
        return wanted and (epoch - self.first) % self.every == 0

    def start_epoch(self, model: nn.Module, epoch: int) -> None:
        """Take a snapshot, if this is the time."""
        if self.at == "start" and self.takes(epoch):
            self._add(model)

    def end_epoch(self, model: nn.Module, epoch: int) -> None:
        """Take a snapshot, if this is the time."""
        if self.at == "end" and self.takes(epoch):
            self._add(model)

    @torch.no_grad()
    def _add(self, model: nn.Module) -> None:
        for name, tensor in model.state_dict().items():
            average = self.average[name]
            if name in self.averaged and self.count:
                average += (tensor - average) / (self.count + 1)
            else:
                average.copy_(tensor)
        self.count += 1
