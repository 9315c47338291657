"""A linear probe: how much of a corpus's labels a straight cut through frozen embeddings finds."""

from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from earmark.config import ConfigError
from earmark.data import Clip, Split
from earmark.evaluation.metrics import average_precision, mean_over
from earmark.evaluation.predictions import items_of
from earmark.inference.embedding import embed_items
from earmark.inference.placing import Hearer
from earmark.inference.settings import EmbedSettings, Run

Place = tuple[Path, float, float, int]

WHOLE_CLIPS = EmbedSettings()
STRENGTH = 0.05
"""Inverse strength of the regularization (scikit-learn's `C`), fixed for all models and corpora."""


class ProbeReport(NamedTuple):
    """How a linear probe did.

    Attributes:
        clips: how many different clips there are.
        failed: sentences for those that could not be embedded: left out of training, wrong where held out.
        metric: "top-1", the share of held-out clips that are found; or "mAP" where clips have several labels.
        scores: by this metric, split by split.
        mean: of the scores.
        deviation: of the scores, of a sample; 0 for a single one.
        chance: the mean score of an answer that is the same for all clips.
    """

    clips: int
    failed: list[str]
    metric: str
    scores: list[float]
    mean: float
    deviation: float
    chance: float


def probe(
    model: Hearer,
    splits: Sequence[Split],
    settings: EmbedSettings = WHOLE_CLIPS,
    done: Callable[[float], None] | None = None,
) -> ProbeReport:
    """Fit linear classifiers on a model's clip embeddings, and count on held-out clips.

    Each clip is embedded once; the classifier is fitted anew for each split.  Nothing is tuned.

    Args:
        model: gives the embeddings and learns nothing.
        splits: the folds of one corpus.  Where its labels exclude one another each clip has exactly one, and
            one regression chooses; else there is one for each label.
        settings: which embedding; one vector for each clip.
        done: is told the seconds of each clip that was embedded.

    Raises:
        ConfigError: no splits, a split without clips, labels that a probe cannot learn, hardly any clip can
            be heard, an embedding of windows or frames, or scikit-learn is not installed.

    Source:
        The usual evaluation of frozen embeddings, as in HEAR (arXiv:2203.03022), without its search for a
        network: standardized features and logistic regression.
    """
    _check(splits, settings)
    labels = splits[0].labels
    count = _found if labels.exclusive else _mean_average_precision
    clips = clips_of(splits)
    vectors, failed = _embedded(clips, model, settings, done)
    scores = [count(vectors, split, constant=False) for split in splits]
    chance = [count(vectors, split, constant=True) for split in splits]
    return ProbeReport(
        len(clips),
        failed,
        "top-1" if labels.exclusive else "mAP",
        scores,
        mean_over(scores),
        float(np.std(scores, ddof=1)) if len(scores) > 1 else 0.0,
        mean_over(chance),
    )


def clips_of(splits: Sequence[Split]) -> list[Clip]:
    """The clips that are learned from or held out, each once."""
    every = {_place(clip): clip for split in splits for clip in (*split.train, *split.test)}
    return [every[place] for place in sorted(every)]


def _embedded(
    clips: Sequence[Clip], model: Hearer, settings: EmbedSettings, done: Callable[[float], None] | None
) -> tuple[dict[Place, np.ndarray], list[str]]:
    vectors: dict[Place, np.ndarray] = {}
    failed: list[str] = []
    items = items_of(clips, model.sample_rate)
    for clip, result in zip(clips, embed_items(items, model, settings, Run()), strict=True):
        if result.error is not None:
            failed.append(str(result.error))
        else:
            vectors[_place(clip)] = result.embeddings[0]
        if done is not None:
            done(result.seconds)
    return vectors, failed


def found_by_regression(
    vectors: Float[np.ndarray, "known dim"], names: Sequence[str], held_out: Float[np.ndarray, "clip dim"]
) -> list[str]:
    """What logistic regression on standardized vectors calls held-out ones.

    Args:
        vectors: to learn from.
        names: what each of them is called; two different names or more.
        held_out: what is to be named.

    Raises:
        ConfigError: there is but one name, or scikit-learn is not installed.

    Example:
        >>> vectors = np.array([[0.0, 1.0], [0.1, 1.0], [1.0, 0.0], [0.9, 0.0]])
        >>> found_by_regression(vectors, ["low", "low", "high", "high"], np.array([[0.8, 0.1]]))
        ['high']
    """
    if len(set(names)) < 2:
        raise ConfigError("a probe needs clips of two labels or more to learn from; check the folder")
    scaler, regression = _fitted(vectors, list(names))
    return [str(name) for name in regression.predict(scaler.transform(held_out))]


