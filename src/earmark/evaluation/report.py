"""Tag held-out clips through the very path that users take, and count."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from earmark.data import Clip
from earmark.evaluation.metrics import average_precision, top1_within
from earmark.inference.tagging import tag
from earmark.labels import LabelSet
from earmark.models import Tagger


class ClassScore(NamedTuple):
    """One row of a report.

    Attributes:
        label: the class.
        clips: how many held-out clips have it.
        recall: share of them whose best-scored label, among the corpus's, is true.
        ap: average precision over all held-out clips.
    """

    label: str
    clips: int
    recall: float
    ap: float


class Report(NamedTuple):
    """How a model did on held-out clips.

    Attributes:
        clips: how many were tagged.
        failed: sentences for those that could not be.
        top1: share of clips whose best label, of all that the model has, is true.
        top1_within: the same, among the labels of the corpus only.
        mean_ap: mean average precision over the classes that have clips.
        classes: the same by class.
    """

    clips: int
    failed: list[str]
    top1: float
    top1_within: float
    mean_ap: float
    classes: list[ClassScore]


def evaluate(model: Tagger, clips: Sequence[Clip], labels: LabelSet) -> Report:
    """Tag clips with a model and compare with their labels.

    Args:
        model: its labels must contain those of the corpus.
        clips: held-out clips with labels.
        labels: of the corpus.

    Raises:
        ConfigError: the model does not know a label of the corpus.
    """
    classes = [model.labels.index(name) for name in labels.names]
    position = {name: index for index, name in enumerate(model.labels.names)}
    scores = np.zeros((len(clips), len(model.labels)))
    targets = np.zeros(scores.shape, dtype=bool)
    failed: list[str] = []
    kept: list[int] = []
    results = tag([clip.path for clip in clips], model=model, top=len(model.labels))
    for row, (clip, result) in enumerate(zip(clips, results, strict=True)):
        if result.error is not None:
            failed.append(f"{result.path}: {result.error}")
            continue
        kept.append(row)
        for found in result.rows[0].tags:
            scores[row, position[found.label]] = found.score
        for name in clip.labels:
            targets[row, position[name]] = True
    return _count(scores[kept], targets[kept], labels, classes, failed)


def _count(
    scores: np.ndarray, targets: np.ndarray, labels: LabelSet, classes: list[int], failed: list[str]
) -> Report:
    right = top1_within(scores, targets, classes)
    rows = [
        ClassScore(
            label=name,
            clips=int(targets[:, index].sum()),
            recall=float(right[targets[:, index]].mean()) if targets[:, index].any() else float("nan"),
            ap=average_precision(scores[:, index], targets[:, index]),
        )
        for name, index in zip(labels.names, classes, strict=True)
    ]
    return Report(
        clips=len(scores),
        failed=failed,
        top1=float(top1_within(scores, targets, list(range(scores.shape[1]))).mean()),
        top1_within=float(right.mean()),
        mean_ap=float(np.nanmean([row.ap for row in rows])),
        classes=rows,
    )
