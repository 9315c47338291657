"""A full report: metrics with intervals, calibration, thresholds; and what must be said beside them."""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Int
from pydantic import Field

from earmark.config import ConfigError, Frozen
from earmark.evaluation.bootstrap import Interval, intervals
from earmark.evaluation.calibration import Reliability, fit_temperature, reliability, statements
from earmark.evaluation.choosing import at_thresholds, choose_thresholds
from earmark.evaluation.predictions import Predictions
from earmark.evaluation.report import Report, report_of
from earmark.inference.thresholds import Thresholds


class Aims(Frozen):
    """What is asked for beyond the metrics.

    Attributes:
        resamples: of the bootstrap; 0 for no intervals.
        seed: of the bootstrap.
        precision: lowest precision that thresholds shall reach; None for the largest F1.
    """

    resamples: int = Field(default=1000, ge=0, le=100_000)
    seed: int = Field(default=0, ge=0)
    precision: float | None = Field(default=None, gt=0, le=1)


class Assessment(NamedTuple):
    """Everything that is known about a model on some clips.

    Attributes:
        predictions: what is counted.
        report: metrics, and the same by class.
        intervals: of the headline metrics.
        reliability: of the scores as they are.
        calibrated: of the scores after calibration; None where no clips were there to fit it on.
        thresholds: chosen on validation clips, or on the very clips that are counted; then `notes` says so.
        at_thresholds: precision, recall and F1 with them.
        confusion: clips by true and by called class, where labels exclude one another.
        notes: sentences that a reader of the numbers must know.
    """

    predictions: Predictions
    report: Report
    intervals: dict[str, Interval]
    reliability: Reliability
    calibrated: Reliability | None
    thresholds: Thresholds
    at_thresholds: dict[str, float]
    confusion: Int[np.ndarray, "true called"] | None
    notes: list[str]


def assess(
    predictions: Predictions, validation: Predictions | None = None, aims: Aims | None = None
) -> Assessment:
    """Count predictions in every way.

    Args:
        predictions: of the clips that are reported.
        validation: of other clips, on which thresholds and the temperature are chosen.  Without them
            thresholds are chosen on the reported clips, which flatters them, and no temperature is fitted.
        aims: what else is asked for.

    Raises:
        ConfigError: not one clip could be heard, or a score is NaN.
    """
    aims = aims or Aims()
    report = report_of(predictions)
    chosen_by = predictions if validation is None else validation
    if not chosen_by.heard.any():
        raise ConfigError("none of the validation clips could be heard; check the folder")
    temperature = 1.0 if validation is None else fit_temperature(validation)
    where = _where(chosen_by, validation is None)
    thresholds = choose_thresholds(chosen_by, temperature, aims.precision, where)
    return Assessment(
        predictions=predictions,
        report=report,
        intervals=intervals(predictions, aims.resamples, aims.seed),
        reliability=reliability(*statements(predictions)),
        calibrated=None if validation is None else reliability(*statements(predictions, temperature)),
        thresholds=thresholds,
        at_thresholds=at_thresholds(predictions, thresholds),
        confusion=confusions(predictions) if predictions.classes.exclusive else None,
        notes=_notes(predictions, report, validation is None, where),
    )


def confusions(predictions: Predictions) -> Int[np.ndarray, "true called"]:
    """How many clips of each class were called what, among the corpus's classes, failures left out."""
    inner = predictions.within().of_heard()
    counts = np.zeros((len(inner.classes), len(inner.classes)), dtype=np.int64)
    some = inner.targets.any(axis=1)
    np.add.at(counts, (inner.targets[some].argmax(axis=1), inner.scores[some].argmax(axis=1)), 1)
    return counts


def tree_of(found: Assessment) -> dict[str, Any]:
    """An assessment as plain JSON values; what is not defined is null."""
    plain = report_tree(found.report)
    plain |= {
        "intervals": {name: list(interval) for name, interval in found.intervals.items()},
        "calibration": {
            "expected_error": found.reliability.error,
            "temperature": found.thresholds.temperature if found.calibrated else None,
            "expected_error_calibrated": found.calibrated.error if found.calibrated else None,
            "bins": _bins(found.reliability),
        },
        "thresholds": found.thresholds.to_dict(),
        "at_thresholds": found.at_thresholds,
        "confusion": None if found.confusion is None else found.confusion.tolist(),
        "notes": found.notes,
        "about": found.predictions.about,
    }
    return defined(plain)


def report_tree(report: Report) -> dict[str, Any]:
    """A report as plain JSON values."""
    return defined(report._asdict() | {"classes": [row._asdict() for row in report.classes]})


def defined(value: Any) -> Any:
    """Plain values with null for what is NaN or infinite, which JSON has no words for.

    Example:
        >>> defined({"map": float("nan"), "clips": 3})
        {'map': None, 'clips': 3}
    """
    if isinstance(value, dict):
        return {key: defined(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [defined(one) for one in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value


def _where(chosen_by: Predictions, is_reported: bool) -> str:
    part = "the reported clips themselves" if is_reported else "validation clips"
    return f"{int(chosen_by.heard.sum())} clips: {part}"


def _notes(predictions: Predictions, report: Report, flattered: bool, where: str) -> list[str]:
    notes: list[str] = []
    if report.failed:
        notes.append(
            f"{len(report.failed)} of {report.clips} clips could not be heard: they count as wrong in "
            "accuracies "
            "and are left out of all else."
        )
    if report.without_clips:
        notes.append(
            f"{len(report.without_clips)} of {len(report.classes)} classes have no clip here, and means "
            "over classes "
            f"leave them out: {', '.join(report.without_clips[:10])}"
            + (" and others." if len(report.without_clips) > 10 else ".")
        )
    unknown = int((~predictions.known).sum())
    if unknown:
        notes.append(f"{unknown} of {predictions.known.size} labels are unknown and left out.")
    if flattered:
        notes.append(
            f"Thresholds were chosen on {where}. Precision, recall and F1 at these thresholds are "
            "therefore too good "
            "to be expected elsewhere, and no calibration was fitted."
        )
    else:
        notes.append(f"Thresholds and calibration were chosen on {where}.")
    notes.append(
        "f1_micro_best chooses its thresholds on the clips that it counts, as published; it is a bound."
    )
    return notes


def _bins(found: Reliability) -> list[dict[str, float]]:
    edges = found.edges.tolist()
    rows = zip(
        edges, edges[1:], found.counts.tolist(), found.said.tolist(), found.true.tolist(), strict=False
    )
    return [
        {"from": low, "to": high, "count": count, "said": said, "true": true}
        for low, high, count, said, true in rows
    ]
