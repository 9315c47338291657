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
    parts: list[Float[np.ndarray, "_sample"]] = []  # the sound from start to end; empty in a gap
    start = end = 0  # the index in the sound of the next window, and one past what was taken
    for block in blocks:
        fresh = block[max(0, start - end) :]
        end += len(block)
        if len(fresh):
            parts.append(fresh)
        if start + window >= end:  # a window that ends where the sound may end waits for more
            continue
        held, first = _joined(parts), start
        while start + window < end:
            yield start, held[start - first : start - first + window].copy()
            start += hop
        parts = [held[start - first :].copy()] if start < end else []
    if parts:
        yield start, _joined(parts)[:window].copy()


def _joined(parts: list[Float[np.ndarray, "_sample"]]) -> Float[np.ndarray, "_sample"]:
    """Joined once a window, not once a block, which would cost the square of a long window."""
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


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
