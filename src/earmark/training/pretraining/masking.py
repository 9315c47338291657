"""Which frames are hidden from the encoder: spans that begin at random."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool
from pydantic import Field

from earmark.config import Frozen
from earmark.training.randomness import clip_generators, generator


class SpanMask(Frozen):
    """Spans of frames to hide.  One length serves the whole batch; it is drawn anew for each.

    Of a long clip about 1 - (1 - probability) ** length is hidden.

    Attributes:
        probability: that a span begins at a frame.
        longest: frames of the longest span; lengths from 1 on are equally likely.
    """

    probability: float = Field(default=0.08, gt=0, le=1)
    longest: int = Field(default=10, ge=1, le=10_000)


def span_masks(
    config: SpanMask,
    valid: Bool[np.ndarray, "batch frame"],
    seed: int,
    step: tuple[int, int],
    places: Sequence[int],
) -> Bool[np.ndarray, "batch frame"]:
    """Draw the masks of a batch.

    A clip's mask depends on its place in the epoch, not on the process that has it.

    Args:
        config: how many frames.
        valid: frames that are no padding; each clip has one at least.
        seed: of the run.
        step: epoch, counted from 0, and number of the step over the whole run.
        places: of the clips in the epoch.

    Returns:
        True where a frame is hidden: one in each clip at least, none of the padding.

    Source:
        audio_dbert's data settings, which are wav2vec 2.0's (Baevski et al., arXiv:2006.11477) with another
        length.  That each clip has a hidden frame is ours.

    Example:
        >>> masks = span_masks(SpanMask(), np.ones((2, 400), dtype=bool), 0, (0, 0), [0, 1])
        >>> masks.shape, bool(masks.any(axis=1).all())
        ((2, 400), True)
    """
    epoch, number = step
    length = int(generator(seed, epoch, number, "span").integers(1, config.longest + 1))
    draws = clip_generators(seed, epoch, places, "mask")
    starts = np.stack([_starts(config, clip, draw) for clip, draw in zip(valid, draws, strict=True)])
    masks = np.zeros_like(starts)
    for offset in range(min(length, starts.shape[1])):
        masks[:, offset:] |= starts[:, : starts.shape[1] - offset]
    return masks & valid


def _starts(
    config: SpanMask, valid: Bool[np.ndarray, "frame"], draw: np.random.Generator
) -> Bool[np.ndarray, "frame"]:
    """Where spans begin in a clip; one span does in any case."""
    starts = (draw.random(len(valid)) < config.probability) & valid
    if not starts.any():
        starts[draw.choice(np.flatnonzero(valid))] = True
    return starts
