"""What all folds of a recipe, or of several together, say as numbers and as a page."""

import json
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from earmark import __version__
from earmark.evaluation.assessment import defined, report_tree
from earmark.evaluation.bootstrap import intervals
from earmark.evaluation.folder import number, write_text
from earmark.evaluation.folds import HEADLINES, best_common_epoch, headlines, spread
from earmark.evaluation.predictions import Predictions
from earmark.evaluation.report import report_of
from earmark.evaluation.together import averaged, joined

Rows = Sequence[Mapping[str, Any]]


class Member(NamedTuple):
    """What a recipe came to.

    Attributes:
        recipe: as plain values.
        predictions: of the held-out clips, by the fold that was held out.
        histories: the metrics of each epoch, by fold; `val_accuracy`, `val_map` and `cpu_seconds` are read.
    """

    recipe: dict[str, Any]
    predictions: dict[int, Predictions]
    histories: dict[int, Rows]


def summary(members: Mapping[str, Member]) -> dict[str, Any]:
    """Sum up held-out folds.

    Args:
        members: recipes by name; the logits of several are averaged.

    Returns:
        Plain values: `folds` (headline metrics of each), `metrics` (mean and sample standard deviation over
        folds), `pooled` (a report over the clips of all folds as one, with intervals), `cpu_seconds` (of
        training, by fold; None where a run does not tell), `best_common_epoch`, `failed` and `recipe`; or for
        several, in place of the last, `members` with what each does alone.

    Raises:
        ConfigError: the members are of other clips or classes.
    """
    alone = list(members.values())
    folds = {
        fold: averaged([one.predictions[fold] for one in alone]) if len(alone) > 1 else first
        for fold, first in alone[0].predictions.items()
    }
    pooled = joined(list(folds.values()))
    report = report_of(pooled)
    each = {name: _alone(one) for name, one in members.items()}
    own = next(iter(each.values())) if len(each) == 1 else {"members": each, "best_common_epoch": None}
    return {
        "name": " + ".join(members),
        **own,
        "earmark": __version__,
        **_counted(folds),
        "pooled": report_tree(report),
        "pooled_intervals": {name: list(pair) for name, pair in intervals(pooled).items()},
        "cpu_seconds": {str(fold): _added([_cpu_seconds(one, fold) for one in alone]) for fold in folds},
        "failed": report.failed,
    }


def write_summary(told: Mapping[str, Any], folder: Path) -> None:
    """Write crossval.json and crossval.md.

    Args:
        told: by `summary`.
        folder: exists.

    Raises:
        OSError: they cannot be written.
    """
    write_text(folder / "crossval.md", _page(told))
    write_text(folder / "crossval.json", json.dumps(defined(dict(told)), indent=1, ensure_ascii=False))


def mean_cpu_seconds(told: Mapping[str, Any]) -> float | None:
    """Processor seconds of training a fold, on the average; None where a run does not tell.

    Args:
        told: by `summary`, whole or of a member.

    Example:
        >>> mean_cpu_seconds({"cpu_seconds": {"1": 400.0, "2": 500.0}})
        450.0
    """
    seconds = [known for known in told["cpu_seconds"].values() if known is not None]
    return statistics.fmean(seconds) if len(seconds) == len(told["cpu_seconds"]) else None


def _alone(member: Member) -> dict[str, Any]:
    """What a recipe does by itself."""
    return {
        "recipe": member.recipe,
        **_counted(member.predictions),
        "best_common_epoch": _best_common(list(member.histories.values())),
        "cpu_seconds": {str(fold): _cpu_seconds(member, fold) for fold in member.predictions},
    }


def _counted(folds: Mapping[int, Predictions]) -> dict[str, Any]:
    each = {str(fold): headlines(predictions) for fold, predictions in folds.items()}
    means = {name: list(pair) for name, pair in spread(list(each.values())).items()}
    return {"folds": each, "metrics": means}


def _cpu_seconds(member: Member, fold: int) -> float | None:
    rows = member.histories.get(fold)
    return rows[-1].get("cpu_seconds") if rows else None


def _added(seconds: Sequence[float | None]) -> float | None:
    known = [one for one in seconds if one is not None]
    return sum(known) if len(known) == len(seconds) else None


def _best_common(histories: Sequence[Rows]) -> dict[str, Any] | None:
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
    lines += [f"| fold | {' | '.join(HEADLINES)} | cpu s |", "|---" * (len(HEADLINES) + 2) + "|"]
    for fold, numbers in told["folds"].items():
        lines.append(_row(fold, [numbers[name] for name in HEADLINES], _cost(told["cpu_seconds"][fold])))
    for index, (word, cost) in enumerate((("mean", _cost(mean_cpu_seconds(told))), ("deviation", ""))):
        lines.append(_row(word, [told["metrics"][name][index] for name in HEADLINES], cost))
    pooled = told["pooled"]["metrics"]
    lines.append(_row("pooled", [pooled[name] for name in HEADLINES]))
    bounds = told["pooled_intervals"]
    shown = (f"{number(bounds[name][0])} to {number(bounds[name][1])}" for name in HEADLINES)
    lines.append(f"| 95 % of pooled | {' | '.join(shown)} | |")
    lines += [
        "",
        "Deviation is the sample standard deviation over folds. Pooled metrics count the clips of all "
        "folds as one set;",
        "scores of different models are then compared with one another. Intervals are from drawing clips "
        "again. `cpu s` is the processor",
        "time of training, over all starts of a run; a dash where a run was made before that was counted.",
    ]
    lines += _members_page(told)
    if told["best_common_epoch"]:
        best = told["best_common_epoch"]
        lines += [
            "",
            f"At the epoch that is best for all folds together, {best['epoch']}, mean {best['metric']} is "
            f"{best['mean']:.4f}; it is chosen by what it measures, and here for comparison only.",
        ]
    if told["failed"]:
        lines += ["", "Clips that could not be heard count as wrong:", ""]
        lines += [f"- {one}" for one in told["failed"]]
    return "\n".join(lines) + "\n"


def _members_page(told: Mapping[str, Any]) -> list[str]:
    """The means of each recipe alone, where there are several."""
    if "members" not in told:
        return []
    lines = [
        "",
        "What is counted is the mean of the logits of several models. Each alone, mean over folds:",
        "",
    ]
    lines += [f"| recipe | {' | '.join(HEADLINES)} | cpu s |", "|---" * (len(HEADLINES) + 2) + "|"]
    for name, one in told["members"].items():
        means = [one["metrics"][metric][0] for metric in HEADLINES]
        lines.append(_row(name, means, _cost(mean_cpu_seconds(one))))
    return lines


def _row(word: str, values: Sequence[float], cost: str = "") -> str:
    return f"| {word} | {' | '.join(map(number, values))} | {cost} |"


def _cost(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds:.0f}"
