"""Metrics of answers, which are yes or no: precision, recall and F1."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float


class Rates(NamedTuple):
    """Precision, recall and F1 of each class; 0 where nothing was called, or nothing true.

    Attributes:
        precision: share of the calls that are true.
        recall: share of the true clips that are called.
        f1: their harmonic mean.
        occurs: whether any clip is true or called; other classes have nothing to be counted.
    """

    precision: Float[np.ndarray, "class"]
    recall: Float[np.ndarray, "class"]
    f1: Float[np.ndarray, "class"]
    occurs: Bool[np.ndarray, "class"]


def called_best(scores: Float[np.ndarray, "clip class"]) -> Bool[np.ndarray, "clip class"]:
    """Answers where labels exclude one another: the best-scored class of each clip."""
    answers = np.zeros(scores.shape, dtype=bool)
    if scores.size:
        answers[np.arange(len(scores)), scores.argmax(axis=1)] = True
    return answers


def rates(
    answers: Bool[np.ndarray, "clip class"],
    targets: Bool[np.ndarray, "clip class"],
    known: Bool[np.ndarray, "clip class"] | None = None,
) -> Rates:
    """Count answers class by class.

    Args:
        answers: where a class is called.
        targets: where it holds.
        known: where that is known; other cells are left out.  None for everywhere.

    Source:
        scikit-learn's `precision_recall_fscore_support` with `zero_division=0`; agrees with it to 1e-12.

    Example:
        >>> rates(np.array([[True], [True]]), np.array([[True], [False]])).f1
        array([0.66666667])
    """
    if known is not None:
        answers, targets = answers & known, targets & known
    hits = (answers & targets).sum(axis=0)
    called, true = answers.sum(axis=0), targets.sum(axis=0)
    return Rates(
        hits / np.maximum(called, 1),
        hits / np.maximum(true, 1),
        2 * hits / np.maximum(called + true, 1),
        (called + true) > 0,
    )


def macro(counted: Rates) -> dict[str, float]:
    """Means over the classes that occur, as the macro average of scikit-learn's report over single labels."""
    if not counted.occurs.any():
        return dict.fromkeys(("precision_macro", "recall_macro", "f1_macro"), float("nan"))
    return {
        "precision_macro": float(counted.precision[counted.occurs].mean()),
        "recall_macro": float(counted.recall[counted.occurs].mean()),
        "f1_macro": float(counted.f1[counted.occurs].mean()),
    }


def micro(
    answers: Bool[np.ndarray, "clip class"],
    targets: Bool[np.ndarray, "clip class"],
    known: Bool[np.ndarray, "clip class"] | None = None,
) -> float:
    """F1 of all cells together; NaN where nothing is true or called."""
    if known is not None:
        answers, targets = answers & known, targets & known
    cells = int(answers.sum() + targets.sum())
    return 2 * int((answers & targets).sum()) / cells if cells else float("nan")
