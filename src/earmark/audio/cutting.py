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
    cutting = Windows(window, hop)
    return _cut(cutting, blocks)


def _cut(
    cutting: "Windows", blocks: Iterable[Float[np.ndarray, "_sample"]]
) -> Iterator[tuple[int, Float[np.ndarray, "_sample"]]]:
    for block in blocks:
        yield from cutting.push(block)
    yield from cutting.flush()


class Windows:
    """The same for a sound that is pushed block by block, see `windows`.

    Example:
        >>> cutting = Windows(4, 2)
        >>> [start for start, _ in cutting.push(np.zeros(5, np.float32))]
        [0]
        >>> [start for start, _ in cutting.push(np.zeros(2, np.float32))], len(list(cutting.flush()))
        ([2], 1)
    """

    def __init__(self, window: int, hop: int) -> None:
        if window < 1 or hop < 1:
            raise ValueError(f"a window of {window} samples and a hop of {hop} cut nothing; give at least 1")
        self._window, self._hop = window, hop
        self._parts: list[Float[np.ndarray, "_sample"]] = []  # from start to end; empty in a gap
        self._start = self._end = 0  # index in the sound of the next window, and one past what was taken

    def push(self, block: Float[np.ndarray, "_sample"]) -> Iterator[tuple[int, Float[np.ndarray, "_sample"]]]:
        """The windows that a block completes; they must be read to their end before the next block."""
        fresh = block[max(0, self._start - self._end) :]
        self._end += len(block)
        if len(fresh):
            self._parts.append(fresh)
        if self._start + self._window >= self._end:  # one that ends where the sound may end waits for more
            return
        held, first = _joined(self._parts), self._start
        while self._start + self._window < self._end:
            yield self._start, held[self._start - first : self._start - first + self._window].copy()
            self._start += self._hop
        self._parts = [held[self._start - first :].copy()] if self._start < self._end else []

    def flush(self) -> Iterator[tuple[int, Float[np.ndarray, "_sample"]]]:
        """The window at the end of the sound, if there is one."""
        if self._parts:
            yield self._start, _joined(self._parts)[: self._window].copy()


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
