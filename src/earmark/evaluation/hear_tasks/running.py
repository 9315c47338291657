"""A task from sounds to scores: embed, learn, count, fold by fold."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch

from earmark import __version__
from earmark.audio import displayable
from earmark.config import ConfigError
from earmark.evaluation.folds import spread
from earmark.evaluation.hear_tasks.embedded import Embedded, embedded
from earmark.evaluation.hear_tasks.judges import judge
from earmark.evaluation.hear_tasks.keeping import Kept, digest_of
from earmark.evaluation.hear_tasks.layout import METADATA, HearTask, Round
from earmark.evaluation.hear_tasks.learning import Lesson, Part, learn
from earmark.evaluation.hear_tasks.listener import Listener
from earmark.evaluation.hear_tasks.network import Point, grid
from earmark.evaluation.hear_tasks.protocol import Protocol
from earmark.evaluation.hear_tasks.scores import known_metrics

LEAST = 2
"""Vectors that can be learned from: batch norm needs a deviation."""

Step = Callable[[float], None]


class Work(NamedTuple):
    """What is done on each fold of a task.

    Attributes:
        task: see `read_task`.
        splits: the embeddings of its sounds.
        metrics: those of its metrics that are known, the first one chooses.
        protocol: how much is tried.
        kept: where scores are kept.
        device: where the network learns.
    """

    task: HearTask
    splits: dict[str, Embedded]
    metrics: tuple[str, ...]
    protocol: Protocol
    kept: Kept
    device: str


def evaluate_task(
    task: HearTask, who: Listener, protocol: Protocol, kept: Kept, step: Step = lambda seconds: None
) -> dict[str, Any]:
    """How well a module's embeddings do on a task.

    What was embedded or learned before, in this or in a killed run, is taken from `kept`.

    Args:
        task: see `read_task`.
        who: gives the embeddings.
        protocol: how much is tried.
        kept: where embeddings and scores are kept.
        step: is told after each sound that is embedded, with its length in seconds.

    Returns:
        Plain values: `task`, `name`, `metrics` (by name, mean and deviation over folds), `folds` (for each:
        `test` split, the chosen point and all `points`), `failed`, `left_out` (metrics that are not known)
        and processor seconds.

    Raises:
        ConfigError: the first metric is not known, or no sound can be heard.
    """
    known = known_metrics(task.embedding)
    metrics = tuple(name for name in task.metrics if name in known)
    if not metrics or metrics[0] != task.metrics[0]:
        raise ConfigError(
            f"{displayable(task.folder / METADATA)}: the first metric is {task.metrics[0]!r}; known are "
            f"{', '.join(known)}"
        )
    splits = {name: embedded(task, name, who, kept, step) for name in task.splits}
    work = Work(task, splits, metrics, protocol, kept, who.device)
    folds: list[dict[str, Any]] = []
    points = list(enumerate(grid(protocol)))
    for one in task.rounds:
        told = _tried(work, one, points)
        best = max(range(len(told)), key=lambda place: told[place]["valid"])
        folds.append({"test": one.test, "valid": one.valid, "chosen": told[best], "points": told})
        points = [points[best]]  # the grid is searched on the first fold alone, as the benchmark does
    means = spread([fold["chosen"]["test"] for fold in folds])
    return {
        "task": task.title,
        "name": task.name,
        "metrics": {name: {"mean": pair.mean, "deviation": pair.deviation} for name, pair in means.items()},
        "folds": folds,
        "sounds": sum(map(len, task.splits.values())),
        "failed": [f"{name}/{sentence}" for name, found in splits.items() for sentence in found.failed],
        "left_out": [name for name in task.metrics if name not in metrics],
        "embedding_cpu_seconds": sum(found.seconds for found in splits.values()),
        "learning_cpu_seconds": sum(point["cpu_seconds"] for fold in folds for point in fold["points"]),
    }


def _tried(work: Work, one: Round, points: Sequence[tuple[int, Point]]) -> list[dict[str, Any]]:
    """What points of the grid give on one fold."""
    told: list[dict[str, Any]] = []
    about = _about(work, one)
    lesson: Lesson | None = None
    for order, point in points:
        key = digest_of(about, list(point), order)
        found = work.kept.numbers(key)
        if found is None:
            lesson = lesson or _lesson(work, one)
            found = learn(lesson, point, work.protocol, order)
            work.kept.keep_numbers(key, found)
        told.append(found)
    return told


def _about(work: Work, one: Round) -> str:
    """A digest of all that the scores of a fold depend on, but for the point."""
    task = work.task
    names = (*one.train, one.valid, one.test)
    labels = [sorted(task.splits[name].items()) for name in names]
    settings = {name: value for name, value in work.protocol.to_dict().items() if name != "grid_points"}
    return digest_of(
        __version__,
        [work.splits[name].key for name in names],
        labels,
        list(task.labels),
        [task.embedding, task.exclusive, task.by_loss, list(task.median_filters), list(task.min_durations)],
        list(work.metrics),
        settings,
    )


def _lesson(work: Work, one: Round) -> Lesson:
    task, splits, device = work.task, work.splits, work.device
    choosing, counting = (judge(task, name, splits[name]) for name in (one.valid, one.test))
    targets = [judge(task, name, splits[name]).targets for name in one.train]
    if sum(map(len, targets)) < LEAST:
        raise ConfigError(
            f"{displayable(task.folder)}: {', '.join(one.train)} has too few sounds to learn from"
        )
    train = _part([splits[name].vectors for name in one.train], targets, device)
    valid = _part([splits[one.valid].vectors], [choosing.targets], device)
    test = _part([splits[one.test].vectors], [counting.targets], device)
    return Lesson(train, valid, test, choosing, counting, work.metrics, task.exclusive, task.by_loss)


def _part(vectors: Sequence[Any], targets: Sequence[Any], device: str) -> Part:
    return Part(
        torch.from_numpy(np.concatenate(vectors)).to(device),
        torch.from_numpy(np.concatenate(targets).astype(np.float32)).to(device),
    )
