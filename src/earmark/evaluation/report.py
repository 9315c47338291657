"""Tag held-out clips through the very path that users take, and count."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from earmark.config import ConfigError
from earmark.data import Clip
from earmark.evaluation.answers import Rates, called_best, rates
from earmark.evaluation.curves import Curve
from earmark.evaluation.metrics import curves, measure
from earmark.evaluation.predictions import Predictions, predict
from earmark.evaluation.ranking import top1_within
from earmark.inference.placing import Hearer
from earmark.labels import LabelSet

OF_FAILURES = ("accuracy", "accuracy_top5", "accuracy_argmax")
"""Metrics in which a clip that could not be heard counts as wrong; others leave it out."""


class ClassScore(NamedTuple):
    """One row of a report.

    Attributes:
        label: the class.
        clips: how many held-out clips have it.
        found: share of them where it is among the best k labels of the corpus, k being the number of labels
            that are true for the clip; for clips of one label, where it is the best.
        ap: average precision over all held-out clips.
        auc: area under the ROC curve.
        precision: of the answers: the best class of a clip, or scores from .5 on where several may hold.
        recall: of the answers.
        f1: of the answers.
        unknown: how many clips are left out, as nobody knows whether they have it.
    """

    label: str
    clips: int
    found: float
    ap: float
    auc: float
    precision: float
    recall: float
    f1: float
    unknown: int


class Report(NamedTuple):
    """How a model did on held-out clips; a clip that could not be tagged counts as wrong.

    Attributes:
        clips: how many were to be tagged.
        failed: sentences for those that could not be.
        top1: share of clips whose best label, of all that the model has, is true.
        top1_within: the same, among the labels of the corpus only.
        mean_ap: mean average precision over the classes that have clips, failures left out.
        classes: the same by class.
        metrics: all metrics by name; `metrics.DEFINITIONS` says what they are.
        without_clips: the classes that no clip has, which means over classes leave out.
    """

    clips: int
    failed: list[str]
    top1: float
    top1_within: float
    mean_ap: float
    classes: list[ClassScore]
    metrics: dict[str, float]
    without_clips: list[str]


def evaluate(model: Hearer, clips: Sequence[Clip], labels: LabelSet) -> Report:
    """Tag clips with a model and compare with their labels.

    Args:
        model: its labels must contain those of the corpus.
        clips: held-out clips with labels.
        labels: of the corpus.

    Raises:
        ConfigError: there are no clips, or the model does not know a label of the corpus.
    """
    return report_of(predict(model, clips, labels))


def report_of(predictions: Predictions) -> Report:
    """Count predictions.

    Raises:
        ConfigError: not one clip could be heard, or a score is NaN.
    """
    heard = predictions.heard
    if not heard.any():
        why = f"; the first: {predictions.failures[0]}" if predictions.failures else ""
        raise ConfigError(f"none of {len(heard)} clips could be heard, so there is nothing to count{why}")
    inner = predictions.within()
    kept = inner.of_heard()
    known = None if kept.known.all() else kept.known
    metrics = measure(kept.scores, kept.targets, known, kept.classes.exclusive)
    metrics |= {name: metrics[name] * float(heard.mean()) for name in OF_FAILURES}
    everything = np.zeros(predictions.scores.shape, dtype=bool)
    everything[:, predictions.columns] = predictions.targets & predictions.known
    top1 = top1_within(predictions.scores, everything, list(range(len(predictions.labels))))
    positives = (inner.targets & inner.known).sum(axis=0)
    return Report(
        clips=len(heard),
        failed=list(predictions.failures),
        top1=float((top1 & heard).mean()),
        top1_within=metrics["accuracy"],
        mean_ap=metrics["map"],
        classes=_by_class(inner),
        metrics=metrics,
        without_clips=[name for name, n in zip(inner.classes.names, positives, strict=True) if not n],
    )


def _by_class(inner: Predictions) -> list[ClassScore]:
    scores = np.where(inner.known, inner.scores, -np.inf)
    targets = inner.targets & inner.known
    rank = (-scores).argsort(axis=1, kind="stable").argsort(axis=1, kind="stable")
    found = (rank < targets.sum(axis=1, keepdims=True)) & inner.heard[:, None]
    kept = inner.of_heard()
    swept = curves(kept.scores, kept.targets, kept.known)
    seen = scores[inner.heard]
    counted = rates(called_best(seen) if inner.classes.exclusive else seen >= 0.5, kept.targets, kept.known)
    return [
        _row(name, targets[:, index], found[:, index], swept[index], counted, index, ~inner.known[:, index])
        for index, name in enumerate(inner.classes.names)
    ]


def _row(
    name: str,
    true: Bool[np.ndarray, "clip"],
    found: Bool[np.ndarray, "clip"],
    curve: Curve,
    counted: Rates,
    index: int,
    unknown: Bool[np.ndarray, "clip"],
) -> ClassScore:
    return ClassScore(
        label=name,
        clips=int(true.sum()),
        found=_mean(found[true].astype(float)),
        ap=curve.average_precision(),
        auc=curve.auc(),
        precision=float(counted.precision[index]),
        recall=float(counted.recall[index]),
        f1=float(counted.f1[index]),
        unknown=int(unknown.sum()),
    )


def _mean(values: Float[np.ndarray, "some"]) -> float:
    """The mean; NaN, without a warning, of nothing."""
    return float(values.mean()) if len(values) else float("nan")
