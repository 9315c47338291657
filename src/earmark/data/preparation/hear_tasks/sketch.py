"""A task before it is written: which sounds, what is heard in them, and where they belong."""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import numpy as np
from jaxtyping import Float
from pydantic import Field, field_validator

from earmark.config import Frozen

Sound = Float[np.ndarray, "sample"]


class Making(Frozen):
    """Settings of a task that is made.

    Attributes:
        rates: in Hz, of the sounds that are written; a model of another rate is served by the highest.
        name: of the task; that of its kind, or of the data, if None.
        seconds: all sounds are cut or followed by silence to this length; None to take them as they are, or
            as the kind has it.
        recordings: that a timeline has in all.
        seed: of what is drawn.
    """

    rates: tuple[int, ...] = Field(default=(32000,), min_length=1, max_length=10)
    name: str | None = Field(default=None, pattern=r"^[A-Za-z0-9_]+$", max_length=100)
    seconds: float | None = Field(default=None, gt=0, le=1200)
    recordings: int = Field(default=30, ge=5, le=10_000)
    seed: int = Field(default=0, ge=0, le=2**31 - 1)

    @field_validator("rates", mode="before")
    @classmethod
    def _one_or_more(cls, value: Any) -> Any:
        return (value,) if isinstance(value, int) else value

    @field_validator("rates")
    @classmethod
    def _possible(cls, rates: tuple[int, ...]) -> tuple[int, ...]:
        if any(not 1000 <= rate <= 192_000 for rate in rates):
            raise ValueError(f"rates are {rates}; give 1000 to 192000 Hz")
        return rates


class Event(NamedTuple):
    """Something heard from when to when, in milliseconds."""

    label: str
    start: float
    end: float


class Entry(NamedTuple):
    """A sound of a task.

    Attributes:
        name: of its file, without ending; different for all sounds of a task.
        source: where it comes from, in words that do not change.
        sound: gives its samples at a rate.
        labels: what is heard in it; or the events.
    """

    name: str
    source: str
    sound: Callable[[int], Sound]
    labels: tuple[str, ...] | tuple[Event, ...]


class Sketch(NamedTuple):
    """A task to be written.

    Attributes:
        name: of the task.
        embedding: what shall be embedded: whole sounds (scene) or points in time (event).
        exclusive: one label holds for each sound.
        labels: all of them.
        metrics: the first decides.
        splits: sounds by split: train, valid and test, or fold00, fold01 and so on.
        seconds: length of all sounds; None if they differ.
    """

    name: str
    embedding: Literal["scene", "event"]
    exclusive: bool
    labels: tuple[str, ...]
    metrics: tuple[str, ...]
    splits: dict[str, list[Entry]]
    seconds: float | None = None
