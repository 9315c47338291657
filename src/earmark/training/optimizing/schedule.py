"""How the rate changes over a run: configs that a recipe holds."""

import math
from bisect import bisect_right
from typing import Annotated, Literal

from pydantic import Field, model_validator

from earmark.config import Frozen
from earmark.training.optimizing import curves
from earmark.training.optimizing.kinds import otherwise

Epochs = Annotated[int, Field(ge=0, le=1_000_000)]


class Constant(Frozen):
    """The optimizer's rate, always.

    Example:
        >>> Constant().factor(7, steps_per_epoch=10, epochs=2)
        1.0
    """

    kind: Literal["Constant"] = "Constant"

    def factor(self, step: int, steps_per_epoch: int, epochs: int) -> float:
        """What the optimizer's rate is multiplied by at a step; 1 here."""
        return 1.0


class Cosine(Frozen):
    """A linear rise, then half a cosine down to zero, by step.

    Attributes:
        warmup: share of all steps that the rise takes.

    Example:
        >>> [round(Cosine(warmup=0.2).factor(step, 5, 2), 2) for step in (0, 1, 2, 6, 9)]
        [0.5, 1.0, 1.0, 0.5, 0.04]
    """

    kind: Literal["Cosine"] = "Cosine"
    warmup: float = Field(default=0.1, ge=0, lt=1)

    def factor(self, step: int, steps_per_epoch: int, epochs: int) -> float:
        """What the optimizer's rate is multiplied by at a step.

        Args:
            step: counted from 0 over the whole run.
            steps_per_epoch: how many steps an epoch has.
            epochs: how many epochs the run has.
        """
        n_steps = steps_per_epoch * epochs
        rise = round(self.warmup * n_steps)
        if step < rise:
            return (step + 1) / rise
        return 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1, n_steps - rise)))


class Linear(Frozen):
    """A linear rise, then a linear fall to zero, by step.

    Attributes:
        warmup: share of all steps that the rise takes.

    Example:
        >>> [round(Linear(warmup=0.2).factor(step, 5, 2), 2) for step in (0, 1, 2, 6, 9)]
        [0.5, 1.0, 1.0, 0.5, 0.12]
    """

    kind: Literal["Linear"] = "Linear"
    warmup: float = Field(default=0.08, ge=0, lt=1)

    def factor(self, step: int, steps_per_epoch: int, epochs: int) -> float:
        """What the optimizer's rate is multiplied by at a step; see `Cosine.factor`."""
        n_steps = steps_per_epoch * epochs
        rise = round(self.warmup * n_steps)
        return (step + 1) / rise if step < rise else (n_steps - step) / max(1, n_steps - rise)


class ExpWarmupLinear(Frozen):
    """An exponential rise, a plateau, a linear fall to a floor, by epoch.

    Attributes:
        warmup: epochs of the rise.
        fall_from: last epoch, counted from 0, at the full rate.
        fall: epochs that the fall takes.
        last: where it ends, as a share of the full rate.

    Source:
        `exp_lin` of PaSST's training code, its default; agrees with recorded curves.

    Example:
        >>> [round(ExpWarmupLinear().factor(epoch, 1, 130), 4) for epoch in (0, 1, 4, 5, 75, 120)]
        [0.0174, 0.0408, 0.8187, 1.0, 0.505, 0.01]
    """

    kind: Literal["ExpWarmupLinear"] = "ExpWarmupLinear"
    warmup: Epochs = 5
    fall_from: Epochs = 50
    fall: Epochs = 50
    last: float = Field(default=0.01, ge=0, le=1)

    def factor(self, step: int, steps_per_epoch: int, epochs: int) -> float:
        """What the optimizer's rate is multiplied by at a step; see `Cosine.factor`."""
        epoch = step // steps_per_epoch
        return curves.exp_warmup_linear_down(epoch, self.warmup, self.fall, self.fall_from, self.last)


class CosineCycle(Frozen):
    """Whole cosines one after another, then a floor, by epoch.

    Attributes:
        cycle: epochs from one trough to the next.
        fall_from: the cycles stop at the first whole number of them that takes this many epochs.
        last: the troughs and the floor, as a share of the full rate.

    Source:
        `cos_cyc` of PaSST's training code; agrees with recorded curves.

    Example:
        >>> [round(CosineCycle().factor(epoch, 1, 130), 4) for epoch in (0, 10, 20, 100, 120)]
        [0.01, 1.0, 0.01, 0.01, 0.01]
    """

    kind: Literal["CosineCycle"] = "CosineCycle"
    cycle: int = Field(default=20, ge=1, le=1_000_000)
    fall_from: Epochs = 100
    last: float = Field(default=0.01, ge=0, le=1)

    def factor(self, step: int, steps_per_epoch: int, epochs: int) -> float:
        """What the optimizer's rate is multiplied by at a step; see `Cosine.factor`."""
        return curves.cosine_cycle(step // steps_per_epoch, self.cycle, self.fall_from, self.last)


class Steps(Frozen):
    """A rise in stairs by step, then a fall by a factor at each milestone.

    Attributes:
        warmup: steps of the rise; 0 for none.
        stair: steps on one stair; the first stair is at rate 0.
        milestones: epochs, counted from 0, at whose start the rate falls; rising.
        gamma: what it falls by.

    Source:
        AST, PSLA and AudioTagging Done Right.  Deviation: where the rise goes on past a milestone, their code
        forgets that milestone at the next stair; here it counts.

    Example:
        >>> schedule = Steps(milestones=(2, 3), gamma=0.5)
        >>> [schedule.factor(step, 1000, 5) for step in (0, 50, 999, 1000, 2000, 4000)]
        [0.0, 0.05, 0.95, 1.0, 0.5, 0.25]
    """

    kind: Literal["Steps"] = "Steps"
    warmup: int = Field(default=1000, ge=0, le=1_000_000_000)
    stair: int = Field(default=50, ge=1, le=1_000_000_000)
    milestones: tuple[Epochs, ...] = Field(default=(), max_length=10_000)
    gamma: float = Field(default=0.5, gt=0, le=1)

    @model_validator(mode="after")
    def _check(self) -> "Steps":
        if list(self.milestones) != sorted(set(self.milestones)):
            raise ValueError(f"milestones {self.milestones} do not rise; give each epoch once, in order")
        return self

    def factor(self, step: int, steps_per_epoch: int, epochs: int) -> float:
        """What the optimizer's rate is multiplied by at a step; see `Cosine.factor`."""
        rise = step // self.stair * self.stair / self.warmup if step < self.warmup else 1.0
        return rise * self.gamma ** bisect_right(self.milestones, step // steps_per_epoch)


ScheduleConfig = Annotated[
    Constant | Cosine | CosineCycle | ExpWarmupLinear | Linear | Steps,
    Field(discriminator="kind"),
    otherwise("Cosine"),
]
