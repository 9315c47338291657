"""Scores and labels drawn at random, with equal scores among them."""

import numpy as np

from earmark.evaluation import Predictions
from earmark.labels import LabelSet


def cells(
    seed: int, clips: int = 60, classes: int = 5, share: float = 0.3
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scores within 0 to 1 that tell something of the targets, the targets, and where these are known."""
    rng = np.random.default_rng(seed)
    targets = rng.random((clips, classes)) < share
    targets[0], targets[1] = True, False
    scores = 1 / (1 + np.exp(-(rng.normal(size=targets.shape) + 1.5 * targets - 1)))
    known = rng.random(targets.shape) < 0.8
    known[:2] = True
    return scores.round(2), targets, known


def one_label(seed: int, clips: int = 60, classes: int = 5) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities that add up to one, and targets of one label each."""
    rng = np.random.default_rng(seed)
    targets = np.eye(classes, dtype=bool)[rng.integers(0, classes, clips)]
    weights = np.exp(rng.normal(size=targets.shape) + 1.5 * targets)
    return weights / weights.sum(axis=1, keepdims=True), targets


def predictions(
    scores: np.ndarray,
    targets: np.ndarray,
    known: np.ndarray | None = None,
    exclusive: bool = False,
    labels: int | None = None,
) -> Predictions:
    """As a model would have said it; it may have more labels than the corpus has classes."""
    n = targets.shape[1]
    names = tuple(f"class {index}" for index in range(labels or n))
    inside = scores.clip(1e-9, 1 - 1e-9)
    logits = np.log(inside) if exclusive else np.log(inside / (1 - inside))
    clips = tuple(f"{index}.wav" for index in range(len(scores)))
    return Predictions(
        names=clips,
        groups=clips,
        logits=logits.astype(np.float32),
        scores=scores.astype(np.float32),
        targets=targets,
        known=np.ones(targets.shape, dtype=bool) if known is None else known,
        heard=np.ones(len(scores), dtype=bool),
        labels=LabelSet(names=names, exclusive=exclusive),
        classes=LabelSet(names=names[:n], exclusive=exclusive),
        failures=(),
        about={"model": "drawn"},
    )
