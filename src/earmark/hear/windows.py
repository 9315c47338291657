"""Windows around points in time, over a clip that is continued by its mirror image."""

from collections.abc import Iterator

import torch
from jaxtyping import Float, Int64
from torch import Tensor

PER_SECOND = 20
"""Points in time; evaluations with a tolerance of 50 ms need no more."""


def n_centers(n_samples: int, sample_rate: int) -> int:
    """How many points in time a sound has: one at its start, and one each 50 ms, its end included.

    Example:
        >>> n_centers(32000, 32000)
        21
    """
    return n_samples * PER_SECOND // sample_rate + 1


def centers(n_samples: int, sample_rate: int) -> Int64[Tensor, "time"]:
    """The samples at the points in time, each rounded by itself, so that no rate drifts.

    Example:
        >>> centers(5000, 22050).tolist()
        [0, 1103, 2205, 3308, 4410]
    """
    places = torch.arange(n_centers(n_samples, sample_rate))
    return (places * sample_rate + PER_SECOND // 2) // PER_SECOND


def center_times(n_samples: int, sample_rate: int) -> list[float]:
    """The points in time, in seconds.

    Example:
        >>> center_times(3200, 32000)
        [0.0, 0.05, 0.1]
    """
    return [place / PER_SECOND for place in range(n_centers(n_samples, sample_rate))]


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


class Centered:
    """All windows of one length around the points in time of a batch of clips, a few at a time.

    A window is cut when it is asked for, so that memory does not grow with the number of windows.

    Args:
        audio: clips of one length.
        window: samples of a window, of which the point in time is the middle.
        centers: the points in time, as samples.

    Example:
        >>> windows = Centered(torch.arange(5.0)[None], 4, torch.tensor([0, 2, 4]))
        >>> [part.tolist() for part in windows.parts(2)]
        [[[2.0, 1.0, 0.0, 1.0], [0.0, 1.0, 2.0, 3.0]], [[2.0, 3.0, 4.0, 3.0]]]
    """

    def __init__(
        self, audio: Float[Tensor, "sound sample"], window: int, centers: Int64[Tensor, "time"]
    ) -> None:
        self.audio, self.window, self.centers = audio, window, centers.to(audio.device)
        self.n_centers = len(centers)

    def parts(self, size: int) -> Iterator[Float[Tensor, "part window"]]:
        """The windows of the first clip, of the second and so on, `size` at a time."""
        n_sounds, n_samples = self.audio.shape
        flat = self.audio.reshape(-1)
        offsets = torch.arange(self.window, device=flat.device) - self.window // 2
        for first in range(0, n_sounds * self.n_centers, size):
            number = torch.arange(first, min(first + size, n_sounds * self.n_centers), device=flat.device)
            sound, center = number // self.n_centers, self.centers[number % self.n_centers]
            inside = mirrored(center[:, None] + offsets, n_samples)
            yield flat[sound[:, None] * n_samples + inside]
