"""From events to labels of points in time, and from scores of points in time back to events."""

import importlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from earmark.config import ConfigError
from earmark.evaluation.hear_tasks.layout import Event

THRESHOLD = 0.5


def covering(
    events: Sequence[Event], times: Float[np.ndarray, "time"], labels: Sequence[str]
) -> Bool[np.ndarray, "time label"]:
    """Which labels hold at which points in time: those of the events that cover them, both ends included.

    Args:
        events: of one sound.
        times: in milliseconds.
        labels: the columns.

    Example:
        >>> covering([Event("dog", 50.0, 100.0)], np.array([0.0, 50.0, 100.0, 150.0]), ["dog"])[:, 0]
        array([False,  True,  True, False])
    """
    found = np.zeros((len(times), len(labels)), dtype=bool)
    column = {label: place for place, label in enumerate(labels)}
    for event in events:
        found[:, column[event.label]] |= (times >= event.start) & (times <= event.end + 1e-4)
    return found


def decoded(
    scores: Float[np.ndarray, "time label"],
    times: Float[np.ndarray, "time"],
    labels: Sequence[str],
    median_filter: float,
    min_duration: float,
) -> list[Event]:
    """Events of one sound: runs of scores above one half.

    Args:
        scores: probabilities.
        times: in milliseconds, ascending.
        labels: the columns.
        median_filter: scores are first replaced by their median over so many milliseconds; 0 for not.
        min_duration: events shorter than so many milliseconds, from their first to their last point in time,
            are dropped.

    Raises:
        ConfigError: SciPy is not installed.

    Source:
        hear-eval-kit: filter, threshold, runs; an event ends at its last point in time.

    Example:
        >>> scores = np.array([[0.1], [0.9], [0.8], [0.7], [0.2]])
        >>> decoded(scores, np.arange(5) * 50.0, ["dog"], 0.0, 100.0)
        [Event(label='dog', start=50.0, end=150.0)]
    """
    width = round(median_filter / float(np.diff(times).mean())) if len(times) > 1 else 0
    if width > 1:
        scores = _ndimage().median_filter(scores, size=(width, 1))
    above = np.zeros((len(scores) + 2, scores.shape[1]), dtype=np.int8)
    above[1:-1] = scores > THRESHOLD
    turns = np.diff(above, axis=0)
    found: list[Event] = []
    for place, label in enumerate(labels):
        first, last = (turns[:, place] == 1).nonzero()[0], (turns[:, place] == -1).nonzero()[0] - 1
        for start, end in zip(times[first].tolist(), times[last].tolist(), strict=True):
            if end - start >= min_duration:
                found.append(Event(label, float(start), float(end)))
    return sorted(found, key=lambda event: (event.start, event.end, event.label))


def _ndimage() -> Any:
    return needed("scipy.ndimage")


def needed(module: str) -> Any:
    """A module of the packages that tasks with events need.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError:
        raise ConfigError(
            'tasks with events need SciPy and mir_eval; install them with `pip install "earmark[hear]"`'
        ) from None
