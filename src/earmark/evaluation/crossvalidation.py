"""What all folds of a recipe say together, as numbers and as a page."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from earmark import __version__
from earmark.evaluation.assessment import defined, report_tree
from earmark.evaluation.bootstrap import intervals
from earmark.evaluation.folder import number, write_text
from earmark.evaluation.folds import HEADLINES, best_common_epoch, headlines, spread
from earmark.evaluation.predictions import Predictions
from earmark.evaluation.report import report_of
from earmark.evaluation.together import joined


def summary(
    folds: Mapping[int, Predictions], histories: Sequence[Sequence[Mapping[str, Any]]] = ()
) -> dict[str, Any]:
    """Sum up held-out folds.

    Args:
        folds: predictions by the fold that was held out.
        histories: for each fold, the metrics of its epochs; where they hold `val_accuracy` or `val_map`, the
            mean at the best common epoch is told, too.

    Returns:
        Plain values: `folds` (headline metrics of each), `metrics` (mean and sample standard deviation over
        folds), `pooled` (a report over the clips of all folds as one, with intervals) and `failed`.
    """
    each = {fold: headlines(predictions) for fold, predictions in folds.items()}
    pooled = joined(list(folds.values()))
    report = report_of(pooled)
    return {
        "earmark": __version__,
        "folds": {str(fold): numbers for fold, numbers in each.items()},
        "metrics": {name: list(pair) for name, pair in spread(list(each.values())).items()},
        "pooled": report_tree(report),
        "pooled_intervals": {name: list(pair) for name, pair in intervals(pooled).items()},
        "best_common_epoch": _best_common(histories),
        "failed": report.failed,
    }


def write_summary(told: Mapping[str, Any], folder: Path) -> None:
    """Write crossval.json and crossval.md.

    Args:
        told: by `summary`, with `name`, the recipe's.
        folder: exists.

    Raises:
        OSError: they cannot be written.
    """
    write_text(folder / "crossval.md", _page(told))
    write_text(folder / "crossval.json", json.dumps(defined(dict(told)), indent=1, ensure_ascii=False))


def _best_common(histories: Sequence[Sequence[Mapping[str, Any]]]) -> dict[str, Any] | None:
    """AST's way of reporting, where each fold measured each epoch."""
    lengths = {len(rows) for rows in histories}
    if len(lengths) != 1 or 0 in lengths:
        return None
    for name in ("val_accuracy", "val_map"):
        if all(isinstance(row.get(name), float) for rows in histories for row in rows):
            epoch, mean = best_common_epoch([[row[name] for row in rows] for rows in histories])
            return {"metric": name, "epoch": epoch, "mean": mean}
    return None


def _page(told: Mapping[str, Any]) -> str:
    lines = [f"# {told['name']}: {len(told['folds'])} folds", ""]
    lines += [f"| fold | {' | '.join(HEADLINES)} |", "|---" * (len(HEADLINES) + 1) + "|"]
    for fold, numbers in told["folds"].items():
        lines.append(f"| {fold} | {' | '.join(number(numbers[name]) for name in HEADLINES)} |")
    for index, word in enumerate(("mean", "deviation")):
        values = (number(told["metrics"][name][index]) for name in HEADLINES)
        lines.append(f"| {word} | {' | '.join(values)} |")
    pooled = told["pooled"]["metrics"]
    lines.append(f"| pooled | {' | '.join(number(pooled[name]) for name in HEADLINES)} |")
    bounds = told["pooled_intervals"]
    shown = (f"{number(bounds[name][0])} to {number(bounds[name][1])}" for name in HEADLINES)
    lines.append(f"| 95 % of pooled | {' | '.join(shown)} |")
    lines += [
        "",
        "Deviation is the sample standard deviation over folds. Pooled metrics count the clips of all "
        "folds as one set;",
        "scores of different models are then compared with one another. Intervals are from drawing clips "
        "again.",
    ]
    if told["best_common_epoch"]:
        best = told["best_common_epoch"]
        lines += [
            "",
            f"At the epoch that is best for all folds together, {best['epoch']}, mean {best['metric']} is "
            f"{best['mean']:.4f}; it is chosen by what it measures, and here for comparison only.",
        ]
    if told["failed"]:
        lines += [
            "",
            "Clips that could not be heard count as wrong:",
            "",
            *(f"- {one}" for one in told["failed"]),
        ]
    return "\n".join(lines) + "\n"
