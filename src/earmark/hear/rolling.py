"""A sound that comes in blocks, of which no more is kept than will be needed."""

from collections.abc import Iterable, Iterator

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from earmark.hear.windows import Grid, Stretch


class Rolling:
    """What is still needed of a sound that comes in blocks.

    Args:
        blocks: mono samples; at least one sample comes.
        device: where stretches of it shall be; the processor if None.

    Attributes:
        first: place of the first sample that is held.
        end: one past the last that came.
        ended: whether no more will come.

    Example:
        >>> sound = Rolling(iter([torch.zeros(5), torch.ones(5)]))
        >>> sound.read_to(4)
        >>> sound.end, sound.ended
        (5, False)
        >>> sound.read_to(11)
        >>> sound.forget(8)
        >>> sound.stretch().audio.shape, sound.first, sound.end, sound.ended
        (torch.Size([1, 2]), 8, 10, True)
    """

    def __init__(
        self, blocks: Iterable[Float[Tensor, "_sample"]], device: torch.device | None = None
    ) -> None:
        self._blocks, self.device = iter(blocks), device or torch.device("cpu")
        self._held: list[Float[Tensor, "_sample"]] = []
        self.first = self.end = 0
        self.ended = False

    def read_to(self, end: int) -> None:
        """Take blocks until more than `end` samples came, or the sound has ended."""
        while self.end <= end and not self.ended:
            block = next(self._blocks, None)
            if block is None:
                self.ended = True
                return
            self._held.append(block)
            self.end += len(block)

    def blocks(self) -> Iterator[Float[np.ndarray, "_"]]:
        """The rest of the sound as it comes; none of it is held."""
        while not self.ended:
            self.read_to(self.end)
            held = self._joined()
            self.forget(self.end)
            if len(held):
                yield held.numpy()

    def stretch(self) -> Stretch:
        """What is held, as the stretch of a clip that is as long as what came."""
        return Stretch(self._joined().to(self.device)[None], self.first, self.end)

    def forget(self, before: int) -> None:
        """Hold nothing before a place any more."""
        drop = min(before, self.end) - self.first
        if drop > 0:
            self._held = [self._joined()[drop:].clone()]
            self.first += drop

    def _joined(self) -> Float[Tensor, "_"]:
        self._held = [torch.cat(self._held)] if self._held else [torch.zeros(0)]
        return self._held[0]


def passing(
    sound: Rolling, grid: Grid, window: int, step: int
) -> Iterator[tuple[Stretch, Int64[Tensor, "time"]]]:
    """Some points in time after others, with what windows around them need.

    What is held is `step` points, a window and a block, however long the sound is.

    Args:
        sound: is read to its end.
        grid: the points.
        window: samples of the longest window.
        step: points at once.

    Returns:
        Stretches, and the points as samples of the whole sound.

    Example:
        >>> sound = Rolling(torch.zeros(3000).split(400))
        >>> [points.tolist() for _, points in passing(sound, Grid(1, 1000), window=500, step=3)]
        [[0, 1000, 2000], [3000]]
    """
    place = 0
    while True:
        sound.read_to(grid.at(place + step - 1) + window)
        count = min(step, grid.count(sound.end) - place)
        if count < 1:
            return
        yield sound.stretch(), grid.between(place, place + count)
        place += count
        sound.forget(grid.at(place) - window - 2)  # half in front of it; at the end that half is reflected
