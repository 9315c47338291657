"""A recipe of any kind carried out: its folder, its processes, its trackers around the loop."""

import logging
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from earmark.config import ConfigError
from earmark.data import Split
from earmark.models import Tagger, load
from earmark.training.distributing.world import World, world
from earmark.training.learning import AnyRecipe, Parts
from earmark.training.run import Run
from earmark.training.run_folder import RunFolder, run_folder
from earmark.training.settings import Settings
from earmark.training.telling.tracking import require, tracking

log = logging.getLogger(__name__)


def carried_out(
    recipe: AnyRecipe,
    data: Path,
    out: Path | None,
    settings: Settings,
    report: Callable[[dict[str, Any]], None] | None,
    assemble: Callable[[Any, Split, World, Settings], Parts],
) -> Tagger:
    """Carry out a recipe of any kind; see `train`.

    Args:
        recipe: what to compute.
        data: where the corpus lies.
        out: the run folder; None keeps everything in memory.
        settings: where and how to compute it.
        report: called with the metrics of each epoch, in the main process.
        assemble: gives what a run works with.
    """
    require(settings.trackers)
    with ExitStack() as stack:
        place = stack.enter_context(world(settings.device))
        folder = None
        if out is not None:
            folder = RunFolder(out, recipe)
            if place.is_main:
                stack.enter_context(run_folder(folder, settings.resume))
            place.wait()
            if folder.is_finished:
                log.warning("%s holds the finished run; nothing is left to do", out)
                return load(out)
        run = Run(recipe, read_split(recipe, data), folder, place, settings, assemble)
        stack.enter_context(run.stopping)
        if place.is_main:
            run.tracks = stack.enter_context(tracking(recipe, folder, settings, run.number))
        return run.to_the_end(report)


def read_split(recipe: AnyRecipe, data: Path) -> Split:
    """The corpus of a recipe, with clips to learn from.

    Raises:
        ConfigError: it is not there or has no training clips.
    """
    split = recipe.corpus.read(data)
    if not split.train:
        raise ConfigError(f"no training clips under {data}; check the folder and the corpus")
    return split
