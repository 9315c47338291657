"""A report as a folder: for people, for programs, and for `earmark tag --threshold`."""

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from earmark.config import ConfigError
from earmark.evaluation import plots
from earmark.evaluation.assessment import Assessment, tree_of
from earmark.evaluation.metrics import DEFINITIONS, curves, d_prime
from earmark.evaluation.stored import write_predictions
from earmark.files import commit
from earmark.inference.thresholds import FILE
from earmark.storage import made_folder

MOST_ROWS = 60
"""More classes than these are shown in report.md by the best and the worst only."""


def write_folder(found: Assessment, folder: Path, more: dict[str, Any] | None = None) -> list[str]:
    """Write everything; each file appears whole or not at all, `report.json` last.

    Args:
        found: what is to be told.
        folder: is made if need be.
        more: plain JSON values that report.json shall also hold.

    Returns:
        Sentences about what is missing, such as plots without matplotlib.

    Raises:
        OSError: it cannot be written.
    """
    made_folder(folder)
    (folder / "report.json").unlink(
        missing_ok=True
    )  # of an earlier report: it must not stand beside half a new one
    write_predictions(found.predictions, folder / "predictions.npz")
    write_text(folder / FILE, json.dumps(found.thresholds.to_dict(), indent=1, ensure_ascii=False))
    write_text(folder / "per_class.csv", per_class(found))
    missing: list[str] = []
    try:
        pictures = _plots(found)
    except ConfigError as error:
        pictures, missing = {}, [str(error)]
    for name, drawn in pictures.items():
        plots.keep(drawn, folder / f"{name}.png")
    write_text(folder / "report.md", markdown(found, list(pictures)))
    write_text(
        folder / "report.json", json.dumps(tree_of(found) | (more or {}), indent=1, ensure_ascii=False)
    )
    return missing


def write_text(path: Path, text: str) -> None:
    """Write a text, atomically.

    Raises:
        OSError: it cannot be written; what was there stays.
    """
    with commit(path) as file:
        file.write(text.encode("utf-8", "backslashreplace"))


def per_class(found: Assessment) -> str:
    """A CSV row for each class; what is not defined is empty."""
    kept = found.predictions.within().of_heard()
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    names = ("label", "clips", "unknown", "found", "ap", "auc", "d_prime", "precision", "recall", "f1")
    writer.writerow([*names, "best_f1", "best_f1_threshold", "threshold"])
    swept = curves(kept.scores, kept.targets, kept.known)
    for row, curve, chosen in zip(found.report.classes, swept, found.thresholds.values, strict=True):
        threshold, f1 = curve.best_f1()
        numbers = [row.found, row.ap, row.auc, d_prime(row.auc), row.precision, row.recall, row.f1]
        numbers += [f1 if curve.positives else float("nan"), threshold, chosen]
        writer.writerow([row.label, row.clips, row.unknown, *map(_cell, numbers)])
    return text.getvalue()


def markdown(found: Assessment, pictures: list[str]) -> str:
    """The report for people."""
    report, about = found.report, found.predictions.about
    title = about.get("model") or "several models"
    rows = sorted(report.classes, key=lambda row: -row.ap if row.ap == row.ap else 2.0)
    part = _picked(rows)
    lines = [f"# {_escaped(str(title))}", ""]
    lines += [f"- {key}: {_escaped(str(value))}" for key, value in about.items() if key != "model"]
    lines += [
        f"- clips: {report.clips}, of which {len(report.failed)} could not be heard",
        "",
        "## Metrics",
        "",
    ]
    lines += _metric_table(found)
    lines += ["", "## What to know", "", *(f"- {_escaped(note)}" for note in found.notes), ""]
    lines += ["## At the chosen thresholds", ""]
    lines += [
        f"{found.thresholds.rule[:1].upper()}{found.thresholds.rule[1:]}, on {found.thresholds.chosen_on}.",
        "",
    ]
    lines += [f"- {name}: {number(value)}" for name, value in found.at_thresholds.items()]
    lines += ["", "## Calibration", "", f"- expected calibration error: {number(found.reliability.error)}"]
    if found.calibrated is not None:
        lines += [f"- with temperature {found.thresholds.temperature:.3f}: {number(found.calibrated.error)}"]
    lines += ["", *(f"![{name}]({name}.png)" for name in pictures)]
    lines += ["", f"## Classes{'' if part is rows else ': the best and the worst'}", ""]
    lines += ["| class | clips | AP | AUC | precision | recall | F1 |", "|---|---|---|---|---|---|---|"]
    lines += [
        f"| {_escaped(row.label)} | {row.clips} | "
        + " | ".join(number(value) for value in (row.ap, row.auc, row.precision, row.recall, row.f1))
        + " |"
        for row in part
    ]
    lines += _confused(found)
    if report.failed:
        lines += [
            "",
            "## Clips that could not be heard",
            "",
            *(f"- {_escaped(one)}" for one in report.failed),
        ]
    return "\n".join(lines) + "\n"


def _metric_table(found: Assessment) -> list[str]:
    lines = ["| metric | value | 95 % interval | definition |", "|---|---|---|---|"]
    for name, value in found.report.metrics.items():
        interval = found.intervals.get(name)
        bounds = f"{number(interval.low)} to {number(interval.high)}" if interval else ""
        lines.append(f"| {name} | {number(value)} | {bounds} | {DEFINITIONS[name]} |")
    return lines


def _picked(rows: list[Any]) -> list[Any]:
    return rows if len(rows) <= MOST_ROWS else rows[:20] + rows[-20:]


def _confused(found: Assessment) -> list[str]:
    """The pairs of classes that are confused most often."""
    if found.confusion is None:
        return []
    names = found.predictions.classes.names
    counts = [
        (int(count), names[row], names[column])
        for (row, column), count in ((place, found.confusion[place]) for place in _places(found))
        if count and row != column
    ]
    worst = sorted(counts, key=lambda entry: -entry[0])[:10]
    lines = [f"- {_escaped(true)}, called {_escaped(called)}: {count}" for count, true, called in worst]
    return ["", "## Most often confused", "", *(lines or ["- none"])]


def _places(found: Assessment) -> list[tuple[int, int]]:
    n = len(found.predictions.classes)
    return [(row, column) for row in range(n) for column in range(n)]


def _plots(found: Assessment) -> dict[str, Any]:
    names = found.predictions.classes.names
    kept = found.predictions.within().of_heard()
    draw: dict[str, Callable[[], Any]] = {
        "precision_recall": lambda: plots.precision_recall(
            curves(kept.scores, kept.targets, kept.known), names
        ),
        "calibration": lambda: plots.reliability_plot(found.reliability, found.calibrated),
    }
    if found.confusion is not None:
        counts = found.confusion
        draw["confusion"] = lambda: plots.confusion(counts, names)
    return {name: function() for name, function in draw.items()}


def _cell(value: float | None) -> str:
    return "" if value is None or value != value or abs(value) == float("inf") else f"{value:.6g}"


def number(value: float | None) -> str:
    """A metric for people; a dash where it is not defined.

    Example:
        >>> number(0.5), number(float("nan"))
        ('0.5000', '-')
    """
    return "-" if value is None or value != value else f"{value:.4f}"


def _escaped(text: str) -> str:
    """Text that stays in its cell and on its line."""
    return text.replace("|", r"\|").replace("\n", " ")
