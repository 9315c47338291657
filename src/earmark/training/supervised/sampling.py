"""Which clips an epoch has, in which order: a function of the seed and the epoch alone."""

from collections.abc import Sequence
from itertools import chain
from typing import Annotated, Literal, NamedTuple

import numpy as np
from jaxtyping import Float64, Int64
from pydantic import Field

from earmark.config import ConfigError, Frozen
from earmark.training.randomness import generator
from earmark.training.supervised.shuffle_buffer import Buffered, buffered_order

Ap = Annotated[float, Field(gt=0, le=1)]


class Shuffled(Frozen):
    """Each clip once, in random order."""

    kind: Literal["Shuffled"] = "Shuffled"


class Balanced(Frozen):
    """Clips of rare classes come more often.

    A class of n clips weighs 1000 / (offset + n); a clip what its classes weigh together.  The defaults are
    those of AST, PSLA and AudioTagging Done Right.

    Attributes:
        offset: see above; 100 for PaSST.
        combine: "sum" of the weights of a clip's classes, or their "max".
        replacement: a clip may come several times in an epoch; False for PaSST.
        class_ap: average precision, by number of the class, of those that a model recognizes poorly: 0.4 / AP
            is added to their weights.

    Source:
        The weight files of AST, PSLA and AudioTagging Done Right, the latter's over-sampling, and PaSST's
        weights; agree with recorded ones.

    Example:
        >>> clip_weights(Balanced(offset=0), [[0], [0, 1], []], 2)
        array([ 500., 1500.,    0.])
    """

    kind: Literal["Balanced"] = "Balanced"
    offset: float = Field(default=0.01, ge=0, le=1e12)
    combine: Literal["sum", "max"] = "sum"
    replacement: bool = True
    class_ap: dict[Annotated[int, Field(ge=0)], Ap] = Field(default={}, max_length=100_000)


SamplingConfig = Annotated[Balanced | Buffered | Shuffled, Field(discriminator="kind")]


class Drawn(NamedTuple):
    """What clips are drawn from.

    Attributes:
        labels: of each clip, the numbers of its classes.
        n_classes: how many classes there are.
        files: of each clip, the number of the file that it lies in.
    """

    labels: Sequence[Sequence[int]]
    n_classes: int
    files: Int64[np.ndarray, "clip"]


def epoch_order(
    sampling: SamplingConfig, drawn: Drawn, n_clips: int, seed: int, epoch: int
) -> Int64[np.ndarray, "{n_clips}"]:
    """The clips of an epoch, in their order; the same in every process.

    Args:
        sampling: how they are drawn.
        drawn: the clips.
        n_clips: how many clips the epoch has.
        seed: of the run.
        epoch: counted from 0.

    Raises:
        ConfigError: so many clips cannot be drawn.

    Example:
        >>> drawn = Drawn([[0], [1], [0]], 2, np.arange(3))
        >>> sorted(epoch_order(Shuffled(), drawn, 3, seed=0, epoch=5).tolist())
        [0, 1, 2]
    """
    draws = generator(seed, epoch, 0, "order")
    if isinstance(sampling, Balanced):
        weights = clip_weights(sampling, drawn.labels, drawn.n_classes)
        return (draw_again if sampling.replacement else draw_once)(weights, n_clips, draws)
    if n_clips > len(drawn.labels):
        raise ConfigError(
            f"an epoch of {n_clips} clips is asked for but there are {len(drawn.labels)}; take fewer, or "
            "draw with replacement (sampling Balanced)"
        )
    if isinstance(sampling, Buffered):
        return buffered_order(sampling.buffer, drawn.files, draws)[:n_clips]
    return draws.permutation(len(drawn.labels))[:n_clips].astype(np.int64)


def clip_weights(
    balanced: Balanced, labels: Sequence[Sequence[int]], n_classes: int
) -> Float64[np.ndarray, "clip"]:
    """What each clip weighs when clips are drawn; 0 for one without labels, which is never drawn.

    Args:
        balanced: the formula.
        labels: of each clip, the numbers of its classes.
        n_classes: how many classes there are.

    Raises:
        ConfigError: `class_ap` names a class that there is not.
    """
    unknown = [number for number in balanced.class_ap if number >= n_classes]
    if unknown:
        raise ConfigError(
            f"sampling.class_ap names class {unknown[0]} but there are {n_classes}, counted from 0"
        )
    lengths = np.fromiter(map(len, labels), dtype=np.int64, count=len(labels))
    classes = np.fromiter(chain.from_iterable(labels), dtype=np.int64, count=int(lengths.sum()))
    pairs = np.sort(np.repeat(np.arange(len(labels)), lengths) * n_classes + classes)
    pairs = pairs[np.diff(pairs, prepend=-1) > 0]  # a class counts once; np.unique is ten times slower
    clips = pairs // n_classes
    classes = pairs - clips * n_classes
    counts = np.bincount(classes, minlength=n_classes)
    weights = 1000.0 / np.maximum(balanced.offset + counts, 1e-9)
    for number, ap in balanced.class_ap.items():
        weights[number] += 0.4 / ap
    if balanced.combine == "sum":
        return np.bincount(clips, weights[classes], minlength=len(labels)).astype(np.float64)
    greatest = np.zeros(len(labels))
    if len(clips):
        first = np.flatnonzero(np.diff(clips, prepend=-1))
        greatest[clips[first]] = np.maximum.reduceat(weights[classes], first)
    return greatest


def draw_again(
    weights: Float64[np.ndarray, "clip"], count: int, draws: np.random.Generator
) -> Int64[np.ndarray, "{count}"]:
    """Draw clips, each as often as its weight says.

    Args:
        weights: not negative.
        count: how many.
        draws: source of randomness.

    Raises:
        ConfigError: no clip weighs anything.
    """
    if not weights.any():
        raise ConfigError("no clip has a label, so there is nothing to balance by; take sampling Shuffled")
    total = np.cumsum(weights)
    places = np.sort(draws.random(count)) * total[-1]  # in order, the search stays in the cache
    found = np.searchsorted(total, places, side="right").clip(max=int(np.flatnonzero(weights)[-1]))
    return draws.permutation(found)


def draw_once(
    weights: Float64[np.ndarray, "clip"], count: int, draws: np.random.Generator
) -> Int64[np.ndarray, "{count}"]:
    """Draw clips one after another by weight, none twice.

    Args:
        weights: not negative.
        count: how many.
        draws: source of randomness.

    Raises:
        ConfigError: fewer clips weigh anything.

    Source:
        Efraimidis and Spirakis, Weighted random sampling with a reservoir (2006): the clips with the least
        exponential draws over weight, in that order, are distributed like draws one after another.
    """
    heavy = np.flatnonzero(weights)
    if count > len(heavy):
        raise ConfigError(
            f"an epoch of {count} clips is asked for but {len(heavy)} of {len(weights)} clips have a label "
            "to be drawn by; take fewer, or sampling.replacement=true"
        )
    times = draws.standard_exponential(len(heavy)) / weights[heavy]
    least = np.argpartition(times, count - 1)[:count] if 0 < count < len(heavy) else np.arange(len(heavy))
    return heavy[least[np.argsort(times[least])]][:count]
