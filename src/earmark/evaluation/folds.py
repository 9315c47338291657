"""Several folds of one recipe, summed up; and several predictions, added one by one."""

import math
import statistics
from collections.abc import Sequence
from typing import NamedTuple

from earmark.evaluation.predictions import Predictions
from earmark.evaluation.report import report_of
from earmark.evaluation.together import Rule, averaged

HEADLINES = ("accuracy", "map", "auc", "d_prime", "lwlrap", "f1_macro")
"""The metrics that tables of several models or folds show; accuracy counts most where one label holds."""


class Spread(NamedTuple):
    """A metric over folds.

    Attributes:
        mean: over the folds.
        deviation: the sample standard deviation over the folds, n - 1 below; 0 of one fold.
    """

    mean: float
    deviation: float


def headlines(predictions: Predictions) -> dict[str, float]:
    """The headline metrics of predictions."""
    metrics = report_of(predictions).metrics
    return {name: metrics[name] for name in HEADLINES}


def spread(folds: Sequence[dict[str, float]]) -> dict[str, Spread]:
    """Mean and deviation of each metric over folds; folds in which it is not defined are left out.

    The deviation is not defined (NaN) where a fold is infinite, as d' is where nothing was mistaken.

    Example:
        >>> spread([{"map": 0.25}, {"map": 0.5}, {"map": 0.75}])["map"]
        Spread(mean=0.5, deviation=0.25)
        >>> spread([{"d_prime": 2.0}, {"d_prime": float("inf")}])["d_prime"]
        Spread(mean=inf, deviation=nan)
    """
    found: dict[str, Spread] = {}
    for name in folds[0]:
        values = [fold[name] for fold in folds if fold[name] == fold[name]]
        mean = statistics.fmean(values) if values else float("nan")
        found[name] = Spread(mean, _deviation(values))
    return found


def _deviation(values: Sequence[float]) -> float:
    if len(values) < 2:
        return 0.0
    return statistics.stdev(values) if all(map(math.isfinite, values)) else float("nan")


def cumulative(members: Sequence[Predictions], rule: Rule) -> list[dict[str, float]]:
    """The headline metrics of the first member, of the first two together, and so on.

    Source:
        AST's cumulative ensemble over the checkpoints of a run.
    """
    return [headlines(averaged(members[:count], rule)) for count in range(1, len(members) + 1)]


def best_common_epoch(histories: Sequence[Sequence[float]]) -> tuple[int, float]:
    """The epoch, counted from 1, at which the mean of a metric over folds is best, and that mean.

    It is chosen by the very clips that it is measured on, so it is too good; it is here to be compared with
    the published tables that report it.

    Args:
        histories: the metric of each epoch, for each fold; all of one length.

    Source:
        AST's published tables for ESC-50.

    Example:
        >>> best_common_epoch([[0.5, 0.75, 0.5], [0.5, 0.25, 0.75]])
        (3, 0.625)
    """
    means = [statistics.fmean(values) for values in zip(*histories, strict=True)]
    best = max(range(len(means)), key=means.__getitem__)
    return best + 1, means[best]
