"""Metrics of scores against targets, each by the name that reports call it."""

from collections.abc import Iterable
from statistics import NormalDist

import numpy as np
from jaxtyping import Bool, Float

from earmark.config import ConfigError
from earmark.evaluation.answers import called_best, macro, rates
from earmark.evaluation.curves import Curve, sweep
from earmark.evaluation.ranking import accuracy, label_ranking_precision, top1_within

__all__ = ["average_precision", "d_prime", "evaluate_arrays", "mean_over", "measure", "top1_within"]

DEFINITIONS = {
    "map": "mean over classes of the average precision (steps, no interpolation)",
    "auc": "mean over classes of the area under the ROC curve",
    "d_prime": "sqrt(2) times the normal quantile of the mean AUC (AST, AudioTagging Done Right)",
    "d_prime_mean": "the mean over classes of each class's d' (HEAR)",
    "lwlrap": "label-weighted label-ranking average precision",
    "accuracy": "share of clips whose best-scored class is true",
    "accuracy_top5": "share of clips with a true class among the five best-scored",
    "accuracy_argmax": "the best-scored class is the first true one; no label counts as the first (AST)",
    "precision_macro": "mean over classes of the precision of the answers",
    "recall_macro": "mean over classes of the recall of the answers",
    "f1_macro": "mean over classes of the F1 of the answers (scikit-learn's report)",
    "f1_micro_best": "F1 of all cells together at the best threshold of each class, chosen by these clips",
    "precision_middle": "mean over classes of the precision in the middle of the curve (AST's tables)",
    "recall_middle": "mean over classes of the recall in the middle of the curve (AST's tables)",
    "map_strict": "map, but NaN if any class has no positive clip (PaSST)",
    "auc_strict": "auc, but NaN if any class has no positive or no negative clip (PaSST)",
}
"""What each metric of a report means.  Answers are the best class where labels exclude one another, and
scores from .5 on where not.  Means leave out classes for which a metric is not defined."""

Scores = Float[np.ndarray, "clip class"]
Flags = Bool[np.ndarray, "clip class"]


def average_precision(scores: Float[np.ndarray, "clip"], targets: Bool[np.ndarray, "clip"]) -> float:
    """Area under the precision-recall steps of one class; NaN without a positive clip.

    Args:
        scores: higher means more likely; any scale.
        targets: where the label holds.

    Source:
        The definition of scikit-learn's `average_precision_score`; agrees with it to 1e-12.

    Example:
        >>> average_precision(np.array([0.9, 0.8, 0.1]), np.array([True, False, True]))
        0.8333333333333333
    """
    return sweep(scores, targets).average_precision()


def d_prime(auc: float) -> float:
    """How far apart two normal distributions of equal width lie whose ROC curve has this area.

    Example:
        >>> d_prime(0.5), round(d_prime(0.9706), 3)  # the published pair of TALtrans
        (0.0, 2.672)
    """
    if not 0 < auc < 1:
        return float("nan") if np.isnan(auc) else float("inf") if auc >= 1 else float("-inf")
    return 2**0.5 * NormalDist().inv_cdf(auc)


def mean_over(values: Iterable[float], strict: bool = False) -> float:
    """The mean over classes.

    Args:
        values: one for each class, NaN where a metric is not defined.
        strict: such a class makes the mean NaN, as in PaSST's training; otherwise it is left out.

    Example:
        >>> mean_over([0.5, float("nan")]), mean_over([0.5, float("nan")], strict=True)
        (0.5, nan)
    """
    numbers = np.asarray(list(values), dtype=float)
    kept = numbers if strict else numbers[~np.isnan(numbers)]
    with np.errstate(invalid="ignore"):  # d' may be infinite to both sides
        return float(kept.mean()) if len(kept) else float("nan")


def curves(scores: Scores, targets: Flags, known: Flags | None = None) -> list[Curve]:
    """The sweep of each class.

    Raises:
        ConfigError: a score is NaN.
    """
    check_scores(scores)
    across = np.ascontiguousarray(scores.T)
    return [
        sweep(across[index], targets[:, index], None if known is None else known[:, index])
        for index in range(len(across))
    ]


