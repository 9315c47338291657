"""Whether scores mean what they say: reliability, its error, and the temperature that mends it."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from earmark.evaluation.predictions import Predictions
from earmark.inference.thresholds import calibrated

BINS = 15
SHARPEST, FLATTEST = 0.05, 20.0
"""Bounds of a fitted temperature; answers without a mistake would otherwise ask for 0."""


class Reliability(NamedTuple):
    """How often what is said with a certain score is true.

    Attributes:
        edges: of the bins of scores.
        counts: how many statements fall into each bin.
        said: their mean score; NaN in an empty bin.
        true: the share of them that are true; NaN in an empty bin.
        error: the expected calibration error: the mean distance of the two, weighted by the counts.
    """

    edges: Float[np.ndarray, "edge"]
    counts: Int[np.ndarray, "bin"]
    said: Float[np.ndarray, "bin"]
    true: Float[np.ndarray, "bin"]
    error: float


def reliability(
    said: Float[np.ndarray, "statement"], true: Bool[np.ndarray, "statement"], bins: int = BINS
) -> Reliability:
    """Compare what is said with what is true, in bins of equal width.

    Source:
        Guo et al., arXiv:1706.04599: expected calibration error with 15 bins.

    Example:
        >>> reliability(np.array([0.9, 0.9]), np.array([True, False])).error
        0.4
    """
    edges = np.linspace(0, 1, bins + 1)
    place = np.clip(np.ceil(said * bins).astype(int) - 1, 0, bins - 1)
    counts = np.bincount(place, minlength=bins)
    some = np.maximum(counts, 1)
    mean_said = np.bincount(place, weights=said, minlength=bins) / some
    mean_true = np.bincount(place, weights=true, minlength=bins) / some
    error = float((counts * np.abs(mean_said - mean_true)).sum() / max(1, counts.sum()))
    empty = counts == 0
    return Reliability(
        edges, counts, np.where(empty, np.nan, mean_said), np.where(empty, np.nan, mean_true), error
    )


def statements(
    predictions: Predictions, temperature: float = 1.0
) -> tuple[Float[np.ndarray, "statement"], Bool[np.ndarray, "statement"]]:
    """What a model said of clips that it heard, and whether it was true.

    Where labels exclude one another, it says the best of the corpus's classes, once for each clip; else it
    says something of each class and each clip of which the truth is known.
    """
    heard = predictions.of_heard()
    scores = calibrated(heard.scores, temperature, heard.labels.exclusive)[:, heard.columns]
    if heard.classes.exclusive:
        best = scores.argmax(axis=1)
        rows = np.arange(len(scores))
        return scores[rows, best].astype(float), heard.targets[rows, best]
    return scores[heard.known].astype(float), heard.targets[heard.known]


def fit_temperature(predictions: Predictions) -> float:
    """The temperature under which clips are least surprising (least negative log likelihood).

    Args:
        predictions: of clips that are not used to report: calibration must not be chosen by them.

    Source:
        Guo et al., arXiv:1706.04599.  The likelihood is concave in the inverse temperature, so its slope is
        followed to zero by halving.
    """
    heard = predictions.of_heard()
    inside = heard.scores.astype(np.float64).clip(1e-12, 1 - 1e-7)
    if heard.labels.exclusive:
        logits = np.log(inside)
        one = heard.targets.sum(axis=1) == 1
        true = np.array(heard.columns)[heard.targets.argmax(axis=1)]
        if not one.any():
            return 1.0
        return 1 / _root(lambda beta: _slope_softmax(logits[one], true[one], beta))
    cells = inside[:, heard.columns][heard.known]
    logits, held = np.log(cells) - np.log1p(-cells), heard.targets[heard.known]
    if not held.any() or held.all():
        return 1.0
    return 1 / _root(lambda beta: _slope_sigmoid(logits, held, beta))


def _slope_softmax(
    logits: Float[np.ndarray, "clip class"], true: Int[np.ndarray, "clip"], beta: float
) -> float:
    weights = np.exp(beta * (logits - logits.max(axis=1, keepdims=True)))
    expected = (weights * logits).sum(axis=1) / weights.sum(axis=1)
    return float((logits[np.arange(len(true)), true] - expected).sum())


def _slope_sigmoid(logits: Float[np.ndarray, "cell"], held: Bool[np.ndarray, "cell"], beta: float) -> float:
    return float((logits * (held - 0.5 * (1 + np.tanh(beta * logits / 2)))).sum())


def _root(slope: Callable[[float], float]) -> float:
    """Where a falling function of the inverse temperature crosses zero, within the bounds."""
    low, high = np.log(1 / FLATTEST), np.log(1 / SHARPEST)
    for _ in range(40):
        middle = (low + high) / 2
        if slope(float(np.exp(middle))) > 0:
            low = middle
        else:
            high = middle
    return float(np.exp((low + high) / 2))
