"""Tag held-out clips through the very path that users take, and count."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from earmark.config import ConfigError
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
        found: share of them where it is among the best k labels of the corpus, k being the number of labels
            that are true for the clip; for clips of one label, where it is the best.
        ap: average precision over all held-out clips.
    """

    label: str
    clips: int
    found: float
    ap: float


class Report(NamedTuple):
    """How a model did on held-out clips; a clip that could not be tagged counts as wrong.

    Attributes:
        clips: how many were to be tagged.
        failed: sentences for those that could not be.
        top1: share of clips whose best label, of all that the model has, is true.
        top1_within: the same, among the labels of the corpus only.
        mean_ap: mean average precision over the classes that have clips, failures left out.
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
        ConfigError: there are no clips, or the model does not know a label of the corpus.
    """
    if not clips:
        raise ConfigError("there are no held-out clips; check the folder and the fold")
    classes = [model.labels.index(name) for name in labels.names]
    position = {name: index for index, name in enumerate(model.labels.names)}
    scores = np.zeros((len(clips), len(model.labels)))
    targets = np.zeros(scores.shape, dtype=bool)
    failed: list[str] = []
    heard = np.ones(len(clips), dtype=bool)
    results = tag([clip.path for clip in clips], model=model, top=len(model.labels))
    for row, (clip, result) in enumerate(zip(clips, results, strict=True)):
        for name in clip.labels:
            targets[row, position[name]] = True
        if result.error is not None:
            failed.append(str(result.error))
            heard[row] = False
            continue
        for found in result.rows[0].tags:
            scores[row, position[found.label]] = found.score
    everything = list(range(len(model.labels)))
    rows = _by_class(scores, targets, heard, labels, classes)
    return Report(
        clips=len(clips),
        failed=failed,
        top1=float((top1_within(scores, targets, everything) & heard).mean()),
        top1_within=float((top1_within(scores, targets, classes) & heard).mean()),
        mean_ap=_mean([row.ap for row in rows]),
        classes=rows,
    )


def _by_class(
    scores: Float[np.ndarray, "clip class"],
    targets: Bool[np.ndarray, "clip class"],
    heard: Bool[np.ndarray, "clip"],
    labels: LabelSet,
    classes: list[int],
) -> list[ClassScore]:
    within, true = scores[:, classes], targets[:, classes]
    rank = (-within).argsort(axis=1, kind="stable").argsort(axis=1, kind="stable")
    found = (rank < true.sum(axis=1, keepdims=True)) & heard[:, None]
    return [
        ClassScore(
            label=name,
            clips=int(true[:, index].sum()),
            found=_mean(found[true[:, index], index]),
            ap=average_precision(within[heard, index], true[heard, index]),
        )
        for index, name in enumerate(labels.names)
    ]


def _mean(values: Sequence[float] | np.ndarray) -> float:
    """The mean of what there is; NaN, without a warning, of nothing."""
    known = np.asarray(values, dtype=float)
    known = known[~np.isnan(known)]
    return float(known.mean()) if len(known) else float("nan")
