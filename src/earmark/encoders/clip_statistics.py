"""Statistics of a spectrogram over time: nothing is learned here, and a linear head on them is a system."""

import math
from itertools import pairwise
from typing import Literal

import torch
from jaxtyping import Float
from pydantic import Field, model_validator
from torch import Tensor, nn

from earmark.encoders.encoding import EncoderDescription, Encoding, Layer, check_size, layers_until

QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9)
TURN = 256
"""Frames of a modulation spectrum; a clip goes round until it fills whole ones."""


class ClipStatistics(EncoderDescription):
    """How the bands and cepstra of a clip are spread over time, and how fast they swing.

    Of each band and cepstrum the mean, the deviation, the least and the largest value, and the deviation of
    the differences between frames; quantiles of each band; and for groups of bands the strength of their
    modulation in each half octave or so.  Each number is standardized by what the training clips had of it.

    Attributes:
        n_bands: mel bands that it takes.
        cepstra: coefficients of the cosine transform over bands; at most as many as bands.
        groups: of neighboring bands, for the modulation spectrum; they divide the bands evenly.

    Example:
        >>> encoder = ClipStatistics().build().eval()
        >>> encoder(torch.zeros(1, 64, 250)).summary.shape     # 5 s at a hop of 20 ms
        torch.Size([1, 916])
    """

    kind: Literal["ClipStatistics"] = "ClipStatistics"
    n_bands: int = Field(default=64, ge=1, le=4096)
    cepstra: int = Field(default=20, ge=1, le=4096)
    groups: int = Field(default=16, ge=1, le=4096)

    @model_validator(mode="after")
    def _check(self) -> "ClipStatistics":
        if self.cepstra > self.n_bands:
            raise ValueError(
                f"cepstra is {self.cepstra} but there are {self.n_bands} bands; it must not be greater"
            )
        if self.n_bands % self.groups:
            raise ValueError(
                f"groups is {self.groups} but there are {self.n_bands} bands; give a number that divides them"
            )
        return self

    @property
    def dim(self) -> int:
        """Width of the summary."""
        tracks = self.n_bands + self.cepstra
        return 5 * tracks + len(QUANTILES) * self.n_bands + len(stretches()) * self.groups

    @property
    def layers(self) -> tuple[Layer, ...]:
        """There is one: the bands and cepstra of each frame."""
        return (Layer(self.dim, self.n_bands + self.cepstra, 1, 0.0),)

    @property
    def min_frames(self) -> int:
        """Differences need two frames."""
        return 2

    def build(self) -> "ClipStatisticsEncoder":
        """The module that computes this."""
        return ClipStatisticsEncoder(self)


class ClipStatisticsEncoder(nn.Module):
    """Computes `ClipStatistics`; see there.

    Source:
        Ours.  Cepstra, their deltas and statistics over time are the baseline of Piczak, ESC: Dataset for
        Environmental Sound Classification, ACM Multimedia 2015; quantiles and modulation spectra are added.
    """

    def __init__(self, config: ClipStatistics) -> None:
        super().__init__()
        self.config = config
        self.standardize = Standardize(config.dim, affine=False)

    def forward(self, features: Float[Tensor, "batch band frame"], layer: int | None = None) -> Encoding:
        """Encode a batch of spectrograms.

        Args:
            features: log mel power; `config.n_bands` bands.
            layer: the only one, 0 or -1; or None, which is the same.

        Returns:
            Frames hold the bands and cepstra as they are; the summary holds the statistics, standardized.

        Raises:
            ValueError: another number of bands, fewer than two frames, or no such layer.
        """
        check_size(features, self.config)
        layers_until(layer, 1)
        tracks = torch.cat([features, self._cosines().to(features) @ features], dim=1)
        found = [tracks.mean(2), tracks.std(2, correction=0), tracks.amin(2), tracks.amax(2)]
        found += [tracks.diff(dim=2).std(2, correction=0), quantiles(features).flatten(1)]
        summary = torch.cat([*found, self._modulation(features)], dim=1)
        return Encoding(tracks.transpose(1, 2), self.standardize(summary))

    def _cosines(self) -> Float[Tensor, "cepstrum band"]:
        """The cosine transform over bands.

        Made anew each time, as the window is: an encoder that is read from a file holds only what is in it.
        """
        angle = math.pi / self.config.n_bands * (torch.arange(self.config.n_bands) + 0.5)
        return torch.cos(torch.arange(self.config.cepstra)[:, None] * angle)

    def _modulation(self, features: Float[Tensor, "batch band frame"]) -> Float[Tensor, "batch strength"]:
        """Logarithm of the mean modulation of each group of bands, stretch by stretch of its spectrum."""
        groups = features.unflatten(1, (self.config.groups, -1)).mean(2)
        frames = groups.shape[2]
        length = -(-frames // TURN) * TURN
        turns = groups.repeat(1, 1, -(-length // frames))[..., :length].unflatten(2, (-1, TURN))
        swing = (turns - turns.mean(3, keepdim=True)) * torch.hann_window(TURN, periodic=False).to(features)
        strength = torch.fft.rfft(swing).abs().mean(2)
        parts = [strength[..., first : last + 1].mean(2) for first, last in stretches()]
        return torch.log(torch.stack(parts, dim=2) + 0.1).flatten(1)


class Standardize(nn.BatchNorm1d):
    """Batch norm that takes a single clip, which has no deviation, by what it learned before."""

    def forward(self, input: Float[Tensor, "batch dim"]) -> Float[Tensor, "batch dim"]:  # noqa: A002
        """Take off the mean and divide by the deviation: in training of the batch, then of all before."""
        if self.training and len(input) > 1:
            return super().forward(input)
        return nn.functional.batch_norm(input, self.running_mean, self.running_var, eps=self.eps)


def quantiles(features: Float[Tensor, "batch band frame"]) -> Float[Tensor, "batch quantile band"]:
    """Levels that a band stays below for a tenth, a quarter, half ... of the time.

    As `torch.quantile`, which refuses large batches.

    Example:
        >>> quantiles(torch.arange(21.0).reshape(1, 1, 21)).flatten()
        tensor([ 2.,  5., 10., 15., 18.])
    """
    order = features.sort(dim=2).values
    places = torch.tensor(QUANTILES, dtype=torch.float64) * (features.shape[2] - 1)
    below = places.floor().long()
    above = places.ceil().long()
    way = (places - below).to(order)
    return torch.lerp(order[..., below], order[..., above], way).transpose(1, 2)


def stretches() -> list[tuple[int, int]]:
    """First and last bin of each stretch of the modulation spectrum, evenly spaced on a logarithmic axis.

    Example:
        >>> stretches()[:3], stretches()[-1]
        ([(1, 2), (2, 3), (3, 5)], (85, 128))
    """
    last = TURN // 2
    points = sorted({int(last ** (step / 12) + 1e-9) for step in range(13)})
    return list(pairwise(points))
