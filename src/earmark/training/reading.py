"""Batches one after another, read ahead if asked; clips that cannot be decoded are replaced."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, TypeVar

import numpy as np
from jaxtyping import Int64
from torch.utils.data import DataLoader, Dataset

from earmark.audio import AudioError
from earmark.training.distributing.shares import rank_share
from earmark.training.settings import Settings, TrainingError

TRIES = 20
HANG_SECONDS = 600.0

Heard = TypeVar("Heard")


class Place(NamedTuple):
    """Which process this is, of how many."""

    rank: int = 0
    size: int = 1


class Extent(NamedTuple):
    """How much a run hears.

    Attributes:
        epochs: of the run.
        n_clips: in an epoch.
        batch_size: clips in a step, over all processes.
    """

    epochs: int
    n_clips: int
    batch_size: int


class Reading(Dataset[Any]):
    """The batches of a run by (epoch, step in the epoch): the same on any machine, in any order of asking.

    Args:
        extent: of the run.
        place: of this process among those that share each batch.
    """

    def __init__(self, extent: Extent, place: Place) -> None:
        self.epochs, self.n_clips, self.batch_size = extent
        self.place = place
        self.steps_per_epoch = -(-self.n_clips // self.batch_size)

    def places(self, step: int) -> tuple[list[int], int]:
        """Where in the epoch this process's clips of a step stand, and how many the whole batch has."""
        whole: Int64[np.ndarray, "clip"] = np.arange(self.n_clips)
        whole = whole[step * self.batch_size : (step + 1) * self.batch_size]
        return rank_share(whole, *self.place).tolist(), len(whole)


def heard_or_replaced(
    index: int,
    hear: Callable[[int], Heard],
    n_clips: int,
    draws: np.random.Generator,
    failures: dict[int, str],
) -> tuple[int, Heard]:
    """Hear a clip; one that cannot be decoded is replaced by another, drawn at random.

    Args:
        index: which clip.
        hear: gives what is wanted of a clip.
        n_clips: how many clips there are to replace it.
        draws: source of randomness.
        failures: takes the reasons, by clip.

    Returns:
        Which clip it was at last, and what was heard.

    Raises:
        TrainingError: too many in a row cannot be decoded.
    """
    for _ in range(TRIES):
        try:
            return index, hear(index)
        except AudioError as error:
            failures[index] = str(error)
            index = int(draws.integers(n_clips))
    raise TrainingError(
        f"{TRIES} clips in a row cannot be decoded, the last because: {failures.popitem()[1]}"
    )


def batches(feed: Reading, epoch: int, step: int, settings: Settings) -> Iterator[tuple[int, int, Any]]:
    """The batches of a run from a place on, to its end, each with its epoch and its step in it.

    Args:
        feed: where they come from.
        epoch: the first epoch, counted from 0.
        step: the first step in it.
        settings: `workers` processes read ahead, across the ends of epochs.

    Raises:
        TrainingError: a worker was killed, or nothing came from one for ten minutes; or too many clips in a
            row cannot be decoded.
    """
    if not settings.workers:
        yield from ((*place, feed[place]) for place in _places(feed, epoch, step))
        return
    loader = DataLoader(
        feed,
        batch_size=None,
        sampler=_places(feed, epoch, step),  # pyright: ignore[reportArgumentType] (any iterable of keys will do, says its documentation)
        num_workers=settings.workers,
        timeout=HANG_SECONDS,
    )
    try:
        for place, batch in zip(_places(feed, epoch, step), loader, strict=True):
            yield *place, batch
    except RuntimeError as error:
        raise _in_words(error) from None


def _places(feed: Reading, epoch: int, step: int) -> Iterator[tuple[int, int]]:
    """The steps that are left, each as its epoch and its number in it."""
    for later in range(epoch, feed.epochs):
        yield from ((later, s) for s in range(step if later == epoch else 0, feed.steps_per_epoch))


def _in_words(error: RuntimeError) -> RuntimeError:
    """A sentence about a reading process that failed."""
    text = str(error)
    if isinstance(error, TrainingError):  # raised there; its sentence stands behind a traceback
        return TrainingError(text.strip().rpartition("TrainingError: ")[2])
    if "DataLoader" not in text:
        return error
    reason = "sent nothing for ten minutes" if "timed out" in text else "was killed"
    return TrainingError(
        f"a process that reads clips {reason} ({text.strip().splitlines()[0]}); take fewer --workers if "
        "memory is short, and go on with --resume"
    )
