"""Thresholds for each class, chosen by labelled clips."""

import numpy as np
from jaxtyping import Bool, Float

from earmark.evaluation.answers import macro, micro, rates
from earmark.evaluation.curves import Curve, sweep
from earmark.evaluation.metrics import curves
from earmark.evaluation.predictions import Predictions
from earmark.inference.thresholds import Thresholds, calibrated


def choose_thresholds(
    predictions: Predictions, temperature: float = 1.0, precision: float | None = None, chosen_on: str = ""
) -> Thresholds:
    """The best threshold for each class of a corpus.

    Classes without a positive clip get the threshold that is best for all cells together.

    Args:
        predictions: of clips that are not used to report.
        temperature: of the calibration; thresholds are for calibrated scores.
        precision: lowest precision that is wanted, 0 to 1: then recall is made as large as it allows; None
            makes F1 as large as possible.
        chosen_on: which clips these are, in words.
    """
    scores, targets, known = _cells(predictions, temperature)
    swept = curves(scores, targets, known)
    overall = _threshold(sweep(scores[known], targets[known]), precision)
    default = 1.0 if overall is None else overall
    return Thresholds(
        labels=predictions.classes.names,
        values=tuple(_threshold(curve, precision) if curve.positives else default for curve in swept),
        default=default,
        temperature=temperature,
        rule="the largest F1" if precision is None else f"the largest recall at a precision of {precision:g}",
        chosen_on=chosen_on,
    )


def at_thresholds(predictions: Predictions, thresholds: Thresholds) -> dict[str, float]:
    """Precision, recall and F1 of the answers that thresholds give."""
    scores, targets, known = _cells(predictions, thresholds.temperature)
    answers = scores >= thresholds.of(predictions.classes.names)
    return {**macro(rates(answers, targets, known)), "f1_micro": micro(answers, targets, known)}


def _cells(
    predictions: Predictions, temperature: float
) -> tuple[Float[np.ndarray, "clip class"], Bool[np.ndarray, "clip class"], Bool[np.ndarray, "clip class"]]:
    heard = predictions.of_heard()
    scores = calibrated(heard.scores, temperature, heard.labels.exclusive)[:, heard.columns]
    return scores, heard.targets, heard.known


def _threshold(curve: Curve, precision: float | None) -> float | None:
    """A threshold within 0 to 1; None for a class that is better never called."""
    value, reached = curve.best_f1() if precision is None else curve.best_precision(precision)
    return None if not reached else min(max(value, 0.0), 1.0)
