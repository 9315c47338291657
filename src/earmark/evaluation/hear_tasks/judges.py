"""What a split's vectors are called, and how good answers for them are."""

import itertools
from typing import NamedTuple, Protocol, cast, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float

from earmark.evaluation.hear_tasks.embedded import Embedded
from earmark.evaluation.hear_tasks.events import covering, decoded
from earmark.evaluation.hear_tasks.layout import Event, Events, HearTask, Labels
from earmark.evaluation.hear_tasks.scores import OF_FAILURES, OF_SOUNDS, of_events

Answers = Float[np.ndarray, "row label"]
Truth = Bool[np.ndarray, "row label"]


class Processing(NamedTuple):
    """How scores of points in time become events: two times in milliseconds."""

    median_filter: float = 0.0
    min_duration: float = 0.0


@runtime_checkable
class Judge(Protocol):
    """Counts answers for the vectors of a split.

    Attributes:
        targets: which labels hold for which vector.
        processings: ways to read the answers, of which the best one on validation data is taken.
    """

    targets: Truth
    processings: tuple[Processing, ...]

    def count(self, answers: Answers, processing: Processing, metrics: tuple[str, ...]) -> dict[str, float]:
        """Metrics of the answers, by name."""
        ...


def judge(task: HearTask, split: str, found: Embedded) -> Judge:
    """The judge of a split.

    Args:
        task: of the split.
        split: its name.
        found: its vectors.
    """
    return Sounds(task, split, found) if task.embedding == "scene" else Timelines(task, split, found)


class Sounds:
    """Judges answers for whole sounds; see `Judge`.

    Args:
        task: scene task.
        split: its name.
        found: one vector for each sound that could be heard.
    """

    def __init__(self, task: HearTask, split: str, found: Embedded) -> None:
        entries = task.splits[split]
        self.labels = task.labels
        column = {label: place for place, label in enumerate(task.labels)}
        self.targets: Truth = np.zeros((len(found.names), len(task.labels)), dtype=bool)
        for row, name in enumerate(found.names):
            for label in cast(Labels, entries[name]):
                self.targets[row, column[label]] = True
        self.share = len(found.names) / len(entries)
        self.processings: tuple[Processing, ...] = (Processing(),)

    def count(self, answers: Answers, processing: Processing, metrics: tuple[str, ...]) -> dict[str, float]:
        """Metrics; in accuracies a sound that could not be heard is wrong."""
        found = {name: OF_SOUNDS[name](answers, self.targets, self.labels) for name in metrics}
        return {name: value * (self.share if name in OF_FAILURES else 1.0) for name, value in found.items()}


class Timelines:
    """Judges answers for points in time by the events that they make; see `Judge`.

    Args:
        task: event task.
        split: its name.
        found: a vector for each point in time of the sounds that could be heard.
    """

    def __init__(self, task: HearTask, split: str, found: Embedded) -> None:
        self.labels = task.labels
        self.true = cast(dict[str, Events], task.splits[split])
        ends = np.cumsum(found.counts)
        self.places = {
            name: slice(int(end - count), int(end))
            for name, end, count in zip(found.names, ends, found.counts, strict=True)
        }
        self.times = found.times.astype(np.float64)
        parts = [
            covering(self.true[name], self.times[place], task.labels) for name, place in self.places.items()
        ]
        self.targets: Truth = np.concatenate(parts)
        self.processings = tuple(
            Processing(*pair) for pair in itertools.product(task.median_filters, task.min_durations)
        )

    def count(self, answers: Answers, processing: Processing, metrics: tuple[str, ...]) -> dict[str, float]:
        """Metrics; the events of a sound that could not be heard are missed."""
        found: dict[str, list[Event]] = {
            name: decoded(answers[place], self.times[place], self.labels, *processing)
            for name, place in self.places.items()
        }
        return {name: of_events(name, found, self.true, self.labels) for name in metrics}
