"""Files through an ear, to tags."""

from collections.abc import Iterable, Iterator

import numpy as np
from jaxtyping import Float

from earmark.audio.pool import Pool
from earmark.inference.hearing import Ear
from earmark.inference.pipeline import Outcome, run_through
from earmark.inference.results import TagResult, TagRow, best
from earmark.inference.settings import Run, TagSettings
from earmark.inference.sources import Item
from earmark.inference.thresholds import calibrated


def tag_items(
    items: Iterable[Item], ear: Ear, settings: TagSettings, run: Run, pool: Pool | None = None
) -> Iterator[TagResult]:
    """One result for each item, in order; failures are in their `error`."""
    least = settings.scores_from(ear.labels.names)
    for outcome in run_through(items, ear, ear.clips, cut=settings, run=run, pool=pool):
        yield _result(outcome, ear, settings, least)


def _result(
    outcome: Outcome, ear: Ear, settings: TagSettings, least: Float[np.ndarray, "class"]
) -> TagResult:
    name, rate, labels = outcome.item.name, ear.sample_rate, ear.labels
    temperature = 1.0 if settings.chosen is None else settings.chosen.temperature
    rows = tuple(
        TagRow(
            name,
            row.start / rate,
            row.stop / rate,
            best(calibrated(row.mean(), temperature, labels.exclusive), labels.names, settings.top, least),
        )
        for row in outcome.rows
    )
    return TagResult(name, outcome.samples / rate, rows, outcome.error)
