"""The sinusoids that tell a transformer where in time a frame lies."""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn


def sinusoid(n_frames: int, dim: int) -> Float[Tensor, "frame dim"]:
    """Sines in even columns and cosines in odd ones, of wavelengths from 2 pi to 20000 pi frames.

    Source:
        Vaswani et al., arXiv:1706.03762, section 3.5.

    Example:
        >>> [round(value, 4) for value in sinusoid(2, 4)[1].tolist()]
        [0.8415, 0.5403, 0.01, 0.9999]
    """
    rates = torch.exp(torch.arange(0, dim, 2) * (-math.log(10000.0) / dim))
    angles = torch.arange(n_frames, dtype=torch.float32)[:, None] * rates
    return torch.stack([angles.sin(), angles.cos()], dim=2).flatten(1)[:, :dim]


class Sinusoid(nn.Module):
    """A table of sinusoids, saved with the weights as the published models do.

    Args:
        n_frames: length of the table.
        dim: its width.
    """

    pe: Tensor

    def __init__(self, n_frames: int, dim: int) -> None:
        super().__init__()
        self.register_buffer("pe", sinusoid(n_frames, dim)[None])

    def forward(self, sequence: Float[Tensor, "batch frame dim"]) -> Float[Tensor, "1 frame dim"]:
        """The rows for a sequence; computed where it is longer than the table."""
        n_frames, dim = sequence.shape[1:]
        if n_frames <= self.pe.shape[1]:
            return self.pe[:, :n_frames]
        return sinusoid(n_frames, dim)[None].to(self.pe)
