"""Where and how a run is computed; nothing here changes what it computes."""

from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator

from earmark.config import Frozen


class Settings(Frozen):
    """The flags of a run: a recipe says what is computed, these say where.

    Attributes:
        resume: go on with the run that the folder holds, if it holds one.
        device: `cpu`, `cuda` or `cuda:N`.
        workers: processes that read and decode ahead; 0 reads in the training process.
        cache: folder for decoded clips; "auto" for the user's cache folder, if they are not too many; None
            decodes them anew in each epoch.
        micro_batch: clips that are in memory at once; None for the whole batch.  Batch norm sees each part by
            itself; everything else computes the same, to rounding.
        save_minutes: time between two saved states.
        save_steps: steps between two saved states, in addition; None for time alone.
        max_errors: share of the training clips that may fail to decode; one always may.
        compile: let `torch.compile` build the network.
        recompute: keep no activations inside the encoder's blocks and compute them again for the gradient:
            less memory, a third more time.
        shard: spread weights and optimizer over the processes (FSDP2), for models that do not fit into one.
        impulse_responses: folder of recordings of rooms and microphones, if the recipe asks for them.
        teacher: a model, or a file of its stored logits, if the recipe distills.
        trackers: report to these, too.
    """

    resume: bool = False
    device: str = "cpu"
    workers: int = Field(default=0, ge=0, le=1024)
    cache: Path | Literal["auto"] | None = None
    micro_batch: int | None = Field(default=None, ge=2)
    save_minutes: float = Field(default=5.0, gt=0)
    save_steps: int | None = Field(default=None, gt=0)
    max_errors: float = Field(default=0.05, ge=0, le=1)
    compile: bool = False
    recompute: bool = False
    shard: bool = False
    impulse_responses: Path | None = None
    teacher: str | None = None
    trackers: tuple[Literal["wandb", "mlflow"], ...] = ()

    @field_validator("trackers", mode="before")
    @classmethod
    def _by_name(cls, given: object) -> object:
        """One or several names as the command line gives them: `wandb`, or `wandb,mlflow`."""
        return given.split(",") if isinstance(given, str) else given


class TrainingError(RuntimeError):
    """A run that cannot go on; the sentence says why and what was kept."""
