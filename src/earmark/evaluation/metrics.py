"""Metrics of scores against targets."""

import numpy as np
from jaxtyping import Bool, Float


def average_precision(scores: Float[np.ndarray, "clip"], targets: Bool[np.ndarray, "clip"]) -> float:
    """Area under the precision-recall steps of one class; NaN without a positive clip.

    Clips of equal score enter together, so that the order of the clips never matters.

    Args:
        scores: higher means more likely; any scale.
        targets: where the label holds.

    Source:
        The definition of scikit-learn's `average_precision_score`; agrees with it to 1e-12.

    Example:
        >>> average_precision(np.array([0.9, 0.8, 0.1]), np.array([True, False, True]))
        0.8333333333333333
    """
    if not targets.any():
        return float("nan")
    order = np.argsort(-scores, kind="stable")
    ordered, hits = scores[order], np.cumsum(targets[order])
    ends = np.append(
        np.flatnonzero(np.diff(ordered)), len(scores) - 1
    )  # the last clip of each run of equal scores
    precision = hits[ends] / (ends + 1)
    gained = np.diff(hits[ends], prepend=0)
    return float((precision * gained).sum() / targets.sum())


def top1_within(
    scores: Float[np.ndarray, "clip class"], targets: Bool[np.ndarray, "clip class"], classes: list[int]
) -> Bool[np.ndarray, "clip"]:
    """Whether the best-scored of some classes is a true one, clip by clip."""
    best = np.array(classes)[scores[:, classes].argmax(axis=1)]
    return targets[np.arange(len(targets)), best]
