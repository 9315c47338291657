"""Plots of a report, as PNG files, without a screen."""

import io
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int

from earmark.config import ConfigError
from earmark.evaluation.calibration import Reliability
from earmark.evaluation.curves import Curve
from earmark.files import commit

MOST_NAMES = 60
"""More classes than these are drawn without their names."""

MOST_CURVES = 10
MOST_POINTS = 2000


def figure(width: float = 6.0, height: float = 6.0) -> Any:
    """An empty figure of matplotlib's, which draws into memory only.

    Raises:
        ConfigError: matplotlib is not installed.
    """
    try:
        return import_module("matplotlib.figure").Figure(figsize=(width, height), layout="constrained")
    except ImportError:
        raise ConfigError(
            'plots need matplotlib, which is not installed; `pip install "earmark[train]"` brings it'
        ) from None


def keep(drawn: Any, path: Path) -> None:
    """Write a figure as PNG, atomically.

    Raises:
        OSError: it cannot be written.
    """
    buffer = io.BytesIO()
    drawn.savefig(buffer, format="png", dpi=110)
    with commit(path) as file:
        file.write(buffer.getbuffer())


def confusion(counts: Int[np.ndarray, "true called"], names: Sequence[str]) -> Any:
    """What clips of each class were called; each row is shown as shares of its class.

    Args:
        counts: clips by true class and by called class.
        names: of the classes.
    """
    side = min(16.0, 3.0 + 0.22 * len(names))
    drawn = figure(side + 1, side)
    axes = drawn.subplots()
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    drawn.colorbar(image, label="share of the clips of a class")
    axes.set_xlabel("called")
    axes.set_ylabel("true")
    if len(names) <= MOST_NAMES:
        shown = [_plain(name) for name in names]
        size = 9 if len(names) <= 20 else 6
        axes.set_xticks(range(len(names)), shown, rotation=90, fontsize=size)
        axes.set_yticks(range(len(names)), shown, fontsize=size)
    if len(names) <= 12:
        for (row, column), count in np.ndenumerate(counts):
            if count:
                color = "white" if shares[row, column] > 0.5 else "black"
                axes.text(column, row, str(count), ha="center", va="center", color=color, fontsize=8)
    return drawn


def precision_recall(curves: Sequence[Curve], names: Sequence[str]) -> Any:
    """Precision over recall: the mean over classes, and each class, or the best and the worst of many."""
    drawn = figure(8.0, 6.0)
    axes = drawn.subplots()
    ranked = sorted(
        (index for index, curve in enumerate(curves) if curve.positives),
        key=lambda index: -curves[index].average_precision(),
    )
    few = len(ranked) <= MOST_CURVES
    shown = ranked if few else ranked[: MOST_CURVES // 2] + ranked[-MOST_CURVES // 2 :]
    for index in shown:
        recall, precision = _steps(curves[index])
        label = f"{_plain(names[index])} ({curves[index].average_precision():.2f})"
        axes.step(recall, precision, where="post", linewidth=1, alpha=0.8, label=label)
    if ranked:
        grid = np.linspace(0, 1, 101)
        mean = np.mean([_at(curves[index], grid) for index in ranked], axis=0)
        axes.plot(grid, mean, color="black", linewidth=2, label=f"mean of {len(ranked)} classes")
        axes.legend(
            loc="center left", bbox_to_anchor=(1, 0.5), fontsize=7, title=None if few else "best, worst"
        )
    _unit_square(axes, "recall", "precision")
    return drawn


def reliability_plot(before: Reliability, after: Reliability | None = None) -> Any:
    """How often what is said with a score is true, without and with calibration."""
    drawn = figure(6.0, 6.0)
    axes = drawn.subplots()
    axes.plot([0, 1], [0, 1], color="gray", linestyle="--", linewidth=1, label="what scores should mean")
    for found, name in ((before, "as they are"), (after, "calibrated")):
        if found is not None:
            some = found.counts > 0
            label = f"{name} (expected error {found.error:.3f})"
            axes.plot(found.said[some], found.true[some], marker="o", label=label)
    axes.legend(loc="upper left")
    _unit_square(axes, "score", "share that is true")
    return drawn


def _unit_square(axes: Any, across: str, up: str) -> None:
    axes.set(xlabel=across, ylabel=up, xlim=(0, 1), ylim=(0, 1.02))
    axes.grid(alpha=0.3)


def _steps(curve: Curve) -> tuple[np.ndarray, np.ndarray]:
    """Recall and precision, thinned to what a picture can show."""
    kept = np.unique(np.linspace(0, len(curve.hits) - 1, MOST_POINTS).astype(int))
    return curve.hits[kept] / curve.positives, curve.hits[kept] / curve.called[kept]


def _at(curve: Curve, recalls: np.ndarray) -> np.ndarray:
    """The best precision at a recall of at least so much."""
    best = np.maximum.accumulate((curve.hits / curve.called)[::-1])[::-1]
    first = np.searchsorted(curve.hits, np.ceil(recalls * curve.positives - 1e-9))
    return best[np.minimum(first, len(best) - 1)]


def _plain(name: str) -> str:
    """A label without what matplotlib would take for mathematics."""
    return name.replace("$", r"\$")[:40]