def measure(scores: Scores, targets: Flags, known: Flags | None, exclusive: bool) -> dict[str, float]:
    """Every metric of `DEFINITIONS`.

    Args:
        scores: higher means more likely; probabilities, for the F1 of several labels.
        targets: where labels hold.
        known: where that is known; None for everywhere.
        exclusive: one label excludes the others.

    Returns:
        Metrics by name; NaN where one is not defined.

    Raises:
        ConfigError: a score is NaN.
    """
    swept = curves(scores, targets, known)
    seen, targets = _masked(scores, targets, known)
    answers = called_best(seen) if exclusive else scores >= 0.5
    aps, aucs = [one.average_precision() for one in swept], [one.auc() for one in swept]
    middles = [one.middle() for one in swept]
    first = targets.argmax(axis=1) == seen.argmax(axis=1)
    return _ranked(aps, aucs, seen, targets) | {
        "d_prime_mean": mean_over(d_prime(auc) for auc in aucs),
        "accuracy": accuracy(seen, targets),
        "accuracy_top5": accuracy(seen, targets, 5),
        "accuracy_argmax": float(first.mean()) if len(first) else float("nan"),
        **macro(rates(answers, targets, known)),
        "f1_micro_best": best_micro_f1(swept)[1],
        "precision_middle": mean_over(precision for precision, _ in middles),
        "recall_middle": mean_over(recall for _, recall in middles),
        "map_strict": mean_over(aps, strict=True),
        "auc_strict": mean_over(aucs, strict=True),
    }


def evaluate_arrays(logits: Scores, targets: Flags, known: Flags | None, exclusive: bool) -> dict[str, float]:
    """The few metrics that one looks at while a model learns, by their names in `DEFINITIONS`.

    Args:
        logits: of a model, for each clip once.
        targets: where labels hold.
        known: where that is known; None for everywhere.
        exclusive: one label excludes the others; logits are then compared after a softmax.

    Returns:
        `accuracy`, `map` and `f1_macro` of labels that exclude one another; else `map`, `auc`, `d_prime` and
        `lwlrap`.

    Raises:
        ConfigError: a logit is NaN.

    Example:
        >>> logits = np.array([[2.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
        >>> targets = np.array([[True, False], [False, True], [False, True]])
        >>> evaluate_arrays(logits, targets, None, exclusive=True)["accuracy"]
        0.6666666666666666
    """
    check_scores(logits)
    scores = log_softmax(logits) if exclusive else logits
    swept = curves(scores, targets, known)
    seen, targets = _masked(scores, targets, known)
    aps = [one.average_precision() for one in swept]
    if not exclusive:
        return _ranked(aps, [one.auc() for one in swept], seen, targets)
    return {
        "accuracy": accuracy(seen, targets),
        "map": mean_over(aps),
        "f1_macro": macro(rates(called_best(seen), targets, known))["f1_macro"],
    }


def best_micro_f1(swept: list[Curve]) -> tuple[list[float], float]:
    """The threshold of each class that together make the F1 of all cells largest, and that F1.

    Source:
        The aim of `util_f1` of AudioTagging Done Right.  Deviation: that code tunes class after class until
        nothing changes; this is Dinkelbach's method for ratios, which ends at the largest value there is.
    """
    positives, best, steps = sum(one.positives for one in swept), 0.0, [-1] * len(swept)
    while True:
        # of thresholds that gain equally much, the highest: zero stands for calling nothing
        gains = [np.append(0.0, 2 * one.hits - best * one.called) for one in swept]
        chosen = [int(gain.argmax()) - 1 for gain in gains]
        hits = sum(int(one.hits[step]) for one, step in zip(swept, chosen, strict=True) if step >= 0)
        called = sum(int(one.called[step]) for one, step in zip(swept, chosen, strict=True) if step >= 0)
        f1 = 2 * hits / (positives + called) if positives else 0.0
        if f1 <= best:
            break
        best, steps = f1, chosen
    cuts = [
        one.cut_below(step) if step >= 0 else float("inf") for one, step in zip(swept, steps, strict=True)
    ]
    return cuts, best


def check_scores(scores: Float[np.ndarray, "..."]) -> None:
    """Refuse scores that cannot be ranked.

    Raises:
        ConfigError: some are NaN.
    """
    bad = int(np.isnan(scores).sum())
    if bad:
        clips = int(np.isnan(scores.reshape(len(scores), -1)).any(axis=1).sum())
        raise ConfigError(
            f"{bad} of {scores.size} scores, in {clips} of {len(scores)} clips, are NaN (not a number): the "
            "model that gave them is damaged or has diverged; take an earlier checkpoint"
        )


def log_softmax(logits: Scores) -> Scores:
    """Logarithms of probabilities that add up to one over the classes; they do not run into 1."""
    wide = logits.astype(np.float64)
    shifted = wide - wide.max(axis=1, keepdims=True, initial=-np.inf)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


def _ranked(aps: list[float], aucs: list[float], seen: Scores, targets: Flags) -> dict[str, float]:
    mean_auc = mean_over(aucs)
    return {
        "map": mean_over(aps),
        "auc": mean_auc,
        "d_prime": d_prime(mean_auc),
        "lwlrap": label_ranking_precision(seen, targets),
    }


def _masked(scores: Scores, targets: Flags, known: Flags | None) -> tuple[Scores, Flags]:
    """The same, with cells of which nothing is known scored below all others and not true."""
    if known is None or known.all():
        return scores, targets
    return np.where(known, scores, -np.inf), targets & known
