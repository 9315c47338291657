"""Windows around points in time, over a clip that is continued by its mirror image."""

from collections.abc import Iterator

import torch
from jaxtyping import Float, Int64
from torch import Tensor


def n_centers(n_samples: int, hop: int) -> int:
    """How many points in time a clip has: one at its start, and one each `hop` samples, its end included.

    Example:
        >>> n_centers(32000, 1600)
        21
    """
    return n_samples // hop + 1


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
        hop: samples from one point in time to the next.

    Example:
        >>> windows = Centered(torch.arange(5.0)[None], window=4, hop=2)
        >>> [part.tolist() for part in windows.parts(2)]
        [[[2.0, 1.0, 0.0, 1.0], [0.0, 1.0, 2.0, 3.0]], [[2.0, 3.0, 4.0, 3.0]]]
    """

    def __init__(self, audio: Float[Tensor, "sound sample"], window: int, hop: int) -> None:
        self.audio, self.window, self.hop = audio, window, hop
        self.n_centers = n_centers(audio.shape[1], hop)

    def parts(self, size: int) -> Iterator[Float[Tensor, "part window"]]:
        """The windows of the first clip, of the second and so on, `size` at a time."""
        n_sounds, n_samples = self.audio.shape
        flat = self.audio.reshape(-1)
        offsets = torch.arange(self.window, device=flat.device) - self.window // 2
        for first in range(0, n_sounds * self.n_centers, size):
            number = torch.arange(first, min(first + size, n_sounds * self.n_centers), device=flat.device)
            sound, center = number // self.n_centers, number % self.n_centers * self.hop
            inside = mirrored(center[:, None] + offsets, n_samples)
            yield flat[sound[:, None] * n_samples + inside]
