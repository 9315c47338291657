"""A linear probe: how much of a corpus's labels a straight cut through frozen embeddings finds."""

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from earmark.config import ConfigError
from earmark.data import Clip, Split
from earmark.evaluation.predictions import items_of
from earmark.inference.embedding import embed
from earmark.models import Tagger

Place = tuple[Path, float, float, int]

STRENGTH = 0.05
"""Inverse strength of the regularization (scikit-learn's `C`), fixed for all models and corpora."""


class ProbeReport(NamedTuple):
    """How a linear probe did.

    Attributes:
        clips: how many different clips there are.
        failed: sentences for those that could not be embedded: left out of training, wrong where held out.
        accuracies: share of the held-out clips that are found, split by split.
        mean: of the accuracies.
    """

    clips: int
    failed: list[str]
    accuracies: list[float]
    mean: float


def probe(model: Tagger, splits: Sequence[Split]) -> ProbeReport:
    """Fit a linear classifier on a model's clip embeddings, and count on held-out clips.

    Each clip is embedded once; the classifier is fitted anew for each split.  Nothing is tuned.

    Args:
        model: gives the embeddings and learns nothing.
        splits: the folds of one corpus; each clip has exactly one label.

    Raises:
        ConfigError: no splits, a split without clips, a clip that has not one label, hardly any clip can be
            heard, or scikit-learn is not installed.

    Source:
        The usual evaluation of frozen embeddings, as in HEAR (arXiv:2203.03022), without its search for a
        network: standardized features and logistic regression.
    """
    _check(splits)
    every = {_place(clip): clip for split in splits for clip in (*split.train, *split.test)}
    clips = [every[place] for place in sorted(every)]
    vectors: dict[Place, np.ndarray] = {}
    failed: list[str] = []
    for clip, result in zip(clips, embed(items_of(clips, model.sample_rate), model=model), strict=True):
        if result.error is not None:
            failed.append(str(result.error))
        else:
            vectors[_place(clip)] = result.embeddings[0]
    accuracies = [_accuracy(vectors, split) for split in splits]
    return ProbeReport(len(clips), failed, accuracies, float(np.mean(accuracies)))


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
    linear_model, preprocessing = _scikit_learn()
    scaler = preprocessing.StandardScaler().fit(vectors)
    regression = linear_model.LogisticRegression(C=STRENGTH, max_iter=1000)
    regression.fit(scaler.transform(vectors), list(names))
    return [str(name) for name in regression.predict(scaler.transform(held_out))]


def _check(splits: Sequence[Split]) -> None:
    if not splits or not all(split.train and split.test for split in splits):
        raise ConfigError(
            "a probe needs clips to learn from and held-out ones; check the folder and the folds"
        )
    odd = [clip for split in splits for clip in (*split.train, *split.test) if len(clip.labels) != 1]
    if odd:
        raise ConfigError(
            f"{odd[0].path.name} has {len(odd[0].labels)} labels; a probe needs a corpus of one label a clip"
        )


def _accuracy(vectors: dict[Place, np.ndarray], split: Split) -> float:
    """The share of a split's held-out clips that a probe finds."""
    known, heard = (_heard(vectors, clips) for clips in (split.train, split.test))
    if not known or not heard:
        raise ConfigError("hardly any clip of the corpus can be heard; check its files")
    found = found_by_regression(
        np.stack([vectors[_place(clip)] for clip in known]),
        [clip.labels[0] for clip in known],
        np.stack([vectors[_place(clip)] for clip in heard]),
    )
    hits: Bool[np.ndarray, "clip"] = np.array(found) == [clip.labels[0] for clip in heard]
    return float(hits.sum()) / len(split.test)


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
