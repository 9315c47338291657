"""The curves of a run as one picture."""

from collections.abc import Mapping, Sequence
from typing import Any

from earmark.evaluation.plots import figure

HEALTH = {
    "perplexity": "perplexity_",
    "cross-entropy / log K": "ce_share_",
    "accuracy": "accuracy_",
    "variance explained": "explained_",
    "deviation": "deviation_",
    "centroid norm": "centroid_norm_",
    "hidden share": "coverage",
}
"""Panels of what pretraining measures, with the words that names in them begin with."""

Row = Mapping[str, Any]

MARKED_EPOCHS = 30
"""Up to so many epochs are drawn as points on their line: a line of one point would not be seen."""


def curves(rows: Sequence[Row]) -> Any:
    """Loss, rate and validation metrics over the epochs, below one another, as a figure of matplotlib's.

    Args:
        rows: the metrics of each epoch, as in `metrics.jsonl`.

    Raises:
        ConfigError: matplotlib is not installed.
    """
    panels = {"loss": ["loss"], "rate": ["lr"]} | _measured(rows) | _health(rows)
    drawn = figure(8.0, 1.0 + 2.2 * len(panels))
    places = drawn.subplots(len(panels), sharex=True)
    for axes, (title, names) in zip(places, panels.items(), strict=True):
        for name in names:
            points = [(row["epoch"], row[name]) for row in rows if row.get(name) is not None]
            if not points:
                continue  # such as the loss, before a pretrained student learns
            marker = "." if len(points) <= MARKED_EPOCHS else None
            axes.plot(*zip(*points, strict=True), marker=marker, label=_label(name))
        axes.set_ylabel(title)
        axes.grid(alpha=0.3)
        if len(names) > 1:
            axes.legend(fontsize=8)
    places[-1].set_xlabel("epoch")
    return drawn


def _health(rows: Sequence[Row]) -> dict[str, list[str]]:
    """What pretraining measures of its features: a panel for each measure, a line for each location."""
    names = dict.fromkeys(name for row in rows for name in row)
    panels = {title: [name for name in names if name.startswith(prefix)] for title, prefix in HEALTH.items()}
    return {title: found for title, found in panels.items() if found}


def _label(name: str) -> str:
    """What a line is called in its panel."""
    prefix = next((prefix for prefix in HEALTH.values() if name.startswith(prefix)), "val_")
    return name.removeprefix(prefix)


def _measured(rows: Sequence[Row]) -> dict[str, list[str]]:
    """The validation metrics: those between 0 and 1 share a panel, each of the others has its own."""
    names = dict.fromkeys(name for row in rows for name in row if name.startswith("val_"))
    values = {name: [row[name] for row in rows if isinstance(row.get(name), int | float)] for name in names}
    shares = [name for name, some in values.items() if some and min(some) >= 0 and max(some) <= 1]
    others = [name for name, some in values.items() if some and name not in shares]
    panels = {"validation": shares} if shares else {}
    return panels | {name.removeprefix("val_"): [name] for name in others}
