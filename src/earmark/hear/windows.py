"""Windows around points in time, over a clip that is continued by its mirror image."""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor

PER_SECOND = 20
"""Points in time; evaluations with a tolerance of 50 ms need no more."""


class Grid(NamedTuple):
    """Points in time: so many for so many samples, each rounded by itself, so that no rate drifts.

    Attributes:
        points: how many there are in `samples`.
        samples: 1 or more.

    Example:
        >>> grid = Grid(20, 22050)
        >>> grid.count(22050), grid.between(0, 5).tolist()
        (21, [0, 1103, 2205, 3308, 4410])
    """

    points: int
    samples: int

    def count(self, n_samples: int) -> int:
        """How many a sound has: one at its start, and its end is included."""
        return n_samples * self.points // self.samples + 1

    def at(self, place: int) -> int:
        """The sample at a point."""
        return (place * self.samples + self.points // 2) // self.points

    def between(self, first: int, stop: int) -> Int64[Tensor, "time"]:
        """The samples at the points from one to another, half-open."""
        return (torch.arange(first, stop) * self.samples + self.points // 2) // self.points


def center_times(n_samples: int, sample_rate: int) -> list[float]:
    """The points in time, in seconds: one each 50 ms.

    Example:
        >>> center_times(3200, 32000)
        [0.0, 0.05, 0.1]
    """
    return [place / PER_SECOND for place in range(Grid(PER_SECOND, sample_rate).count(n_samples))]


def mirrored(index: Int64[Tensor, "*n"], n_samples: int) -> Int64[Tensor, "*n"]:
    """Places beyond the ends of a clip as places in it: it is reflected at its first and last sample, again
    and again.

    Example:
        >>> mirrored(torch.arange(-3, 6), 3).tolist()
        [1, 2, 1, 0, 1, 2, 1, 0, 1]
        >>> mirrored(torch.arange(-2, 2), 1).tolist()
        [0, 0, 0, 0]
    """
    if n_samples == 1:
        return torch.zeros_like(index)
    period = 2 * (n_samples - 1)
    place = index.remainder(period)
    return torch.minimum(place, period - place)


class Stretch(NamedTuple):
    """What is in memory of clips of one length.

    Attributes:
        audio: the samples.
        first: place of the first of them in the clips.
        n_samples: of the clips, as far as they are known.
    """

    audio: Float[Tensor, "sound sample"]
    first: int
    n_samples: int


class Centered:
    """All windows of one length around points in time of a batch of clips, a few at a time.

    A window is cut when it is asked for, so that memory does not grow with the number of windows.

    Args:
        stretch: of the clips; it must hold what lies in the windows, or is reflected into them.
        window: samples of a window, of which the point in time is the middle.
        centers: the points in time, as samples.

    Example:
        >>> windows = Centered(Stretch(torch.arange(5.0)[None], 0, 5), 4, torch.tensor([0, 2, 4]))
        >>> [part.tolist() for part in windows.parts(2)]
        [[[2.0, 1.0, 0.0, 1.0], [0.0, 1.0, 2.0, 3.0]], [[2.0, 3.0, 4.0, 3.0]]]
    """

    def __init__(self, stretch: Stretch, window: int, centers: Int64[Tensor, "time"]) -> None:
        self.stretch, self.window, self.centers = stretch, window, centers.to(stretch.audio.device)
        self.n_centers = len(centers)

    def parts(self, size: int) -> Iterator[Float[Tensor, "part window"]]:
        """The windows of the first clip, of the second and so on, `size` at a time."""
        n_sounds, held = self.stretch.audio.shape
        flat = self.stretch.audio.reshape(-1)
        offsets = torch.arange(self.window, device=flat.device) - self.window // 2
        for first in range(0, n_sounds * self.n_centers, size):
            number = torch.arange(first, min(first + size, n_sounds * self.n_centers), device=flat.device)
            sound, center = number // self.n_centers, self.centers[number % self.n_centers]
            inside = mirrored(center[:, None] + offsets, self.stretch.n_samples) - self.stretch.first
            yield flat[sound[:, None] * held + inside]
