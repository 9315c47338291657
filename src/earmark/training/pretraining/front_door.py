"""The front door of pretraining: a recipe and a folder of sounds in, a model that embeds out."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from earmark.models import Tagger
from earmark.training.carrying_out import carried_out
from earmark.training.pretraining.assembly import pretraining_parts
from earmark.training.pretraining.recipe import PretrainRecipe
from earmark.training.settings import Settings


def pretrain(
    recipe: PretrainRecipe,
    data: Path,
    out: Path | None = None,
    settings: Settings | None = None,
    report: Callable[[dict[str, Any]], None] | None = None,
) -> Tagger:
    """Pretrain a model as a recipe says.

    The result is a function of the recipe and the data, as that of `train`.

    Args:
        recipe: what to compute.
        data: where the sounds lie.
        out: the run folder; None keeps everything in memory.
        settings: where and how to compute it.
        report: called with the metrics of each epoch, in the main process.

    Returns:
        A model without a head, in evaluation mode: the teacher's weights; the student's, if it is its own
        teacher.

    Raises:
        ConfigError: there are no sounds; the folder holds another run, or is in use.
        TrainingError: the features have collapsed, or what `train` tells; what was learned before is kept.
        StoppedError: a signal asked for the end; the state was saved.
        OSError: the folder cannot be written to; what was written before is kept.
    """
    return carried_out(recipe, data, out, settings or Settings(), report, pretraining_parts)
