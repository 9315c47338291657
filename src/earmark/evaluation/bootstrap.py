"""How sure a metric is: intervals from clips drawn again and again."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from earmark.evaluation.answers import called_best
from earmark.evaluation.metrics import check_scores, d_prime
from earmark.evaluation.predictions import Predictions
from earmark.evaluation.ranking import label_precisions

LEVEL = 0.95
CELLS = 10_000_000
"""Resamples times clips that are in memory at once."""

Weights = Float[np.ndarray, "clip resample"]


class Interval(NamedTuple):
    """Bounds within which a metric lies in 95 of 100 resamples."""

    low: float
    high: float


class _Clips(NamedTuple):
    """The clips of a report, as resampling needs them; unknown cells stand below all others."""

    scores: Float[np.ndarray, "clip class"]
    targets: Bool[np.ndarray, "clip class"]
    known: Bool[np.ndarray, "clip class"]
    heard: Bool[np.ndarray, "clip"]
    exclusive: bool


def intervals(predictions: Predictions, resamples: int = 1000, seed: int = 0) -> dict[str, Interval]:
    """Percentile intervals of the headline metrics.

    Whole files are drawn, with replacement: clips of one file are alike and must not pass for several proofs.
    What is drawn is which clips the model is asked; that another training run would give another model is not
    in the intervals.

    Args:
        predictions: of the clips.
        resamples: how often to draw; 0 gives no intervals.
        seed: of the draws.

    Returns:
        An interval for each of `map`, `auc`, `d_prime`, `lwlrap`, `accuracy`, `f1_macro`.

    Raises:
        ConfigError: a score is NaN.
    """
    if not resamples:
        return {}
    inner = predictions.within()
    check_scores(inner.scores)
    clips = _Clips(
        np.where(inner.known, inner.scores, -np.inf),
        inner.targets & inner.known,
        inner.known,
        inner.heard,
        inner.classes.exclusive,
    )
    _, group = np.unique(np.array(inner.groups), return_inverse=True)
    n_groups = int(group.max()) + 1
    rng = np.random.default_rng(seed)
    parts: list[dict[str, np.ndarray]] = []
    step = max(1, CELLS // len(group))
    for start in range(0, resamples, step):
        count = min(step, resamples - start)
        drawn = rng.multinomial(n_groups, np.full(n_groups, 1 / n_groups), size=count)
        parts.append(_metrics(clips, np.ascontiguousarray(drawn.T[group], dtype=np.float32)))
    return {name: _interval(np.concatenate([part[name] for part in parts])) for name in parts[0]}


def _metrics(clips: _Clips, weights: Weights) -> dict[str, Float[np.ndarray, "resample"]]:
    """Each metric of each resample."""
    heard = clips.heard
    hit = clips.targets[np.arange(len(heard)), clips.scores.argmax(axis=1)] & heard
    total = weights.sum(axis=0)
    accuracy = hit.astype(np.float32) @ weights / total
    weights, scores, targets = weights[heard], clips.scores[heard], clips.targets[heard]
    sums, labels = label_precisions(scores, targets)
    lwlrap = _ratio(sums @ weights, labels @ weights)
    ap, auc = _over_classes(scores, targets, clips.known[heard], weights)
    answers = called_best(scores) if clips.exclusive else scores >= 0.5
    return {
        "map": ap,
        "auc": auc,
        "d_prime": np.array([d_prime(value) for value in auc.tolist()]),
        "lwlrap": lwlrap,
        "accuracy": accuracy.astype(float),
        "f1_macro": _f1(answers & clips.known[heard], targets, weights),
    }


def _over_classes(
    scores: Float[np.ndarray, "clip class"],
    targets: Bool[np.ndarray, "clip class"],
    known: Bool[np.ndarray, "clip class"],
    weights: Weights,
) -> tuple[Float[np.ndarray, "resample"], Float[np.ndarray, "resample"]]:
    """Mean AP and mean AUC over the classes that have positive clips in a resample."""
    sums = np.zeros((2, weights.shape[1]))
    counts = np.zeros((2, weights.shape[1]))
    for index in np.flatnonzero(targets.any(axis=0)):
        rows = np.flatnonzero(known[:, index])
        both = np.stack(_one_class(scores[rows, index], targets[rows, index], rows, weights))
        defined = ~np.isnan(both)
        sums += np.where(defined, both, 0)
        counts += defined
    means = _ratio(sums, counts)
    return means[0], means[1]


def _one_class(
    scores: Float[np.ndarray, "some"],
    targets: Bool[np.ndarray, "some"],
    rows: Int[np.ndarray, "some"],
    weights: Weights,
) -> tuple[Float[np.ndarray, "resample"], Float[np.ndarray, "resample"]]:
    """AP and AUC of a class in each resample; runs of equal scores enter together."""
    order = np.argsort(-scores)
    falling, true = scores[order], targets[order]
    begins = np.append(0, 1 + np.flatnonzero(falling[1:] != falling[:-1]))
    run = np.repeat(np.arange(len(begins)), np.diff(np.append(begins, len(order))))
    positive = np.flatnonzero(true)
    with_hits, first = np.unique(run[positive], return_index=True)  # only these runs add anything
    called = np.zeros((len(order) + 1, weights.shape[1]), dtype=np.float32)
    np.cumsum(weights[rows[order]], axis=0, out=called[1:])
    before = called[begins[with_hits]]
    after = called[np.append(begins, len(order))[with_hits + 1]]
    gained = np.add.reduceat(weights[rows[order[positive]]], first, axis=0)
    hits = np.cumsum(gained, axis=0)
    positives, negatives = hits[-1], called[-1] - hits[-1]
    ap = _ratio((gained * hits / np.maximum(after, 1)).sum(axis=0, dtype=np.float64), positives)
    tied = after - before - gained
    below = negatives - (after - hits)
    area = (gained.astype(np.float64) * (below + tied / 2)).sum(axis=0)
    return ap, _ratio(area, positives.astype(np.float64) * negatives)


def _f1(
    answers: Bool[np.ndarray, "clip class"], targets: Bool[np.ndarray, "clip class"], weights: Weights
) -> Float[np.ndarray, "resample"]:
    hits = weights.T @ (answers & targets).astype(np.float32)
    cells = weights.T @ (answers.astype(np.float32) + targets)
    return _ratio((2 * hits / np.maximum(cells, 1)).sum(axis=1, dtype=np.float64), (cells > 0).sum(axis=1))


def _ratio(above: Float[np.ndarray, "..."], below: np.ndarray) -> Float[np.ndarray, "..."]:
    """A quotient; NaN, without a warning, of nothing."""
    return np.where(below > 0, above / np.where(below > 0, below, 1), np.nan)


def _interval(values: Float[np.ndarray, "resample"]) -> Interval:
    known = values[~np.isnan(values)]
    if not len(known):
        return Interval(float("nan"), float("nan"))
    low, high = np.quantile(known, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], method="nearest")
    return Interval(float(low), float(high))
