"""Windows cut from a stream, and padding: the only places that count where a stretch of sound begins."""

from collections.abc import Iterable, Iterator
from typing import Literal

import numpy as np
from jaxtyping import Float


def windows(
    blocks: Iterable[Float[np.ndarray, "_sample"]], window: int, hop: int
) -> Iterator[tuple[int, Float[np.ndarray, "_sample"]]]:
    """Cut a stream of blocks into windows, holding no more than a window and a block.

    The last windows are shorter than the others where the sound ends inside them; nothing is padded here.
    The first window that reaches the end is the last one: a later one would only repeat its samples.

    Args:
        blocks: the sound, in pieces of any size, as `stream` gives it.
        window: samples; at least 1.
        hop: samples from one window's start to the next; at least 1, and above `window` it leaves gaps.

    Returns:
        Pairs of the first sample's index in the sound, exactly k times `hop`, and the samples.

    Raises:
        ValueError: a window or hop below 1.

    Example:
        >>> [(start, len(samples)) for start, samples in windows([np.zeros(7, np.float32)], 4, 2)]
        [(0, 4), (2, 4), (4, 3)]
    """
    if window < 1 or hop < 1:
        raise ValueError(f"a window of {window} samples and a hop of {hop} cut nothing; give at least 1")
    return _cut(blocks, window, hop)


def _cut(
    blocks: Iterable[Float[np.ndarray, "_sample"]], window: int, hop: int
) -> Iterator[tuple[int, Float[np.ndarray, "_sample"]]]:
    held = np.zeros(0, np.float32)
    position = start = 0  # the index in the sound of held[0], and of the next window
    for block in blocks:
        end = position + len(held) + len(block)
        if start >= end:  # a gap that swallows the block
            held, position = held[:0], end
            continue
        held = np.concatenate([held[start - position :], block[max(0, start - position - len(held)) :]])
        position = start
        while start + window < end:  # a window that ends where the sound may end waits for more
            yield start, held[start - position : start - position + window].copy()
            start += hop
        held = held[max(0, start - position) :] if start < end else held[:0]
        position = min(start, end)
    if len(held):
        yield start, held[:window].copy()


def pad(
    samples: Float[np.ndarray, "sample"], length: int, how: Literal["zeros", "loop"]
) -> Float[np.ndarray, "longer"]:
    """Lengthen a sound at its end; one that is long enough stays as it is.

    Args:
        samples: at least one sample, for `loop`.
        length: samples wanted at least.
        how: `zeros` adds silence, `loop` repeats the sound from its start.

    Raises:
        ValueError: another word for `how`, or nothing to repeat.

    Example:
        >>> pad(np.array([1, 2, 3], np.float32), 5, "loop")
        array([1., 2., 3., 1., 2.], dtype=float32)
    """
    if how not in ("zeros", "loop"):
        raise ValueError(f"how={how!r} is no way to pad; 'zeros' and 'loop' are")
    if len(samples) >= length:
        return samples
    if how == "zeros":
        return np.pad(samples, (0, length - len(samples)))
    if not len(samples):
        raise ValueError("a sound without samples cannot be looped; pad it with zeros")
    return np.resize(samples, length)
