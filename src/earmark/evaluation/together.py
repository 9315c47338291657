"""Several models' predictions for the same clips, averaged; and folds joined."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from jaxtyping import Float

from earmark.config import ConfigError
from earmark.evaluation.metrics import log_softmax
from earmark.evaluation.predictions import Predictions

Rule = Literal["logits", "probabilities"]


def averaged(members: Sequence[Predictions], rule: Rule = "logits") -> Predictions:
    """The predictions of an ensemble.

    Args:
        members: of the same clips and classes; other labels that their models have are left out.
        rule: what is averaged.  PaSST averages logits; AST and PSLA average probabilities.

    Returns:
        Logits and scores of the ensemble; a clip that any member could not hear counts as not heard.

    Raises:
        ConfigError: the members are of other clips, classes or kinds of labels.

    Source:
        PaSST, table 2 (mean of logits); the ensembles and the cumulative ensemble over epochs of AST and PSLA
        (mean of probabilities).
    """
    members = comparable(members)
    first = members[0]
    if rule == "logits":
        logits = np.stack([member.logits for member in members]).mean(axis=0, dtype=np.float64)
        scores = np.exp(log_softmax(logits)) if first.labels.exclusive else _sigmoid(logits)
    else:
        scores = np.stack([member.scores for member in members]).mean(axis=0, dtype=np.float64)
        inside = scores.clip(1e-12, 1 - 1e-12)
        logits = np.log(inside) if first.labels.exclusive else np.log(inside) - np.log1p(-inside)
    heard = np.logical_and.reduce([member.heard for member in members])
    return first._replace(
        logits=logits.astype(np.float32),
        scores=scores.astype(np.float32),
        heard=heard,
        failures=tuple(dict.fromkeys(failure for member in members for failure in member.failures)),
        about={"rule": f"mean of {rule}", "members": [member.about for member in members]},
    )


def comparable(members: Sequence[Predictions]) -> list[Predictions]:
    """The same predictions, with the same labels.

    Raises:
        ConfigError: they are of other clips, classes or kinds of labels.
    """
    first = members[0]
    for number, member in enumerate(members[1:], start=2):
        if member.names != first.names:
            ours, theirs = set(first.names), set(member.names)
            only = sorted(ours ^ theirs)
            what = f"{only[0]} is in one of them only" if only else "the same clips stand in another order"
            raise ConfigError(
                f"predictions 1 and {number} are not of the same clips ({len(first.names)} and "
                f"{len(member.names)}): {what}; average what was predicted on the same part of one corpus"
            )
        if member.classes != first.classes or not np.array_equal(
            member.targets & member.known, first.targets & first.known
        ):
            raise ConfigError(f"predictions 1 and {number} have other classes or other labels of their clips")
        if member.labels.exclusive != first.labels.exclusive:
            raise ConfigError(
                f"predictions 1 and {number} cannot be averaged: labels exclude one another in only one of "
                "them"
            )
    if all(member.labels.names == first.labels.names for member in members):
        return list(members)
    return [member.within() for member in members]


def joined(folds: Sequence[Predictions]) -> Predictions:
    """The predictions of several folds as those of one corpus.

    Raises:
        ConfigError: the folds are of models with other labels.
    """
    first = folds[0]
    if any((fold.labels, fold.classes) != (first.labels, first.classes) for fold in folds):
        raise ConfigError("folds of models with other labels cannot be joined")
    return first._replace(
        names=tuple(name for fold in folds for name in fold.names),
        groups=tuple(group for fold in folds for group in fold.groups),
        logits=np.concatenate([fold.logits for fold in folds]),
        scores=np.concatenate([fold.scores for fold in folds]),
        targets=np.concatenate([fold.targets for fold in folds]),
        known=np.concatenate([fold.known for fold in folds]),
        heard=np.concatenate([fold.heard for fold in folds]),
        failures=tuple(failure for fold in folds for failure in fold.failures),
        about={"folds": [fold.about for fold in folds]},
    )


def _sigmoid(logits: Float[np.ndarray, "clip label"]) -> Float[np.ndarray, "clip label"]:
    return 0.5 * (1 + np.tanh(logits / 2))
