"""How much is tried, and how long: the numbers of the protocol."""

from pydantic import Field

from earmark.config import Frozen


class Protocol(Frozen):
    """The shallow network's search; the defaults are the benchmark's.

    Attributes:
        grid_points: settings of the network that are tried, drawn from the grid.
        max_epochs: the most that each learns.
        check_every: epochs between two looks at the validation score.
        patience: looks without a better score after which it stops.
        batch_size: vectors in a step.
        width: of hidden layers.
        dropout: share dropped behind them.
        seed: of the grid, the initialization, the order and the dropout.

    Source:
        HEAR 2021 (arXiv:2203.03022), appendix on downstream training; hear-eval-kit's default grid.
    """

    grid_points: int = Field(default=8, ge=1, le=16)
    max_epochs: int = Field(default=500, ge=1, le=100_000)
    check_every: int = Field(default=3, ge=1, le=1000)
    patience: int = Field(default=20, ge=1, le=1000)
    batch_size: int = Field(default=1024, ge=2, le=1_000_000)
    width: int = Field(default=1024, ge=1, le=65_536)
    dropout: float = Field(default=0.1, ge=0, lt=1)
    seed: int = Field(default=42, ge=0, le=2**31 - 1)