def _fitted(vectors: np.ndarray, answers: Sequence[Any]) -> tuple[Any, Any]:
    linear_model, preprocessing = _scikit_learn()
    scaler = preprocessing.StandardScaler().fit(vectors)
    regression = linear_model.LogisticRegression(C=STRENGTH, max_iter=1000)
    return scaler, regression.fit(scaler.transform(vectors), answers)


def _check(splits: Sequence[Split], settings: EmbedSettings) -> None:
    if settings.level != "clip" or settings.window is not None:
        raise ConfigError("a probe takes one vector for each clip; leave out windows and frames")
    if not splits or not all(split.train and split.test for split in splits):
        raise ConfigError(
            "a probe needs clips to learn from and held-out ones; check the folder and the folds"
        )
    every = [clip for split in splits for clip in (*split.train, *split.test)]
    odd = [clip for clip in every if len(clip.labels) != 1] if splits[0].labels.exclusive else []
    if odd:
        raise ConfigError(
            f"{odd[0].path.name} has {len(odd[0].labels)} labels; those of this corpus exclude one another"
        )


def _found(vectors: dict[Place, np.ndarray], split: Split, constant: bool) -> float:
    """The share of a split's held-out clips that a regression finds, or their commonest label."""
    known, heard = _both_heard(vectors, split)
    names = [clip.labels[0] for clip in known]
    if constant:
        found = [max(sorted(set(names)), key=names.count)] * len(heard)
    else:
        found = found_by_regression(_stacked(vectors, known), names, _stacked(vectors, heard))
    hits: Bool[np.ndarray, "clip"] = np.array(found) == [clip.labels[0] for clip in heard]
    return float(hits.sum()) / len(split.test)


def _mean_average_precision(vectors: dict[Place, np.ndarray], split: Split, constant: bool) -> float:
    """Mean over labels of the average precision of a regression for each; what failed comes last."""
    known, _ = _both_heard(vectors, split)
    precisions: list[float] = []
    for name in split.labels.names:
        learned = [clip for clip in known if name not in clip.unknown]
        answers = [name in clip.labels for clip in learned]
        counted = [clip for clip in split.test if name not in clip.unknown]
        scores = np.full(len(counted), 0.0 if constant else -np.inf)
        if not constant and len(set(answers)) == 2:
            scaler, regression = _fitted(_stacked(vectors, learned), answers)
            here = [index for index, clip in enumerate(counted) if _place(clip) in vectors]
            if here:
                told = _stacked(vectors, [counted[index] for index in here])
                scores[here] = regression.decision_function(scaler.transform(told))
        precisions.append(
            average_precision(scores, np.array([name in clip.labels for clip in counted], bool))
        )
    return mean_over(precisions)


def _both_heard(vectors: dict[Place, np.ndarray], split: Split) -> tuple[list[Clip], list[Clip]]:
    """Clips to learn from and held-out ones, as far as they could be heard."""
    known, heard = (_heard(vectors, clips) for clips in (split.train, split.test))
    if not known or not heard:
        raise ConfigError("hardly any clip of the corpus can be heard; check its files")
    return known, heard


def _stacked(vectors: dict[Place, np.ndarray], clips: Sequence[Clip]) -> Float[np.ndarray, "clip dim"]:
    return np.stack([vectors[_place(clip)] for clip in clips])


def _heard(vectors: dict[Place, np.ndarray], clips: Sequence[Clip]) -> list[Clip]:
    return [clip for clip in clips if _place(clip) in vectors]


def _place(clip: Clip) -> Place:
    """What is heard: a file, a stretch of it or a row of a pack."""
    return clip.path, clip.start, -1.0 if clip.end is None else clip.end, -1 if clip.row is None else clip.row


def _scikit_learn() -> tuple[Any, Any]:
    try:
        return import_module("sklearn.linear_model"), import_module("sklearn.preprocessing")
    except ImportError:
        raise ConfigError(
            'a probe needs scikit-learn; install it with `pip install "earmark[train]"`'
        ) from None
