"""Metrics that compare the classes of one clip: accuracies and label ranking."""

import numpy as np
from jaxtyping import Bool, Float

ROWS = 2048
"""Clips that are sorted at once: 527 classes of them take some tens of megabytes."""


def accuracy(
    scores: Float[np.ndarray, "clip class"], targets: Bool[np.ndarray, "clip class"], best: int = 1
) -> float:
    """The share of clips with a true class among the best-scored; of equal scores the earlier class wins.

    Args:
        scores: higher means more likely.
        targets: where labels hold; a clip without any counts as wrong.
        best: how many classes count.

    Returns:
        NaN without clips.

    Example:
        >>> accuracy(np.array([[0.2, 0.7], [0.6, 0.1]]), np.array([[False, True], [False, True]]))
        0.5
    """
    if not len(scores):
        return float("nan")
    if best == 1:
        return float(targets[np.arange(len(scores)), scores.argmax(axis=1)].mean())
    order = np.argsort(-scores, axis=1, kind="stable")[:, :best]
    return float(np.take_along_axis(targets, order, axis=1).any(axis=1).mean())


def top1_within(
    scores: Float[np.ndarray, "clip class"], targets: Bool[np.ndarray, "clip class"], classes: list[int]
) -> Bool[np.ndarray, "clip"]:
    """Whether the best-scored of some classes is a true one, clip by clip."""
    best = np.array(classes)[scores[:, classes].argmax(axis=1)]
    return targets[np.arange(len(targets)), best]


def label_ranking_precision(
    scores: Float[np.ndarray, "clip class"], targets: Bool[np.ndarray, "clip class"]
) -> float:
    """Label-weighted label-ranking average precision (lwlrap): each label of each clip counts once.

    Returns:
        NaN where no clip has a label.

    Source:
        Howard et al., the metric of DCASE 2019 task 2; equals scikit-learn's
        `label_ranking_average_precision_score` with the number of labels as weights.

    Example:
        >>> label_ranking_precision(np.array([[0.9, 0.8, 0.1]]), np.array([[True, False, True]]))
        0.8333333333333333
    """
    sums, labels = label_precisions(scores, targets)
    return float(sums.sum() / labels.sum()) if labels.sum() else float("nan")


def label_precisions(
    scores: Float[np.ndarray, "clip class"], targets: Bool[np.ndarray, "clip class"]
) -> tuple[Float[np.ndarray, "clip"], Float[np.ndarray, "clip"]]:
    """For each clip: the sum over its labels of the precision down to their rank, and how many they are.

    Classes of equal score share the lowest of their ranks.
    """
    parts = [
        _label_precisions(scores[start : start + ROWS], targets[start : start + ROWS])
        for start in range(0, len(scores), ROWS)
    ]
    sums = np.concatenate(parts) if parts else np.zeros(0)
    return sums, targets.sum(axis=1).astype(float)


def _label_precisions(
    scores: Float[np.ndarray, "clip class"], targets: Bool[np.ndarray, "clip class"]
) -> Float[np.ndarray, "clip"]:
    order = np.argsort(-scores, axis=1)
    falling = np.take_along_axis(scores, order, axis=1)
    true = np.take_along_axis(targets, order, axis=1)
    n_classes = scores.shape[1]
    places = np.arange(n_classes, dtype=np.int32)
    is_end = np.ones(scores.shape, dtype=bool)
    is_end[:, :-1] = falling[:, 1:] != falling[:, :-1]
    ends = np.where(is_end, places, np.int32(n_classes))
    ends = np.minimum.accumulate(ends[:, ::-1], axis=1)[:, ::-1]  # the last place of each run of equal scores
    hits = np.take_along_axis(np.cumsum(true, axis=1), ends, axis=1)
    return (hits / (ends + 1) * true).sum(axis=1)
