"""The front door of training: a recipe and a corpus in, a model out."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from earmark.models import Tagger
from earmark.training.carrying_out import carried_out
from earmark.training.settings import Settings
from earmark.training.supervised.assembly import supervised_parts
from earmark.training.supervised.recipe import Recipe


def train(
    recipe: Recipe,
    data: Path,
    out: Path | None = None,
    settings: Settings | None = None,
    report: Callable[[dict[str, Any]], None] | None = None,
) -> Tagger:
    """Train a model as a recipe says.

    The result is a function of the recipe and the data: the same with any number of workers and after any
    number of interruptions, to the bit, and on any number of processes, to rounding.

    Args:
        recipe: what to compute.
        data: where the corpus lies.
        out: the run folder; None keeps everything in memory.
        settings: where and how to compute it.
        report: called with the metrics of each epoch, in the main process.

    Returns:
        The trained model, averaged if the recipe says so, in evaluation mode.

    Raises:
        ConfigError: the corpus is not there or has no clips; the folder holds another run, or is in use.
        TrainingError: the loss or the gradient was NaN or infinite several times in a row, too many clips
            cannot be decoded, or a reading process was lost; what was learned before is kept.
        StoppedError: a signal asked for the end; the state was saved.
        OSError: the folder cannot be written to; what was written before is kept.
    """
    return carried_out(recipe, data, out, settings or Settings(), report, supervised_parts)
