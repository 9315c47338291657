"""What a recipe says of the steps of any pretraining."""

from typing import Protocol, runtime_checkable

from earmark.training.precision import Precision


@runtime_checkable
class StepTerms(Protocol):
    """How steps are computed; see `PretrainRecipe`."""

    @property
    def seed(self) -> int:
        """Every random draw is a function of it."""
        ...

    @property
    def precision(self) -> Precision:
        """Of the products in the network."""
        ...

    @property
    def clip_norm(self) -> float | None:
        """A longer gradient is shortened to this; None for never."""
        ...
